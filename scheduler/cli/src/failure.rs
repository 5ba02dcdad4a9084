//! Everything a command can fail with, the exit code of each, and how it is told.

use crate::client::ClientError;
use crate::exit::Exit;
use crate::inventory::BadEntry;
use leasehold_common::api::Problem;
use leasehold_common::hostlist::HostlistError;
use leasehold_common::ids::IdempotencyKey;
use leasehold_common::log::BadLine;
use std::error::Error;
use std::path::PathBuf;

/// Why a command did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The scheduler, or its absence.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// A write whose answer was lost twice.
    #[error("it may have been carried out: repeat the command with --request-id {key} to find out")]
    Doubtful {
        /// What the write was called.
        key: IdempotencyKey,
        /// How the answer was lost.
        #[source]
        source: ClientError,
    },
    /// A file of the caller's.
    #[error("cannot read {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: std::io::Error,
    },
    /// Text that is no hostlist.
    #[error("{list:?} is no hostlist: {source}")]
    Hostlist {
        /// The text, cut to 80 characters.
        list: String,
        /// What is wrong, and where.
        source: HostlistError,
    },
    /// An inventory that cannot be read.
    #[error("{}: {}", path.display(), told(problems))]
    Inventory {
        /// The file.
        path: PathBuf,
        /// Every line that is wrong.
        problems: Vec<BadEntry>,
    },
    /// A log that does not verify.
    #[error(transparent)]
    Log(#[from] BadLine),
    /// A question was answered no, or there was nobody to answer it.
    #[error("not confirmed, nothing was changed: {0}")]
    NotConfirmed(String),
    /// Words on the command line that contradict each other or the cell.
    #[error("{0}")]
    Usage(String),
    /// `etcdctl` could not be run, or said no.
    #[error("{command}: {detail}")]
    Etcdctl {
        /// The command.
        command: String,
        /// What it said.
        detail: String,
    },
    /// Standard input or output.
    #[error("standard input or output")]
    Stream(#[from] std::io::Error),
}

fn told(problems: &[BadEntry]) -> String {
    problems
        .iter()
        .map(BadEntry::to_string)
        .collect::<Vec<_>>()
        .join("\n  ")
}

impl Failure {
    /// The exit code that says it.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Client(error) | Self::Doubtful { source: error, .. } => error.exit(),
            Self::Hostlist { .. } | Self::Inventory { .. } | Self::Usage(_) => Exit::Usage,
            Self::NotConfirmed(_) => Exit::Refused,
            // Whoever read the output has seen enough (`leasectl … | head`).
            Self::Stream(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Exit::Ok,
            Self::File { .. } | Self::Log(_) | Self::Etcdctl { .. } | Self::Stream(_) => {
                Exit::Failed
            }
        }
    }

    /// The problem document, where the scheduler sent one.
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Client(ClientError::Refused(problem))
            | Self::Doubtful {
                source: ClientError::Refused(problem),
                ..
            } => Some(problem),
            _ => None,
        }
    }

    /// What is written to standard error; nothing where nobody reads any more.
    pub fn text(&self, json: bool) -> String {
        if self.exit() == Exit::Ok {
            return String::new();
        }
        match self.problem() {
            Some(problem) if json => {
                serde_json::to_string(problem).unwrap_or_else(|e| e.to_string()) + "\n"
            }
            Some(problem) => format!("leasectl: {}\n", problem_text(problem)),
            None => format!("leasectl: {}\n", chain(self)),
        }
    }
}

