//! Every path there is.

use super::answer::Refusal;
use super::events::events;
use super::gate::{EVENTS, gate};
use super::openapi::openapi;
use super::serve::Server;
use super::{gpus, reads, rules, writes};
use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use leasehold_common::api::{Problem, ProblemCode};
use std::any::Any;
use tower_http::catch_panic::CatchPanicLayer;

pub(super) fn router(server: Server) -> Router {
    Router::new()
        .route("/v1", get(reads::version))
        .route("/v1/openapi.json", get(openapi))
        .route("/v1/status", get(reads::status))
        .route("/v1/nodes", get(reads::nodes))
        .route("/v1/nodes/{name}", get(reads::node))
        .route("/v1/nodes/import", post(writes::import_nodes))
        .route("/v1/nodes/admit", post(writes::admit_nodes))
        .route("/v1/nodes/drain", post(rules::drain_nodes))
        .route("/v1/nodes/undrain", post(rules::undrain_nodes))
        .route("/v1/nodes/resume", post(rules::resume_nodes))
        .route("/v1/gpus", get(gpus::gpus))
        .route("/v1/gpus/{node}/{slot}", get(gpus::gpu))
        .route("/v1/gpus/acknowledge", post(gpus::acknowledge))
        .route("/v1/gpus/override", post(gpus::override_verdict))
        .route("/v1/gpus/withdraw", post(gpus::withdraw))
        .route(
            "/v1/accounts",
            get(reads::accounts).post(writes::create_account),
        )
        .route("/v1/accounts/{name}", get(reads::account))
        .route("/v1/leases", get(reads::leases).post(writes::create_lease))
        .route("/v1/leases/{id}", get(reads::lease))
        .route("/v1/leases/{id}/end", post(writes::end_lease))
        .route("/v1/leases/{id}/cancel", post(writes::cancel_lease))
        .route("/v1/leases/{id}/extend", post(writes::extend_lease))
        .route("/v1/leases/{id}/shrink", post(writes::shrink_lease))
        .route("/v1/leases/{id}/replace", post(writes::replace_node))
        .route("/v1/leases/{id}/commit", post(writes::commit_lease))
        .route("/v1/leases/{id}/explain", get(reads::explain))
        .route("/v1/policies", get(rules::policies).post(rules::set_policy))
        .route("/v1/plans", post(writes::plan))
        .route("/v1/policies/rollback", post(rules::rollback_policy))
        .route("/v1/policies/{number}", get(rules::policy))
        .route("/v1/power", get(rules::power).post(rules::set_power_budget))
        .route("/v1/surplus", get(reads::surplus))
        .route(
            "/v1/maintenance",
            get(rules::maintenances).post(rules::create_maintenance),
        )
        .route("/v1/maintenance/{id}", get(rules::maintenance))
        .route("/v1/maintenance/{id}/end", post(rules::end_maintenance))
        .route(EVENTS, get(events))
        .route("/v1/ledger/recover", post(writes::recover))
        .fallback(no_such_route)
        .method_not_allowed_fallback(no_such_method)
        .layer(CatchPanicLayer::custom(defect))
        .layer(from_fn_with_state(server.clone(), gate))
        .with_state(server)
}

async fn no_such_route(request: Request) -> Refusal {
    let path: String = request.uri().path().chars().take(80).collect();
    Problem::new(
        ProblemCode::NoSuchRoute,
        format!("there is no {path:?}; GET /v1/openapi.json describes what there is"),
    )
    .into()
}

async fn no_such_method(request: Request) -> Refusal {
    let (method, path) = (request.method(), request.uri().path());
    let detail = format!("{path} does not take {method}; GET /v1/openapi.json says what it takes");
    Problem {
        status: StatusCode::METHOD_NOT_ALLOWED.as_u16(),
        ..Problem::new(ProblemCode::NoSuchRoute, detail)
    }
    .into()
}

/// A panic costs one request. What it was about is in the log, where the panic hook has put it.
fn defect(_: Box<dyn Any + Send>) -> Response {
    let detail = "a defect in the daemon; its log says where";
    Refusal::from(Problem::new(ProblemCode::Internal, detail)).into_response()
}
