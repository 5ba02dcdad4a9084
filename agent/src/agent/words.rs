//! What operators say of this node's GPUs, as the verdicts hear it.

use super::desk::Desk;
use leasehold_agent_core::verdict::{self, Event, Observation};
use leasehold_common::ids::GpuUuid;
use leasehold_common::node::{self, WordKind};
use leasehold_common::time::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The words by GPU, as they came last.
pub(super) type Words = BTreeMap<GpuUuid, Vec<node::Word>>;

impl Desk {
    /// Tells the verdicts what operators say, once for each time it came: what is told twice changes
    /// nothing the second time.
    pub(super) fn heed_words(&mut self, now: Timestamp) {
        for (gpu, words) in std::mem::take(&mut self.words) {
            let events: Vec<Event> = words.iter().filter_map(event).collect();
            let said = Observation {
                sample: None,
                events: &events,
            };
            let rules = Arc::clone(&self.settings.rules);
            self.state_of(&gpu, now).observe(&said, now, &rules);
        }
    }
}

/// A word as an event; absent for one that only a later version knows.
fn event(word: &node::Word) -> Option<Event> {
    let said = || verdict::Word {
        at: word.at,
        owner: word.by.clone(),
        why: word.why.clone(),
        expires: word.until,
    };
    match word.says {
        WordKind::Acknowledge => Some(Event::Acknowledge {
            word: said(),
            reason: word.reason.clone(),
        }),
        WordKind::Override => Some(Event::Override {
            word: said(),
            verdict: word.verdict?,
        }),
        WordKind::Withdraw => Some(Event::Withdraw { at: word.at }),
        // The list of words is open.
        _ => None,
    }
}
