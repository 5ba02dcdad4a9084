//! Reads the hardware at its own pace, so that a call that waits keeps nothing else waiting.

use crate::clock::Clock;
use crate::gpu::reader::Reader;
use crate::gpu::{DriverError, GpuDriver, Inventory};
use crate::host::{Host, HostError, HostFacts, HostLook};
use crate::metrics::Counts;
use leasehold_agent_core::sample::{Contact, GpuSample};
use leasehold_common::ids::GpuUuid;
use leasehold_common::time::{Span, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, MissedTickBehavior, interval};

/// What there is is looked at again after so many polls. GPUs do not come and go; a driver that was
/// exchanged, or a simulated host that was rebooted, is noticed within a minute.
const INVENTORY_EVERY: u32 = 60;

/// The same while something is missing.
const INVENTORY_RETRY: u32 = 5;

/// How soon after a look there can be another because something was told.
const SOONEST: Duration = Duration::from_millis(100);

/// One look at the hardware.
#[derive(Debug)]
pub struct Look {
    /// When it began. What is metered up to here has its energy in the samples.
    pub at: Timestamp,
    /// What there is, where that was looked at this time.
    pub inventory: Option<Result<Inventory, DriverError>>,
    /// The host, looked at together with that.
    pub host: Option<(HostFacts, HostLook)>,
    /// The GPUs that answered, or did not in time.
    pub samples: BTreeMap<GpuUuid, GpuSample>,
}

/// What looks, and how often.
#[derive(Debug)]
pub struct Sampler {
    /// The driver that is asked.
    pub driver: Arc<dyn GpuDriver>,
    /// The host that is asked with it.
    pub host: Arc<dyn Host>,
    /// The folders whose filesystems are looked at.
    pub folders: Vec<PathBuf>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// How often.
    pub poll: Span,
    /// How long one call may take.
    pub deadline: Span,
    /// What is counted of it.
    pub counts: Counts,
}

/// Looks every `poll`, and when it is told to, until nobody wants to know.
pub async fn run(sampler: Sampler, look_now: Arc<Notify>, looks: mpsc::Sender<Look>) {
    let Sampler {
        driver,
        host,
        folders,
        clock,
        poll,
        deadline,
        counts,
    } = sampler;
    let mut reader = Reader::new(driver, deadline.std()).counted(counts.calls);
    // Until a GPU that hangs is overdue the others wait for it so long in each round, and as long again where
    // it is asked who it is.
    let patience = poll.min(deadline).std() / 4;
    // Every GPU that was ever seen: one that has fallen off the bus is still asked about.
    let mut known: BTreeSet<GpuUuid> = BTreeSet::new();
    let mut next_inventory = Instant::now();
    let mut last = Instant::now();
    let mut ticks = interval(poll.std());
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = look_now.notified() => tokio::time::sleep_until(last + SOONEST).await,
            () = looks.closed() => return,
        }
        last = Instant::now();
        let at = clock.now();
        let (inventory, facts) = if Instant::now() >= next_inventory {
            // The host takes milliseconds to be read, and whoever scrapes or writes is not to wait for that.
            let host = Arc::clone(&host);
            let folders = folders.clone();
            let facts = tokio::task::spawn_blocking(move || {
                let facts = host.facts()?;
                Ok::<_, HostError>((facts, host.look(&folders)))
            });
            let patience = if known.is_empty() {
                deadline.std()
            } else {
                patience
            };
            let inventory = reader.inventory(patience).await;
            let facts = facts.await.expect("reading the host does not panic");
            (inventory, facts.ok())
        } else {
            (None, None)
        };
        if let Some(Ok(inventory)) = &inventory {
            known.extend(inventory.gpus.iter().map(|gpu| gpu.uuid.clone()));
        }
        let samples = reader.samples(known.iter(), patience).await;
        counts.readings.took(&samples, std::time::Instant::now());
        if let Some(inventory) = &inventory {
            let whole = inventory
                .as_ref()
                .is_ok_and(|inventory| inventory.unidentified.is_empty() && !known.is_empty());
            let polls = if whole {
                INVENTORY_EVERY
            } else {
                INVENTORY_RETRY
            };
            next_inventory = Instant::now() + poll.std() * polls;
        } else if !samples.is_empty() && samples.values().all(|s| s.contact != Contact::Answered) {
            // Not the GPUs but their driver: ask that.
            let soon = Instant::now() + poll.std() * INVENTORY_RETRY;
            next_inventory = next_inventory.min(soon);
        }
        let look = Look {
            at,
            inventory,
            host: facts,
            samples,
        };
        if looks.send(look).await.is_err() {
            return;
        }
    }
}
