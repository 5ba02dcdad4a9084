//! What was decided, and how long it took: distributions that only grow.

use leasehold_common::class::Side;
use leasehold_common::ids::LeaseId;
use leasehold_common::ledger::CommitRecord;
use leasehold_common::log::EventName;
use leasehold_common::time::Timestamp;
use leasehold_daemon::metrics::Unit;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use serde::Deserialize as _;
use serde_json::Value;
use std::time::Duration;

/// Seconds. A step is to take milliseconds; one of a second holds everybody up.
const PASS: [f64; 9] = [0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0];

/// Seconds, from "at once" to the day after which a request lapses.
const WAIT: [f64; 9] = [
    0.1, 1.0, 10.0, 60.0, 300.0, 900.0, 3600.0, 14_400.0, 86_400.0,
];

/// Nodes, up to the largest cell.
const CANDIDATES: [f64; 7] = [0.0, 10.0, 100.0, 1000.0, 10_000.0, 50_000.0, 125_000.0];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfSide {
    side: &'static str,
}

/// All of it.
#[derive(Debug, Clone)]
pub(super) struct Decided {
    passes: Histogram,
    waits: Family<OfSide, Histogram, fn() -> Histogram>,
    candidates: Histogram,
}

impl Default for Decided {
    fn default() -> Self {
        let waits: fn() -> Histogram = || Histogram::new(WAIT);
        Self {
            passes: Histogram::new(PASS),
            waits: Family::new_with_constructor(waits),
            candidates: Histogram::new(CANDIDATES),
        }
    }
}

impl Decided {
    pub fn register(&self, registry: &mut Registry) {
        registry.register_with_unit(
            "leasehold_schedule_pass",
            "How long each step of decisions took",
            Unit::Seconds,
            self.passes.clone(),
        );
        registry.register_with_unit(
            "leasehold_request_wait",
            "How long after a request hardware was booked for it",
            Unit::Seconds,
            self.waits.clone(),
        );
        registry.register(
            "leasehold_candidates_evaluated",
            "How many nodes each decision on a request looked at",
            self.candidates.clone(),
        );
    }

    pub fn passed(&self, took: Duration) {
        self.passes.observe(took.as_secs_f64());
    }

    /// Takes what the records of a batch say of requests.
    pub fn committed(
        &self,
        commit: &CommitRecord,
        asked: impl Fn(LeaseId) -> Option<(Side, Timestamp)>,
        now: Timestamp,
    ) {
        for record in &commit.records {
            let event = record["event_name"].as_str().map(EventName::from);
            let is_placed = event == Some(EventName::PlacementDecided);
            if !is_placed && event != Some(EventName::PlacementWaits) {
                continue;
            }
            if let Some(evaluated) = record["why"]["evaluated"].as_u64() {
                self.candidates.observe(evaluated as f64);
            }
            if is_placed && let Some((side, at)) = lease_of(record).and_then(&asked) {
                let side = side.as_str();
                let waited = now.since(at).std();
                let waits = self.waits.get_or_create(&OfSide { side });
                waits.observe(waited.as_secs_f64());
            }
        }
    }
}

fn lease_of(record: &Value) -> Option<LeaseId> {
    LeaseId::deserialize(&record["subject"]["lease_id"]).ok()
}
