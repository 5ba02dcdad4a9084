//! Calls to a driver, under a deadline.
//!
//! A call into NVML can block for ever inside the kernel. Each is made on a thread of its own, at
//! most one at a time for each GPU: a thread that does not come back is left alone and never joined,
//! and there are never more of them than GPUs, plus one. When it does come back, so does its GPU.

use super::{DriverError, DriverFacts, GpuDriver, Inventory};
use crate::metrics::CallCounts;
use leasehold_agent_core::sample::{Contact, GpuSample};
use leasehold_common::ids::GpuUuid;
use leasehold_common::node::GpuInfo;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::oneshot::{self, error::TryRecvError};

/// Reads a node's GPUs.
#[derive(Debug)]
pub struct Reader {
    driver: Arc<dyn GpuDriver>,
    deadline: Duration,
    facts: Calls<(), Result<DriverFacts, DriverError>>,
    identities: Calls<u32, Result<GpuInfo, DriverError>>,
    samples: Calls<GpuUuid, GpuSample>,
    counts: CallCounts,
}

impl Reader {
    /// Of this driver, giving each call this long.
    pub fn new(driver: Arc<dyn GpuDriver>, deadline: Duration) -> Self {
        Self {
            driver,
            deadline,
            facts: Calls::default(),
            identities: Calls::default(),
            samples: Calls::default(),
            counts: CallCounts::default(),
        }
    }

    /// The same, with its calls counted here.
    #[must_use]
    pub fn counted(mut self, counts: CallCounts) -> Self {
        self.facts.counts = counts.clone();
        self.identities.counts = counts.clone();
        self.samples.counts = counts.clone();
        self.counts = counts;
        self
    }

    /// What there is, as far as it is known after `patience`: absent while somebody is still waited for.
    /// A GPU that has not answered by its deadline is named among those that could not be identified.
    ///
    /// # Errors
    /// A driver that is not there or does not answer.
    pub async fn inventory(
        &mut self,
        patience: Duration,
    ) -> Option<Result<Inventory, DriverError>> {
        let overdue = DriverError::Overdue {
            deadline_ms: self.deadline.as_millis(),
        };
        let driver = Arc::clone(&self.driver);
        self.facts
            .start((), driver.may_hang(), move || driver.facts());
        let mut answers = self.facts.collect(patience, self.deadline).await;
        let facts = match answers.remove(&())? {
            Answer::Given(Ok(facts)) => facts,
            Answer::Given(Err(e)) => {
                self.counts.failed.inc();
                return Some(Err(e));
            }
            Answer::Overdue => return Some(Err(overdue)),
        };
        for index in 0..facts.count {
            let driver = Arc::clone(&self.driver);
            self.identities
                .start(index, driver.may_hang(), move || driver.identify(index));
        }
        let mut answers = self.identities.collect(patience, self.deadline).await;
        let (mut gpus, mut unidentified) = (Vec::new(), Vec::new());
        for index in 0..facts.count {
            match answers.remove(&index)? {
                Answer::Given(Ok(gpu)) => gpus.push(gpu),
                Answer::Given(Err(e)) => {
                    self.counts.failed.inc();
                    unidentified.push((index, e));
                }
                Answer::Overdue => unidentified.push((index, overdue.clone())),
            }
        }
        Some(Ok(Inventory {
            facts,
            gpus,
            unidentified,
        }))
    }

    /// A reading of each of these GPUs, as far as they are in after `patience`. One that is still
    /// being waited for is left out until its deadline has passed; then it is unresponsive.
    pub async fn samples<'a>(
        &mut self,
        gpus: impl Iterator<Item = &'a GpuUuid>,
        patience: Duration,
    ) -> BTreeMap<GpuUuid, GpuSample> {
        for gpu in gpus {
            let (driver, uuid) = (Arc::clone(&self.driver), gpu.clone());
            self.samples
                .start(gpu.clone(), driver.may_hang(), move || driver.read(&uuid));
        }
        let words = format!("no answer within {} ms", self.deadline.as_millis());
        let answers = self.samples.collect(patience, self.deadline).await;
        answers
            .into_iter()
            .map(|(gpu, answer)| match answer {
                Answer::Given(sample) => {
                    if sample.contact != Contact::Answered {
                        self.counts.failed.inc();
                    }
                    (gpu, sample)
                }
                Answer::Overdue => (gpu, GpuSample::silent(Contact::Unresponsive, &words)),
            })
            .collect()
    }
}

enum Answer<T> {
    Given(T),
    Overdue,
}

/// Calls in flight, at most one for each key.
#[derive(Debug)]
struct Calls<K, T> {
    in_flight: BTreeMap<K, InFlight<T>>,
    counts: CallCounts,
}

/// A call that has not come back.
#[derive(Debug)]
struct InFlight<T> {
    answer: oneshot::Receiver<T>,
    started: Instant,
    is_overdue: bool,
}

impl<K, T> Default for Calls<K, T> {
    fn default() -> Self {
        Self {
            in_flight: BTreeMap::new(),
            counts: CallCounts::default(),
        }
    }
}

impl<K: Ord + Clone, T: Send + 'static> Calls<K, T> {
    /// Begins a call, unless the last one of this key has not come back.
    fn start(&mut self, key: K, may_hang: bool, call: impl FnOnce() -> T + Send + 'static) {
        if self.in_flight.contains_key(&key) {
            return;
        }
        let (answer, receiver) = oneshot::channel();
        let work = move || {
            // Nobody waits for it any more: then it was too late.
            let _ = answer.send(call());
        };
        if may_hang {
            // Where the system has no thread left the sender is dropped, and the call counts as
            // one that gave no answer.
            let started = std::thread::Builder::new().name("nvml".into()).spawn(work);
            if let Err(e) = started {
                tracing::error!(error = %e, "no thread for a call to the driver");
            }
        } else {
            work();
        }
        self.counts.begun.inc();
        self.in_flight.insert(
            key,
            InFlight {
                answer: receiver,
                started: Instant::now(),
                is_overdue: false,
            },
        );
    }

    /// Waits up to `patience` for the calls in flight. Those that are older than `deadline` stay in
    /// flight and are said to be overdue; from then on nobody waits for them, and they cost the
    /// others no time.
    async fn collect(&mut self, patience: Duration, deadline: Duration) -> BTreeMap<K, Answer<T>> {
        let until = tokio::time::Instant::now() + patience;
        let mut answers = BTreeMap::new();
        let keys: Vec<K> = self.in_flight.keys().cloned().collect();
        for key in keys {
            let Some(call) = self.in_flight.get_mut(&key) else {
                continue;
            };
            let answer = match call.answer.try_recv() {
                Ok(answer) => Some(Ok(answer)),
                Err(TryRecvError::Closed) => Some(Err(())),
                Err(TryRecvError::Empty) if call.is_overdue => None,
                Err(TryRecvError::Empty) => tokio::time::timeout_at(until, &mut call.answer)
                    .await
                    .ok()
                    .map(|answer| answer.map_err(|_| ())),
            };
            match answer {
                Some(Ok(answer)) => {
                    self.in_flight.remove(&key);
                    answers.insert(key, Answer::Given(answer));
                }
                Some(Err(())) => {
                    self.in_flight.remove(&key);
                    answers.insert(key, Answer::Overdue);
                }
                None if call.started.elapsed() >= deadline => {
                    if !std::mem::replace(&mut call.is_overdue, true) {
                        self.counts.overdue.inc();
                    }
                    answers.insert(key, Answer::Overdue);
                }
                None => {}
            }
        }
        answers
    }
}
