//! A server on a socket of its own, and clients.

use super::fake::Fake;
use crate::control::roles::Roles;
use crate::control::serve::{Limits, serve_within};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{HeaderMap, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use leasehold_daemon::socket::{SocketSettings, listen};
use serde_json::Value;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UnixStream;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// A deadline for what should take milliseconds, far enough away for a busy machine.
pub(super) const DEADLINE: Duration = Duration::from_secs(20);

/// Waits until something holds.
pub(super) async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !holds().await {
            tokio::task::yield_now().await;
        }
    };
    let waited = tokio::time::timeout(DEADLINE, waiting).await;
    assert!(waited.is_ok(), "waited in vain: {what}");
}

pub(super) struct Daemon {
    pub(super) fake: Arc<Fake>,
    pub(super) socket: PathBuf,
    pub(super) shutdown: CancellationToken,
    pub(super) task: JoinHandle<()>,
    _dir: tempfile::TempDir,
}

impl Daemon {
    pub(super) fn start() -> Self {
        Self::within(Limits::USUAL)
    }

    pub(super) fn within(limits: Limits) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("c");
        let settings = SocketSettings {
            path: socket.clone(),
            mode: 0o600,
            group: None,
        };
        let listener = listen("control", &settings).unwrap();
        let (fake, shutdown) = (Fake::new(), CancellationToken::new());
        let serving = serve_within(
            limits,
            listener,
            fake.clone(),
            Roles::default(),
            shutdown.clone(),
        );
        Self {
            fake,
            socket,
            shutdown,
            task: tokio::spawn(serving),
            _dir: dir,
        }
    }

    pub(super) async fn client(&self) -> Client {
        let stream = UnixStream::connect(&self.socket).await.unwrap();
        let (sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
        let driver = tokio::spawn(async move { drop(connection.await) });
        Client { sender, driver }
    }

    /// One request on a connection of its own.
    pub(super) async fn ask(&self, request: Ask) -> Reply {
        self.client().await.ask(request).await
    }

    pub(super) async fn get(&self, path: &str) -> Reply {
        self.ask(Ask::get(path)).await
    }

    pub(super) async fn post(&self, path: &str, body: &str) -> Reply {
        self.ask(Ask::post(path, body.to_owned())).await
    }
}

/// A request in the making.
pub(super) struct Ask(pub(super) Request<Full<Bytes>>);

impl Ask {
    pub(super) fn get(path: &str) -> Self {
        Self::method("GET", path, "")
    }

    pub(super) fn post(path: &str, body: impl Into<Bytes>) -> Self {
        Self::method("POST", path, body)
    }

    pub(super) fn method(method: &str, path: &str, body: impl Into<Bytes>) -> Self {
        let request = Request::builder().method(method).uri(path);
        let request = request.header("host", "localhost");
        Self(request.body(Full::new(body.into())).unwrap())
    }

    pub(super) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.0.headers_mut().insert(name, value.parse().unwrap());
        self
    }
}

pub(super) struct Client {
    sender: SendRequest<Full<Bytes>>,
    driver: JoinHandle<()>,
}

impl Client {
    pub(super) async fn send(&mut self, ask: Ask) -> Response<Incoming> {
        let sent = async {
            self.sender.ready().await.unwrap();
            self.sender.send_request(ask.0).await.unwrap()
        };
        tokio::time::timeout(DEADLINE, sent).await.unwrap()
    }

    pub(super) async fn ask(&mut self, ask: Ask) -> Reply {
        let (parts, body) = self.send(ask).await.into_parts();
        let body = tokio::time::timeout(DEADLINE, body.collect()).await;
        Reply {
            status: parts.status,
            headers: parts.headers,
            body: body.unwrap().unwrap().to_bytes(),
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// An answer.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Reply {
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |v| v.to_str().unwrap())
    }

    /// The status and code of a refusal, which must be a problem document.
    pub(super) fn problem(&self) -> (u16, String) {
        assert_eq!(
            self.header("content-type"),
            "application/problem+json",
            "{self:?}"
        );
        let problem = self.json();
        assert_eq!(problem["status"], self.status.as_u16());
        let code = problem["code"].as_str().unwrap().to_owned();
        assert_eq!(problem["type"], format!("urn:leasehold:problem:{code}"));
        (self.status.as_u16(), code)
    }
}
