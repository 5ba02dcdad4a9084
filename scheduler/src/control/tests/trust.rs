//! Roles, without a socket: a test cannot choose its uid.

use super::fake::Fake;
use crate::control::gate::Guest;
use crate::control::roles::Role;
use crate::control::routes::router;
use crate::control::serve::{Limits, Server};
use axum::body::Body;
use axum::extract::Request;
use leasehold_common::api::Problem;
use leasehold_daemon::socket::Peer;
use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

async fn as_role(fake: &Arc<Fake>, role: Option<Role>, method: &str, path: &str) -> (u16, String) {
    let peer = Peer {
        uid: 70_010,
        gid: 70_010,
        pid: None,
    };
    let server = Server {
        service: fake.clone(),
        limits: Limits::USUAL,
        streams: Arc::new(Semaphore::new(1)),
        shutdown: CancellationToken::new(),
    };
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .body(Body::from("{"))
        .unwrap();
    request.extensions_mut().insert(Guest { peer, role });
    let response = router(server).oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    let body = axum::body::to_bytes(response.into_body(), 1 << 20)
        .await
        .unwrap();
    let problem: Option<Problem> = serde_json::from_slice(&body).ok();
    (
        status,
        problem.map_or(String::new(), |problem| problem.detail),
    )
}

#[tokio::test]
async fn each_role_may_do_what_those_before_it_may() {
    let fake = Fake::new();
    let owner = Some(Role::Owner);
    let operator = Some(Role::Operator);
    let viewer = Some(Role::Viewer);
    // The body is broken: whoever may write gets to hear that, 400; who may not, never does, 403.
    for (method, path, allowed) in [
        ("GET", "/v1/leases", [403, 200, 200, 200]),
        ("GET", "/v1/openapi.json", [403, 200, 200, 200]),
        ("POST", "/v1/leases", [403, 403, 400, 400]),
        ("POST", "/v1/leases/7/end", [403, 403, 400, 400]),
        ("POST", "/v1/nodes/admit", [403, 403, 400, 400]),
        ("POST", "/v1/nodes/import", [403, 403, 400, 400]),
        ("POST", "/v1/ledger/recover", [403, 403, 403, 400]),
        ("GET", "/nowhere", [403, 404, 404, 404]),
        ("POST", "/nowhere", [403, 403, 404, 404]),
    ] {
        for (role, status) in [None, viewer, operator, owner].into_iter().zip(allowed) {
            let seen = as_role(&fake, role, method, path).await.0;
            assert_eq!(seen, status, "{method} {path} as {role:?}");
        }
    }
    assert_eq!(fake.written(), 0);
}

#[tokio::test]
async fn a_refusal_says_which_role_is_needed() {
    let fake = Fake::new();
    let viewer = Some(Role::Viewer);
    let (_, told) = as_role(&fake, viewer, "POST", "/v1/leases").await;
    assert_eq!(
        told,
        "uid 70010 has role viewer, this needs operator; roles are given in the scheduler's [roles]"
    );
    let (_, told) = as_role(&fake, None, "GET", "/v1/leases").await;
    assert!(told.starts_with("uid 70010 has no role"), "{told}");
}
