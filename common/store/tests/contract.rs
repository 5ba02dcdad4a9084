//! What a store promises, told as stories.
//!
//! ```text
//!   both/      the contract: every story is told over etcd and over the embedded store
//!   etcd/      what only servers do: die, freeze, compact, refuse, speak TLS
//!   embedded/  what only a file does: be in use, be cut off in the middle
//!   support/   etcd processes of our own, certificates, waiting with a deadline
//! ```
//!
//! Every test starts what it needs, on its own ports and in its own directory, and ends only that.
//! Without an `etcd` binary the stories over etcd fail and say so; `LEASEHOLD_TESTS_WITHOUT_ETCD=1`
//! leaves them out.

#![expect(
    clippy::unwrap_used,
    reason = "a story that cannot be told has failed, helpers included"
)]

mod both;
mod embedded;
mod etcd;
mod support;
