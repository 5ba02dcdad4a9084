//! Follows the kernel's log on a thread of its own.
//!
//! From the oldest record that the kernel still has, so that what happened to a GPU before the agent
//! began is found too; then as it is written. Only what concerns GPUs is told, and what could not be
//! read. The kernel's buffer is the queue: who does not keep up is told how many records are gone.
//!
//! A log that is not there or may not be read ends nothing. It is said once, and tried again.

mod follower;
#[cfg(test)]
mod tests;

use crate::clock::{Clock, SystemClock};
use follower::Follower;
use leasehold_agent_core::kernel_log::GpuMessage;
use leasehold_common::time::{Span, Timestamp};
use nix::time::{ClockId, clock_gettime};
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, mpsc as std_mpsc};
use tokio::sync::mpsc;

/// Where the kernel gives its log (Documentation/ABI/testing/dev-kmsg).
pub const DEVICE: &str = "/dev/kmsg";

/// How soon a log that could not be read is tried again. What makes it readable is an operator or a
/// restart of a unit; what was said meanwhile is still in the kernel's buffer then.
pub const RETRY: Span = Span::from_secs(60);

/// How many news wait to be taken. A GPU in trouble prints some dozens of lines; beyond that the
/// kernel's own buffer, ten thousand lines long, is where they wait.
const WAITING: usize = 64;

/// Where the log is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogFrom {
    /// The device, or a pipe or a file of the same form in its place.
    Path(PathBuf),
    /// The device, opened by whoever started this process, as its standard input. So a process that
    /// may not open it can read it: systemd opens what `StandardInput=file:` names before it takes
    /// privileges away (systemd.exec(5)), and the kernel asks for them when the device is opened only.
    Stdin,
}

/// What to follow.
#[derive(Debug, Clone)]
pub struct LogSource {
    /// Where it is.
    pub from: LogFrom,
    /// When the host was booted ([`booted_at`]).
    pub boot: Timestamp,
    /// How soon it is tried again where it cannot be read.
    pub retry: Span,
}

impl LogSource {
    /// That of this host since it was booted.
    pub fn since_boot(from: LogFrom) -> Self {
        Self {
            from,
            boot: booted_at(SystemClock.now()),
            retry: RETRY,
        }
    }
}

/// What comes from the kernel's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KernelNews {
    /// The kernel said something of a GPU.
    Told {
        /// What.
        message: GpuMessage,
        /// When: as it was read, and for what was there before, by the kernel's own clock.
        at: Timestamp,
        /// The number of the record since boot: with the boot's id it names it for good.
        seq: u64,
        /// Whether it was there before the log was caught up with, so that it may have been told
        /// to an agent that ran before this one.
        backlog: bool,
    },
    /// Everything that was there is told.
    CaughtUp {
        /// How many records that was, whatever they were about.
        records: u64,
    },
    /// Records are gone that nobody here has read: an XID can have been among them.
    Lost {
        /// How many.
        records: u64,
        /// Whether that was before the log was caught up with. On a host that has been up for long
        /// it is common; otherwise the kernel said more than was read in time.
        backlog: bool,
    },
    /// Records could not be read for what they are.
    Malformed {
        /// How many since this was last told.
        records: u64,
    },
    /// The log cannot be read. What the driver says only there is not seen, until the next
    /// [`KernelNews::CaughtUp`].
    Unreadable(Unreadable),
}

/// Why the kernel's log cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// There is no such device.
    #[error("there is no kernel log")]
    Missing,
    /// It may not be opened: it is closed to the unit (`ProtectKernelLogs=`), or `CAP_SYSLOG` is
    /// missing where `kernel.dmesg_restrict` is on.
    #[error("the kernel log may not be read")]
    NotPermitted,
    /// Anything else.
    #[error("reading the kernel log failed: {0}")]
    Failed(String),
}

/// That the log cannot be followed.
#[derive(Debug, thiserror::Error)]
#[error("start the thread that follows the kernel log")]
pub struct FollowError(#[source] io::Error);

/// The kernel's log as it is followed. The thread ends within a second of this being dropped.
#[derive(Debug)]
pub struct KernelLog {
    news: mpsc::Receiver<KernelNews>,
    /// Never sent to. That it is gone is what ends the thread.
    _stop: std_mpsc::Sender<()>,
}

impl KernelLog {
    /// Starts following.
    ///
    /// # Errors
    /// No thread could be started. A log that cannot be read is no error but news.
    pub fn follow(source: LogSource, clock: Arc<dyn Clock>) -> Result<Self, FollowError> {
        let (say, news) = mpsc::channel(WAITING);
        let (stop, stopped) = std_mpsc::channel();
        let follower = Follower::new(source, clock, say);
        std::thread::Builder::new()
            .name("kernel-log".to_owned())
            .spawn(move || follower.run(&stopped))
            .map_err(FollowError)?;
        Ok(Self { news, _stop: stop })
    }

    /// Waits for what comes next; nothing more comes only if the thread has died. Nothing is lost
    /// where the wait is given up.
    pub async fn next(&mut self) -> Option<KernelNews> {
        self.news.recv().await
    }
}

/// When this host was booted, given what time it is. By the clock that the kernel's log goes by,
/// nearly: neither counts the time a host is suspended.
pub fn booted_at(now: Timestamp) -> Timestamp {
    // The clock is always there; were it not, what was said before would count as said now.
    clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(now, |up| {
        let up = std::time::Duration::from(up).as_millis();
        now - Span::from_millis(u64::try_from(up).unwrap_or(u64::MAX))
    })
}
