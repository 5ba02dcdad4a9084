//! What every process can say of itself, by the names that Prometheus has for it.

use super::{Registry, Sheet, Unit};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;
use nix::unistd::{SysconfVar, sysconf};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

/// Enters this process. To be called once, at its start.
pub fn register(registry: &mut Registry) {
    registry.register_collector(Box::new(This {
        started: SystemTime::now(),
    }));
}

/// This process.
#[derive(Debug)]
struct This {
    started: SystemTime,
}

impl Collector for This {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut sheet = Sheet::from(encoder);
        if let Some(seconds) = cpu_seconds() {
            let help = "Processor time taken, in user space and in the kernel.";
            sheet.counter("process_cpu", Some(&Unit::Seconds), help, seconds)?;
        }
        if let Some(bytes) = resident_bytes() {
            let help = "Memory that is resident.";
            sheet.gauge("process_resident_memory", Some(&Unit::Bytes), help, bytes)?;
        }
        let started = self.started.duration_since(UNIX_EPOCH).unwrap_or_default();
        let help = "When it started, in seconds since 1970.";
        sheet.gauge(
            "process_start_time",
            Some(&Unit::Seconds),
            help,
            started.as_secs_f64(),
        )
    }
}

fn cpu_seconds() -> Option<f64> {
    let usage = getrusage(UsageWho::RUSAGE_SELF).ok()?;
    let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Some(micros as f64 / 1e6)
}

/// By the second number of `/proc/self/statm`, in pages.
fn resident_bytes() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: f64 = text.split(' ').nth(1)?.parse().ok()?;
    let page = sysconf(SysconfVar::PAGE_SIZE).ok().flatten()?;
    Some(pages * page as f64)
}
