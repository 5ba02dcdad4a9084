//! What every request passes: is the caller's role enough, how long may it take, what is logged.

use super::answer::{Refusal, RefusedWith};
use super::roles::Role;
use super::serve::Server;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use leasehold_common::api::{Problem, ProblemCode};
use leasehold_daemon::socket::Peer;
use std::time::Duration;
use uuid::Uuid;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The route whose answer has no end.
pub(super) const EVENTS: &str = "/v1/events";

/// Who is at the other end of a connection, found out when it was made.
#[derive(Debug, Clone, Copy)]
pub(super) struct Guest {
    pub(super) peer: Peer,
    pub(super) role: Option<Role>,
}

/// Who makes this request; known to have a role that is enough for it.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    pub(super) uid: u32,
    pub(super) role: Role,
    pub(super) request_id: String,
}

/// The role that a route asks for.
fn least_role(method: &Method, path: &str) -> Role {
    match (method, path) {
        (&Method::GET | &Method::HEAD, _) => Role::Viewer,
        (_, "/v1/ledger/recover") => Role::Owner,
        (_, _) => Role::Operator,
    }
}

/// Lets a request through, or not.
pub(super) async fn gate(
    State(server): State<Server>,
    mut request: Request,
    next: Next,
) -> Response {
    let guest = *request
        .extensions()
        .get::<Guest>()
        .expect("every connection brings its guest");
    let request_id = Uuid::now_v7().to_string();
    let method = request.method().clone();
    // A path that is no route is the caller's text, of any length.
    let route = match request.extensions().get::<MatchedPath>() {
        Some(route) => route.as_str().to_owned(),
        None => request.uri().path().chars().take(80).collect(),
    };
    let needed = least_role(&method, &route);
    let mut response = match guest.role {
        Some(role) if role >= needed => {
            let caller = Caller {
                uid: guest.peer.uid,
                role,
                request_id: request_id.clone(),
            };
            request.extensions_mut().insert(caller);
            in_time(&route, server.limits.request, next.run(request)).await
        }
        held => forbidden(guest.peer.uid, held, needed).into_response(),
    };
    if needed > Role::Viewer {
        log_write(&guest, &request_id, &method, &route, &response);
    }
    let id = HeaderValue::from_str(&request_id).expect("a UUID is a header's text");
    response.headers_mut().insert(REQUEST_ID, id);
    response
}

async fn in_time(route: &str, limit: Duration, work: impl Future<Output = Response>) -> Response {
    if route == EVENTS {
        return work.await;
    }
    tokio::time::timeout(limit, work).await.unwrap_or_else(|_| {
        let detail = format!(
            "no answer within {} s; a write may still be carried out: send it again with the same \
             Idempotency-Key",
            limit.as_secs()
        );
        Refusal::from(Problem::new(ProblemCode::Timeout, detail)).into_response()
    })
}

fn forbidden(uid: u32, held: Option<Role>, needed: Role) -> Refusal {
    let has = match held {
        Some(role) => format!("uid {uid} has role {role}"),
        None => format!("uid {uid} has no role"),
    };
    let detail = format!("{has}, this needs {needed}; roles are given in the scheduler's [roles]");
    let allowed = format!("a caller with the role {needed} or a higher one");
    Problem::new(ProblemCode::Forbidden, detail)
        .about("uid", uid, allowed)
        .into()
}

fn log_write(guest: &Guest, request_id: &str, method: &Method, route: &str, response: &Response) {
    let code = response.extensions().get::<RefusedWith>();
    tracing::info!(
        uid = guest.peer.uid,
        pid = guest.peer.pid,
        role = guest.role.map_or("none", Role::as_str),
        request_id,
        %method,
        route,
        status = response.status().as_u16(),
        code = code.map(|code| tracing::field::display(&code.0)),
        "write"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_undone_needs_an_owner() {
        let needed = |method, path| least_role(&method, path);
        assert_eq!(needed(Method::GET, "/v1/leases"), Role::Viewer);
        assert_eq!(needed(Method::POST, "/v1/leases"), Role::Operator);
        assert_eq!(needed(Method::POST, "/v1/nodes/admit"), Role::Operator);
        assert_eq!(needed(Method::POST, "/v1/nodes/import"), Role::Operator);
        assert_eq!(needed(Method::POST, "/v1/ledger/recover"), Role::Owner);
        assert_eq!(needed(Method::DELETE, "/v1/leases"), Role::Operator);
    }
}