/// `code: detail (field: …, value: …, allowed: …)`, less what the detail says already; then the
/// reasons of a decision, one a line.
fn problem_text(problem: &Problem) -> String {
    let facts = [
        ("field", problem.field.clone()),
        ("value", problem.value.clone()),
        ("allowed", problem.allowed.clone()),
        (
            "lease state",
            problem.lease_state.map(|state| state.to_string()),
        ),
    ];
    let facts: Vec<String> = facts
        .into_iter()
        .filter_map(|(name, fact)| Some((name, fact?)))
        .filter(|(_, fact)| !problem.detail.contains(fact.as_str()))
        .map(|(name, fact)| format!("{name}: {fact}"))
        .collect();
    let mut text = problem.to_string();
    // Where there are findings, the first of them is what the field, value and allowed say.
    let facts = if problem.findings.is_empty() {
        facts
    } else {
        Vec::new()
    };
    if !facts.is_empty() {
        text.push_str(&format!(" ({})", facts.join(", ")));
    }
    for reason in &problem.reasons {
        text.push_str(&format!("\n  {}: {}", reason.reason, reason.detail));
    }
    for finding in &problem.findings {
        text.push_str(&format!("\n  {finding}"));
    }
    for conflict in &problem.conflicts {
        text.push_str(&format!("\n  {conflict}"));
    }
    text
}

/// An error and what caused it, without saying anything twice.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use leasehold_common::api::ProblemCode;
    use leasehold_common::explain::{RankedReason, Reason};
    use leasehold_common::lease::LeaseState;

    fn refused(problem: Problem) -> Failure {
        Failure::Client(ClientError::Refused(Box::new(problem)))
    }

    #[test]
    fn a_problem_names_field_value_and_what_is_allowed_once() {
        let field = refused(Problem::field("shape.count", 0, "1 to 125000"));
        insta::assert_snapshot!(field.text(false), @r#"
        leasectl: invalid-field: shape.count is "0", allowed is 1 to 125000
        "#);
        let quota = Problem::new(ProblemCode::QuotaExceeded, "acme would hold 520 GPUs").about(
            "shape",
            "4 nodes",
            "up to 512 GPUs",
        );
        insta::assert_snapshot!(refused(quota.clone()).text(false), @"
        leasectl: quota-exceeded: acme would hold 520 GPUs (field: shape, value: 4 nodes, allowed: up to 512 GPUs)
        ");
        insta::assert_snapshot!(refused(quota).text(true), @r#"
        {"type":"urn:leasehold:problem:quota-exceeded","title":"the quota does not allow it","status":403,"detail":"acme would hold 520 GPUs","code":"quota-exceeded","retryable":false,"field":"shape","value":"4 nodes","allowed":"up to 512 GPUs"}
        "#);
        let ended = Problem::new(ProblemCode::IllegalState, "lease 7 cannot be ended");
        insta::assert_snapshot!(refused(ended.in_state(LeaseState::Closed)).text(false), @"
        leasectl: illegal-state: lease 7 cannot be ended (lease state: closed)
        ");
    }

    #[test]
    fn the_reasons_of_a_refusal_follow_it() {
        let mut never = Problem::new(ProblemCode::NeverFits, "no unit could hold 20 nodes");
        let detail = "the largest rack has 18 nodes".to_owned();
        never.reasons.push(RankedReason {
            reason: Reason::NeverFits,
            nodes: 0,
            detail,
        });
        insta::assert_snapshot!(refused(never).text(false), @"
        leasectl: never-fits: no unit could hold 20 nodes
          NeverFits: the largest rack has 18 nodes
        ");
    }

    #[test]
    fn an_absent_scheduler_is_told_with_its_cause() {
        let source = std::io::Error::from_raw_os_error(2);
        let failure = Failure::Client(ClientError::Unreachable {
            socket: "/run/l/c.sock".into(),
            source,
        });
        assert_eq!(failure.exit(), Exit::Unreachable);
        insta::assert_snapshot!(failure.text(false), @"
        leasectl: no scheduler answers on /run/l/c.sock: No such file or directory (os error 2)
        ");
    }

    #[test]
    fn a_closed_pipe_is_no_failure() {
        let failure = Failure::from(std::io::Error::from(std::io::ErrorKind::BrokenPipe));
        assert_eq!(
            (failure.exit(), failure.text(false)),
            (Exit::Ok, String::new())
        );
    }
}
