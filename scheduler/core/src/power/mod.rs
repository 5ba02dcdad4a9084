//! What leases may draw below a place, over time, and the budgets that bound it.
//!
//! What is booked is counted from the ledger when it is asked for: an envelope belongs to a lease's
//! segment and is shared out over its nodes by their GPUs. What is [`drawn`] is kept as it is reported.

mod drawn;

pub(crate) use drawn::{DrawnBelow, NodeDraw};

use crate::state::State;
use leasehold_common::api::{OverBudget, PowerView};
use leasehold_common::ids::NodeIndex;
use leasehold_common::lease::LeaseRecord;
use leasehold_common::node::NodeState;
use leasehold_common::power::{PowerRecord, PowerStep, next_step, watts_at};
use leasehold_common::time::{Span, Timestamp};
use leasehold_common::topology::{Locality, Prefix, TopologyPath};
use leasehold_common::units::MilliWatts;
use leasehold_placement::power::{Budget, BudgetStep, Minute};
use std::collections::{BTreeMap, BTreeSet};

/// What is booked below one place, as changes in milliwatts from now on. Signed and wide: sums of
/// differences of 64-bit envelopes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Booked(BTreeMap<Timestamp, i128>);

/// What stands below a place.
#[derive(Debug, Clone, Default)]
struct Below {
    nodes: u32,
    installed_mw: u64,
    drawn: drawn::Drawn,
    booked: Booked,
}

/// A budget as the packing engine has it: by whole minutes, and in a minute in which it changes the
/// lower of what holds before and after.
fn budget(steps: &[PowerStep]) -> Budget {
    let minutes: BTreeSet<Minute> = steps
        .iter()
        .flat_map(|step| [Minute::containing(step.from), Minute::not_before(step.from)])
        .collect();
    let limit = |minute: Minute| {
        let inside = steps
            .iter()
            .filter(|step| Minute::containing(step.from) == minute && step.from > minute.begins());
        let watts = inside
            .map(|step| step.watts)
            .chain([watts_at(steps, minute.begins())]);
        watts.flatten().min().map(MilliWatts::from_watts)
    };
    let steps = minutes.into_iter().map(|from| BudgetStep {
        from,
        limit: limit(from),
    });
    Budget::new(steps.collect()).expect("minutes of a set are in order, and there is one")
}

impl State {
    /// Enters or replaces a budget.
    pub(crate) fn insert_power(&mut self, record: PowerRecord) {
        if let Some(old) = self
            .power
            .get(&record.prefix)
            .and_then(|r| r.idempotency.as_ref())
        {
            self.by_key.remove(&(old.uid, old.key.clone()));
        }
        if let Some(known) = &record.idempotency {
            let target = crate::state::Changed::Power(record.prefix.clone());
            self.by_key.insert((known.uid, known.key.clone()), target);
        }
        let budget = (!record.steps.is_empty()).then(|| budget(&record.steps));
        self.cell.set_budget(&record.prefix, budget);
        self.power.insert(record.prefix.clone(), record);
        // A budget that was raised may let something in.
        self.stir_all();
    }

    /// Whether a node stands below a place.
    pub(crate) fn is_place(&self, prefix: &Prefix) -> bool {
        let mut nodes = self.nodes.values();
        *prefix == Prefix::cell() || nodes.any(|node| prefix.holds(&node.fleet.path))
    }

    /// The whole cell and every place with a budget, or one place.
    pub(crate) fn power_views(&self, prefix: Option<&Prefix>, now: Timestamp) -> Vec<PowerView> {
        let places: BTreeSet<Prefix> = match prefix {
            Some(prefix) => BTreeSet::from([prefix.clone()]),
            None => self.power.keys().cloned().chain([Prefix::cell()]).collect(),
        };
        let mut below = self.below(&places, now);
        places
            .into_iter()
            .map(|prefix| {
                let below = below.remove(&prefix).unwrap_or_default();
                let record = self.power.get(&prefix);
                view(prefix, record, &below, now)
            })
            .collect()
    }

    /// The view of one place as it would be with these steps.
    pub(crate) fn power_view(&self, record: &PowerRecord, now: Timestamp) -> PowerView {
        let places = BTreeSet::from([record.prefix.clone()]);
        let below = self.below(&places, now).remove(&record.prefix);
        let prefix = record.prefix.clone();
        view(prefix, Some(record), &below.unwrap_or_default(), now)
    }

    fn below(&self, places: &BTreeSet<Prefix>, now: Timestamp) -> BTreeMap<Prefix, Below> {
        let mut below: BTreeMap<Prefix, Below> = places
            .iter()
            .map(|place| {
                let drawn = self.drawn.get(place);
                let below = Below {
                    drawn,
                    ..Below::default()
                };
                (place.clone(), below)
            })
            .collect();
        let levels: BTreeSet<Locality> = places.iter().map(Prefix::level).collect();
        let mut above = |path: &TopologyPath, add: &mut dyn FnMut(&mut Below)| {
            for level in &levels {
                if let Some(below) = below.get_mut(&path.unit(*level)) {
                    add(below);
                }
            }
        };
        for node in self.nodes.values() {
            let gone = node.fleet.state == NodeState::Retired;
            let sku = self.settings.skus.get(&node.fleet.sku).filter(|_| !gone);
            let installed = sku.map_or(0, |sku| sku.envelope(sku.gpus).0);
            above(&node.fleet.path, &mut |below| {
                below.nodes += u32::from(!gone);
                below.installed_mw += installed;
            });
        }
        for lease in self
            .unfinished()
            .filter(|lease| lease.state.holds_hardware())
        {
            let Some((from, to)) = span_of(lease, now) else {
                continue;
            };
            for (index, mw) in self.shares(lease) {
                let Some(node) = self.nodes.get(&index) else {
                    continue;
                };
                above(&node.fleet.path, &mut |below| {
                    below.booked.add(from, to, mw);
                });
            }
        }
        below
    }

