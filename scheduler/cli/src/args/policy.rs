//! `leasectl policy`.

use super::Write;
use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;

/// What can be done with policies.
#[derive(Debug, Clone, Subcommand)]
pub enum Policy {
    /// The rules in force, or those of version N, as TOML or JSON that `policy set` takes.
    Get(GetPolicy),
    /// List every version: number, digest, who set it, when and why. The one in force has a `*`.
    Ls,
    /// Set the rules of FILE. They decide from now on; leases that are booked or run stay as they
    /// are, and those that the rules would not have allowed are named.
    ///
    /// A rule that FILE leaves out has its built-in value, not that of the policy in force: what
    /// FILE says is what holds. Setting what is in force already changes nothing.
    Set(SetPolicy),
    /// Check FILE against the catalogue and the fleet there is; everything that is wrong is told.
    ///
    /// Exit 0 where it could be set, 2 where not.
    Check(CheckPolicy),
    /// Set the rules of an earlier version again, under a new number; 0 is the built-in one.
    Rollback(RollbackPolicy),
}

/// How a policy is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PolicyForm {
    /// For people to edit.
    Toml,
    /// For programs; `-o json` has the version as well.
    Json,
}

/// `policy get`.
#[derive(Debug, Clone, Args)]
pub struct GetPolicy {
    /// The version; 0 is built in [default: the one in force].
    #[arg(value_name = "N")]
    pub number: Option<u64>,
    /// The form of the rules.
    #[arg(long = "as", value_name = "FORM", value_enum, default_value_t = PolicyForm::Toml)]
    pub form: PolicyForm,
}

/// `policy set`.
#[derive(Debug, Clone, Args)]
pub struct SetPolicy {
    /// The rules, TOML or JSON; `-` for standard input.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Name the bookings that the rules would not have allowed; change nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Why, for those who read the list.
    #[arg(long, value_name = "TEXT")]
    pub note: Option<String>,
    /// How the write is named.
    #[command(flatten)]
    pub write: Write,
}

/// `policy check`.
#[derive(Debug, Clone, Args)]
pub struct CheckPolicy {
    /// The rules, TOML or JSON; `-` for standard input.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
}

/// `policy rollback`.
#[derive(Debug, Clone, Args)]
pub struct RollbackPolicy {
    /// The version whose rules are to hold again.
    #[arg(value_name = "N")]
    pub to: u64,
    /// Name the bookings that the rules would not have allowed; change nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Why, for those who read the list.
    #[arg(long, value_name = "TEXT")]
    pub note: Option<String>,
    /// How the write is named.
    #[command(flatten)]
    pub write: Write,
}
