//! The harness of the end-to-end tests: a whole cell as processes on this host.
//!
//! What the cores promise is tested where they are, over model stores and thousands of seeds. What
//! is left for here is everything those tests replace: real processes that are killed and frozen, a
//! real etcd that is restored from a snapshot, a real file whose last line is torn, and the C ABI of
//! `libnvidia-ml` under three agents.
//!
//! ```text
//!   a test ── Ctl (leasectl, the program) ──► control.sock ◄── leasehold-scheduler  ctl1, ctl2 …
//!     │                                                              │
//!     ├── Process: kill -9, freeze, thaw, by pid                   etcd   (its own ports, its own data)
//!     │                                                              │
//!     └── Scenario in a file beside ──► libnvml_sim.so ◄── leasehold-agent  h001, h002 …
//! ```
//!
//! # Invariants
//! - Everything lies in one temporary directory and listens on ports that were free; nothing on the
//!   host is read but the programs.
//! - What a test starts it ends, by pid, also when it fails; then the ends of the processes' own
//!   logs are printed.
//! - A test waits for conditions, with a deadline ([`wait_for`]), and never for time to pass.
//! - Children get an empty environment and write to files of their own, never to the test's output.
//! - No test builds anything: `cargo xtask test` builds the programs first, and a program that is
//!   missing is named with the command that builds it.
//!
//! Not here: stories. Those are in `tests/`, one noun per file.

mod agent;
mod all_in_one;
mod cell;
mod ctl;
mod double_booking;
mod etcd;
mod http;
mod ports;
mod process;
mod programs;
mod scheduler;
mod scrape;
mod storm;
mod wait;

pub use agent::Agent;
pub use all_in_one::AllInOne;
pub use cell::Cell;
pub use ctl::{Ctl, LogReport, Said};
pub use double_booking::assert_no_gpu_is_held_twice;
pub use etcd::Etcd;
pub use http::{Answer, Request};
pub use ports::free_ports;
pub use process::Process;
pub use programs::program;
pub use scheduler::Scheduler;
pub use scrape::{Scrape, promtool, wait_for_value};
pub use storm::Storm;
pub use wait::{PATIENCE, wait_for, wait_until};
