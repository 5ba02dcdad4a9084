//! Why the log cannot be used.

use leasehold_common::ids::{CellName, Epoch, Seq};
use leasehold_common::lease::Digest;
use leasehold_common::log::BadLine;
use std::io;
use std::path::{Path, PathBuf};

/// Why the log cannot be opened, written or read.
#[derive(Debug, thiserror::Error)]
pub enum LogFileError {
    /// The system says no.
    #[error("cannot {what} {}", path.display())]
    System {
        /// What was tried.
        what: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Another process writes it.
    #[error("{} is written by another process", path.display())]
    Busy {
        /// The file.
        path: PathBuf,
    },
    /// A line is not what was written.
    #[error(transparent)]
    Bad(BadLine),
    /// A line that cannot be read back, in a file that was not verified when the log was opened.
    #[error("{}: the line after record {after} cannot be read: {detail}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The last record before it.
        after: Seq,
        /// What is wrong with it.
        detail: String,
    },
    /// It is the log of another cell.
    #[error("{} is the log of cell {names}, this is cell {cell}", path.display())]
    OtherCell {
        /// The file.
        path: PathBuf,
        /// The cell it names.
        names: CellName,
        /// Our cell.
        cell: CellName,
    },
    /// The store and the log disagree about a record.
    #[error(
        "record {seq} is {here} of epoch {here_epoch} in the log and {there} of epoch {there_epoch} in the store"
    )]
    Conflict {
        /// The record.
        seq: Seq,
        /// Its epoch in the log.
        here_epoch: Epoch,
        /// Its hash in the log.
        here: Digest,
        /// Its epoch in the store.
        there_epoch: Epoch,
        /// Its hash in the store.
        there: Digest,
    },
    /// A commit whose records are not a piece of a chain.
    #[error("commit {first} to {last} is not sealed: {problem}")]
    Unsealed {
        /// Its first record.
        first: Seq,
        /// Its last record.
        last: Seq,
        /// What is wrong with it.
        problem: String,
    },
    /// A write failed before, in a way that leaves the file's content in doubt.
    #[error("{} is in doubt since a write to it failed; it must be opened again", path.display())]
    Broken {
        /// The file.
        path: PathBuf,
    },
}

/// Turns the system's error into one that says what was tried on which file.
pub(super) fn system<'a>(
    what: &'static str,
    path: &'a Path,
) -> impl FnOnce(io::Error) -> LogFileError + 'a {
    move |source| LogFileError::System {
        what,
        path: path.to_owned(),
        source,
    }
}
