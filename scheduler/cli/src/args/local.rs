//! Commands that need no scheduler: log files, hostlists, completion.

use clap::{Args, Subcommand};
use clap_complete::Shell;
use std::path::PathBuf;

/// What can be done with the placement log.
#[derive(Debug, Clone, Subcommand)]
pub enum Log {
    /// Check the hash chain of log files; print the first bad line and exit 1.
    Verify(VerifyLog),
}

/// `log verify`.
#[derive(Debug, Clone, Args)]
pub struct VerifyLog {
    /// The files of one cell, in any order, of several hosts if there are.
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
}

/// `completion`.
#[derive(Debug, Clone, Args)]
pub struct Completion {
    /// For which shell.
    #[arg(value_parser = shell())]
    pub shell: Shell,
}

/// The shells an operator's host has.
fn shell() -> impl clap::builder::TypedValueParser<Value = Shell> {
    use clap::builder::{PossibleValuesParser, TypedValueParser as _};
    PossibleValuesParser::new(["bash", "zsh", "fish"]).try_map(|name| name.parse::<Shell>())
}

/// `fold`.
#[derive(Debug, Clone, Args)]
pub struct Fold {
    /// Host names or hostlists [default: from standard input, separated by white space].
    #[arg(value_name = "HOSTLIST")]
    pub names: Vec<String>,
}

/// `expand`.
#[derive(Debug, Clone, Args)]
pub struct Expand {
    /// Hostlists, such as h[001-016,020] or r[1-2]n[01-18].
    #[arg(value_name = "HOSTLIST", required = true)]
    pub lists: Vec<String>,
}
