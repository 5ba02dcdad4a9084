//! Connections: how many, for how long, and how they end.

use super::gate::Guest;
use super::roles::Roles;
use super::routes::router;
use super::service::Service;
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use leasehold_daemon::socket::{Listener, Peer};
use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UnixStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tower::Service as _;

/// What bounds the server.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Connections at once. The next one waits in the socket's queue.
    pub(super) connections: usize,
    /// Event streams at once: fewer than connections, so that those who follow never shut out those
    /// who act.
    pub(super) streams: usize,
    /// How long a request's head may take to arrive, and a connection may be idle.
    pub(super) head: Duration,
    /// How long an answer may take, the reading of the body included.
    pub(super) request: Duration,
    /// How long connections may go on after the shutdown, to finish what they began.
    pub(super) drain: Duration,
}

impl Limits {
    /// Operators, dashboards and scripts of one cell: tens of clients. Doubled, a client that leaks
    /// connections is noticed later and nothing breaks; halved, an operator waits behind a script
    /// that keeps 64 open.
    pub(super) const USUAL: Self = Self {
        connections: 128,
        streams: 32,
        head: Duration::from_secs(10),
        request: Duration::from_secs(30),
        drain: Duration::from_secs(10),
    };
}

/// How long the server waits after the system refused it a connection, which it does when
/// descriptors or memory have run out: asking again at once would only take the processor as well.
const ACCEPT_AGAIN_AFTER: Duration = Duration::from_millis(200);

/// What every request has at hand.
#[derive(Clone)]
pub(super) struct Server {
    pub(super) service: Arc<dyn Service>,
    pub(super) limits: Limits,
    pub(super) streams: Arc<Semaphore>,
    pub(super) shutdown: CancellationToken,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// Serves the control API until `shutdown`, then lets requests that have begun finish.
pub async fn serve(
    listener: Listener,
    service: Arc<dyn Service>,
    roles: Roles,
    shutdown: CancellationToken,
) {
    serve_within(Limits::USUAL, listener, service, roles, shutdown).await;
}

pub(super) async fn serve_within(
    limits: Limits,
    listener: Listener,
    service: Arc<dyn Service>,
    roles: Roles,
    shutdown: CancellationToken,
) {
    let roles = Arc::new(roles);
    let places = Arc::new(Semaphore::new(limits.connections));
    let router = router(Server {
        service,
        limits,
        streams: Arc::new(Semaphore::new(limits.streams)),
        shutdown: shutdown.clone(),
    });
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &places) => accepted,
            Some(_) = connections.join_next() => continue,
            () = shutdown.cancelled() => break,
        };
        let (stream, peer, place) = accepted;
        let connection = Connection {
            router: router.clone(),
            roles: Arc::clone(&roles),
            shutdown: shutdown.clone(),
            head: limits.head,
        };
        connections.spawn(async move {
            connection.run(stream, peer).await;
            drop(place);
        });
    }
    // New clients get "connection refused" from here on, not silence.
    drop(listener);
    let drained = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(limits.drain, drained).await.is_err() {
        tracing::warn!(left = connections.len(), "connections are cut off");
    }
}

/// The next connection, once there is a place for it.
async fn accept(
    listener: &Listener,
    places: &Arc<Semaphore>,
) -> (UnixStream, Peer, OwnedSemaphorePermit) {
    loop {
        let place = Arc::clone(places)
            .acquire_owned()
            .await
            .expect("the semaphore is never closed");
        match listener.accept().await {
            Ok((stream, peer)) => return (stream, peer, place),
            Err(e) => {
                tracing::warn!(error = %e, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_AGAIN_AFTER).await;
            }
        }
    }
}

/// One connection, with everything it needs.
struct Connection {
    router: Router,
    roles: Arc<Roles>,
    shutdown: CancellationToken,
    head: Duration,
}

impl Connection {
    async fn run(self, stream: UnixStream, peer: Peer) {
        let roles = self.roles;
        let role = match tokio::task::spawn_blocking(move || roles.of(&peer)).await {
            Ok(role) => role,
            Err(e) => {
                tracing::error!(error = %e, uid = peer.uid, "roles cannot be looked up");
                None
            }
        };
        let guest = Guest { peer, role };
        let router = self.router;
        let service = hyper::service::service_fn(move |request: hyper::Request<Incoming>| {
            let mut request: Request = request.map(Body::new);
            request.extensions_mut().insert(guest);
            // A router is always ready, and cheap to clone.
            router.clone().call(request)
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.head)
            .serve_connection(TokioIo::new(stream), service);
        let mut connection = pin!(connection);
        let ended = tokio::select! {
            ended = &mut connection => ended,
            () = self.shutdown.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        // Clients go away as they like; that is worth a line only to whoever debugs one.
        if let Err(e) = ended {
            tracing::debug!(error = %e, uid = peer.uid, "a connection broke");
        }
    }
}
