//! `leasectl power`.

use super::{Write, value};
use clap::{Args, Subcommand};
use leasehold_common::time::Timestamp;
use leasehold_common::topology::Prefix;

/// What can be done with power.
#[derive(Debug, Clone, Subcommand)]
pub enum Power {
    /// Budget, what leases may draw and what is drawn, for the whole cell and every place with a
    /// budget, or for one place. `!` lines name places where more is booked than the budget allows.
    Show(ShowPower),
    /// Set the budget of a place: the most that all leases below it may draw together.
    ///
    /// It holds from --from on and replaces whatever was set for the time after that. Budgets of
    /// places within each other all hold. A budget below what is booked is set all the same:
    /// running leases stay, and the answer says by how much and from when.
    #[command(after_help = "Examples:\n  \
        leasectl power set-budget hall-a 1.2MW\n  \
        leasectl power set-budget hall-a/row-2 300kW --from 2026-12-01T22:00:00Z \\\n      \
        --then 2026-12-02T06:00:00Z=420kW --why 'transformer service'\n  \
        leasectl power set-budget cell unlimited")]
    SetBudget(SetBudget),
}

/// `power show`.
#[derive(Debug, Clone, Args)]
pub struct ShowPower {
    /// The place, such as hall-a or hall-a/row-1; `cell` for the whole cell.
    #[arg(value_name = "PREFIX", value_parser = value::prefix)]
    pub prefix: Option<Prefix>,
}

/// `power set-budget`.
#[derive(Debug, Clone, Args)]
pub struct SetBudget {
    /// The place, such as hall-a or hall-a/row-1; `cell` for the whole cell.
    #[arg(value_name = "PREFIX", value_parser = value::prefix)]
    pub prefix: Prefix,
    /// The budget: watts, 420kW, 1.2MW, or unlimited.
    #[arg(value_name = "WATTS", value_parser = value::watts)]
    pub watts: value::Watts,
    /// From this instant [default: now].
    #[arg(long, value_name = "INSTANT")]
    pub from: Option<Timestamp>,
    /// And from a later instant on another budget. May be given several times.
    #[arg(long, value_name = "INSTANT=WATTS", value_parser = value::later_watts)]
    pub then: Vec<(Timestamp, value::Watts)>,
    /// Why, for the log.
    #[arg(long, value_name = "TEXT")]
    pub why: Option<String>,
    /// Say what the budget would mean; change nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// How the write is named.
    #[command(flatten)]
    pub write: Write,
}
