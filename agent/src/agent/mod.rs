//! The agent proper: one task that owns the state, and the few beside it that wait for others.
//!
//! ```text
//!   sampler ──► ┐
//!   listener ─► ┤                                  ┌──► outbox (report, health, acks)
//!   grants ───► ├ run: desk ─► steps ─► disk, env ─┤
//!   clock ────► ┘                                  └──► sign of life
//! ```
//!
//! Every turn decides anew from everything that is known; nothing depends on having seen a change
//! happen. So a turn that is cut off is repaired by the next.

mod desk;
mod listener;
mod memory;
mod node;
mod outbox;
mod sampler;
mod say;
mod shown;
mod sign;
mod told;
mod words;
mod work;

use crate::channel::NodeChannel;
use crate::clock::Clock;
use crate::disk::{DiskError, EnvFiles, GrantFiles};
use crate::gpu::GpuDriver;
use crate::host::{Host, HostError};
use crate::kernel_log::LogSource;
use crate::metrics::Metrics;
use crate::settings::NodeSettings;
use desk::Desk;
use leasehold_common::time::Timestamp;
use outbox::Outgoing;
use sampler::Sampler;
use std::sync::Arc;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// How much news may wait for the agent. It takes a turn for each; whoever is faster waits.
const NEWS_MAX: usize = 8;

/// The same of what the hardware tells: an error comes with some dozens of lines, and they are one turn.
const HEARD_MAX: usize = 256;

/// What an agent works with: everything outside it.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// The GPUs' driver.
    pub driver: Arc<dyn GpuDriver>,
    /// The host.
    pub host: Arc<dyn Host>,
    /// The kernel's log; absent where it is not to be followed.
    pub kernel_log: Option<LogSource>,
    /// The wall clock.
    pub clock: Arc<dyn Clock>,
    /// The way to the scheduler.
    pub channel: Arc<dyn NodeChannel>,
    /// What is shown of it to whoever scrapes.
    pub metrics: Metrics,
}

/// What the agent tells whoever runs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// The hardware has been read for the first time: it can do its work.
    Ready(String),
    /// What it does or waits for, in words, has changed.
    Status(String),
    /// A turn of its loop is finished.
    Turn,
}

/// An agent that cannot start. Once it runs nothing ends it but its owner.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// The grants on disk cannot be used.
    #[error("grants on disk")]
    Disk(#[from] DiskError),
    /// The host cannot be read.
    #[error("host facts")]
    Host(#[from] HostError),
}

/// Runs an agent until it is told to stop. Leases are not touched by that.
///
/// # Errors
/// Only at the start: a state folder that cannot be used, or a host that cannot be read.
pub async fn run(
    settings: NodeSettings,
    with: Surroundings,
    shutdown: CancellationToken,
    progress: impl Fn(Progress) + Send + Sync,
) -> Result<(), AgentError> {
    let files = GrantFiles::open(&settings.state_dir)?;
    let env = EnvFiles::new(&settings.run_dir);
    let facts = with.host.facts()?;
    let mut desk = Desk::open(
        settings.clone(),
        facts,
        files,
        env,
        Arc::clone(&with.host),
        with.clock.now(),
    )?;

    let (news_to, mut news) = mpsc::channel(NEWS_MAX);
    let (readings_to, mut readings) = mpsc::channel(NEWS_MAX);
    let (heard_to, mut heard) = mpsc::channel(HEARD_MAX);
    let look_now = Arc::new(Notify::new());
    let (outgoing_to, outgoing) = watch::channel(Outgoing::default());
    let (live_to, live) = watch::channel(desk.live_record());
    let mut tasks = JoinSet::new();
    let channel = Arc::clone(&with.channel);
    tasks.spawn(async move { channel.follow_grants(news_to).await });
    let sampler = Sampler {
        driver: Arc::clone(&with.driver),
        host: Arc::clone(&with.host),
        folders: node::folders(settings.state_dir.clone(), settings.run_dir.clone()),
        clock: Arc::clone(&with.clock),
        poll: settings.poll,
        deadline: settings.deadline,
        counts: with.metrics.counts.clone(),
    };
    tasks.spawn(sampler::run(sampler, Arc::clone(&look_now), readings_to));
    tasks.spawn(listener::run(
        Arc::clone(&with.driver),
        with.kernel_log.clone(),
        Arc::clone(&with.clock),
        heard_to,
    ));
    let delivered = with.metrics.counts.delivered.clone();
    tasks.spawn(outbox::run(Arc::clone(&with.channel), outgoing, delivered));
    tasks.spawn(sign::run(Arc::clone(&with.channel), live, settings.ttl));

    let mut told = Told::default();
    loop {
        // What is on disk is served from the first turn on, before anybody has answered.
        let now = with.clock.now();
        desk.turn(now).await;
        outgoing_to.send_if_modified(|outgoing| desk.publish(outgoing, now));
        live_to.send_if_modified(|record| {
            let newer = desk.live_record();
            let modified = *record != newer;
            *record = newer;
            modified
        });
        with.metrics.show(|| desk.shown());
        told.tell(&desk, &progress);

        let wake = desk.next_wake(with.clock.now());
        tokio::select! {
            () = shutdown.cancelled() => break,
            Some(news) = news.recv() => desk.hear(news),
            Some(reading) = readings.recv() => desk.read(reading),
            Some(told) = heard.recv() => {
                // What was told is seldom all: what the readings say of it is asked for at once.
                look_now.notify_one();
                let now = with.clock.now();
                desk.hear_hardware(told, now);
                // Of a log that was long before the agent began, all that is there in one turn.
                for _ in 1..HEARD_MAX {
                    let Ok(more) = heard.try_recv() else { break };
                    desk.hear_hardware(more, now);
                }
            }
            () = until(&*with.clock, wake) => {}
        }
    }
    // What hangs in a call to the store or the driver is left behind: nothing of it is needed, and
    // the sign of life lasts for its TTL so that a restart does not look like a death.
    tasks.shutdown().await;
    Ok(())
}

async fn until(clock: &dyn Clock, at: Option<Timestamp>) {
    match at {
        Some(at) => clock.until(at).await,
        None => std::future::pending().await,
    }
}

/// What has been told, so that it is not told again.
#[derive(Default)]
struct Told {
    ready: bool,
    status: String,
}

impl Told {
    fn tell(&mut self, desk: &Desk, progress: &impl Fn(Progress)) {
        let status = desk.status();
        if desk.has_read_the_hardware() && !self.ready {
            self.ready = true;
            progress(Progress::Ready(status.clone()));
        } else if status != self.status {
            progress(Progress::Status(status.clone()));
        }
        self.status = status;
        progress(Progress::Turn);
    }
}
