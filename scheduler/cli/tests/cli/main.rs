//! `leasectl` as operators and scripts meet it: whole commands over a socket of their own.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests may fail where they stand"
)]

mod client;
mod drain;
mod errors;
mod gpus;
mod leases;
mod local;
mod nodes;
mod rules;
mod server;
mod usage;
