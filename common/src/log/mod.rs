//! The placement log: one line per decision and per state change, chained by BLAKE3.
//!
//! Three kinds of line stand in a log file, told apart by `line`:
//! - `record`: numbered and chained; the same bytes on every host, and in the store under
//!   `log/<seq>` until trimmed.
//! - `segment`: a process opened the file here, after this record.
//! - `gap`: this file lacks these records, between these two hashes.
//!
//! A line is canonical JSON: keys sorted, no spaces, no floats. Its `hash` is BLAKE3 over the hash
//! before it and the line without `hash`. So a changed byte, a line taken out, put in or moved shows
//! in the file alone; a file that was cut at its end shows against the ledger's head.
//!
//! Records carry, under `writes`, every ledger record they changed: the log is a redo log, and
//! `ledger recover` and standbys are fed from it.

mod canonical;
mod event;
mod line;
mod verify;

pub use canonical::canonical;
pub use event::EventName;
pub use line::{
    Actor, Attributes, Gap, Inputs, LineError, LogLine, LogRecord, Opened, Segment, Subject,
};
pub use verify::{BadLine, FileReport, Verifier, VerifyReport};
