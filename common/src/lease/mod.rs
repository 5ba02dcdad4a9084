//! A lease: an account's right to a shape of hardware from a start to an end.
//!
//! [`spec`] is what was asked, [`state`] how far it has come, [`record`](self::LeaseRecord) what is
//! stored of it, with its placement as timed [`segment`]s.

mod condition;
mod idempotency;
mod leaving;
mod record;
mod segment;
mod shape;
mod slice;
mod spec;
mod state;

pub use condition::{Condition, ConditionKind};
pub use idempotency::{Digest, Idempotency, InvalidDigest};
pub use leaving::Leaving;
pub use record::{LeaseRecord, NodeProgress, SUPERSEDED_KEPT};
pub use segment::{GpuSlots, Segment, SegmentReason};
pub use shape::Shape;
pub use slice::{Slice, Slices, sevenths};
pub use spec::{HostShare, LeaseSpec};
pub use state::LeaseState;
