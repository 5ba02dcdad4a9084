//! `leasectl`, the program, and what it says.

use crate::process::bare;
use crate::programs::program;
use crate::wait::wait_for;
use leasehold_common::api::{LeaseView, List, Problem, Status};
use leasehold_common::ids::LeaseId;
use leasehold_common::lease::LeaseState;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// leasectl and the socket it asks.
#[derive(Debug, Clone)]
pub struct Ctl {
    socket: PathBuf,
}

/// What a run of leasectl came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// What was typed.
    pub typed: String,
    /// The exit code.
    pub exit: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

/// What `log verify -o json` says, as far as stories ask.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct LogReport {
    /// Records in all files together.
    pub records: u64,
    /// The last of them.
    pub head: Option<Head>,
    /// Each file.
    pub files: Vec<LogFile>,
}

/// The last record.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Head {
    /// Its number.
    pub seq: u64,
    /// Its hash.
    pub hash: String,
}

/// One file of a log.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct LogFile {
    /// Torn lines that were mended.
    pub repaired: u64,
    /// Stretches of records it says it lacks.
    pub gaps: Vec<Gap>,
}

/// Records that a file lacks.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Gap {
    /// The first.
    pub first: u64,
    /// The last.
    pub last: u64,
}

impl Ctl {
    /// leasectl for this socket.
    pub const fn new(socket: PathBuf) -> Self {
        Self { socket }
    }

    /// The socket.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Runs leasectl.
    ///
    /// # Panics
    /// When it cannot be run.
    pub fn run(&self, arguments: &[&str]) -> Said {
        let mut command = Command::new(program("leasectl"));
        command.arg("--socket").arg(&self.socket).args(arguments);
        let output = bare(&mut command)
            .stdin(Stdio::null())
            .output()
            .expect("leasectl can be run");
        Said {
            typed: format!("leasectl {}", arguments.join(" ")),
            exit: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Runs leasectl, which must succeed; its output.
    ///
    /// # Panics
    /// When it does not.
    pub fn ok(&self, arguments: &[&str]) -> String {
        let said = self.run(arguments);
        assert_eq!(said.exit, 0, "{said:?}");
        said.out
    }

    /// The same with `-o json`, read.
    ///
    /// # Panics
    /// When it does not succeed, or writes something else.
    pub fn json<T: DeserializeOwned>(&self, arguments: &[&str]) -> T {
        let text = self.ok(&[arguments, &["-o", "json"]].concat());
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e} in {text}"))
    }

    /// Runs leasectl, which must be refused by the scheduler with this exit code; the problem.
    ///
    /// # Panics
    /// When it is not.
    pub fn refused(&self, exit: i32, arguments: &[&str]) -> Problem {
        let said = self.run(&[arguments, &["-o", "json"]].concat());
        assert_eq!(said.exit, exit, "{said:?}");
        let line = said.err.lines().last().unwrap_or_default();
        serde_json::from_str(line).unwrap_or_else(|e| panic!("{e} in {said:?}"))
    }

    /// How the cell is.
    ///
    /// # Panics
    /// When nobody answers.
    pub fn status(&self) -> Status {
        self.json(&["status"])
    }

    /// All leases, those that are over too.
    ///
    /// # Panics
    /// When nobody answers.
    pub fn leases(&self) -> Vec<LeaseView> {
        self.json::<List<LeaseView>>(&["leases", "ls", "--all"])
            .items
    }

    /// One lease.
    ///
    /// # Panics
    /// When nobody answers, or there is none.
    pub fn lease(&self, id: LeaseId) -> LeaseView {
        self.json(&["leases", "show", &id.to_string()])
    }

    /// A lease of acme's, on-demand and of H200, which must be accepted.
    ///
    /// # Panics
    /// When it is not.
    pub fn create(&self, arguments: &[&str]) -> LeaseView {
        self.json(&[&CREATE, arguments].concat())
    }

    /// Waits until a lease is in this state.
    ///
    /// # Panics
    /// When it does not get there.
    pub fn wait_for_state(&self, id: LeaseId, state: LeaseState) -> LeaseView {
        wait_for(&format!("lease {id} to be {state}"), || {
            let lease = self.lease(id);
            if lease.state == state {
                Ok(lease)
            } else {
                Err(lease.state)
            }
        })
    }

    /// Waits until the scheduler on this socket leads and decides.
    ///
    /// # Panics
    /// When it does not.
    pub fn wait_to_lead(&self) -> Status {
        self.wait_for_status("the scheduler to lead", |status| status.leading)
    }

    /// Waits until the scheduler on this socket answers and knows of a leader.
    ///
    /// # Panics
    /// When it does not.
    pub fn wait_for_a_leader(&self) -> Status {
        self.wait_for_status("a leader", |status| status.leader.is_some())
    }

    /// Waits until the cell is as it should be.
    ///
    /// # Panics
    /// When it does not become so.
    pub fn wait_for_status(&self, what: &str, is_so: impl Fn(&Status) -> bool) -> Status {
        wait_for(what, || {
            let said = self.run(&["status", "-o", "json"]);
            match serde_json::from_str::<Status>(&said.out) {
                Ok(status) if is_so(&status) => Ok(status),
                Ok(_) => Err(said.out),
                Err(_) => Err(said.err),
            }
        })
    }

    /// Verifies log files, which must be right.
    ///
    /// # Panics
    /// When they are not.
    pub fn verify(&self, files: &[PathBuf]) -> LogReport {
        let files = files
            .iter()
            .map(|file| file.to_str().expect("a plain path"));
        let arguments: Vec<&str> = ["log", "verify"].into_iter().chain(files).collect();
        self.json(&arguments)
    }

    /// Verifies log files, which must be right and end where the ledger ends.
    ///
    /// # Panics
    /// When they are not, or do not.
    pub fn verify_to_the_head(&self, files: &[PathBuf]) -> LogReport {
        // Something may be committed between the two looks.
        wait_for("the log to end where the ledger does", || {
            let status = self.status();
            let report = self.verify(files);
            match &report.head {
                Some(head) if head.seq == status.seq.0 => {
                    assert_eq!(head.hash, status.log_hash.to_string());
                    Ok(report)
                }
                other => Err(format!("{other:?}, the ledger at {}", status.seq)),
            }
        })
    }
}

/// How every lease begins that a story does not say more about.
const CREATE: [&str; 8] = [
    "leases",
    "create",
    "--account",
    "acme",
    "--class",
    "on-demand",
    "--sku",
    "h200",
];
