//! `leasectl completion`.

use crate::args::{Cli, Completion};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::session::Session;
use clap::CommandFactory as _;

/// Writes the script for a shell.
///
/// # Errors
/// Nobody reads.
pub fn run(args: &Completion, session: &mut Session<'_>) -> Result<Exit, Failure> {
    // Written to memory first: the generator panics where its writer fails, as a closed pipe does.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "leasectl", &mut script);
    session.console.out.write_all(&script)?;
    Ok(Exit::Ok)
}
