//! `leasectl accounts`.

use super::{Write, value};
use clap::{Args, Subcommand};
use leasehold_common::class::Side;
use leasehold_common::ids::AccountName;

/// What can be done with accounts.
#[derive(Debug, Clone, Subcommand)]
pub enum Accounts {
    /// Create an account. Its name and side never change.
    Create(CreateAccount),
    /// List accounts, their quotas and what they hold.
    Ls,
    /// One account.
    Show {
        /// Its name.
        name: AccountName,
    },
}

/// `accounts create`.
#[derive(Debug, Clone, Args)]
pub struct CreateAccount {
    /// Its name.
    pub name: AccountName,
    /// Which side of the house. A node serves one side at a time.
    #[arg(long, value_parser = value::side())]
    pub side: Side,
    /// The most GPUs its leases may hold together [default: no limit].
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub quota_gpus: Option<u32>,
    /// How the write is named.
    #[command(flatten)]
    pub write: Write,
}
