//! The HTTP: one request, one page.

use super::listen::Address;
use super::{MetricsSettings, Page, Registry, classic};
use crate::socket::{self, SocketError, SocketSettings};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ACCEPT, ALLOW, CONTENT_TYPE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// OpenMetrics 1.0.0.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The format from before it.
const CLASSIC: &str = "text/plain; version=0.0.4; charset=utf-8";

const WORDS: &str = "text/plain; charset=utf-8";

/// Connections at once; the next one waits. A handful scrape.
const CONNECTIONS_MAX: usize = 16;

/// How long a request's head may take to arrive, and a connection may be idle: longer than the usual
/// minute between scrapes, so that one connection serves them all.
const HEAD_MAX: Duration = Duration::from_secs(90);

/// How long to wait after the system refused a connection, for want of descriptors or memory.
const ACCEPT_AGAIN_AFTER: Duration = Duration::from_millis(200);

/// The mode of a Unix socket: who scrapes is in the daemon's group.
const MODE: u32 = 0o660;

/// Nobody can scrape.
#[derive(Debug, thiserror::Error)]
pub enum MetricsError {
    /// The port is not to be had.
    #[error("metrics.listen: cannot listen on {address}")]
    Port {
        /// Which.
        address: SocketAddr,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The socket is not to be had.
    #[error("metrics.listen")]
    Socket(#[from] SocketError),
}

/// What is shown.
#[derive(Debug, Default)]
pub struct Pages {
    /// What names no tenant.
    pub public: Registry,
    /// What names accounts and leases; absent where it is not to be shown.
    pub tenants: Option<Registry>,
}

impl Pages {
    const fn registry(&self, page: Page) -> Option<&Registry> {
        match page {
            Page::Public => Some(&self.public),
            Page::Tenants => self.tenants.as_ref(),
        }
    }

    /// A page as OpenMetrics text; absent where it is not shown.
    pub fn text(&self, page: Page) -> Option<String> {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, self.registry(page)?)
            .expect("a string takes any text");
        Some(text)
    }
}

/// A socket that is listened on for scrapes.
#[derive(Debug)]
pub struct Server(Listening);

#[derive(Debug)]
enum Listening {
    Loopback(TcpListener),
    Unix(socket::Listener),
}

impl Server {
    /// Listens where the settings say; nothing where they say so. Inside a tokio runtime.
    ///
    /// # Errors
    /// A port or socket that is not to be had.
    pub async fn bind(settings: &MetricsSettings) -> Result<Option<Self>, MetricsError> {
        let listening = match &settings.listen {
            None => return Ok(None),
            Some(Address::Loopback(address)) => {
                let bound = TcpListener::bind(address).await;
                Listening::Loopback(bound.map_err(|source| MetricsError::Port {
                    address: *address,
                    source,
                })?)
            }
            Some(Address::Unix(path)) => {
                let settings = SocketSettings {
                    path: path.clone(),
                    mode: MODE,
                    group: None,
                };
                Listening::Unix(socket::listen("metrics", &settings)?)
            }
        };
        Ok(Some(Self(listening)))
    }

    /// The port that is listened on, where it is one.
    pub fn port(&self) -> Option<u16> {
        match &self.0 {
            Listening::Loopback(listener) => Some(listener.local_addr().ok()?.port()),
            Listening::Unix(_) => None,
        }
    }

    /// Answers scrapes until `shutdown`. What is being answered then is cut off: the next scrape of
    /// whoever comes after is as good.
    pub async fn run(self, pages: Pages, shutdown: CancellationToken) {
        let pages = Arc::new(pages);
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let mut connections = JoinSet::new();
        loop {
            let (place, accepted) = tokio::select! {
                accepted = self.next(&places) => accepted,
                () = shutdown.cancelled() => return,
            };
            match accepted {
                Ok(stream) => {
                    let pages = Arc::clone(&pages);
                    connections.spawn(async move {
                        converse(stream, pages).await;
                        drop(place);
                    });
                }
                Err(e) => {
                    tracing::warn!(error = %e, "a scrape could not be accepted");
                    tokio::time::sleep(ACCEPT_AGAIN_AFTER).await;
                }
            }
            while connections.try_join_next().is_some() {}
        }
    }

    /// The next connection, once there is a place for it.
    async fn next(
        &self,
        places: &Arc<Semaphore>,
    ) -> (OwnedSemaphorePermit, io::Result<Box<dyn Stream>>) {
        let place = Arc::clone(places).acquire_owned().await;
        let place = place.expect("the semaphore is never closed");
        (place, self.accept().await)
    }

    async fn accept(&self) -> io::Result<Box<dyn Stream>> {
        Ok(match &self.0 {
            Listening::Loopback(listener) => Box::new(listener.accept().await?.0),
            Listening::Unix(listener) => Box::new(listener.accept().await?.0),
        })
    }
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

async fn converse(stream: Box<dyn Stream>, pages: Arc<Pages>) {
    let service = service_fn(move |request: Request<Incoming>| {
        let answer = answer(&pages, &request);
        std::future::ready(Ok::<_, Infallible>(answer))
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_MAX)
        .serve_connection(TokioIo::new(stream), service);
    if let Err(e) = connection.await {
        tracing::debug!(error = %e, "a scrape broke off");
    }
}

fn answer<B>(pages: &Pages, request: &Request<B>) -> Response<Full<Bytes>> {
    if request.method() != Method::GET && request.method() != Method::HEAD {
        let mut refused = words(StatusCode::METHOD_NOT_ALLOWED, "GET is what this takes\n");
        let get = "GET, HEAD".parse().expect("two methods are a value");
        refused.headers_mut().insert(ALLOW, get);
        return refused;
    }
    let Some(page) = Page::at(request.uri().path()) else {
        return words(
            StatusCode::NOT_FOUND,
            "there are /metrics and /metrics/tenants\n",
        );
    };
    match pages.text(page) {
        Some(text) if wants_classic(request) => {
            response(StatusCode::OK, CLASSIC, classic::from_openmetrics(&text))
        }
        Some(text) => response(StatusCode::OK, OPENMETRICS, text),
        None => words(
            StatusCode::NOT_FOUND,
            "not shown here: metrics.tenants is false\n",
        ),
    }
}

/// Whether the older format is asked for, and not this one.
fn wants_classic<B>(request: &Request<B>) -> bool {
    let accept = request.headers().get(ACCEPT);
    let accept = accept.and_then(|value| value.to_str().ok()).unwrap_or("");
    accept.contains("text/plain") && !accept.contains("application/openmetrics-text")
}

fn words(status: StatusCode, text: &str) -> Response<Full<Bytes>> {
    response(status, WORDS, text.to_owned())
}

fn response(status: StatusCode, kind: &'static str, text: String) -> Response<Full<Bytes>> {
    Response::builder()
        .status(status)
        .header(CONTENT_TYPE, kind)
        .body(Full::new(Bytes::from(text)))
        .expect("a status and a fixed header make an answer")
}
