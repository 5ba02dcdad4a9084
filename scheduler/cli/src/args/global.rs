//! What applies to every command.

use clap::{Args, ValueEnum};
use leasehold_common::time::Span;
use std::path::PathBuf;

/// Options that may stand anywhere on the line.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// How to write what is found.
    #[arg(
        short,
        long,
        global = true,
        env = "LEASEHOLD_OUTPUT",
        value_name = "FORMAT"
    )]
    #[arg(value_enum, default_value_t = Format::Table)]
    pub output: Format,

    /// Leave out the column headings of tables.
    #[arg(long, global = true)]
    pub no_headers: bool,

    /// The scheduler's control socket.
    #[arg(long, global = true, env = "LEASEHOLD_SOCKET", value_name = "PATH")]
    #[arg(default_value = "/run/leasehold/control.sock")]
    pub socket: PathBuf,

    /// Say nothing but what was asked for, and errors.
    #[arg(short, long, global = true)]
    pub quiet: bool,

    /// How long to wait for an answer [default: 30s]; with --wait, how long to wait for the lease
    /// [default: for ever].
    #[arg(long, global = true, value_name = "TIME")]
    pub timeout: Option<Span>,

    /// Answer yes to every question.
    #[arg(short, long, global = true)]
    pub yes: bool,
}

/// How to write what is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Columns for people.
    Table,
    /// More columns.
    Wide,
    /// The scheduler's answer, indented.
    Json,
    /// One JSON object per item and line.
    Jsonl,
    /// Names or ids only, one a line.
    Name,
}

impl Format {
    /// Whether programs read it, so that everything else goes to standard error.
    pub const fn is_json(self) -> bool {
        match self {
            Self::Json | Self::Jsonl => true,
            Self::Table | Self::Wide | Self::Name => false,
        }
    }
}
