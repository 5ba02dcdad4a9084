//! The packing engine: which nodes, which GPUs, from when, and why there and not elsewhere.
//!
//! ```text
//!   Cell (live, changed by small steps)      Request       Policy      now
//!      │   set_node · set_condition             │             │         │
//!      │   book · set_end · end · release_node  │             │         │
//!      └───────────────────────┬────────────────┴─────────────┴─────────┘
//!                            plan()
//!        Placed { plan }  ·  Wait { earliest }  ·  Never      each with an Explanation
//! ```
//!
//! A decision is made in four looks at the cell, each in a module of [`mod@plan`]:
//! 1. *rules*: every node is judged by every hard rule for the window asked for. What it fails is
//!    counted, all of it.
//! 2. *search*: placements made of nodes that fail nothing are compared by one [`Score`], whose
//!    field order is the policy. A gang goes into the smallest unit that holds it; single GPUs go
//!    to the node they fit best.
//! 3. *never*: where there is no placement, whether an empty and healthy cell would have had one.
//! 4. *wait*: where it would, what is in the way, when time alone will have removed it, and what
//!    else would.
//!
//! Invariants:
//! - A GPU is in one booking at a time; a node serves one account, and so one side, at a time.
//!   [`Cell::book`] refuses anything else whoever asks, and [`checker`], which shares no code with
//!   the planner, says the same of a plan.
//! - A booking's hardware is kept free for the policy's turnaround after its end, so a node is let
//!   for `[start, end + turnaround)`. Hardware whose lease has ended stays blocked until it is back,
//!   however long that takes.
//! - The same cell, request, policy and instant give the same decision, byte for byte: no clock, no
//!   I/O, no threads, no hash order, no floats. Every comparison ends at a node's number.
//! - The cell is never copied or rebuilt for a decision. Its nodes stand in topology order, so that
//!   every unit is a range of them.
//!
//! Not here: quota and the life cycles of leases and nodes (`leasehold-core`), and who may ask for
//! what (the API). MIG slices, power budgets, floors and reclaim are not planned yet.

pub mod cell;
pub mod checker;
mod decision;
pub mod fine;
pub mod plan;
mod request;

pub use cell::{BookError, Booked, Booking, Cell, Hold, NodeCondition, NodeHeld, NodeSpec};
pub use decision::{Decision, Plan};
pub use plan::{Score, plan};
pub use request::{End, Policy, Request};
