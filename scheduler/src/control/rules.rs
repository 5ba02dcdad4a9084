//! The rules of the house: policies, power budgets, maintenance, nodes that are drained.

use super::answer::{Answer, Refusal};
use super::intent::{Intent, Nothing};
use super::parameters::{Parameters, named};
use super::serve::Server;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use leasehold_common::api::{
    CreateMaintenance, DrainNodes, DrainReport, List, MaintenanceView, PolicyChange, PolicySummary,
    PolicyView, PowerView, ResumeNodes, RollbackPolicy, SetPolicy, SetPowerBudget, UndrainNodes,
};
use leasehold_core::command::{Command, Query};
use std::str::FromStr;

type Name = Result<Path<String>, PathRejection>;
type Outcome = Result<Answer, Refusal>;

/// Every policy there was, the newest first, the built-in one last.
#[utoipa::path(get, path = "/v1/policies", tag = "policies",
    responses((status = 200, body = List<PolicySummary>))
)]
pub(super) async fn policies(State(server): State<Server>, parameters: Parameters) -> Outcome {
    parameters.none_left("none")?;
    server.ask(Query::Policies).await
}

/// One policy, whole.
#[utoipa::path(get, path = "/v1/policies/{number}", tag = "policies",
    params(("number" = String, Path, description = "Its number, 0 for the built-in one, or `current`")),
    responses((status = 200, body = PolicyView))
)]
pub(super) async fn policy(
    State(server): State<Server>,
    number: Name,
    parameters: Parameters,
) -> Outcome {
    parameters.none_left("none")?;
    let Number(number) = named("policy", number)?;
    server.ask(Query::Policy(number)).await
}

/// Sets a policy: it decides from now on. Bookings that its rules would not have allowed stay, and
/// are named in the answer.
#[utoipa::path(post, path = "/v1/policies", tag = "policies", request_body = SetPolicy,
    params(("If-Match" = Option<String>, Header, description = "The number the policy in force must have")),
    responses((status = 201, body = PolicyChange), (status = 200, body = PolicyChange))
)]
pub(super) async fn set_policy(State(server): State<Server>, intent: Intent<SetPolicy>) -> Outcome {
    intent.submit(&server, Command::SetPolicy).await
}

/// Sets an earlier policy again, under a new number.
#[utoipa::path(post, path = "/v1/policies/rollback", tag = "policies", request_body = RollbackPolicy,
    params(("If-Match" = Option<String>, Header, description = "The number the policy in force must have")),
    responses((status = 201, body = PolicyChange), (status = 200, body = PolicyChange))
)]
pub(super) async fn rollback_policy(
    State(server): State<Server>,
    intent: Intent<RollbackPolicy>,
) -> Outcome {
    intent.submit(&server, Command::RollbackPolicy).await
}

/// Power by place: budget, what is booked and what is drawn.
#[utoipa::path(get, path = "/v1/power", tag = "power",
    params(("prefix" = Option<String>, Query,
        description = "Only this place, `/` for the whole cell; otherwise that and every place with a budget")),
    responses((status = 200, body = List<PowerView>))
)]
pub(super) async fn power(State(server): State<Server>, mut parameters: Parameters) -> Outcome {
    let prefix = parameters.take("prefix")?;
    parameters.none_left("prefix")?;
    server.ask(Query::Power { prefix }).await
}

/// Sets the power budget of a place from an instant on. It may be less than what is booked: running
/// leases stay, and the answer says by how much and from when.
#[utoipa::path(post, path = "/v1/power", tag = "power", request_body = SetPowerBudget,
    responses((status = 200, body = PowerView))
)]
pub(super) async fn set_power_budget(
    State(server): State<Server>,
    intent: Intent<SetPowerBudget>,
) -> Outcome {
    intent.submit(&server, Command::SetPowerBudget).await
}

/// Maintenance.
#[utoipa::path(get, path = "/v1/maintenance", tag = "maintenance",
    params(("all" = Option<bool>, Query, description = "Also what is over")),
    responses((status = 200, body = List<MaintenanceView>))
)]
pub(super) async fn maintenances(
    State(server): State<Server>,
    mut parameters: Parameters,
) -> Outcome {
    let all = parameters.switch("all", false)?;
    parameters.none_left("all")?;
    server.ask(Query::Maintenances { all }).await
}

/// One maintenance.
#[utoipa::path(get, path = "/v1/maintenance/{id}", tag = "maintenance",
    params(("id" = u64, Path, description = "Its number")),
    responses((status = 200, body = MaintenanceView))
)]
pub(super) async fn maintenance(
    State(server): State<Server>,
    id: Name,
    parameters: Parameters,
) -> Outcome {
    parameters.none_left("none")?;
    server
        .ask(Query::Maintenance(named("maintenance", id)?))
        .await
}

/// Books nodes for maintenance. Where anything is booked on them in that time, nothing is changed
/// and the problem's `conflicts` name it.
#[utoipa::path(post, path = "/v1/maintenance", tag = "maintenance", request_body = CreateMaintenance,
    responses((status = 201, body = MaintenanceView))
)]
pub(super) async fn create_maintenance(
    State(server): State<Server>,
    intent: Intent<CreateMaintenance>,
) -> Outcome {
    intent.submit(&server, Command::CreateMaintenance).await
}

/// Ends a maintenance: its nodes may be let again.
#[utoipa::path(post, path = "/v1/maintenance/{id}/end", tag = "maintenance",
    params(("id" = u64, Path, description = "Its number")),
    responses((status = 200, body = MaintenanceView))
)]
pub(super) async fn end_maintenance(
    State(server): State<Server>,
    id: Name,
    intent: Intent<Nothing>,
) -> Outcome {
    let id = named("maintenance", id)?;
    intent
        .submit(&server, |Nothing {}| Command::EndMaintenance(id))
        .await
}

/// Keeps new leases away from nodes; running ones go on (Slurm's drain). Bookings to come go
/// elsewhere where they can, and are named where they cannot. All nodes or none: every name that is
/// of no admitted node is in the problem's `findings`.
#[utoipa::path(post, path = "/v1/nodes/drain", tag = "nodes", request_body = DrainNodes,
    responses((status = 200, body = DrainReport))
)]
pub(super) async fn drain_nodes(
    State(server): State<Server>,
    intent: Intent<DrainNodes>,
) -> Outcome {
    intent.submit(&server, Command::DrainNodes).await
}

/// Takes a flag from nodes, whoever set it. Others stay, and are named.
#[utoipa::path(post, path = "/v1/nodes/undrain", tag = "nodes", request_body = UndrainNodes,
    responses((status = 200, body = DrainReport))
)]
pub(super) async fn undrain_nodes(
    State(server): State<Server>,
    intent: Intent<UndrainNodes>,
) -> Outcome {
    intent.submit(&server, Command::UndrainNodes).await
}

/// Takes every flag from nodes, and names those that are out of service all the same.
#[utoipa::path(post, path = "/v1/nodes/resume", tag = "nodes", request_body = ResumeNodes,
    responses((status = 200, body = DrainReport))
)]
pub(super) async fn resume_nodes(
    State(server): State<Server>,
    intent: Intent<ResumeNodes>,
) -> Outcome {
    intent.submit(&server, Command::ResumeNodes).await
}

/// A policy's number, or the one that decides.
struct Number(Option<u64>);

impl FromStr for Number {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "current" => Ok(Self(None)),
            digits => digits
                .parse()
                .map(|number| Self(Some(number)))
                .map_err(|_| "a whole number, or current"),
        }
    }
}
