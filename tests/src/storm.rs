//! Clients that write without a pause until nobody answers, and what they were promised.

use crate::ctl::Ctl;
use crate::double_booking::assert_no_gpu_is_held_twice;
use crate::http::Request;
use crate::wait::wait_until;
use leasehold_common::api::LeaseView;
use leasehold_common::ids::LeaseId;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// How many write at the same time.
const CLIENTS: usize = 8;

/// Leases of one GPU that were asked for, by idempotency key.
#[derive(Debug)]
pub struct Storm {
    body: String,
    /// Those whose answer was read.
    acknowledged: BTreeMap<String, LeaseId>,
    /// Those whose answer was lost: they may or may not be there.
    open: BTreeSet<String>,
    rounds: usize,
}

impl Storm {
    /// For this account.
    pub fn new(account: &str) -> Self {
        let body = format!(
            r#"{{"account":"{account}","class":"on-demand","sku":"h200","for":"1h",
            "shape":{{"kind":"gpus","count":1}}}}"#
        );
        Self {
            body,
            acknowledged: BTreeMap::new(),
            open: BTreeSet::new(),
            rounds: 0,
        }
    }

    /// Writes until `enough` leases are acknowledged, then strikes while clients go on, and ends
    /// when each of them has got no answer, or another one than a lease.
    ///
    /// # Panics
    /// When too few are acknowledged in time.
    pub fn rage(&mut self, socket: &Path, enough: usize, strike: impl FnOnce()) {
        let round = self.rounds;
        self.rounds += 1;
        let acknowledged = Mutex::new(Vec::new());
        let open = Mutex::new(BTreeSet::new());
        let body = self.body.as_str();
        std::thread::scope(|scope| {
            for client in 0..CLIENTS {
                let (acknowledged, open) = (&acknowledged, &open);
                scope.spawn(move || {
                    for number in 0.. {
                        let key = format!("storm-{round}-{client}-{number}");
                        let request = Request::post("/v1/leases", Some(&key), body);
                        let answer = request.try_ask(socket);
                        let Ok(answer) =
                            answer
                                .as_ref()
                                .map_err(ToString::to_string)
                                .and_then(|answer| {
                                    let lease = serde_json::from_str::<LeaseView>(&answer.body);
                                    lease.map_err(|_| answer.body.clone())
                                })
                        else {
                            locked(open).insert(key);
                            return;
                        };
                        locked(acknowledged).push((key, answer.id));
                    }
                });
            }
            wait_until("enough leases to be acknowledged", || {
                locked(&acknowledged).len() >= enough
            });
            strike();
        });
        self.acknowledged.extend(
            acknowledged
                .into_inner()
                .unwrap_or_else(PoisonError::into_inner),
        );
        self.open
            .extend(open.into_inner().unwrap_or_else(PoisonError::into_inner));
    }

    /// Checks that every acknowledged lease is there under its key, that an open one is made once at
    /// most, and that no GPU is in two.
    ///
    /// # Panics
    /// When that is not so.
    pub fn assert_nothing_is_lost(&self, ctl: &Ctl) {
        let leases = ctl.leases();
        let there: BTreeSet<LeaseId> = leases.iter().map(|lease| lease.id).collect();
        let promised: BTreeSet<LeaseId> = self.acknowledged.values().copied().collect();
        assert_eq!(
            promised.len(),
            self.acknowledged.len(),
            "a number was given out twice"
        );
        let lost: Vec<_> = promised.difference(&there).collect();
        assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
        assert!(
            there.len() <= promised.len() + self.open.len(),
            "{} leases, {} acknowledged, {} open",
            there.len(),
            promised.len(),
            self.open.len()
        );
        assert_no_gpu_is_held_twice(&leases);

        let again = |key: &String| -> LeaseView {
            let request = Request::post("/v1/leases", Some(key), &self.body);
            request.ask(ctl.socket()).json()
        };
        // Every tenth is enough to see that answers were kept.
        for (key, id) in self.acknowledged.iter().step_by(10) {
            assert_eq!(again(key).id, *id, "{key}");
        }
        let first: Vec<LeaseId> = self.open.iter().map(|key| again(key).id).collect();
        let second: Vec<LeaseId> = self.open.iter().map(|key| again(key).id).collect();
        assert_eq!(
            first, second,
            "a retry is answered and not carried out again"
        );
        assert!(first.iter().all(|id| !promised.contains(id)));
        assert_eq!(ctl.leases().len(), promised.len() + self.open.len());
    }
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
