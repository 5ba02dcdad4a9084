//! One error that was seen in two places is one error.
//!
//! NVML's events lose XIDs when several come at once, the kernel's log loses lines when many come at
//! once, and what both saw must not count twice: policies count. Two sightings of one XID on one GPU
//! with no more than a window between them are of one incident, whoever saw them and in whatever order
//! they are told. So a GPU that repeats an XID every second has one long incident, not thousands.

use super::pci::PciAddress;
use super::xid::MigInstance;
use leasehold_common::time::{Span, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// How far apart the two reports of one XID can be. Both come within milliseconds; NVML's is told by
/// when it was read, which on a busy host is a second or two later. A doubled window would only join
/// repeats that are told by their number anyway.
pub const WINDOW: Span = Span::from_secs(5);

/// How many incidents are kept of one XID on one GPU. Rules look at the last few.
pub const KEPT_EACH: usize = 16;

/// How many pairs of GPU and XID are kept. 16 GPUs with every XID there is would be 2,800; of a host
/// that had a third of that no more need be remembered.
pub const KEPT_PAIRS: usize = 1024;

/// How many instances are kept of one incident. A GPU has seven GPU instances at most, with seven
/// compute instances at most among them.
const KEPT_INSTANCES: usize = 64;

/// Who saw an XID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Witness {
    /// A line of the kernel's log.
    KernelLog,
    /// An event of NVML's (`nvmlEventTypeXidCriticalError`).
    Nvml,
}

/// An XID as one of the two saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct XidSighting {
    /// On which GPU.
    pub pci: PciAddress,
    /// On which instance of it, where that was said. NVML's 0xFFFFFFFF (`nvmlEventData_t`) says none.
    pub mig: Option<MigInstance>,
    /// Which XID.
    pub code: u32,
    /// When.
    pub at: Timestamp,
    /// Who saw it.
    pub by: Witness,
}

/// Sightings that belong together.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct XidIncident {
    /// On which GPU.
    pub pci: PciAddress,
    /// Which XID.
    pub code: u32,
    /// The first sighting.
    pub first: Timestamp,
    /// The last.
    pub last: Timestamp,
    /// How many lines of the kernel's log.
    pub lines: u64,
    /// How many events of NVML's.
    pub events: u64,
    /// The instances that were named. Empty where it concerns the whole GPU, or nobody said.
    pub instances: BTreeSet<MigInstance>,
}

/// What a sighting adds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// An incident of its own.
    New,
    /// The incident that is known has happened once more.
    Again,
    /// What the other witness has told already.
    Known {
        /// When it was seen last.
        then: Timestamp,
    },
}

impl XidIncident {
    fn of(sighting: XidSighting) -> Self {
        let XidSighting {
            pci,
            mig,
            code,
            at,
            by,
        } = sighting;
        let (lines, events) = match by {
            Witness::KernelLog => (1, 0),
            Witness::Nvml => (0, 1),
        };
        Self {
            pci,
            code,
            first: at,
            last: at,
            lines,
            events,
            instances: mig.into_iter().collect(),
        }
    }

    /// How often it happened, as far as is known: each of the two reports an XID once at most, and
    /// either can have missed some.
    pub fn times(&self) -> u64 {
        self.lines.max(self.events)
    }

    fn is_near(&self, other: &Self, window: Span) -> bool {
        // Of two that do not overlap one distance is nothing and the other the gap.
        other.first.since(self.last) <= window && self.first.since(other.last) <= window
    }

    fn join(&mut self, other: Self) {
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
        self.lines = self.lines.saturating_add(other.lines);
        self.events = self.events.saturating_add(other.events);
        self.instances.extend(other.instances);
        // The lowest are kept, so that the order in which they came does not show.
        while self.instances.len() > KEPT_INSTANCES {
            self.instances.pop_last();
        }
    }
}

/// The incidents of a host. Memory is bounded: [`KEPT_EACH`] times [`KEPT_PAIRS`] incidents; the oldest
/// are forgotten. One XID cannot push out another by its number: a tenant can cause as many of 31 as it
/// likes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct XidIncidents {
    window: Span,
    /// By GPU and XID; each list in order of time, a window and more between any two.
    pairs: BTreeMap<(PciAddress, u32), Vec<XidIncident>>,
}

impl XidIncidents {
    /// None yet; sightings no more than `window` apart will be of one incident ([`WINDOW`]).
    pub const fn new(window: Span) -> Self {
        Self {
            window,
            pairs: BTreeMap::new(),
        }
    }

    /// Adds a sighting.
    pub fn see(&mut self, sighting: XidSighting) -> Seen {
        let pair = (sighting.pci, sighting.code);
        if !self.pairs.contains_key(&pair) && self.pairs.len() >= KEPT_PAIRS {
            self.forget_a_pair();
        }
        let known = self.pairs.entry(pair).or_default();
        let mut incident = XidIncident::of(sighting);
        let (mut times, mut then) = (0, None);
        // One sighting can be near two incidents, and makes them one.
        known.retain(|other| {
            let near = other.is_near(&incident, self.window);
            if near {
                times += other.times();
                then = then.max(Some(other.last));
                incident.join(other.clone());
            }
            !near
        });
        let seen = match then {
            None => Seen::New,
            Some(_) if incident.times() > times => Seen::Again,
            Some(then) => Seen::Known { then },
        };
        let place = known.partition_point(|other| other.last < incident.first);
        known.insert(place, incident);
        if known.len() > KEPT_EACH {
            known.remove(0);
        }
        seen
    }

