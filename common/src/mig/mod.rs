//! How one GPU can be partitioned (MIG): which instances there are, and where they may stand.
//!
//! ```text
//!   memory slices   0   1   2   3   4   5   6   7        of an H200, say
//!                 [ 4g.71gb       ][ 2g.35gb ][1g]  ·    one layout among 2319
//! ```
//!
//! An instance takes a run of memory slices and with them a number of compute slices. It may begin
//! only at the slices its profile lists, two instances never share a slice, and no more is needed:
//! where the slices do not overlap, the compute slices are enough. The one exception is a profile of
//! which a GPU has fewer than would find a place, as it has one set of media engines (`+me`).
//!
//! Geometry is data: `families.toml`, read once. Names of profiles are for people and requests;
//! to the driver a profile is its number, since the same instance has had two names.
//!
//! Not here: which instances a GPU has and which to add (`leasehold-placement`), and how they are
//! made (`leasehold-agent`).

mod family;
mod profile;

pub use family::{MigError, MigFamilies, MigFamily, MigKind, UnknownFamily, UnknownProfile};
pub use profile::MigProfile;
