//! The placement log on disk: `placements.jsonl`, which follows the ledger.
//!
//! ```text
//!   commit in the store ──► append: lines written, fdatasync ──► answers and grants may leave
//!
//!   placements.jsonl.1-48211      segment · records …                  (older, by size)
//!   placements.jsonl              segment · records … · segment · gap · records …
//!                                 └ every file begins with the hash it continues from
//! ```
//!
//! What the lines are, and when a file verifies, is `leasehold_common::log`. Here is what happens to
//! the file:
//!
//! - **The file may lag, never lead.** Only committed records arrive here, and one that is here
//!   already is not written again. What the store no longer has when we catch up becomes a `gap`
//!   line that names both hashes.
//! - **A contradiction is an error, not a choice.** A record that differs from the one with its
//!   number here means that the store was restored from the past: [`LogFileError::Conflict`].
//! - **Nothing is mended silently.** A process that dies in the middle of a write leaves a last line
//!   without an end. It is cut off when the file is opened, kept beside the file under its offset,
//!   and the next `segment` line says so. Any other damage refuses the file with its first bad line.
//! - **What cannot be trusted is not written to.** After a failed sync nobody knows what is on the
//!   disk: the log is broken until it is opened, and thereby verified, again.
//!
//! Everything here blocks; a caller inside the runtime uses `spawn_blocking`. Reading
//! ([`records_after`]) needs no lock: whole lines never change, and a torn one is the end.
//!
//! Not here: which records there are, the copy of them in the store, and replay.

mod append;
mod chain;
mod error;
mod files;
mod link;
mod open;
mod position;
mod read;
mod search;

pub use error::LogFileError;
pub use read::{Entry, Records, records_after};
pub use search::last_write;

use chain::Tail;
use leasehold_common::ids::{CellName, Epoch, Seq};
use leasehold_common::lease::Digest;
use std::fs::File;
use std::path::{Path, PathBuf};

/// Which log, and whose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogSettings {
    /// The file that is written; older ones stand beside it.
    pub path: PathBuf,
    /// The cell whose records it holds.
    pub cell: CellName,
    /// The host that writes it.
    pub host: String,
    /// A file that has grown beyond this is put aside and a new one begun.
    pub rotate_bytes: u64,
}

/// The placement log of this host, open for writing. One process has it at a time.
#[derive(Debug)]
pub struct PlacementLog {
    settings: LogSettings,
    file: File,
    /// Bytes of whole, synced lines.
    length: u64,
    /// The first record of the current file.
    first: Option<Seq>,
    tail: Tail,
    broken: bool,
}

/// What was found when the log was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenReport {
    /// Records in the current file.
    pub records: u64,
    /// Lines in it.
    pub lines: u64,
    /// What was mended, in words; absent where the file was whole.
    pub repaired: Option<String>,
}

/// What an append did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Appended {
    /// Records written.
    pub written: u64,
    /// Records that the log lacks from now on.
    pub gap: Option<(Seq, Seq)>,
}

impl PlacementLog {
    /// The last record that is on the disk: its epoch, number and hash. Absent for a log without
    /// records.
    pub fn head(&self) -> Option<(Epoch, Seq, Digest)> {
        (self.tail.seq > Seq(0)).then_some((self.tail.epoch, self.tail.seq, self.tail.hash))
    }

    /// The file that is written.
    pub fn path(&self) -> &Path {
        &self.settings.path
    }
}

#[cfg(test)]
mod tests;
