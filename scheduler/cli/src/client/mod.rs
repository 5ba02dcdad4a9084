//! The client of the control socket: HTTP/1.1 and JSON over a Unix socket.
//!
//! One connection is kept and used for one request at a time. A request whose connection is lost
//! before the answer is sent once more over a new one: reads have no effect, and every write carries
//! an `Idempotency-Key`, so that the second sending of a write is answered and not carried out
//! again. A connection that cannot be made at all is not tried twice; whoever waits for a scheduler
//! to come back asks again with [`ClientError::is_absence`].

mod error;
mod events;
mod link;

pub use error::ClientError;
pub use events::{Event, EventStream};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{ACCEPT, CONTENT_TYPE, HOST, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use leasehold_common::ids::{IdempotencyKey, Seq};
use leasehold_common::time::Span;
use link::{Link, LinkError};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::path::{Path, PathBuf};
use tokio::sync::Mutex;

/// The largest answer read: the node list of the largest cell (125,000 nodes at about 1 KiB) twice
/// over. Something else that listens on the path must not fill the memory.
const ANSWER_MAX: usize = 256 << 20;

/// A client of one control socket.
#[derive(Debug)]
pub struct Client {
    socket: PathBuf,
    timeout: Span,
    link: Mutex<Option<Link>>,
}

/// The body of an answer, as received: what is shown as JSON is exactly what the scheduler said.
#[derive(Debug, Clone)]
pub struct Answer {
    body: Bytes,
}

impl Answer {
    /// The JSON text.
    ///
    /// # Errors
    /// Bytes that are not UTF-8.
    pub fn text(&self) -> Result<&str, ClientError> {
        std::str::from_utf8(&self.body).map_err(|_| ClientError::NotUtf8)
    }

    /// The answer as a type of the control API.
    ///
    /// # Errors
    /// JSON of another form, as from a scheduler of another version.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, ClientError> {
        serde_json::from_slice(&self.body).map_err(|source| ClientError::Form { source })
    }
}

/// One request, kept whole so that it can be sent twice.
struct Call<'a> {
    method: Method,
    path: &'a str,
    accept: &'static str,
    body: Option<Bytes>,
    key: Option<&'a IdempotencyKey>,
    last_event: Option<Seq>,
}

impl Client {
    /// A client of the scheduler that listens on `socket`, which waits `timeout` for an answer.
    /// Connects at the first request.
    pub fn new(socket: impl Into<PathBuf>, timeout: Span) -> Self {
        Self {
            socket: socket.into(),
            timeout,
            link: Mutex::new(None),
        }
    }

    /// The path it talks to.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Reads `path`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn get(&self, path: &str) -> Result<Answer, ClientError> {
        self.exchange(&Call::get(path, "application/json")).await
    }

    /// Writes `body` to `path` under the name `key`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn post<B: Serialize>(
        &self,
        path: &str,
        body: &B,
        key: &IdempotencyKey,
    ) -> Result<Answer, ClientError> {
        let body = serde_json::to_vec(body).map_err(|source| ClientError::Request { source })?;
        let call = Call {
            method: Method::POST,
            body: Some(body.into()),
            key: Some(key),
            ..Call::get(path, "application/json")
        };
        self.exchange(&call).await
    }

    /// What is kept of the events after `since`, one JSON object a line, without waiting for more.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn past_events(&self, since: Option<Seq>) -> Result<Answer, ClientError> {
        let since = since.map(|seq| format!("since={seq}&")).unwrap_or_default();
        let path = format!("/v1/events?{since}follow=false");
        self.exchange(&Call::get(&path, "application/x-ndjson"))
            .await
    }

    /// Follows the events after `since`, or from now on. Opens a connection of its own, which ends
    /// with the stream.
    ///
    /// # Errors
    /// See [`ClientError`]; also where the scheduler does not accept the request.
    pub async fn follow_events(&self, since: Option<Seq>) -> Result<EventStream, ClientError> {
        let since_query = since.map(|seq| format!("?since={seq}")).unwrap_or_default();
        let path = format!("/v1/events{since_query}");
        let call = Call {
            last_event: since,
            ..Call::get(&path, "text/event-stream")
        };
        let opening = async {
            let mut link = Link::open(&self.socket).await?;
            let response = link.send(call.request()).await?;
            let status = response.status();
            if status.is_success() {
                let stream = EventStream::new(link, response.into_body(), self.socket.clone());
                return Ok(Ok(stream));
            }
            Ok(Err(error::refusal(status, &collect(response).await?)))
        };
        self.in_time(opening).await?.map_err(|e| self.failed(e))?
    }

    /// Sends, and sends once more where the first connection was lost.
    async fn exchange(&self, call: &Call<'_>) -> Result<Answer, ClientError> {
        // Taken out while in use: a connection that failed, was late or was given up by the caller
        // may still bring an old answer and is not put back.
        let mut kept = self.link.lock().await;
        let mut link = kept.take();
        let mut answer = self.in_time(attempt(&mut link, &self.socket, call)).await?;
        if let Err(LinkError::Lost(_)) = answer {
            link = None;
            answer = self.in_time(attempt(&mut link, &self.socket, call)).await?;
        }
        let (status, body) = answer.map_err(|e| self.failed(e))?;
        *kept = link;
        if status.is_success() {
            Ok(Answer { body })
        } else {
            Err(error::refusal(status, &body))
        }
    }

    async fn in_time<T>(&self, work: impl Future<Output = T>) -> Result<T, ClientError> {
        let late = |_| ClientError::Late {
            socket: self.socket.clone(),
            after: self.timeout,
        };
        tokio::time::timeout(self.timeout.std(), work)
            .await
            .map_err(late)
    }

    fn failed(&self, error: LinkError) -> ClientError {
        let socket = self.socket.clone();
        match error {
            LinkError::Connect(source) => ClientError::Unreachable { socket, source },
            LinkError::Lost(source) => ClientError::Lost { socket, source },
        }
    }
}

/// One request and its whole answer, over the connection at hand or a new one.
async fn attempt(
    link: &mut Option<Link>,
    socket: &Path,
    call: &Call<'_>,
) -> Result<(StatusCode, Bytes), LinkError> {
    if link.as_ref().is_none_or(|link| !link.usable()) {
        *link = Some(Link::open(socket).await?);
    }
    let response = link
        .as_mut()
        .expect("opened above")
        .send(call.request())
        .await?;
    Ok((response.status(), collect(response).await?))
}

async fn collect(response: Response<Incoming>) -> Result<Bytes, LinkError> {
    let body = Limited::new(response.into_body(), ANSWER_MAX)
        .collect()
        .await;
    Ok(body.map_err(LinkError::Lost)?.to_bytes())
}

impl<'a> Call<'a> {
    const fn get(path: &'a str, accept: &'static str) -> Self {
        Self {
            method: Method::GET,
            path,
            accept,
            body: None,
            key: None,
            last_event: None,
        }
    }

    fn request(&self) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(self.body.clone().unwrap_or_default()));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self
            .path
            .parse()
            .expect("paths are built from checked names");
        let headers = request.headers_mut();
        headers.insert(HOST, HeaderValue::from_static("localhost"));
        headers.insert(ACCEPT, HeaderValue::from_static(self.accept));
        if self.body.is_some() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        if let Some(key) = self.key {
            let key = HeaderValue::from_str(key.as_str()).expect("a key is visible ASCII");
            headers.insert("idempotency-key", key);
        }
        if let Some(seq) = self.last_event {
            headers.insert("last-event-id", HeaderValue::from(seq.0));
        }
        request
    }
}
