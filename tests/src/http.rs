//! HTTP/1.1 by hand, for requests that no client would send and answers that nobody waits for.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(20);

/// A request to a control socket.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    /// `GET` or `POST`.
    pub method: &'a str,
    /// With the query.
    pub path: &'a str,
    /// The `Idempotency-Key`, where there is one.
    pub key: Option<&'a str>,
    /// The body; empty for none.
    pub body: &'a str,
    /// The `Accept`, where there is one.
    pub accept: Option<&'a str>,
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The head, as it came.
    pub head: String,
    /// The body, as it came.
    pub body: String,
}

impl<'a> Request<'a> {
    /// Reads `path`.
    pub const fn get(path: &'a str) -> Self {
        Self {
            method: "GET",
            path,
            key: None,
            body: "",
            accept: None,
        }
    }

    /// Writes `body` to `path`.
    pub const fn post(path: &'a str, key: Option<&'a str>, body: &'a str) -> Self {
        Self {
            method: "POST",
            path,
            key,
            body,
            accept: None,
        }
    }

    /// Sends it and leaves the answer on the connection. Dropping that is hanging up.
    ///
    /// # Panics
    /// When nobody listens.
    pub fn send(&self, socket: &Path) -> UnixStream {
        let mut stream = UnixStream::connect(socket)
            .unwrap_or_else(|e| panic!("nobody listens on {}: {e}", socket.display()));
        stream
            .set_read_timeout(Some(TIMEOUT))
            .expect("twenty seconds are a timeout");
        stream
            .write_all(self.text().as_bytes())
            .expect("the request is taken");
        stream
    }

    /// Sends it and reads the answer.
    ///
    /// # Panics
    /// When there is none.
    pub fn ask(&self, socket: &Path) -> Answer {
        Answer::read(&mut self.send(socket))
    }

    /// Sends it and reads the answer; an error where the connection breaks at any point.
    ///
    /// # Errors
    /// The system's.
    pub fn try_ask(&self, socket: &Path) -> io::Result<Answer> {
        let mut stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.write_all(self.text().as_bytes())?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        Answer::parse(&text).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    fn text(&self) -> String {
        let Self {
            method, path, body, ..
        } = self;
        let key = self.key.map(|key| format!("Idempotency-Key: {key}\r\n"));
        let accept = self.accept.map(|kind| format!("Accept: {kind}\r\n"));
        format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
             {}{}Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            key.unwrap_or_default(),
            accept.unwrap_or_default(),
            body.len(),
        )
    }
}

impl Answer {
    /// Reads the answer to a request that asked for the connection to be closed.
    ///
    /// # Panics
    /// When the connection breaks or brings something else.
    pub fn read(stream: &mut impl Read) -> Self {
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("an answer");
        Self::parse(&text).unwrap_or_else(|| panic!("{text:?} is no answer"))
    }

    fn parse(text: &str) -> Option<Self> {
        let (head, body) = text.split_once("\r\n\r\n")?;
        Some(Self {
            status: head.split(' ').nth(1)?.parse().ok()?,
            head: head.to_owned(),
            body: body.to_owned(),
        })
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// When it is none of that kind.
    pub fn json<T: serde::de::DeserializeOwned>(&self) -> T {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e} in {:?}", self.body))
    }
}
