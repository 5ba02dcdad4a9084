//! The exit codes, the part of the output that scripts read first.

use std::process::ExitCode;

/// How a command ended. The numbers are part of the interface and never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Exit {
    /// Done as asked.
    Ok = 0,
    /// Failed for a reason that has no code of its own; also a log that does not verify.
    Failed = 1,
    /// The command line or a value in it is wrong; nothing was changed.
    Usage = 2,
    /// The lease is over, or not in a state in which this can be done.
    NotActive = 3,
    /// There is no such object.
    NoSuchObject = 4,
    /// The caller has not the role for this.
    Permission = 5,
    /// Refused by policy: quota, isolation, a confirmation not given.
    Refused = 6,
    /// The lease is not active yet: still pending, or `--timeout` ran out under `--wait`.
    Pending = 7,
    /// No scheduler answers, or none that may decide.
    Unreachable = 8,
}

impl Exit {
    /// The number.
    pub const fn code(self) -> u8 {
        self as u8
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
