//! `cargo xtask`: one entry for people and for CI.
//!
//! Building Leasehold takes more than cargo: `protoc` for etcd's client, an `etcd` for the end-to-end tests, programs
//! that exist before a test starts them. This program knows that list, so that nobody has to: it checks the host,
//! builds what is needed in the right order, and prints each command line before it runs it, so that a person can
//! take any single step by hand.
//!
//! ```text
//!   cargo xtask test
//!     packages   what the host lacks; installed with apt-get where that is possible, named where it is not
//!     workspace  where the tree, its target directory and its sources are
//!     steps      one command line: printed, run, timed
//!     tasks      demo, test, lint, ci, bench: which steps, in which order
//!     tidy       the rules that neither rustc nor clippy know
//! ```
//!
//! It is compiled before everything else and therefore depends on almost nothing. What is not here: any knowledge of
//! leases. The demo, the simulator and the benchmarks are programs of their own; this one starts them.

mod help;
mod install;
mod machine;
mod packages;
mod slurm;
mod steps;
mod tasks;
mod tidy;
mod workspace;

use std::process::ExitCode;

use help::{Request, Task};
use steps::{Failed, Steps};
use workspace::Workspace;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (task, arguments) = match help::parse(&arguments) {
        Ok(Request::Help(text)) => {
            println!("{text}");
            return ExitCode::SUCCESS;
        }
        Ok(Request::Run(task, arguments)) => (task, arguments),
        Err(message) => {
            eprintln!("xtask: {message}");
            return ExitCode::from(2);
        }
    };
    match run(task, &arguments) {
        Ok(()) => ExitCode::SUCCESS,
        // A step that failed has said why on its own output; its exit code is the answer.
        Err(error) => {
            eprintln!("xtask: {error:#}");
            let code = error
                .downcast_ref::<Failed>()
                .map_or(1, |failed| failed.code);
            ExitCode::from(code)
        }
    }
}

fn run(task: Task, arguments: &[String]) -> anyhow::Result<()> {
    let workspace = Workspace::find()?;
    let mut steps = Steps::new(&workspace);
    match task {
        Task::Demo => tasks::demo(&workspace, &mut steps, arguments),
        Task::Test => tasks::test(&workspace, &mut steps, arguments),
        Task::Lint => tasks::lint(&workspace, &mut steps),
        Task::Ci => tasks::ci(&workspace, &mut steps),
        Task::Bench => tasks::bench(&workspace, &mut steps, arguments),
    }?;
    steps.print_summary();
    Ok(())
}
