//! The simulated library as an agent meets it: loaded at run time, through `nvml-wrapper`, steered
//! through its state file while it runs.

#![expect(clippy::unwrap_used, reason = "what a test builds on must not fail")]

mod event;
mod faults;
mod reading;
mod state;
mod support;
