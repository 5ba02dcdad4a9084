//! What both daemons need at run time, and neither wants to write twice.
//!
//! ```text
//!   settings   files, environment, flags ──► one checked value, or every mistake at once
//!   store      the [store] table ──► Arc<dyn Store>
//!   logging    journald where systemd reads us, stderr where people do
//!   notify     READY, STATUS, WATCHDOG to systemd
//!   socket     a Unix socket that is never reachable with wrong permissions, and who calls on it
//!   metrics    OpenMetrics on loopback or a Unix socket, out of what was last published
//!   shutdown   SIGTERM and SIGINT as a cancellation token
//! ```
//!
//! Invariants kept here:
//! - Bad settings name where each mistake stands, and nothing has been touched when they are told.
//! - A process started by hand, without systemd, behaves the same; what systemd alone offers turns
//!   into nothing.
//! - The environment is read and never changed: changing it is a data race in a threaded process.
//!
//! Not here: what a daemon's settings are (each daemon's own), and anything that decides.

pub mod logging;
pub mod metrics;
pub mod notify;
pub mod settings;
pub mod shutdown;
pub mod socket;
pub mod store;
