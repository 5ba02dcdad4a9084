//! This host's time, and whether it can be trusted.
//!
//! Two things are looked at. The wall clock is held against the time since boot: a step of it is
//! distrusted wherever the scheduler runs. And the kernel knows whether anything keeps its clock in
//! step with the world's ([`kernel`]); what follows from that is [`Synchronisation`], because
//! containers and single hosts often have no time service and are in order without one.

mod kernel;

use leasehold_common::time::{Span, Timestamp};
use nix::time::{ClockId, clock_gettime};
use std::sync::Mutex;
use std::time::{SystemTime, UNIX_EPOCH};

/// How far the wall clock may move against the time since boot before it counts as stepped.
const STEP_MAX_MS: i64 = 5_000;

/// How long a stepped clock must then run evenly before it is trusted again: a step of the clock is
/// usually its being set right, and the second look shows that it stays there.
const EVEN_FOR: Span = Span::from_secs(60);

/// Where time comes from.
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// The time now.
    fn now(&self) -> Timestamp;
    /// Why the time cannot be trusted; absent where it can.
    fn distrust(&self) -> Option<String>;
    /// What an operator should know about a clock that is trusted all the same.
    fn remark(&self) -> Option<String> {
        None
    }
}

/// What it means when nothing keeps this host's clock in step with the world's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Synchronisation {
    /// Nothing: one host alone agrees with itself.
    Ignored,
    /// It is said in the status.
    Remarked,
    /// Nothing is decided.
    Required,
}

/// The host's clock, held against the time since boot.
#[derive(Debug)]
pub struct HostClock {
    watch: Mutex<Watch>,
    synchronisation: Synchronisation,
}

#[derive(Debug, Clone, Copy)]
struct Watch {
    /// Wall clock minus time since boot, in milliseconds.
    offset: i64,
    /// When, since boot, the clock last stepped.
    stepped: Option<(u64, i64)>,
}

impl HostClock {
    /// Takes the clock as it is now for right.
    pub fn new(synchronisation: Synchronisation) -> Self {
        let offset = wall() - since_boot();
        Self {
            watch: Mutex::new(Watch {
                offset,
                stepped: None,
            }),
            synchronisation,
        }
    }
}

impl Clock for HostClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_ms(wall())
    }

    fn distrust(&self) -> Option<String> {
        let (boot, wall) = (since_boot(), wall());
        let mut watch = self
            .watch
            .lock()
            .expect("nobody panics while looking at the clock");
        let stepped = watch.look(boot, wall);
        stepped.or_else(|| self.synchronisation.distrust(kernel::is_synchronised()))
    }

    fn remark(&self) -> Option<String> {
        self.synchronisation.remark(kernel::is_synchronised())
    }
}

impl Synchronisation {
    /// A clock of which the kernel does not say is trusted: where the sandbox hides it, a cell would
    /// stand still otherwise without anything being wrong.
    fn distrust(self, synchronised: Option<bool>) -> Option<String> {
        match (self, synchronised) {
            (Self::Required, Some(false)) => Some(format!(
                "{UNSYNCHRONISED}, and require_synchronised_clock is set"
            )),
            (Self::Required, Some(true) | None) | (Self::Ignored | Self::Remarked, _) => None,
        }
    }

    fn remark(self, synchronised: Option<bool>) -> Option<String> {
        match (self, synchronised) {
            (Self::Remarked, Some(false)) => Some(UNSYNCHRONISED.to_owned()),
            (Self::Required, None) => Some(
                "whether this host's clock is synchronised cannot be read, although it is required"
                    .to_owned(),
            ),
            (Self::Required, Some(_))
            | (Self::Remarked, Some(true) | None)
            | (Self::Ignored, _) => None,
        }
    }
}

const UNSYNCHRONISED: &str = "the kernel says that nothing keeps this host's clock synchronised (chrony, systemd-timesyncd …)";

impl Watch {
    fn look(&mut self, boot: i64, wall: i64) -> Option<String> {
        let by = wall - boot - self.offset;
        let at = u64::try_from(boot).unwrap_or(0);
        if by.abs() > STEP_MAX_MS {
            self.offset = wall - boot;
            self.stepped = Some((at, by));
        }
        let (since, by) = self.stepped?;
        if at.saturating_sub(since) >= EVEN_FOR.millis() {
            self.stepped = None;
            return None;
        }
        Some(format!(
            "this host's clock stepped by {by} ms against the time since boot"
        ))
    }
}

fn wall() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

fn since_boot() -> i64 {
    // Counts through suspend, unlike the monotonic clock.
    clock_gettime(ClockId::CLOCK_BOOTTIME).map_or(0, |t| {
        t.tv_sec().saturating_mul(1000) + t.tv_nsec() / 1_000_000
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unsynchronised_clock_is_ignored_remarked_on_or_refused() {
        use Synchronisation::{Ignored, Remarked, Required};
        let said = |rule: Synchronisation, kernel| {
            (
                rule.distrust(kernel).is_some(),
                rule.remark(kernel).is_some(),
            )
        };
        for rule in [Ignored, Remarked, Required] {
            assert_eq!(said(rule, Some(true)), (false, false), "{rule:?}");
        }
        assert_eq!(said(Ignored, Some(false)), (false, false));
        assert_eq!(said(Remarked, Some(false)), (false, true));
        assert_eq!(said(Required, Some(false)), (true, false));
        // The kernel does not say: only who counts on it is told.
        assert_eq!(said(Remarked, None), (false, false));
        assert_eq!(said(Required, None), (false, true));
    }

    #[test]
    fn a_step_is_distrusted_until_the_clock_has_run_evenly() {
        let mut watch = Watch {
            offset: 1_000_000,
            stepped: None,
        };
        assert_eq!(watch.look(0, 1_000_000), None);
        assert_eq!(
            watch.look(10_000, 1_014_000),
            None,
            "four seconds are drift"
        );
        assert!(
            watch
                .look(20_000, 1_080_000)
                .is_some_and(|why| why.contains("60000 ms"))
        );
        assert!(watch.look(60_000, 1_120_000).is_some());
        assert_eq!(watch.look(80_000, 1_140_000), None, "a minute later");
    }
}
