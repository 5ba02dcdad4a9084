//! What operators say of GPUs: kept with the node, heeded at once, and passed on to its agent.
//!
//! An override decides about packing from the commit that brings it on, whatever the agent says by then;
//! the agent's own verdict follows when it has heard. An acknowledgement is for the agent alone: it
//! knows what was found, and whether it is gone.

use crate::event::Effect;
use crate::state::State;
use leasehold_common::ids::NodeIndex;
use leasehold_common::keys::Key;
use leasehold_common::lease::GpuSlots;
use leasehold_common::log::{Actor, Attributes, EventName};
use leasehold_common::node::{FleetRecord, Word};
use leasehold_common::time::Timestamp;

/// How many words one GPU has at most: whoever says more forgets what was said first. With reasons of
/// the longest kind those of eight GPUs are 11 KB, and a node's grants have room beside them.
const WORDS_MAX: usize = 3;

impl State {
    /// Notes a word on some GPUs of a node, with one record in the log.
    pub(crate) fn say_word(
        &mut self,
        index: NodeIndex,
        slots: GpuSlots,
        word: &Word,
        actor: &Actor,
        now: Timestamp,
    ) {
        let mut fleet = self.nodes[&index].fleet.clone();
        let said = (0_u8..).zip(&mut fleet.gpus);
        for (_, gpu) in said.filter(|(slot, _)| slots.contains(*slot)) {
            gpu.words.retain(|old| !word.is_instead_of(old));
            gpu.words.push(word.clone());
            let over = gpu.words.len().saturating_sub(WORDS_MAX);
            gpu.words.drain(..over);
        }
        let attributes = Attributes {
            from: None,
            to: Some(format!("gpus {slots}: {}", told(word))),
            reason: Some(word.why.clone()),
            actor: Some(actor.clone()),
        };
        self.log_node(index, EventName::GpuWord, attributes);
        self.change_words(fleet, Some(actor), now);
    }

    /// Takes words away whose time is over, as many as the batch has room for.
    pub(crate) fn due_words(&mut self, now: Timestamp) {
        while !self.draft.is_full() {
            let Some((at, index)) = self.word_ends.first().copied() else {
                return;
            };
            if at > now {
                return;
            }
            let mut fleet = self.nodes[&index].fleet.clone();
            let mut over: Vec<String> = Vec::new();
            for (slot, gpu) in (0_u8..).zip(&mut fleet.gpus) {
                gpu.words.retain(|word| {
                    let holds = word.until > now;
                    if !holds {
                        over.push(format!("gpu {slot}: {}", told(word)));
                    }
                    holds
                });
            }
            let attributes = Attributes {
                from: Some(over.join("; ")),
                reason: Some("its time is over".into()),
                ..Attributes::default()
            };
            self.log_node(index, EventName::GpuWord, attributes);
            self.change_words(fleet, None, now);
        }
    }

    /// When the first word expires.
    pub(crate) fn next_word_end(&self) -> Option<Timestamp> {
        self.word_ends.first().map(|(at, _)| *at)
    }

    /// Puts a fleet record with other words in its place, and does what follows from them. Its log
    /// record must be the latest of the draft.
    fn change_words(&mut self, fleet: FleetRecord, actor: Option<&Actor>, now: Timestamp) {
        let index = fleet.index;
        self.draft.changed(Key::Fleet(fleet.name.clone()));
        self.insert_node(fleet);
        self.judge_node(index, actor, now);
        self.draft.effects.push(Effect::Grants(index));
    }
}

/// `override healthy until 2026-11-22T05:51:41.000Z`.
fn told(word: &Word) -> String {
    let verdict = word.verdict.map(|verdict| format!(" {verdict}"));
    let reason = word.reason.as_ref().map(|reason| format!(" {reason}"));
    let (says, until) = (&word.says, word.until);
    let of = verdict.or(reason).unwrap_or_default();
    format!("{says}{of} until {until}")
}
