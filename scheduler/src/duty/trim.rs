//! Keeping the store small: commits leave it once they are on this host's disk.

use leasehold_common::ids::Seq;
use leasehold_common::keys::{Key, KeySpace};
use leasehold_common::time::{Span, Timestamp};
use leasehold_store::{Guard, Store, Txn};
use std::collections::VecDeque;
use tracing::warn;

/// How long a commit stays in the store, so that standbys which were away find it there.
const KEPT: Span = Span::from_hours(1);

/// The most commits that stay, whatever their age: at a few hundred kilobytes each under full load,
/// an hour of them would fill the store.
const KEPT_MAX: usize = 2_000;

/// Commits per transaction.
const PER_TXN: usize = 100;

/// The commits in the store, oldest first.
#[derive(Debug, Default)]
pub(super) struct Trim {
    commits: VecDeque<(Timestamp, Seq)>,
}

impl Trim {
    pub fn added(&mut self, at: Timestamp, last: Seq) {
        self.commits.push_back((at, last));
    }

    /// The commits that should go now, at most one transaction of them.
    pub fn due(&mut self, now: Timestamp) -> Vec<Seq> {
        let mut due = Vec::new();
        while due.len() < PER_TXN
            && let Some((at, seq)) = self.commits.front().copied()
            && (self.commits.len() > KEPT_MAX || now.since(at) >= KEPT)
        {
            self.commits.pop_front();
            due.push(seq);
        }
        due
    }
}

/// Removes commits from the store. One that fails is left to the next leader.
pub(super) async fn remove(store: &dyn Store, keys: &KeySpace, leader: Guard, due: Vec<Seq>) {
    let deletes = due
        .into_iter()
        .map(|seq| keys.key(&Key::Log(seq)))
        .collect();
    let txn = Txn {
        guards: vec![leader],
        deletes,
        ..Txn::default()
    };
    if let Err(e) = store.commit(txn).await {
        warn!(error = %e, "old commits stay in the store");
    }
}
