//! One HTTP/1.1 connection over the control socket.

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use std::error::Error;
use std::path::Path;
use tokio::net::UnixStream;
use tokio::task::JoinHandle;

/// A connection and the task that drives it, which ends with it.
#[derive(Debug)]
pub(super) struct Link {
    sender: SendRequest<Full<Bytes>>,
    driver: JoinHandle<()>,
}

/// Where a connection failed: before the scheduler can have seen the request, or perhaps after.
#[derive(Debug)]
pub(super) enum LinkError {
    /// Nobody listens.
    Connect(std::io::Error),
    /// The connection broke with the answer outstanding.
    Lost(Box<dyn Error + Send + Sync>),
}

impl From<hyper::Error> for LinkError {
    fn from(error: hyper::Error) -> Self {
        Self::Lost(error.into())
    }
}

impl Link {
    pub(super) async fn open(socket: &Path) -> Result<Self, LinkError> {
        let stream = UnixStream::connect(socket)
            .await
            .map_err(LinkError::Connect)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        // A broken connection shows at the request that waits for its answer, with the same error.
        let driver = tokio::spawn(async move { drop(connection.await) });
        Ok(Self { sender, driver })
    }

    /// Whether another request may follow on this connection.
    pub(super) fn usable(&self) -> bool {
        !self.sender.is_closed()
    }

    pub(super) async fn send(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, LinkError> {
        self.sender.ready().await?;
        Ok(self.sender.send_request(request).await?)
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.driver.abort();
    }
}
