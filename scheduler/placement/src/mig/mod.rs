//! Slices of GPUs: which instances a GPU holds, where the next ones go, and which GPUs of a node.
//!
//! ```text
//!   Geometry   one for each family, from leasehold_common::mig, with every answer for one kind
//!      │       tabled by state (8 slices taken or free, media engines taken or free: 512 states)
//!      ├─ Layout        what one GPU holds: eight bytes, Copy
//!      ├─ room · place  how many more of a kind, and where they leave most: look-ups
//!      └─ choose        a mixed wish over the GPUs of one node: an exact, small search
//! ```
//!
//! Instances cannot be moved while they are used, so where one is put is what the GPU can still hold
//! until it ends. A placement is judged by the [`Geometry::outlook`] it leaves: how many of the
//! largest kind still fit, then of the next, and so on down. That puts a `3g` at slice 4, because at
//! 0 it would cost the `4g`, and a `2g` as high as it goes.
//!
//! Invariants:
//! - A layout is legal because there is no other way to make one: [`Geometry::put`] refuses the rest.
//! - [`choose`] refuses only what cannot be placed at all, whatever the mixture; it never changes an
//!   instance that exists, and never takes a GPU it was not given.
//! - Of the GPUs given, those in MIG mode come first, the fullest of them first, and of the others
//!   as few as can be are switched.
//!
//! Not here: whether tenants may share a GPU, which GPUs are idle, and how instances are made.

mod choose;
mod geometry;
mod layout;
mod table;
#[cfg(test)]
mod tests;

pub use choose::{Assignment, Sliced, Wanted, choose};
pub use geometry::{Geometry, Outlook};
pub use layout::{Illegal, Instance, Kind, Layout, Starts};
