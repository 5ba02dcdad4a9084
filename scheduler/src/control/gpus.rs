//! GPUs, and what operators say of them.

use super::answer::{Answer, Refusal};
use super::intent::Intent;
use super::parameters::{Parameters, checked};
use super::serve::Server;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use leasehold_common::api::{AcknowledgeGpus, GpuView, List, OverrideGpus, Problem, WithdrawGpus};
use leasehold_core::command::{Command, Query, Says};

type Outcome = Result<Answer, Refusal>;

/// GPUs.
#[utoipa::path(get, path = "/v1/gpus", tag = "nodes",
    params(
        ("node" = Option<String>, Query, description = "Only GPUs of this node"),
        ("unhealthy" = Option<bool>, Query,
            description = "Only GPUs whose verdict is not healthy or that cannot be let"),
    ),
    responses((status = 200, body = List<GpuView>))
)]
pub(super) async fn gpus(State(server): State<Server>, mut parameters: Parameters) -> Outcome {
    let node = parameters.take("node")?;
    let unhealthy = parameters.switch("unhealthy", false)?;
    parameters.none_left("node, unhealthy")?;
    server.ask(Query::Gpus { node, unhealthy }).await
}

/// One GPU.
#[utoipa::path(get, path = "/v1/gpus/{node}/{slot}", tag = "nodes",
    params(
        ("node" = String, Path, description = "Its node"),
        ("slot" = u32, Path, description = "Its slot there"),
    ),
    responses((status = 200, body = GpuView))
)]
pub(super) async fn gpu(
    State(server): State<Server>,
    path: Result<Path<(String, String)>, PathRejection>,
    parameters: Parameters,
) -> Outcome {
    parameters.none_left("none")?;
    let Path((node, slot)) = path.map_err(|e| Problem::field("gpu", e.body_text(), "UTF-8"))?;
    let (node, slot) = (checked("node", &node)?, checked("slot", &slot)?);
    server.ask(Query::Gpu(node, slot)).await
}

/// Says that what was found on GPUs has been dealt with, an rma too.
#[utoipa::path(post, path = "/v1/gpus/acknowledge", tag = "nodes", request_body = AcknowledgeGpus,
    responses((status = 200, body = List<GpuView>))
)]
pub(super) async fn acknowledge(
    State(server): State<Server>,
    intent: Intent<AcknowledgeGpus>,
) -> Outcome {
    let says = |body| Command::SayOfGpus(Says::Acknowledge(body));
    intent.submit(&server, says).await
}

/// Puts another verdict on GPUs in the place of their agents', for a time.
#[utoipa::path(post, path = "/v1/gpus/override", tag = "nodes", request_body = OverrideGpus,
    responses((status = 200, body = List<GpuView>))
)]
pub(super) async fn override_verdict(
    State(server): State<Server>,
    intent: Intent<OverrideGpus>,
) -> Outcome {
    let says = |body| Command::SayOfGpus(Says::Override(body));
    intent.submit(&server, says).await
}

/// Takes back what was overridden, whoever did that.
#[utoipa::path(post, path = "/v1/gpus/withdraw", tag = "nodes", request_body = WithdrawGpus,
    responses((status = 200, body = List<GpuView>))
)]
pub(super) async fn withdraw(
    State(server): State<Server>,
    intent: Intent<WithdrawGpus>,
) -> Outcome {
    let says = |body| Command::SayOfGpus(Says::Withdraw(body));
    intent.submit(&server, says).await
}