    /// A lease's envelope, shared out over the nodes that still have its hardware.
    pub(crate) fn shares(&self, lease: &LeaseRecord) -> Vec<(NodeIndex, u64)> {
        let per_node = self.gpus_per_node(lease);
        let outstanding = lease.outstanding();
        let shares = outstanding.iter().filter_map(|node| {
            // A node that it has no longer draws what it was let for.
            let segment = lease.segment_with(node)?;
            if !segment.slices.is_empty() {
                return Some((node, segment.envelope_mw.0));
            }
            let of = |node| {
                segment
                    .gpus
                    .get(&node)
                    .map_or(per_node, |slots| slots.len())
            };
            let parts: u64 = segment.gpus.keys().map(|node| u64::from(of(*node))).sum();
            let whole = segment.nodes.len() - segment.gpus.len();
            let all = parts + whole as u64 * u64::from(per_node);
            // Rounded up, so that the shares are never less than the whole.
            let share = u128::from(segment.envelope_mw.0) * u128::from(of(node));
            let share = share.div_ceil(u128::from(all.max(1)));
            Some((node, u64::try_from(share).unwrap_or(u64::MAX)))
        });
        shares.collect()
    }
}

/// From when until when a lease counts, from now on. What is late back counts for as long as it is:
/// now, and nobody can say how much longer.
fn span_of(lease: &LeaseRecord, now: Timestamp) -> Option<(Timestamp, Option<Timestamp>)> {
    let segment = lease.segment()?;
    let moment = now + Span::from_millis(1);
    let to = segment.to.map(|to| to.max(moment));
    Some((segment.from.max(now), to))
}

impl Booked {
    fn add(&mut self, from: Timestamp, to: Option<Timestamp>, mw: u64) {
        *self.0.entry(from).or_default() += i128::from(mw);
        if let Some(to) = to {
            *self.0.entry(to).or_default() -= i128::from(mw);
        }
    }

    /// What is booked from each instant on, in whole watts, rounded up.
    fn levels(&self) -> impl Iterator<Item = (Timestamp, u64)> + '_ {
        let levels = self.0.iter().scan(0_i128, |level, (at, change)| {
            *level += change;
            Some((*at, *level))
        });
        levels.map(|(at, mw)| (at, u64::try_from((mw + 999) / 1000).unwrap_or(0)))
    }
}

fn view(prefix: Prefix, record: Option<&PowerRecord>, below: &Below, now: Timestamp) -> PowerView {
    let steps = record.map_or(&[][..], |record| &record.steps);
    let booked = below.booked.levels().take_while(|(at, _)| *at <= now);
    let booked = booked.last().map_or(0, |(_, watts)| watts);
    // The first of the highest: of several equal peaks, the one that comes first.
    let peak = below.booked.levels().filter(|(at, _)| *at > now);
    let peak = peak.max_by_key(|(at, watts)| (*watts, std::cmp::Reverse(*at)));
    let (booked_max, booked_max_at) = match peak {
        Some((at, watts)) if watts > booked => (watts, Some(at)),
        Some(_) | None => (booked, None),
    };
    PowerView {
        prefix,
        budget_watts: watts_at(steps, now),
        next: next_step(steps, now),
        steps: steps.to_vec(),
        nodes: below.nodes,
        installed_watts: below.installed_mw.div_ceil(1000),
        booked_watts: booked,
        booked_max_watts: booked_max,
        booked_max_at,
        drawn_watts: below.drawn.mw / 1000,
        stale_watts: below.drawn.stale_mw / 1000,
        nodes_reporting: below.drawn.nodes,
        over: over(steps, &below.booked, now),
        by: record.map(|record| record.by),
        at: record.map(|record| record.at),
        why: record.and_then(|record| record.why.clone()),
    }
}

/// Where more is booked than the steps allow, from now on.
fn over(steps: &[PowerStep], booked: &Booked, now: Timestamp) -> Option<OverBudget> {
    let changes = booked.0.keys().copied();
    let instants: BTreeSet<Timestamp> = changes
        .chain(steps.iter().map(|step| step.from))
        .chain([now])
        .filter(|at| *at >= now)
        .collect();
    let mut levels = booked.levels().peekable();
    let (mut level, mut found) = (0, None::<OverBudget>);
    for at in instants {
        while let Some((_, watts)) = levels.next_if(|(from, _)| *from <= at) {
            level = watts;
        }
        let excess = watts_at(steps, at).map_or(0, |budget| level.saturating_sub(budget));
        match &mut found {
            None if excess > 0 => {
                found = Some(OverBudget {
                    from: at,
                    watts: excess,
                    worst: at,
                });
            }
            Some(over) if excess > over.watts => (over.watts, over.worst) = (excess, at),
            None | Some(_) => {}
        }
    }
    found
}