    /// Every incident that is known, by GPU, XID and time.
    pub fn iter(&self) -> impl Iterator<Item = &XidIncident> {
        self.pairs.values().flatten()
    }

    /// The incidents of one GPU, by XID and time.
    pub fn of(&self, pci: PciAddress) -> impl Iterator<Item = &XidIncident> {
        self.pairs
            .range((pci, 0)..=(pci, u32::MAX))
            .flat_map(|(_, incidents)| incidents)
    }

    /// The pair that has been quiet for longest.
    fn forget_a_pair(&mut self) {
        let quietest = self
            .pairs
            .iter()
            .min_by_key(|(_, incidents)| incidents.last().map(|incident| incident.last))
            .map(|(pair, _)| *pair);
        if let Some(pair) = quietest {
            self.pairs.remove(&pair);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gpu(bus: u8) -> PciAddress {
        PciAddress::new(0, bus, 0).unwrap()
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_ms(1_000_000_000 + seconds * 1000)
    }

    fn line(code: u32, seconds: i64) -> XidSighting {
        XidSighting {
            pci: gpu(0x9b),
            mig: None,
            code,
            at: at(seconds),
            by: Witness::KernelLog,
        }
    }

    fn event(code: u32, seconds: i64) -> XidSighting {
        XidSighting {
            by: Witness::Nvml,
            ..line(code, seconds)
        }
    }

    fn told(sightings: impl IntoIterator<Item = XidSighting>) -> (XidIncidents, Vec<Seen>) {
        let mut incidents = XidIncidents::new(WINDOW);
        let seen = sightings
            .into_iter()
            .map(|sighting| incidents.see(sighting));
        let seen = seen.collect();
        (incidents, seen)
    }

    #[test]
    fn what_both_saw_is_one_incident_whoever_is_first() {
        for pair in [[line(79, 0), event(79, 1)], [event(79, 1), line(79, 0)]] {
            let (incidents, seen) = told(pair);
            let then = pair[0].at;
            assert_eq!(seen, [Seen::New, Seen::Known { then }]);
            let all: Vec<_> = incidents.iter().collect();
            assert_eq!(all.len(), 1);
            assert_eq!((all[0].first, all[0].last), (at(0), at(1)));
            assert_eq!((all[0].lines, all[0].events, all[0].times()), (1, 1, 1));
        }
    }

    #[test]
    fn another_gpu_another_xid_and_another_time_are_incidents_of_their_own() {
        let elsewhere = XidSighting {
            pci: gpu(0x1b),
            ..event(79, 0)
        };
        let (incidents, seen) = told([line(79, 0), event(48, 0), elsewhere, event(79, 6)]);
        assert_eq!(seen, [Seen::New; 4]);
        assert_eq!(incidents.iter().count(), 4);
        assert_eq!(incidents.of(gpu(0x1b)).count(), 1);
    }

    #[test]
    fn the_window_itself_is_still_one_incident_in_either_order() {
        let (early, late) = (line(79, 0), event(79, 5));
        let later = XidSighting {
            at: late.at + Span::from_millis(1),
            ..late
        };
        for (pair, incidents) in [
            ([early, late], 1),
            ([late, early], 1),
            ([early, later], 2),
            ([later, early], 2),
        ] {
            assert_eq!(told(pair).0.iter().count(), incidents, "{pair:?}");
        }
    }

    #[test]
    fn an_xid_that_repeats_is_counted_and_not_listed() {
        let (incidents, seen) = told((0..1000).map(|second| line(31, second)));
        assert_eq!(seen[0], Seen::New);
        assert!(seen[1..].iter().all(|seen| *seen == Seen::Again));
        let all: Vec<_> = incidents.iter().collect();
        assert_eq!(all.len(), 1);
        assert_eq!((all[0].times(), all[0].last), (1000, at(999)));
    }

    #[test]
    fn a_sighting_between_two_incidents_makes_them_one() {
        let (incidents, seen) = told([line(48, 0), event(48, 8), line(48, 4)]);
        assert_eq!(seen, [Seen::New, Seen::New, Seen::Known { then: at(8) }]);
        assert_eq!(
            incidents.iter().map(XidIncident::times).collect::<Vec<_>>(),
            [2]
        );
    }

    #[test]
    fn the_instances_that_were_hit_are_kept_together() {
        let on = |gpu_instance| XidSighting {
            mig: Some(MigInstance {
                gpu_instance,
                compute_instance: None,
            }),
            ..line(94, 0)
        };
        let (incidents, _) = told([on(5), on(1), event(94, 0)]);
        let all: Vec<_> = incidents.iter().collect();
        assert_eq!((all.len(), all[0].instances.len()), (1, 2));
    }

    #[test]
    fn a_tenants_flood_of_one_xid_does_not_push_out_another() {
        let flood = (0..10_000).map(|n| line(31, n * 60));
        let (incidents, _) = told([line(79, 0)].into_iter().chain(flood));
        assert_eq!(incidents.iter().filter(|i| i.code == 31).count(), KEPT_EACH);
        assert_eq!(incidents.iter().filter(|i| i.code == 79).count(), 1);
        let newest = incidents.iter().filter(|i| i.code == 31).last().unwrap();
        assert_eq!(newest.last, at(9_999 * 60));
    }

    #[test]
    fn memory_is_bounded_also_when_every_xid_is_another() {
        let (incidents, _) = told((0..5_000_u32).map(|code| line(code, i64::from(code) * 60)));
        assert_eq!(incidents.iter().count(), KEPT_PAIRS);
        assert!(
            incidents
                .iter()
                .all(|incident| incident.code >= 5_000 - 1024)
        );
    }
}
