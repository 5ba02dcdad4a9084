//! Writes. What all of them have in common is in [`Intent`].

use super::answer::{Answer, Refusal};
use super::intent::{Intent, Nothing};
use super::parameters::named;
use super::serve::Server;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use leasehold_common::api::{
    AccountView, AdmitNodes, CreateAccount, CreateLease, EndLease, ExplainView, ExtendLease,
    ImportNodes, ImportReport, LeaseView, List, NodeView, Recover, RecoverReport, ReplaceNode,
    ShrinkLease,
};
use leasehold_core::command::{Command, Query};

type Outcome = Result<Answer, Refusal>;

/// Creates an account.
#[utoipa::path(post, path = "/v1/accounts", tag = "accounts", request_body = CreateAccount,
    responses((status = 201, body = AccountView))
)]
pub(super) async fn create_account(
    State(server): State<Server>,
    intent: Intent<CreateAccount>,
) -> Outcome {
    intent.submit(&server, Command::CreateAccount).await
}

/// Asks for hardware.
#[utoipa::path(post, path = "/v1/leases", tag = "leases", request_body = CreateLease,
    responses((status = 201, body = LeaseView))
)]
pub(super) async fn create_lease(
    State(server): State<Server>,
    intent: Intent<CreateLease>,
) -> Outcome {
    intent.submit(&server, Command::CreateLease).await
}

/// Says what would become of a request for hardware: where and when it would go, or why not, with
/// everything that was weighed. Changes nothing.
#[utoipa::path(post, path = "/v1/plans", tag = "leases", request_body = CreateLease,
    responses((status = 200, body = ExplainView))
)]
pub(super) async fn plan(State(server): State<Server>, intent: Intent<CreateLease>) -> Outcome {
    server.ask(Query::Plan(Box::new(intent.body))).await
}

/// Ends a lease, after its notice or at once.
#[utoipa::path(post, path = "/v1/leases/{id}/end", tag = "leases", request_body = EndLease,
    params(
        ("id" = u64, Path, description = "Its number"),
        ("If-Match" = Option<String>, Header, description = "The generation the lease must have"),
    ),
    responses((status = 200, body = LeaseView))
)]
pub(super) async fn end_lease(
    State(server): State<Server>,
    id: Result<Path<String>, PathRejection>,
    intent: Intent<EndLease>,
) -> Outcome {
    let id = named("lease", id)?;
    intent
        .submit(&server, |body| Command::EndLease(id, body))
        .await
}

/// Withdraws a lease that has not begun.
#[utoipa::path(post, path = "/v1/leases/{id}/cancel", tag = "leases",
    params(
        ("id" = u64, Path, description = "Its number"),
        ("If-Match" = Option<String>, Header, description = "The generation the lease must have"),
    ),
    responses((status = 200, body = LeaseView))
)]
pub(super) async fn cancel_lease(
    State(server): State<Server>,
    id: Result<Path<String>, PathRejection>,
    intent: Intent<Nothing>,
) -> Outcome {
    let id = named("lease", id)?;
    intent
        .submit(&server, |Nothing {}| Command::CancelLease(id))
        .await
}

/// Puts the end of a lease off. Every node is told by new terms; it commits until 60 s before access
/// ends.
#[utoipa::path(post, path = "/v1/leases/{id}/extend", tag = "leases", request_body = ExtendLease,
    params(
        ("id" = u64, Path, description = "Its number"),
        ("If-Match" = Option<String>, Header, description = "The generation the lease must have"),
    ),
    responses((status = 200, body = LeaseView))
)]
pub(super) async fn extend_lease(
    State(server): State<Server>,
    id: Result<Path<String>, PathRejection>,
    intent: Intent<ExtendLease>,
) -> Outcome {
    let id = named("lease", id)?;
    intent
        .submit(&server, |body| Command::ExtendLease(id, body))
        .await
}

/// Takes nodes from a lease, which goes on with the others. Access ends on those that go as soon as
/// they hear of it.
#[utoipa::path(post, path = "/v1/leases/{id}/shrink", tag = "leases", request_body = ShrinkLease,
    params(
        ("id" = u64, Path, description = "Its number"),
        ("If-Match" = Option<String>, Header, description = "The generation the lease must have"),
    ),
    responses((status = 200, body = LeaseView))
)]
pub(super) async fn shrink_lease(
    State(server): State<Server>,
    id: Result<Path<String>, PathRejection>,
    intent: Intent<ShrinkLease>,
) -> Outcome {
    let id = named("lease", id)?;
    intent
        .submit(&server, |body| Command::ShrinkLease(id, body))
        .await
}

/// Gives a lease another node in the place of one: a spare of its domain, or else the nearest free
/// one that the lease allows.
#[utoipa::path(post, path = "/v1/leases/{id}/replace", tag = "leases", request_body = ReplaceNode,
    params(
        ("id" = u64, Path, description = "Its number"),
        ("If-Match" = Option<String>, Header, description = "The generation the lease must have"),
    ),
    responses((status = 200, body = LeaseView))
)]
pub(super) async fn replace_node(
    State(server): State<Server>,
    id: Result<Path<String>, PathRejection>,
    intent: Intent<ReplaceNode>,
) -> Outcome {
    let id = named("lease", id)?;
    intent
        .submit(&server, |body| Command::ReplaceNode(id, body))
        .await
}

/// Takes the hardware that is held for a lease.
#[utoipa::path(post, path = "/v1/leases/{id}/commit", tag = "leases",
    params(
        ("id" = u64, Path, description = "Its number"),
        ("If-Match" = Option<String>, Header, description = "The generation the lease must have"),
    ),
    responses((status = 200, body = LeaseView))
)]
pub(super) async fn commit_lease(
    State(server): State<Server>,
    id: Result<Path<String>, PathRejection>,
    intent: Intent<Nothing>,
) -> Outcome {
    let id = named("lease", id)?;
    intent
        .submit(&server, |Nothing {}| Command::CommitLease(id))
        .await
}

/// Admits or moves nodes from an inventory, all lines or none.
#[utoipa::path(post, path = "/v1/nodes/import", tag = "nodes", request_body = ImportNodes,
    responses((status = 200, body = ImportReport))
)]
pub(super) async fn import_nodes(
    State(server): State<Server>,
    intent: Intent<ImportNodes>,
) -> Outcome {
    intent.submit(&server, Command::ImportNodes).await
}

/// Admits nodes as they report themselves.
#[utoipa::path(post, path = "/v1/nodes/admit", tag = "nodes", request_body = AdmitNodes,
    responses((status = 200, body = List<NodeView>))
)]
pub(super) async fn admit_nodes(
    State(server): State<Server>,
    intent: Intent<AdmitNodes>,
) -> Outcome {
    intent.submit(&server, Command::AdmitNodes).await
}

/// Recovers a ledger that was restored from the past.
#[utoipa::path(post, path = "/v1/ledger/recover", tag = "cell", request_body = Recover,
    responses((status = 200, body = RecoverReport))
)]
pub(super) async fn recover(State(server): State<Server>, intent: Intent<Recover>) -> Outcome {
    intent.submit(&server, Command::Recover).await
}
