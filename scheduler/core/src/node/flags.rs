//! Flags that keep new leases away: what becomes of them, and when the clock takes one away.

use crate::draft::Entry;
use crate::state::{Changed, State};
use leasehold_common::explain::{Explanation, Reason, Unblock};
use leasehold_common::ids::{NodeIndex, SkuName};
use leasehold_common::keys::Key;
use leasehold_common::lease::{Idempotency, SUPERSEDED_KEPT};
use leasehold_common::log::{Actor, Attributes, EventName, Subject};
use leasehold_common::node::{Flag, FlagKind, FleetRecord};
use leasehold_common::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// How many flags with an end are looked at to say which goes first.
const LOOKED_AT: usize = 4_096;

/// The flags of one node.
pub(crate) type Flags = BTreeMap<FlagKind, Flag>;

/// What is to become of the flags of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum FlagChange {
    /// It is to have this one.
    Set(FlagKind, Flag),
    /// It is to be rid of this one, or of all.
    Clear(Option<FlagKind>),
}

impl FlagChange {
    /// The flags of a node after it; `None` where they stay as they are. What somebody else has set
    /// stays until it is taken away: their reason is not ours to overwrite.
    pub fn of(&self, before: &Flags) -> Option<Flags> {
        let mut after = before.clone();
        match self {
            Self::Set(kind, flag) => {
                let known = before.get(kind);
                if known.is_some_and(|known| known.by != flag.by) {
                    return None;
                }
                let since = known.map_or(flag.since, |known| known.since);
                let flag = flag.clone();
                after.insert(kind.clone(), Flag { since, ..flag });
            }
            Self::Clear(Some(kind)) => drop(after.remove(kind)),
            Self::Clear(None) => after.clear(),
        }
        (after != *before).then_some(after)
    }

    /// Whether a flag stays although it, or one of its kind, was spoken of.
    pub fn keeps(&self, kind: &FlagKind, flag: &Flag) -> bool {
        match self {
            Self::Set(set, new) => kind == set && flag.by != new.by,
            Self::Clear(Some(cleared)) => kind != cleared,
            Self::Clear(None) => false,
        }
    }
}

impl State {
    /// Gives nodes other flags, with one record in the log. The caller has seen to it that the batch
    /// has room for them.
    pub(crate) fn change_flags(
        &mut self,
        nodes: &[NodeIndex],
        change: &FlagChange,
        reason: Option<String>,
        actor: Option<Actor>,
    ) {
        let changed = nodes.iter().filter_map(|index| {
            let node = self.nodes.get(index)?;
            Some((*index, change.of(&node.fleet.flags)?))
        });
        let changed: Vec<(NodeIndex, Flags)> = changed.collect();
        let (event, to) = match change {
            FlagChange::Set(kind, flag) => {
                let until = flag.until.map(|until| format!(" until {until}"));
                let to = format!("{kind}{}", until.unwrap_or_default());
                (EventName::NodeFlagged, Some(to))
            }
            FlagChange::Clear(_) => (EventName::NodeUnflagged, None),
        };
        let attributes = Attributes {
            from: None,
            to,
            reason,
            actor,
        };
        self.set_flags(changed, event, attributes);
    }

    fn set_flags(
        &mut self,
        changed: Vec<(NodeIndex, Flags)>,
        event: EventName,
        mut attributes: Attributes,
    ) {
        if changed.is_empty() {
            return;
        }
        if event == EventName::NodeUnflagged {
            let gone = changed.iter().flat_map(|(index, after)| {
                let before = self.nodes[index].fleet.flags.keys();
                before.filter(|kind| !after.contains_key(kind))
            });
            let gone: BTreeSet<&str> = gone.map(FlagKind::as_str).collect();
            attributes.from = Some(gone.into_iter().collect::<Vec<_>>().join(", "));
        }
        let subject = Subject {
            nodes: Some(changed.iter().map(|(index, _)| *index).collect()),
            ..Subject::default()
        };
        let entry = Entry {
            subject,
            attributes,
            ..Entry::default()
        };
        self.draft.log(event, entry);
        for (index, flags) in changed {
            let fleet = FleetRecord {
                flags,
                ..self.nodes[&index].fleet.clone()
            };
            self.draft.changed(Key::Fleet(fleet.name.clone()));
            self.insert_node(fleet);
        }
    }

    /// Keeps a write in the record of the last node that it changed, under the log record that says so.
    pub(crate) fn remember_flags(&mut self, index: NodeIndex, known: Idempotency) {
        let mut fleet = self.nodes[&index].fleet.clone();
        fleet.idempotency.push(known);
        if fleet.idempotency.len() > SUPERSEDED_KEPT {
            fleet.idempotency.remove(0);
        }
        self.draft.changed(Key::Fleet(fleet.name.clone()));
        self.insert_node(fleet);
    }

