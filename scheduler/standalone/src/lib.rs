//! `leasehold`: scheduler and agents in one process, over the embedded store.
//!
//! ```text
//!   leasehold --simulate 16xh200            leasehold            leasehold demo
//!          │                                    │                      │
//!      simulated nodes                   this host's GPUs       the first one as a child,
//!          └──────────┬─────────────────────────┘               driven and killed
//!                  cell: store · log · scheduler · agents · control socket
//! ```
//!
//! The default for a single host, and for trying things out. It is made of the same parts as the
//! separate daemons: the same duty, the same agents, the same socket. Only the store is another, and
//! with `--simulate` the GPUs are. Its first lines say which of that is not real.
//!
//! `leasehold simulate` runs no cell: it tries the packing engine on a made-up one.
//!
//! This is the only package that may use both the agent and the scheduler.

pub mod cell;
pub mod demo;
pub mod inject;
pub mod nodes;
pub mod own;
pub mod simulate;
pub mod trials;
