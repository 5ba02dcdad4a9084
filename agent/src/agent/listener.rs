//! Hears what the hardware tells without being asked: the driver's events, and the kernel's log.
//!
//! Both have threads of their own that wait; this passes on what they say, with when it was heard. A GPU that
//! hangs its calls keeps neither of them.

use crate::clock::Clock;
use crate::gpu::GpuDriver;
use crate::gpu::event::GpuEvent;
use crate::kernel_log::{KernelLog, KernelNews, LogSource};
use leasehold_common::time::Timestamp;
use std::sync::Arc;
use tokio::sync::mpsc;

/// Something was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// By the driver.
    Driver {
        /// What.
        event: GpuEvent,
        /// When it was heard.
        at: Timestamp,
    },
    /// By the kernel.
    Kernel(KernelNews),
}

/// Listens until nobody wants to know.
pub async fn run(
    driver: Arc<dyn GpuDriver>,
    log: Option<LogSource>,
    clock: Arc<dyn Clock>,
    heard: mpsc::Sender<Heard>,
) {
    // Unbounded because the driver's thread must not wait; it is emptied as fast as it is filled, and of
    // several events between two of its looks the driver keeps the last.
    let (tell, mut events) = mpsc::unbounded_channel();
    driver.follow(tell);
    let mut log = log.and_then(
        |source| match KernelLog::follow(source, Arc::clone(&clock)) {
            Ok(log) => Some(log),
            Err(e) => {
                tracing::error!(error = %e, "the kernel's log is not followed");
                None
            }
        },
    );
    loop {
        let news = tokio::select! {
            () = heard.closed() => return,
            Some(event) = events.recv() => Heard::Driver { event, at: clock.now() },
            Some(news) = next(&mut log) => Heard::Kernel(news),
        };
        if heard.send(news).await.is_err() {
            return;
        }
    }
}

/// Never where there is no log.
async fn next(log: &mut Option<KernelLog>) -> Option<KernelNews> {
    match log {
        Some(log) => log.next().await,
        None => std::future::pending().await,
    }
}