    /// Takes flags away whose time is over, as many as the batch has room for.
    pub(crate) fn due_flags(&mut self, now: Timestamp) {
        while !self.draft.is_full() {
            let due = self.flag_ends.iter().take_while(|(at, ..)| *at <= now);
            let due: BTreeSet<NodeIndex> = due
                .map(|(_, index, _)| *index)
                .take(self.draft.room())
                .collect();
            if due.is_empty() {
                return;
            }
            let rest = due.into_iter().map(|index| {
                let mut flags = self.nodes[&index].fleet.flags.clone();
                flags.retain(|_, flag| flag.until.is_none_or(|until| until > now));
                (index, flags)
            });
            let rest = rest.collect();
            let attributes = Attributes {
                reason: Some("its time is over".into()),
                ..Attributes::default()
            };
            self.set_flags(rest, EventName::NodeUnflagged, attributes);
        }
    }

    /// Says of nodes that would do and are flagged that they may be undrained, and when the clock does so.
    pub(crate) fn say_who_undrains(&self, sku: &SkuName, why: &mut Explanation) {
        let drained = why.reasons.iter().find(|r| r.reason == Reason::Draining);
        let Some(nodes) = drained.map(|r| r.nodes).filter(|nodes| *nodes > 0) else {
            return;
        };
        let is_meant = |index: &NodeIndex| {
            let node = self.nodes.get(index);
            node.is_some_and(|node| node.fleet.sku == *sku && node.fleet.flags.len() == 1)
        };
        let mut ends = self.flag_ends.iter().take(LOOKED_AT);
        let first = ends.find(|(_, index, _)| is_meant(index));
        let at = first.map(|(at, ..)| *at);
        why.unblocked_by.push(Unblock::NodesUndrained { nodes, at });
    }

    /// When the clock takes the first flag away.
    pub(crate) fn next_flag_end(&self) -> Option<Timestamp> {
        self.flag_ends.first().map(|(at, ..)| *at)
    }

    /// Takes a node's fleet record, if there is one, out of the indexes over flags and words, before another
    /// takes its place.
    pub(crate) fn forget_flags(&mut self, index: NodeIndex) {
        let Some(fleet) = self.nodes.get(&index).map(|node| &node.fleet) else {
            return;
        };
        for (kind, flag) in &fleet.flags {
            if let Some(until) = flag.until {
                self.flag_ends.remove(&(until, index, kind.clone()));
            }
        }
        for word in fleet.gpus.iter().flat_map(|gpu| &gpu.words) {
            self.word_ends.remove(&(word.until, index));
        }
        for known in &fleet.idempotency {
            self.by_key.remove(&(known.uid, known.key.clone()));
        }
    }

    /// Enters a fleet record into the indexes over flags and words.
    pub(crate) fn index_flags(&mut self, fleet: &FleetRecord) {
        for (kind, flag) in &fleet.flags {
            if let Some(until) = flag.until {
                self.flag_ends.insert((until, fleet.index, kind.clone()));
            }
        }
        for word in fleet.gpus.iter().flat_map(|gpu| &gpu.words) {
            self.word_ends.insert((word.until, fleet.index));
        }
        for known in &fleet.idempotency {
            let target = Changed::Flags(fleet.index);
            self.by_key.insert((known.uid, known.key.clone()), target);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: Timestamp = Timestamp::from_unix_ms(1_790_000_000_000);

    fn flag(by: &str, why: &str, since: Timestamp) -> Flag {
        Flag {
            by: by.into(),
            why: why.into(),
            since,
            until: None,
        }
    }

    #[test]
    fn a_flag_of_ones_own_is_renewed_and_keeps_its_age_and_anothers_stays() {
        let later = Timestamp::from_unix_ms(T.unix_ms() + 1);
        let before = Flags::from([(FlagKind::NoNewLeases, flag("7", "fan", T))]);
        let again = FlagChange::Set(FlagKind::NoNewLeases, flag("7", "fan 2", later));
        let after = again.of(&before).unwrap();
        assert_eq!(after[&FlagKind::NoNewLeases], flag("7", "fan 2", T));
        assert_eq!(again.of(&after), None, "twice is once");

        let other = FlagChange::Set(FlagKind::NoNewLeases, flag("8", "disk", later));
        assert_eq!(other.of(&before), None);
        assert!(other.keeps(&FlagKind::NoNewLeases, &before[&FlagKind::NoNewLeases]));

        let beside = FlagChange::Set(FlagKind::Maintenance, flag("8", "disk", later));
        let both = beside.of(&before).unwrap();
        assert_eq!(both.len(), 2);
        let one = FlagChange::Clear(Some(FlagKind::NoNewLeases)).of(&both);
        assert_eq!(
            one.unwrap().into_keys().collect::<Vec<_>>(),
            [FlagKind::Maintenance]
        );
        assert_eq!(FlagChange::Clear(None).of(&both), Some(Flags::new()));
        assert_eq!(FlagChange::Clear(None).of(&Flags::new()), None);
    }
}
