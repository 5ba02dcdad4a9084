//! What is counted where it happens, rather than by the agent's task.

use leasehold_agent_core::sample::{Contact, GpuSample};
use leasehold_common::ids::GpuUuid;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// All of it. Clones count together.
#[derive(Debug, Clone, Default)]
pub struct Counts {
    /// Calls to the driver.
    pub calls: CallCounts,
    /// When each GPU last answered.
    pub readings: Readings,
    /// What was said to the scheduler.
    pub delivered: Delivered,
}

impl Counts {
    pub(super) fn register(&self, registry: &mut Registry) {
        self.calls.register(registry);
        self.delivered.register(registry);
    }
}

/// Calls to the driver, each of which may be several of the library.
#[derive(Debug, Clone, Default)]
pub struct CallCounts {
    /// Those that were begun.
    pub begun: Counter,
    /// Those that came back without an answer: no driver, or a GPU that is lost.
    pub failed: Counter,
    /// Those that were not back within the deadline, each once.
    pub overdue: Counter,
}

impl CallCounts {
    fn register(&self, registry: &mut Registry) {
        registry.register(
            "leasehold_agent_driver_calls",
            "Calls to the driver that were begun: one a GPU and poll, and those for what there is",
            self.begun.clone(),
        );
        registry.register(
            "leasehold_agent_driver_call_failures",
            "Calls to the driver that came back without an answer",
            self.failed.clone(),
        );
        registry.register(
            "leasehold_agent_driver_call_timeouts",
            "Calls to the driver that were not back within gpu.deadline",
            self.overdue.clone(),
        );
    }
}

/// When each GPU last answered.
#[derive(Debug, Clone, Default)]
pub struct Readings(Arc<Mutex<BTreeMap<GpuUuid, Instant>>>);

impl Readings {
    /// Notes those that answered.
    pub fn took(&self, samples: &BTreeMap<GpuUuid, GpuSample>, at: Instant) {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let answered = samples
            .iter()
            .filter(|(_, sample)| sample.contact == Contact::Answered);
        last.extend(answered.map(|(gpu, _)| (gpu.clone(), at)));
    }

    /// Each GPU that has answered, with how many seconds ago it did so last.
    pub fn ages(&self, now: Instant) -> Vec<(GpuUuid, f64)> {
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let age = |at: &Instant| now.saturating_duration_since(*at).as_secs_f64();
        last.iter()
            .map(|(gpu, at)| (gpu.clone(), age(at)))
            .collect()
    }
}

/// What was said to the scheduler.
#[derive(Debug, Clone, Default)]
pub struct Delivered {
    records: Family<Record, Counter>,
    failures: Counter,
    waiting: Gauge,
}

/// A kind of record.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Record {
    record: &'static str,
}

impl Delivered {
    /// A record of this kind has reached the store.
    pub fn reached(&self, record: &'static str) {
        self.records.get_or_create(&Record { record }).inc();
    }

    /// One has not.
    pub fn failed(&self) {
        self.failures.inc();
    }

    /// So many that are to be said are not said yet.
    pub fn waits(&self, records: usize) {
        self.waiting.set(i64::try_from(records).unwrap_or(i64::MAX));
    }

    fn register(&self, registry: &mut Registry) {
        registry.register(
            "leasehold_agent_published",
            "Records that have reached the store, by kind",
            self.records.clone(),
        );
        registry.register(
            "leasehold_agent_publish_failures",
            "Tries to write to the store that failed",
            self.failures.clone(),
        );
        registry.register(
            "leasehold_agent_publish_waiting",
            "Records that are to be written to the store and are not yet",
            self.waiting.clone(),
        );
    }
}
