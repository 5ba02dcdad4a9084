//! Waiting for a lease to become active.

use crate::client::Answer;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::time::second;
use crate::session::Session;
use leasehold_common::api::LeaseView;
use leasehold_common::lease::LeaseState;
use leasehold_common::time::Span;
use std::time::Duration;
use tokio::time::Instant;

/// How often to ask. Handing over a lease takes seconds at least; four questions a second for each
/// waiting client are nothing beside what the socket serves.
const ASK_EVERY: Duration = Duration::from_millis(250);

/// How long a scheduler may be away before waiting for it is given up: longer than a restart, an
/// election and a load of the largest cell together.
const ABSENCE_MAX: Duration = Duration::from_secs(60);

/// What a lease's state means to one who waits for it.
fn verdict(state: LeaseState) -> Option<Exit> {
    match state {
        LeaseState::Requested
        | LeaseState::Held
        | LeaseState::Scheduled
        | LeaseState::Preparing => None,
        LeaseState::Active | LeaseState::Draining => Some(Exit::Ok),
        LeaseState::Rejected => Some(Exit::Refused),
        LeaseState::Releasing
        | LeaseState::Settling
        | LeaseState::Closed
        | LeaseState::Lapsed
        | LeaseState::Cancelled
        | LeaseState::Failed => Some(Exit::NotActive),
    }
}

/// Asks after a lease until it is active, is over, or `limit` has passed; tells people what is waited
/// for as it changes. A scheduler that restarts meanwhile is waited for too.
///
/// # Errors
/// The scheduler stays away, or refuses to say.
pub async fn until_active(
    mut answer: Answer,
    limit: Option<Span>,
    session: &mut Session<'_>,
) -> Result<(Answer, Exit), Failure> {
    let deadline = limit.map(|limit| Instant::now() + limit.std());
    let mut seen = Instant::now();
    let mut told = String::new();
    loop {
        let lease: LeaseView = answer.read()?;
        if let Some(exit) = verdict(lease.state) {
            return Ok((answer, exit));
        }
        let waits = waits_for(&lease);
        if waits != told {
            session.note(&waits)?;
            told = waits;
        }
        answer = loop {
            let next = Instant::now() + ASK_EVERY;
            if let Some(deadline) = deadline
                && next >= deadline
            {
                tokio::time::sleep_until(deadline).await;
                return Ok((answer, Exit::Pending));
            }
            tokio::time::sleep_until(next).await;
            match session
                .client
                .get(&format!("/v1/leases/{}", lease.id))
                .await
            {
                Ok(answer) => {
                    seen = Instant::now();
                    break answer;
                }
                Err(error) if error.is_absence() && seen.elapsed() < ABSENCE_MAX => {}
                Err(error) => return Err(error.into()),
            }
        };
    }
}

/// `lease 7 is requested: Capacity, not before 2026-11-22T10:40:00Z`.
fn waits_for(lease: &LeaseView) -> String {
    let mut text = format!("lease {} is {}", lease.id, lease.state);
    if let Some(reason) = &lease.reason {
        text.push_str(&format!(": {reason}"));
    }
    if let Some(earliest) = lease.earliest {
        text.push_str(&format!(", not before {}", second(earliest)));
    }
    text
}
