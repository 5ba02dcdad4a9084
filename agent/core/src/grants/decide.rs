//! How the book changes: with the grants that arrive, and with the clock.

use super::book::{ENDED_MAX, Ended, Entry, GrantBook, Phase, Refusal};
use super::rules::{self, Refused};
use leasehold_common::grant::{Grant, Order, RefusalReason, SealedGrant};
use leasehold_common::ids::{CellName, GpuUuid, LeaseId, NodeName, Seq, Term};
use leasehold_common::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// What the rules need to know about the node.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// Its cell.
    pub cell: &'a CellName,
    /// Its name.
    pub node: &'a NodeName,
    /// The GPUs it has.
    pub gpus: &'a BTreeSet<GpuUuid>,
    /// Those with a process that no lease explains.
    pub occupied: &'a BTreeSet<GpuUuid>,
}

/// What must be done so that the node is as the book says. Every step may be repeated, and a crash
/// between two of them is repaired by doing them again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Put the lease on disk as it now is.
    Keep(LeaseId),
    /// Write its environment file.
    WriteEnv(LeaseId),
    /// Remove its environment file.
    RemoveEnv(LeaseId),
    /// Put the list of ended leases on disk, then take the lease off it.
    Retire(LeaseId),
}

/// Decides on the grants as they were last received, or on the clock alone where none were.
///
/// `received` is every grant in `grants/<node>`. A live lease that is missing from it goes on.
#[must_use]
pub fn decide(
    book: &mut GrantBook,
    received: Option<&BTreeMap<LeaseId, SealedGrant>>,
    facts: &Facts<'_>,
    now: Timestamp,
) -> Vec<Step> {
    let mut draft = Draft {
        served: book.serving().map(|(lease, _)| lease).collect(),
        touched: BTreeSet::new(),
        book,
        facts,
        now,
    };
    // What is over makes room for what arrives.
    draft.end_what_is_due();
    if let Some(received) = received {
        draft.learn(received);
        draft.forget_the_oldest();
    }
    draft.begin_what_is_due();
    draft.steps()
}

struct Draft<'a> {
    book: &'a mut GrantBook,
    facts: &'a Facts<'a>,
    now: Timestamp,
    /// Served when the decision began.
    served: BTreeSet<LeaseId>,
    touched: BTreeSet<LeaseId>,
}

