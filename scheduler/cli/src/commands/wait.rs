//! Waiting for a lease to become active, or for nodes to be rid of theirs.

use crate::client::Answer;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::time::second;
use crate::session::Session;
use leasehold_common::api::{LeaseView, NodeView};
use leasehold_common::lease::LeaseState;
use leasehold_common::node::NodeState;
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
    let mut patience = Patience::new(limit);
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
        let path = format!("/v1/leases/{}", lease.id);
        answer = match patience.ask_again(&path, session).await? {
            Some(answer) => answer,
            None => return Ok((answer, Exit::Pending)),
        };
    }
}

/// Asks after drained nodes until no lease is on any of them, or `limit` has passed. One after the
/// other: nothing begins on a drained node, so one that is empty stays so.
///
/// # Errors
/// The scheduler stays away, or refuses to say.
pub async fn until_empty(
    names: Vec<String>,
    limit: Option<Span>,
    session: &mut Session<'_>,
) -> Result<Exit, Failure> {
    let mut patience = Patience::new(limit);
    for name in names {
        let path = format!("/v1/nodes/{name}");
        let mut answer = session.client.get(&path).await?;
        let mut told = String::new();
        loop {
            let node: NodeView = answer.read()?;
            if node.flags.is_empty() {
                session.note(&format!("{name} is not drained any more"))?;
                return Ok(Exit::NotActive);
            }
            if is_empty(&node) {
                break;
            }
            let leases: Vec<String> = node.leases.iter().map(ToString::to_string).collect();
            let waits = format!("{name} is {}, lease {}", node.state, leases.join(", "));
            if waits != told {
                session.note(&waits)?;
                told = waits;
            }
            answer = match patience.ask_again(&path, session).await? {
                Some(answer) => answer,
                None => return Ok(Exit::Pending),
            };
        }
    }
    Ok(Exit::Ok)
}

/// Whether no lease is on a node that has begun; one to come does not count.
fn is_empty(node: &NodeView) -> bool {
    let is_used = match node.state {
        NodeState::Preparing | NodeState::Leased | NodeState::Draining | NodeState::Evicting => {
            true
        }
        NodeState::Registering
        | NodeState::Verifying
        | NodeState::Available
        | NodeState::Reserved
        | NodeState::Sanitising
        | NodeState::Reverifying
        | NodeState::Occupied
        | NodeState::Unreachable
        | NodeState::Reconciling
        | NodeState::Quarantined
        | NodeState::SanitiseFailed
        | NodeState::Repair
        | NodeState::Retired => false,
    };
    !is_used && node.gpus_leased == 0
}

/// How long is waited, for what is asked after and for a scheduler that is away.
#[derive(Debug)]
struct Patience {
    deadline: Option<Instant>,
    seen: Instant,
}

impl Patience {
    fn new(limit: Option<Span>) -> Self {
        Self {
            deadline: limit.map(|limit| Instant::now() + limit.std()),
            seen: Instant::now(),
        }
    }

    /// Asks when it is time again; nothing where the time is up.
    async fn ask_again(
        &mut self,
        path: &str,
        session: &mut Session<'_>,
    ) -> Result<Option<Answer>, Failure> {
        loop {
            let next = Instant::now() + ASK_EVERY;
            if let Some(deadline) = self.deadline
                && next >= deadline
            {
                tokio::time::sleep_until(deadline).await;
                return Ok(None);
            }
            tokio::time::sleep_until(next).await;
            match session.client.get(path).await {
                Ok(answer) => {
                    self.seen = Instant::now();
                    return Ok(Some(answer));
                }
                Err(error) if error.is_absence() && self.seen.elapsed() < ABSENCE_MAX => {}
                Err(error) => return Err(error.into()),
            }
        }
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
