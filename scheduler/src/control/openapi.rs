//! The API, described for generators of clients and for people.
//!
//! A handler's attribute says what is its own: path, parameters, body and answer. What all
//! operations share is added here.

use super::{events, gpus, reads, rules, writes};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use leasehold_common::api::Problem;
use std::sync::OnceLock;
use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{Object, ObjectBuilder, Type};
use utoipa::openapi::{
    Content, Header, OpenApi as Description, Ref, RefOr, Required, Response as Described,
    ResponseBuilder,
};
use utoipa::{Modify, OpenApi};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Leasehold control API",
        description = "HTTP on the scheduler's Unix socket. Errors are application/problem+json \
                       (RFC 9457) with a stable `code`.",
    ),
    servers((url = "http://localhost", description = "curl --unix-socket /run/leasehold/control.sock")),
    paths(
        reads::version,
        reads::status,
        reads::nodes,
        reads::node,
        gpus::gpus,
        gpus::gpu,
        gpus::acknowledge,
        gpus::override_verdict,
        gpus::withdraw,
        reads::accounts,
        reads::account,
        reads::leases,
        reads::lease,
        reads::explain,
        reads::surplus,
        writes::create_account,
        writes::create_lease,
        writes::end_lease,
        writes::cancel_lease,
        writes::plan,
        writes::extend_lease,
        writes::shrink_lease,
        writes::replace_node,
        writes::commit_lease,
        rules::policies,
        rules::policy,
        rules::set_policy,
        rules::rollback_policy,
        rules::power,
        rules::set_power_budget,
        rules::maintenances,
        rules::maintenance,
        rules::create_maintenance,
        rules::end_maintenance,
        rules::drain_nodes,
        rules::undrain_nodes,
        rules::resume_nodes,
        writes::import_nodes,
        writes::admit_nodes,
        writes::recover,
        events::events,
    ),
    components(schemas(Problem)),
    modifiers(&Shared),
)]
struct Api;

/// What all operations share.
struct Shared;

impl Modify for Shared {
    fn modify(&self, api: &mut Description) {
        for path in api.paths.paths.values_mut() {
            path.post.iter_mut().for_each(every_write);
            path.post.iter_mut().for_each(every_operation);
            path.get.iter_mut().for_each(every_operation);
        }
    }
}

/// Any of them may be refused, and says what its success is.
fn every_operation(operation: &mut Operation) {
    for (status, response) in &mut operation.responses.responses {
        let RefOr::T(response) = response else {
            continue;
        };
        let told = if status == "201" { "Created" } else { "Done" };
        response.description = told.into();
    }
    let problem = Content::new(Some(Ref::from_schema_name("Problem")));
    let refused = ResponseBuilder::new()
        .description("Refused")
        .content("application/problem+json", problem);
    let responses = &mut operation.responses.responses;
    responses.insert("default".into(), refused.build().into());
}

/// Any write may be named, so that a retry of it is known, and may be tried out.
fn every_write(operation: &mut Operation) {
    let parameters = operation.parameters.get_or_insert_default();
    parameters.push(RefOr::T(optional(
        "Idempotency-Key",
        ParameterIn::Header,
        Type::String,
        "A name for this write: sent again with the same body it is answered, not carried out again",
    )));
    parameters.push(RefOr::T(optional(
        "dry_run",
        ParameterIn::Query,
        Type::Boolean,
        "Only say what would happen",
    )));
    let replayed = "Whether this is the answer to a retry";
    for response in operation.responses.responses.values_mut() {
        if let RefOr::T(Described { headers, .. }) = response {
            let mut header = Header::new(of_type(Type::Boolean));
            header.description = Some(replayed.into());
            headers.insert("idempotency-replayed".into(), header.into());
        }
    }
}

fn optional(name: &str, place: ParameterIn, kind: Type, told: &str) -> Parameter {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(place)
        .required(Required::False)
        .schema(Some(of_type(kind)))
        .description(Some(told))
        .build()
}

fn of_type(kind: Type) -> Object {
    ObjectBuilder::new().schema_type(kind).build()
}

/// The description as JSON text.
pub(super) fn text() -> &'static str {
    static TEXT: OnceLock<String> = OnceLock::new();
    TEXT.get_or_init(|| {
        Api::openapi()
            .to_pretty_json()
            .expect("the description is made of strings and numbers")
    })
}

pub(super) async fn openapi() -> Response {
    ([(CONTENT_TYPE, "application/json")], text()).into_response()
}
