//! Slices of GPUs: MIG instances, by where they stand.

use crate::ids::NodeIndex;
use crate::mig::MigProfile;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// One MIG instance on a node: it leaves nothing to be chosen.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema,
)]
pub struct Slice {
    /// The slot of its GPU.
    pub gpu: u8,
    /// What it is.
    pub profile: MigProfile,
    /// The memory slice it begins at, 0 to 7.
    pub start: u8,
}

impl fmt::Display for Slice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            gpu,
            profile,
            start,
        } = self;
        write!(f, "{profile} at {start} of gpu {gpu}")
    }
}

/// Which slices, on nodes of which a lease has slices; in order of GPU and start.
pub type Slices = BTreeMap<NodeIndex, Vec<Slice>>;

/// The compute slices of all of them.
pub fn sevenths(slices: &[Slice]) -> u32 {
    let each = slices
        .iter()
        .map(|slice| u32::from(slice.profile.sevenths()));
    each.sum()
}
