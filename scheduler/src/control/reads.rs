//! Questions.

use super::answer::{Answer, Refusal};
use super::parameters::{Parameters, named};
use super::serve::Server;
use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use leasehold_common::api::{
    API_VERSION, AccountView, ExplainView, LeaseView, List, NodeView, Status, Surplus, VersionView,
};
use leasehold_common::time::Span;
use leasehold_core::command::Query;

type Name = Result<Path<String>, PathRejection>;
type Outcome = Result<Answer, Refusal>;

/// The API's version and what it can do.
#[utoipa::path(get, path = "/v1", tag = "cell", responses((status = 200, body = VersionView)))]
pub(super) async fn version(parameters: Parameters) -> Result<Json<VersionView>, Refusal> {
    parameters.none_left("none")?;
    Ok(Json(VersionView {
        api: API_VERSION.into(),
        build: env!("CARGO_PKG_VERSION").into(),
        features: Vec::new(),
    }))
}

/// The cell as a whole.
#[utoipa::path(get, path = "/v1/status", tag = "cell", responses((status = 200, body = Status)))]
pub(super) async fn status(State(server): State<Server>, parameters: Parameters) -> Outcome {
    parameters.none_left("none")?;
    server.ask(Query::Status).await
}

/// Nodes.
#[utoipa::path(get, path = "/v1/nodes", tag = "nodes",
    params(("state" = Option<String>, Query, description = "Only nodes in this state")),
    responses((status = 200, body = List<NodeView>))
)]
pub(super) async fn nodes(State(server): State<Server>, mut parameters: Parameters) -> Outcome {
    let state = parameters.take("state")?;
    parameters.none_left("state")?;
    server.ask(Query::Nodes { state }).await
}

/// One node.
#[utoipa::path(get, path = "/v1/nodes/{name}", tag = "nodes",
    params(("name" = String, Path, description = "Its name")),
    responses((status = 200, body = NodeView))
)]
pub(super) async fn node(
    State(server): State<Server>,
    name: Name,
    parameters: Parameters,
) -> Outcome {
    parameters.none_left("none")?;
    server.ask(Query::Node(named("node", name)?)).await
}

/// Accounts.
#[utoipa::path(get, path = "/v1/accounts", tag = "accounts",
    responses((status = 200, body = List<AccountView>))
)]
pub(super) async fn accounts(State(server): State<Server>, parameters: Parameters) -> Outcome {
    parameters.none_left("none")?;
    server.ask(Query::Accounts).await
}

/// One account.
#[utoipa::path(get, path = "/v1/accounts/{name}", tag = "accounts",
    params(("name" = String, Path, description = "Its name")),
    responses((status = 200, body = AccountView))
)]
pub(super) async fn account(
    State(server): State<Server>,
    name: Name,
    parameters: Parameters,
) -> Outcome {
    parameters.none_left("none")?;
    server.ask(Query::Account(named("account", name)?)).await
}

/// Leases.
#[utoipa::path(get, path = "/v1/leases", tag = "leases",
    params(
        ("all" = Option<bool>, Query, description = "Also leases that are over"),
        ("account" = Option<String>, Query, description = "Only leases of this account"),
        ("state" = Option<String>, Query, description = "Only leases in this state"),
    ),
    responses((status = 200, body = List<LeaseView>))
)]
pub(super) async fn leases(State(server): State<Server>, mut parameters: Parameters) -> Outcome {
    let all = parameters.switch("all", false)?;
    let account = parameters.take("account")?;
    let state = parameters.take("state")?;
    parameters.none_left("all, account, state")?;
    let query = Query::Leases {
        all,
        account,
        state,
    };
    server.ask(query).await
}

/// One lease.
#[utoipa::path(get, path = "/v1/leases/{id}", tag = "leases",
    params(("id" = u64, Path, description = "Its number")),
    responses((status = 200, body = LeaseView))
)]
pub(super) async fn lease(
    State(server): State<Server>,
    id: Name,
    parameters: Parameters,
) -> Outcome {
    parameters.none_left("none")?;
    server.ask(Query::Lease(named("lease", id)?)).await
}

/// Why a lease is where it is, or is not running.
#[utoipa::path(get, path = "/v1/leases/{id}/explain", tag = "leases",
    params(("id" = u64, Path, description = "Its number")),
    responses((status = 200, body = ExplainView))
)]
pub(super) async fn explain(
    State(server): State<Server>,
    id: Name,
    parameters: Parameters,
) -> Outcome {
    parameters.none_left("none")?;
    server.ask(Query::Explain(named("lease", id)?)).await
}

/// What a tenant who has nothing yet could have now, in each form by itself.
#[utoipa::path(get, path = "/v1/surplus", tag = "surplus",
    params(
        ("for" = Option<String>, Query, description = "For so long from now on; an hour unless given"),
        ("sku" = Option<String>, Query, description = "Only of this SKU"),
        ("shape" = Option<String>, Query, description = "Only in this form"),
    ),
    responses((status = 200, body = Surplus))
)]
pub(super) async fn surplus(State(server): State<Server>, mut parameters: Parameters) -> Outcome {
    let horizon = parameters.take("for")?.unwrap_or(Span::from_hours(1));
    let sku = parameters.take("sku")?;
    let shape = parameters.take("shape")?;
    parameters.none_left("for, sku, shape")?;
    let query = Query::Surplus {
        horizon,
        sku,
        shape,
    };
    server.ask(query).await
}

impl Server {
    pub(super) async fn ask(&self, query: Query) -> Outcome {
        Ok(self.service.read(query).await?.into())
    }
}
