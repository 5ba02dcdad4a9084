//! When nodes would be clean after a lease, found once for all below one place.
//!
//! Nodes below the same places with a rate would be cleaned in the same hour, and that hour takes a look
//! at every hour in which anything is cleaned after the end. A decision that judges every node asks once
//! for each of those places.

use super::ask::Ask;
use crate::power::UnitId;
use leasehold_common::ids::NodeIndex;
use leasehold_common::time::Timestamp;
use std::collections::BTreeMap;

/// What is known, for one ask: by the smallest place with a rate above a node.
#[derive(Debug, Default)]
pub(super) struct Cleaned(BTreeMap<Option<UnitId>, Timestamp>);

impl Cleaned {
    /// The same as [`Ask::on`]. To be asked of one ask only.
    pub(super) fn on<'a>(&mut self, ask: &Ask<'a>, node: NodeIndex) -> Ask<'a> {
        let Some(end) = ask.washed_end() else {
            return *ask;
        };
        let place = ask.cell.smallest_rated(node);
        let last = || ask.cell.last_pass(node, end, ask.passes);
        ask.cleaned_from(*self.0.entry(place).or_insert_with(last))
    }
}
