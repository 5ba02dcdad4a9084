//! The packing engine: which nodes, which GPUs, from when, and why there and not elsewhere.
//!
//! ```text
//!   Cell (live, changed by small steps)      Request       Policy      now
//!      │   set_node · set_condition · adopt     │             │         │
//!      │   book · set_end · end · release_node  │             │         │
//!      └───────────────────────┬────────────────┴─────────────┴─────────┘
//!                            plan()
//!        Placed { plan }  ·  Wait { earliest }  ·  Never      each with an Explanation
//! ```
//!
//! A decision is made in four looks at the cell, each in a module of [`mod@plan`]:
//! 1. *rules*: by every hard rule for the window asked for, what nodes fail is counted, all of it.
//! 2. *small*, *slices*, *gang*: placements made of nodes that fail nothing, and that the *limits* allow
//!    together (watts, floors, ceilings), are compared by one [`Score`], whose field order is the
//!    policy. A gang goes into the smallest unit that holds it; a lease on one node goes where it
//!    fits best. Slices go where GPUs are in slices already.
//! 3. *never*: where there is no placement, whether an empty and healthy cell would have had one.
//! 4. *wait*: where it would, what is in the way, when time alone will have removed it, and what
//!    else would.
//!
//! What decisions about the present look up is kept in order by each change of the cell: how nodes
//! stand, how many stand alike, which pool is broken into first. A lease on one node therefore costs
//! the same in a cell of any size, and its counts come from there too; a gang looks at each node of
//! its SKU once, and so does whatever meets a budget or a floor.
//!
//! Invariants:
//! - A GPU is in one booking at a time, or its slices are, and then no slice is in two; a node serves one account, and so one side, at a time, or as
//!   policy keeps sides and accounts apart. [`Cell::book`] refuses anything else whoever asks, and
//!   [`checker`], which shares no code with the planner, says the same of a plan.
//! - A booking's hardware is kept free for the policy's turnaround after its end, so a node is let
//!   for `[start, end + turnaround)`. Hardware whose lease has ended stays blocked until it is back,
//!   however long that takes.
//! - The same cell, request, policy and instant give the same decision, byte for byte: no clock, no
//!   I/O, no threads, no hash order, no floats. Every comparison ends at a node's number. Under a rate of
//!   cleaning a cell is more than its nodes and bookings: who came first has the first hour, until all are
//!   counted again.
//! - The cell is never copied or rebuilt for a decision. Its nodes stand in topology order, so that
//!   every unit is a range of them.
//!
//! A lease that has hardware may want less of it ([`shrink()`], [`trim_gpus()`], [`trim_slices()`]) or another node in the place of one
//! ([`replace()`]). Two more questions are answered from the same looks: [`surplus()`], what could be let beside all
//! that is promised, and [`victims`], whose leases would be taken back for a request that waits.
//!
//! Beside whole GPUs there are three smaller worlds, each a module that stands alone: [`power`] is
//! watts over time, [`mig`] the slices of one GPU, and [`fine`] thousandths of GPUs and cores, as
//! published traces ask for them.
//!
//! Not here: quota and the life cycles of leases and nodes (`leasehold-core`), and who may ask for
//! what (the API). No MIG instance is made, and what would be reclaimed is only said.

pub mod cell;
pub mod checker;
mod decision;
pub mod fine;
pub mod mig;
pub mod plan;
pub mod power;
mod request;

pub use cell::{BookError, Booked, Booking, Cell, Hold, Lifted, NodeCondition, NodeHeld, NodeSpec};
pub use decision::{Decision, Plan};
pub use leasehold_common::policy::Policy;
pub use plan::{
    Gang, Part, Score, Shrunk, Trimmed, any_fits, could_hold, drop_nodes, first_fit, plan, replace,
    shape_of, shrink, spare_for, surplus, trim_gpus, trim_slices, victims,
};
pub use request::{End, Request};
