//! The command line as types, one file per noun: `leasectl [GLOBAL] NOUN VERB [ARGS]`.
//!
//! Text is checked where it is read: an account, a class or a length of time that cannot exist never
//! leaves the command line. Whether it exists in the cell is the scheduler's to say.

mod accounts;
mod etcd_roles;
mod events;
mod global;
mod gpus;
mod leases;
mod ledger;
mod local;
mod maintenance;
mod nodes;
mod policy;
mod power;
mod surplus;
mod value;

pub use accounts::{Accounts, CreateAccount};
pub use etcd_roles::EtcdRoles;
pub use events::{Events, Explain};
pub use global::{Format, Global};
pub use gpus::{AckGpus, Gpus, ListGpus, OverrideGpus, ShowGpu, WithdrawGpus};
pub use leases::{
    CancelLease, CommitLease, CreateLease, EndLease, ExtendLease, Leases, ListLeases, Plan,
    ReplaceNode, ShowLease, ShrinkLease, Wanted,
};
pub use ledger::{Ledger, RecoverLedger};
pub use local::{Completion, Expand, Fold, Log, VerifyLog};
pub use maintenance::{CreateMaintenance, EndMaintenance, ListMaintenance, Maintenance};
pub use nodes::{
    AdmitNodes, DrainNodes, ImportNodes, ListNodes, Nodes, ResumeNodes, ShowNode, UndrainNodes,
};

pub use policy::{CheckPolicy, GetPolicy, Policy, PolicyForm, RollbackPolicy, SetPolicy};
pub use power::{Power, SetBudget, ShowPower};
pub use surplus::Surplus;
pub use value::{Count, End, Watts};

use clap::{Args, Parser, Subcommand};
use leasehold_common::ids::IdempotencyKey;

/// Work with leases on GPU hardware, and with the nodes they run on.
///
/// Talks to the scheduler over its control socket. Times are UTC.
#[derive(Debug, Clone, Parser)]
#[command(
    name = "leasectl",
    version,
    max_term_width = 100,
    propagate_version = true
)]
#[command(
    after_help = "Exit codes: 0 ok, 1 failed, 2 usage, 3 not active, 4 no such object, \
    5 permission, 6 refused by policy, 7 pending or timed out with --wait, 8 scheduler unreachable. \
    `plan`: 0 it would have its hardware, 7 it would wait, 6 it could never be."
)]
pub struct Cli {
    /// What applies to every command.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The nouns, and the few verbs typed most.
#[derive(Debug, Clone, Subcommand)]
pub enum Command {
    /// One screen: leader, nodes by state, GPUs that can be let, leases, alerts.
    Status,
    /// Machines: what there is, what was admitted, what they report.
    #[command(subcommand)]
    Nodes(Nodes),
    /// Single GPUs and who has them.
    #[command(subcommand)]
    Gpus(Gpus),
    /// Who holds leases.
    #[command(subcommand)]
    Accounts(Accounts),
    /// Rights to hardware, from a start to an end.
    #[command(subcommand)]
    Leases(Leases),
    /// What would become of a request: where it would go, when, and why. Changes nothing.
    #[command(subcommand)]
    Plan(Plan),
    /// The rules of the house: floors, ceilings, isolation, turnaround, who may be reclaimed.
    #[command(subcommand)]
    Policy(Policy),
    /// Power budgets, and what is booked and drawn below them.
    #[command(subcommand)]
    Power(Power),
    /// What could be let now, beside everything that is let, booked and kept.
    Surplus(Surplus),
    /// Nodes booked for the people who look after them.
    #[command(subcommand)]
    Maintenance(Maintenance),
    /// Why a lease is where it is, or why it waits.
    Explain(Explain),
    /// What has happened, one line per log record.
    Events(Events),
    /// The placement log's files.
    #[command(subcommand)]
    Log(Log),
    /// The ledger that all decisions rest on.
    #[command(subcommand)]
    Ledger(Ledger),
    /// etcd users and roles that keep each agent to its own keys.
    EtcdRoles(EtcdRoles),
    /// A completion script for a shell.
    Completion(Completion),
    /// Write host names as a hostlist: h1 h2 h3 becomes h[1-3].
    Fold(Fold),
    /// Write a hostlist out, one host name a line.
    Expand(Expand),
}

/// What applies to every write.
#[derive(Debug, Clone, Args)]
pub struct Write {
    /// Name of this write: a repetition with the same name is answered and not carried out again
    /// [default: a new UUID].
    #[arg(long, value_name = "KEY")]
    pub request_id: Option<IdempotencyKey>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