impl Draft<'_> {
    fn end_what_is_due(&mut self) {
        let due = |entry: &Entry| {
            let grant = entry.grant();
            grant.order == Order::End || grant.access_end.is_some_and(|end| end <= self.now)
        };
        let over: Vec<LeaseId> = self
            .book
            .live()
            .filter(|(_, entry)| due(entry))
            .map(|(lease, _)| lease)
            .collect();
        for lease in over {
            if let Some(mut entry) = self.book.live.remove(&lease) {
                entry.count(self.now, &|_| None);
                self.book.ended.insert(lease, entry.ended(self.now));
                self.book.refusals.remove(&lease);
                self.touched.insert(lease);
            }
        }
    }

    fn learn(&mut self, received: &BTreeMap<LeaseId, SealedGrant>) {
        self.book.offered = received.keys().copied().collect();
        let before = std::mem::take(&mut self.book.refusals);
        let mut readable = BTreeMap::new();
        for (lease, sealed) in received {
            match sealed.open() {
                Ok(grant) => {
                    readable.insert(*lease, (sealed, grant));
                }
                Err(e) => {
                    let refused = (RefusalReason::Unreadable, e.to_string());
                    self.refuse(*lease, Term::default(), Seq::default(), refused, &before);
                }
            }
        }
        // One grant may make room for another, whatever their order: what was refused is tried again
        // as long as anything is taken.
        let mut order: Vec<LeaseId> = readable.keys().copied().collect();
        order.sort_by_key(|lease| (self.turn(*lease, &readable[lease].1), *lease));
        loop {
            let waiting = order.len();
            let mut refused = Vec::new();
            order.retain(|lease| {
                let (sealed, grant) = &readable[lease];
                match self.take(*lease, sealed, grant) {
                    Ok(()) => false,
                    Err(why) => {
                        refused.push((grant.term, grant.term_seq, why));
                        true
                    }
                }
            });
            if order.len() == waiting {
                for (lease, (term, seq, why)) in order.iter().zip(refused) {
                    self.refuse(*lease, term, seq, why, &before);
                }
                return;
            }
        }
    }

    /// Ends and shorter terms first: what they free may be what another grant is about.
    fn turn(&self, lease: LeaseId, grant: &Grant) -> u8 {
        let later = |end: Option<Timestamp>| end.unwrap_or(Timestamp::from_unix_ms(i64::MAX));
        match (grant.order, self.book.entry(lease)) {
            (Order::End, _) => 0,
            (Order::Serve, Some(held))
                if later(grant.access_end) <= later(held.grant().access_end) =>
            {
                1
            }
            (Order::Serve, Some(_)) => 2,
            (Order::Serve, None) => 3,
        }
    }

    fn take(&mut self, lease: LeaseId, sealed: &SealedGrant, grant: &Grant) -> Result<(), Refused> {
        if let Some(ended) = self.book.ended.get_mut(&lease) {
            rules::is_ours(lease, grant, self.facts)?;
            // It stays over, whatever newer terms say; they are answered with the same end.
            if grant.term > ended.term {
                ended.term = grant.term;
                ended.term_seq = grant.term_seq;
                self.touched.insert(lease);
            }
            self.book.epoch = self.book.epoch.max(grant.term.epoch);
            return Ok(());
        }
        // The same terms again are no news. They are not compared: a new leader may have issued
        // them anew under its own name.
        let held = self.book.entry(lease).map(|held| held.grant().term);
        if held == Some(grant.term) {
            return rules::is_ours(lease, grant, self.facts);
        }
        rules::check(self.book, lease, grant, self.facts, self.now)?;
        self.book.epoch = self.book.epoch.max(grant.term.epoch);
        self.touched.insert(lease);
        match self.book.live.get_mut(&lease) {
            Some(held) => held.adopt(sealed.clone(), grant.clone(), self.now),
            None => {
                let entry = Entry::accepted(sealed.clone(), grant.clone(), self.now);
                self.book.live.insert(lease, entry);
            }
        }
        self.end_what_is_due();
        Ok(())
    }

    fn begin_what_is_due(&mut self) {
        let waiting: Vec<LeaseId> = self
            .book
            .live()
            .filter(|(_, entry)| match entry.phase() {
                Phase::Accepted => entry.grant().starts_at <= self.now,
                Phase::Serving => false,
            })
            .map(|(lease, _)| lease)
            .collect();
        for lease in waiting {
            let entry = self
                .book
                .live
                .get_mut(&lease)
                .expect("it was just found among the live ones");
            match rules::cannot_begin(entry.grant(), self.facts.occupied) {
                None => {
                    entry.begin(self.now);
                    self.touched.insert(lease);
                    let waited = self
                        .book
                        .refusals
                        .get(&lease)
                        .is_some_and(|refusal| refusal.reason == RefusalReason::Occupied);
                    if waited {
                        self.book.refusals.remove(&lease);
                    }
                }
                Some(refused) => {
                    let (term, seq) = (entry.grant().term, entry.grant().term_seq);
                    let before = self.book.refusals.clone();
                    self.refuse(lease, term, seq, refused, &before);
                }
            }
        }
    }

    fn refuse(
        &mut self,
        lease: LeaseId,
        term: Term,
        term_seq: Seq,
        (reason, detail): Refused,
        before: &BTreeMap<LeaseId, Refusal>,
    ) {
        let since = before
            .get(&lease)
            .filter(|before| before.reason == reason && before.term == term)
            .map_or(self.now, |before| before.since);
        let refusal = Refusal {
            term,
            term_seq,
            since,
            reason,
            detail,
        };
        self.book.refusals.insert(lease, refusal);
    }

    /// Only while it is known which grants are there: those must not be forgotten.
    fn forget_the_oldest(&mut self) {
        let mut unneeded: Vec<LeaseId> = self
            .book
            .ended
            .keys()
            .filter(|lease| !self.book.offered.contains(lease))
            .copied()
            .collect();
        // Numbers are given in order of time: the lowest are the oldest.
        unneeded.truncate(unneeded.len().saturating_sub(ENDED_MAX));
        let ended: &mut BTreeMap<LeaseId, Ended> = &mut self.book.ended;
        unneeded.iter().for_each(|lease| {
            ended.remove(lease);
        });
    }

    fn steps(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        for lease in &self.touched {
            match self.book.live.get(lease).map(Entry::phase) {
                Some(Phase::Accepted) => steps.push(Step::Keep(*lease)),
                Some(Phase::Serving) => {
                    steps.extend([Step::Keep(*lease), Step::WriteEnv(*lease)]);
                }
                None => {
                    if self.served.contains(lease) {
                        steps.push(Step::RemoveEnv(*lease));
                    }
                    steps.push(Step::Retire(*lease));
                }
            }
        }
        steps
    }
}
