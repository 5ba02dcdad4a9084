//! A scheduler made of a closure: HTTP/1.1 on a Unix socket in a directory of its own.

use bytes::Bytes;
use clap::Parser as _;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use leasectl::args::Cli;
use leasectl::console::Console;
use leasectl::exit::Exit;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use tempfile::TempDir;
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;

/// A request as it arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// `POST /v1/leases?dry_run=true`.
    pub line: String,
    /// The idempotency key; empty where there is none.
    pub key: String,
    /// The body.
    pub body: String,
}

/// What the scheduler does with a request.
pub enum Reply {
    /// Answers with this status and body.
    Json(u16, String),
    /// Closes the connection without a word.
    HangUp,
}

type Handler = dyn Fn(&Asked) -> Reply + Send + Sync;

/// A scheduler that runs until it is dropped.
pub struct Server {
    dir: TempDir,
    asked: Arc<Mutex<Vec<Asked>>>,
    _connections: JoinSet<()>,
}

impl Server {
    /// Answers every request by `handler`.
    pub fn start(handler: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(dir.path().join("control.sock")).unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let handler: Arc<Handler> = Arc::new(handler);
        let mut connections = JoinSet::new();
        let log = asked.clone();
        connections.spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                open.spawn(serve(stream, handler.clone(), log.clone()));
            }
        });
        Self {
            dir,
            asked,
            _connections: connections,
        }
    }

    /// Answers every request with this.
    pub fn saying(status: u16, body: impl Into<String>) -> Self {
        let body = body.into();
        Self::start(move |_| Reply::Json(status, body.clone()))
    }

    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("control.sock")
    }

    /// Every request so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// Runs `leasectl` with these words against this scheduler, with no terminal.
    pub async fn run(&self, words: &str) -> Ran {
        run(&self.socket(), words, None).await
    }

    /// The same at a terminal where somebody types `line` when asked.
    pub async fn run_and_type(&self, words: &str, line: &str) -> Ran {
        run(&self.socket(), words, Some(line.to_owned())).await
    }
}

async fn serve(stream: UnixStream, handler: Arc<Handler>, log: Arc<Mutex<Vec<Asked>>>) {
    let answer = service_fn(|request: Request<Incoming>| {
        let (handler, log) = (handler.clone(), log.clone());
        async move {
            let line = format!("{} {}", request.method(), request.uri());
            let key = request.headers().get("idempotency-key");
            let key = key
                .map(|key| key.to_str().unwrap().to_owned())
                .unwrap_or_default();
            let body = request.into_body().collect().await.unwrap().to_bytes();
            let body = String::from_utf8(body.to_vec()).unwrap();
            let asked = Asked { line, key, body };
            log.lock().unwrap().push(asked.clone());
            match handler(&asked) {
                Reply::Json(status, body) => {
                    let body = Full::new(Bytes::from(body));
                    Ok(Response::builder().status(status).body(body).unwrap())
                }
                // An error of the service closes the connection.
                Reply::HangUp => Err(std::io::Error::other("hang up")),
            }
        }
    });
    let connection = hyper::server::conn::http1::Builder::new();
    drop(
        connection
            .serve_connection(TokioIo::new(stream), answer)
            .await,
    );
}

/// How a command ended, and what it wrote.
#[derive(Debug)]
pub struct Ran {
    pub exit: Exit,
    pub out: String,
    pub err: String,
}

/// Runs `leasectl` with these words.
pub async fn run(socket: &std::path::Path, words: &str, line: Option<String>) -> Ran {
    let (mut out, mut err, mut asked) = (Vec::new(), Vec::new(), String::new());
    let words = ["leasectl", "--socket", socket.to_str().unwrap()]
        .into_iter()
        .chain(words.split_whitespace());
    let mut ask = |question: &str| {
        asked.push_str(question);
        Ok(line.clone().unwrap_or_default())
    };
    let exit = {
        let ask: Option<&mut leasectl::console::Ask<'_>> =
            if line.is_some() { Some(&mut ask) } else { None };
        let console = Console {
            out: &mut out,
            err: &mut err,
            ask,
        };
        let now = "2026-11-22T09:26:02Z".parse().unwrap();
        leasectl::run(Cli::try_parse_from(words).unwrap(), console, now).await
    };
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ran {
        exit,
        out: text(out),
        err: asked + &text(err),
    }
}
