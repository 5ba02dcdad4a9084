//! `leasectl plan`: what would become of a request, and why. Changes nothing.

use super::leases::request;
use crate::args::{Plan, Write};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::session::Session;
use leasehold_common::api::ExplainView;
use leasehold_common::explain::Outcome;

/// Carries out a verb of `plan`. The exit code is the decision: 0 it would have its hardware, 7 it
/// would wait, 6 it could never be.
///
/// # Errors
/// Those of the client; a request that makes no sense.
pub async fn run(verb: &Plan, session: &mut Session<'_>) -> Result<Exit, Failure> {
    let Plan::Create(wanted) = verb;
    let write = Write { request_id: None };
    let answer = session.post("/v1/plans", &request(wanted)?, &write).await?;
    let now = session.now;
    session.write::<ExplainView>(&answer, &now)?;
    let view: ExplainView = answer.read()?;
    Ok(match view.explanation.map(|why| why.outcome) {
        Some(Outcome::Placed) => Exit::Ok,
        Some(Outcome::Never) => Exit::Refused,
        Some(Outcome::Wait) | None => Exit::Pending,
    })
}
