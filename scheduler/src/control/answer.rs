//! Answers and refusals as HTTP responses.

use axum::Json;
use axum::http::header::{CONTENT_TYPE, ETAG};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use leasehold_common::api::{Problem, ProblemCode};
use leasehold_common::ids::Generation;
use leasehold_core::command::{View, Written};

/// Says that this write had been carried out before, and that this is the answer to a retry.
pub(super) const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// A problem on its way out.
#[derive(Debug)]
pub(super) struct Refusal(pub(super) Box<Problem>);

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self(Box::new(problem))
    }
}

/// The code of a refusal, for whoever logs the response.
#[derive(Debug, Clone)]
pub(super) struct RefusedWith(pub(super) ProblemCode);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status =
            StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let code = RefusedWith(self.0.code.clone());
        let mut response = (status, Json(self.0)).into_response();
        let kind = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(CONTENT_TYPE, kind);
        response.extensions_mut().insert(code);
        response
    }
}

/// What a read found or a write left behind.
#[derive(Debug)]
pub(super) struct Answer(pub(super) Written);

impl From<View> for Answer {
    fn from(view: View) -> Self {
        Self(Written {
            status: 200,
            replayed: false,
            view,
        })
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let Written {
            status,
            replayed,
            view,
        } = self.0;
        let generation = match &view {
            View::Lease(lease) => Some(lease.generation),
            View::Status(_)
            | View::Nodes(_)
            | View::Node(_)
            | View::Gpus(_)
            | View::Gpu(_)
            | View::Accounts(_)
            | View::Account(_)
            | View::Leases(_)
            | View::Explain(_)
            | View::Power(_)
            | View::PowerBudget(_)
            | View::Surplus(_)
            | View::Maintenances(_)
            | View::Maintenance(_)
            | View::Policies(_)
            | View::Import(_)
            | View::Drain(_)
            | View::Recover(_) => None,
            // A policy's number is what `If-Match` asks for when the next one is set.
            View::Policy(policy) => Some(Generation(policy.version.number)),
            View::PolicyChange(change) => Some(Generation(change.version.number)),
        };
        let mut response = match view {
            View::Status(status) => Json(status).into_response(),
            View::Nodes(nodes) => Json(nodes).into_response(),
            View::Node(node) => Json(node).into_response(),
            View::Gpus(gpus) => Json(gpus).into_response(),
            View::Gpu(gpu) => Json(gpu).into_response(),
            View::Accounts(accounts) => Json(accounts).into_response(),
            View::Account(account) => Json(account).into_response(),
            View::Leases(leases) => Json(leases).into_response(),
            View::Lease(lease) => Json(lease).into_response(),
            View::Explain(explain) => Json(explain).into_response(),
            View::Policies(policies) => Json(policies).into_response(),
            View::Policy(policy) => Json(policy).into_response(),
            View::PolicyChange(change) => Json(change).into_response(),
            View::Power(places) => Json(places).into_response(),
            View::PowerBudget(place) => Json(place).into_response(),
            View::Surplus(surplus) => Json(surplus).into_response(),
            View::Maintenances(all) => Json(all).into_response(),
            View::Maintenance(one) => Json(one).into_response(),
            View::Import(report) => Json(report).into_response(),
            View::Drain(report) => Json(report).into_response(),
            View::Recover(report) => Json(report).into_response(),
        };
        *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
        let headers = response.headers_mut();
        if replayed {
            headers.insert(REPLAYED, HeaderValue::from_static("true"));
        }
        if let Some(generation) = generation {
            let tag = HeaderValue::from_str(&format!("\"{generation}\""));
            headers.insert(ETAG, tag.expect("digits in quotes are a header's text"));
        }
        response
    }
}
