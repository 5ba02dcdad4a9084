//! `leasectl`, the operator's command line, and the client it is built on.
//!
//! Operators meet Leasehold here, at three in the morning and from scripts. So the same command gives
//! columns to people and the scheduler's own JSON to programs, every failure has an exit code that
//! says whose move it is, and nothing that destroys work happens by a slip of the hand.
//!
//! ```text
//!   args ──► commands ──► session ──► client ──► control socket (HTTP/1.1 and JSON, Unix)
//!   (clap)   one per noun    │
//!                            └──────► output ──► console (out, err, the person to ask)
//! ```
//!
//! Invariants:
//! - It speaks to the control socket alone: no store, no NVML, no files of the daemons. `log verify`,
//!   `fold`, `expand` and `completion` need no scheduler at all, `etcd-roles` only where it is given
//!   no inventory.
//! - Every write carries an idempotency key and is sent at most twice, under the same key. Where both
//!   answers are lost, the message names the key.
//! - Standard output holds what was asked for and nothing else; everything else goes to standard
//!   error. JSON is passed on as received, so a newer scheduler's fields are not lost.
//! - Commands take their streams, their terminal and the time as arguments: tests run them as they
//!   are, over a socket of their own.
//!
//! Not here: any decision. What is allowed, what fits and why is the scheduler's to say.

pub mod args;
pub mod client;
pub mod commands;
pub mod console;
pub mod exit;
pub mod failure;
pub mod inventory;
pub mod output;
pub mod session;

use args::Cli;
use clap::Parser as _;
use console::Console;
use exit::Exit;
use leasehold_common::time::Timestamp;
use session::Session;
use std::ffi::OsString;
use std::io::{self, IsTerminal as _, Write as _};

/// The whole program, over the process's own streams: for `main` and for the all-in-one binary.
pub async fn main(args: impl IntoIterator<Item = impl Into<OsString> + Clone>) -> Exit {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are no errors and go to standard output; a closed pipe is none either.
            drop(error.print());
            return if error.use_stderr() {
                Exit::Usage
            } else {
                Exit::Ok
            };
        }
    };
    let terminal = io::stdin().is_terminal() && io::stderr().is_terminal();
    let mut ask = ask;
    let console = Console {
        out: &mut io::BufWriter::new(io::stdout().lock()),
        err: &mut io::stderr(),
        ask: if terminal { Some(&mut ask) } else { None },
    };
    run(cli, console, now()).await
}

/// Carries out a command, tells a failure on the console's `err`, and gives the exit code.
pub async fn run(cli: Cli, console: Console<'_>, now: Timestamp) -> Exit {
    let mut session = Session::new(cli.global, console, now);
    let done = commands::run(cli.command, &mut session).await;
    let flushed = session.console.out.flush().map_err(failure::Failure::from);
    match done.and_then(|exit| flushed.map(|()| exit)) {
        Ok(exit) => exit,
        Err(failure) => {
            let text = failure.text(session.global.output.is_json());
            // Where standard error is gone, the exit code is all that is left to say it.
            drop(session.console.err.write_all(text.as_bytes()));
            failure.exit()
        }
    }
}

fn ask(question: &str) -> io::Result<String> {
    io::stderr().write_all(question.as_bytes())?;
    let mut line = String::new();
    io::stdin().read_line(&mut line)?;
    Ok(line)
}

fn now() -> Timestamp {
    Timestamp::from_unix_ms(jiff::Timestamp::now().as_millisecond())
}
