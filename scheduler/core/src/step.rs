//! The one function that decides.

use crate::draft::Entry;
use crate::event::{Effect, Event, RequestId, Step};
use crate::lease::CLOSED_MAX;
use crate::state::{Freeze, State};
use leasehold_common::api::{Problem, ProblemCode};
use leasehold_common::log::{Attributes, EventName};
use leasehold_common::time::{Span, Timestamp};
use std::collections::VecDeque;

/// How far this host's clock may be behind the ledger's before nothing is decided.
const BEHIND_MAX: Span = Span::from_secs(5);

/// Decides everything that `events` and the time ask for, as far as one batch has room: events that
/// did not fit stay in the queue, and [`Step::more`] says so.
///
/// The state is changed at once; the batch must be committed before any effect is released. Where
/// that cannot be done, the state is ahead of the ledger and has to be loaded again: it is never
/// undone in memory.
pub fn step(state: &mut State, events: &mut VecDeque<Event>, now: Timestamp) -> Step {
    let now = match state.watch_clock(now) {
        Some(now) => now,
        None => return state.step_frozen(events),
    };
    if state.frozen.is_some() {
        return state.step_frozen(events);
    }
    state.cell.advance(now);
    state.continue_admissions(now);
    while !state.draft.is_full() && state.admissions.is_empty() && state.frozen.is_none() {
        let Some(event) = events.pop_front() else {
            break;
        };
        state.take(event, now);
    }
    if state.frozen.is_some() {
        // An event showed that the store was restored from the past. What was decided before it in
        // this step rests on that store: it is dropped, and the state will be loaded again.
        let draft = std::mem::take(&mut state.draft);
        let mut step = state.step_frozen(events);
        step.effects.extend(state.refuse_all(draft.effects));
        return step;
    }
    state.settle_progress(now);
    state.turn_brake(now);
    state.end_graces(now);
    if state.admissions.is_empty() {
        state.due_flags(now);
        state.due_words(now);
        state.due_judgements(now);
        state.mend_leases(now);
        state.due_leases(now);
        state.settle_pending(now);
    }
    state.trim_closed(now);
    state.due_maintenance(now);
    state.log_presence();
    state.close_batch(events, now)
}

impl State {
    /// Ledger time at the host's time `now`; `None` where the host's clock cannot be trusted. Once
    /// it was not, the state stays frozen until it is loaded anew: what agents said meanwhile was
    /// dropped.
    fn watch_clock(&mut self, now: Timestamp) -> Option<Timestamp> {
        let behind = self.head.now.since(now);
        if behind > BEHIND_MAX {
            let detail = format!("it is {behind} behind the ledger's last commit");
            self.frozen.get_or_insert(Freeze::Clock { detail });
            return None;
        }
        Some(now.max(self.head.now))
    }

    fn take(&mut self, event: Event, now: Timestamp) {
        match event {
            Event::Elected { host } => {
                let attributes = Attributes {
                    to: Some(host),
                    ..Attributes::default()
                };
                let entry = Entry {
                    attributes,
                    ..Entry::default()
                };
                self.draft.log(EventName::LeaderElected, entry);
            }
            Event::Request { id, actor, write } => {
                if let Some(result) = self.request(id, &actor, *write, now) {
                    self.draft.effects.push(Effect::Answer {
                        id,
                        result: Box::new(result),
                    });
                }
            }
            Event::Report(node, report) => self.report(&node, report, now),
            Event::Health(node, health) => self.health(&node, health, now),
            Event::Acks(node, acks) => self.acks(&node, acks, now),
            Event::Live(node, live) => match self.by_name.get(&node) {
                Some(&index) => self.presence(index, live.is_some(), now),
                None => self.stranger_presence(&node, live.is_some(), now),
            },
            Event::Unreadable(node, what) => self.invalid_report(&node, &what),
            Event::ContactLost | Event::ContactBack => self.hold_liveness(now),
        }
    }

    /// While nothing is decided, whoever asks is told why. What agents say is dropped: before
    /// anything is decided again, the state is loaded anew.
    fn step_frozen(&self, events: &mut VecDeque<Event>) -> Step {
        let mut effects = Vec::new();
        for event in events.drain(..) {
            match event {
                Event::Request { id, .. } => effects.push(self.refuse(id)),
                Event::Elected { .. }
                | Event::Report(..)
                | Event::Health(..)
                | Event::Acks(..)
                | Event::Live(..)
                | Event::Unreadable(..)
                | Event::ContactLost
                | Event::ContactBack => {}
            }
        }
        Step {
            batch: None,
            effects,
            more: false,
        }
    }

    /// Answers for requests whose decisions were dropped, and for those that were being carried out.
    fn refuse_all(&mut self, effects: Vec<Effect>) -> Vec<Effect> {
        let decided = effects.into_iter().filter_map(|effect| match effect {
            Effect::Answer { id, .. } => Some(id),
            Effect::Grants(_) => None,
        });
        let under_way = self.admissions.drain(..).map(|job| job.id);
        let ids: Vec<_> = decided.chain(under_way).collect();
        ids.into_iter().map(|id| self.refuse(id)).collect()
    }

    fn refuse(&self, id: RequestId) -> Effect {
        let why = self.frozen.as_ref().map(ToString::to_string);
        let problem = Problem::new(ProblemCode::Frozen, why.unwrap_or_default());
        Effect::Answer {
            id,
            result: Box::new(Err(problem)),
        }
    }

    fn close_batch(&mut self, events: &VecDeque<Event>, now: Timestamp) -> Step {
        let more = !events.is_empty()
            || !self.admissions.is_empty()
            || !self.progressed.is_empty()
            || self.ahead.has_work()
            || self.timers.first().is_some_and(|(at, _)| *at <= now)
            || self.next_maintenance_wake().is_some_and(|at| at <= now)
            || self.next_flag_end().is_some_and(|at| at <= now)
            || self.next_word_end().is_some_and(|at| at <= now)
            || self.next_judgement().is_some_and(|at| at <= now)
            || self.next_mending().is_some_and(|at| at <= now)
            || self.closed.len() > CLOSED_MAX;
        let draft = std::mem::take(&mut self.draft);
        if draft.is_empty() {
            return Step {
                batch: None,
                effects: draft.effects,
                more,
            };
        }
        let head = self.head.clone();
        let (batch, effects) = draft.close(&self.settings.cell, head, now, |key| self.stored(key));
        self.head = batch.head.clone();
        Step {
            batch: Some(batch),
            effects,
            more,
        }
    }
}
