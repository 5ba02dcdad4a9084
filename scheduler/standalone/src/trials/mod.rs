//! `leasehold simulate`: the packing engine on made-up cells, with nothing else running.
//!
//! What each trial does is in `leasehold_sim`; here are its options and how its figures are told.

mod openb;

use clap::{Subcommand, ValueEnum};
use serde::Serialize;
use std::fmt::Display;

/// A trial of the packing engine.
#[derive(Debug, Subcommand)]
pub enum Trial {
    /// The published experiment on the openb trace: how full a fleet of shared GPUs gets.
    Openb(openb::Openb),
    /// The engine under load on made-up cells.
    #[command(flatten)]
    Load(leasehold_sim::load::Load),
}

/// How figures are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    Table,
    /// One line of JSON.
    Json,
}

impl Trial {
    /// Runs it, and gives what to print.
    ///
    /// # Errors
    /// Where its input cannot be used; which file, line and field, where it is one.
    pub fn run(&self) -> anyhow::Result<String> {
        match self {
            Self::Openb(openb) => openb.run(),
            Self::Load(load) => load.run(),
        }
    }
}

/// A report as asked for.
fn told<T: Serialize + Display>(report: &T, output: Output) -> anyhow::Result<String> {
    Ok(match output {
        Output::Table => report.to_string(),
        Output::Json => serde_json::to_string(report)?,
    })
}
