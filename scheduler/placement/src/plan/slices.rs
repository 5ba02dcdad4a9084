//! Leases of slices: which node, which of its GPUs, and where on them.
//!
//! ```text
//!   nodes with slices let   by class: what fits one node of a class fits all    cell/carved
//!   nodes without           as for GPUs let whole: so many free ones do         small
//!   nodes with bookings     by their holds
//! ```
//!
//! On a node without slices they go where as many GPUs are free as the slices need by themselves; how
//! many those are is a matter of the request alone. So such nodes are found, counted and told of as
//! they are for leases of GPUs. A node with slices is looked at exactly: all slices that are gone at
//! any instant of the window are gone for all of it, which is never less strict than need be.

use super::ask::{Ask, Need};
use super::classes::classes;
use super::faults::{Cause, Faults, Rule};
use super::limits::Limits;
use super::rules::{
    Beside, Verdict, host_asked, host_taken, idle_minutes, judge, judge_fitness, judge_mates,
    judge_shares, walk,
};
use super::score::{Podium, RUNNERS_UP, Score, SliceScore};
use super::small;
use super::tally::Tally;
use crate::cell::{GPUS, Gone, Node, Stance};
use crate::mig::{Assignment, Geometry, Layout, Wanted, choose};
use leasehold_common::explain::Candidate;
use leasehold_common::ids::NodeIndex;
use leasehold_common::lease::{GpuSlots, HostShare, Shape, Slice, Slices};
use leasehold_common::node_set::NodeSet;
use leasehold_common::policy::Granularity;
use leasehold_common::sku::Sku;
use std::collections::BTreeMap;

/// What slices are asked for, of GPUs that are partitioned in one way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wish<'a> {
    geometry: &'a Geometry,
    wanted: Wanted,
    /// GPUs that it needs where none has slices yet; absent where no node has as many.
    pub(super) gpus: Option<u8>,
    /// The same, or as many as the largest node has: what no node could give is no node's fault.
    bound: u8,
    /// Compute slices.
    pub(super) sevenths: u32,
    /// Parts of GPUs, as far as watts go.
    pub(super) parts: u32,
    /// Memory slices.
    pub(super) eighths: u32,
}

impl<'a> Wish<'a> {
    /// What a shape asks of nodes with up to so many GPUs; absent where it asks for no slices, or for
    /// such as those GPUs do not have.
    pub(super) fn new(
        shape: &Shape,
        geometry: Option<&'a Geometry>,
        sku: Option<&Sku>,
        largest: u8,
    ) -> Option<Self> {
        let Shape::Slices { profiles } = shape else {
            return None;
        };
        let geometry = geometry?;
        let wanted = Wanted::new(geometry, profiles).ok()?;
        let empty: Vec<_> = (0..largest).map(|slot| (slot, None)).collect();
        let kinds = &geometry.family().kinds;
        let eighths = profiles.iter().map(|(profile, count)| {
            let kind = kinds.iter().find(|kind| kind.name == *profile);
            u32::from(kind.map_or(0, |kind| kind.memory)).saturating_mul(*count)
        });
        let parts = profiles.iter().map(|(profile, count)| {
            let each = sku.map_or(0, |sku| sku.parts_of(profile));
            each.saturating_mul(*count)
        });
        let gpus = choose(geometry, &empty, &wanted).map(|on| carved(&on));
        Some(Self {
            geometry,
            wanted,
            gpus,
            bound: gpus.unwrap_or(largest),
            sevenths: u32::try_from(shape.sevenths()).unwrap_or(u32::MAX),
            parts: parts.fold(0, u32::saturating_add),
            eighths: eighths.fold(0, u32::saturating_add),
        })
    }
}

/// GPUs that have no slices yet and would get some.
fn carved(on: &Assignment) -> u8 {
    let switched = on.gpus.iter().filter(|gpu| gpu.switched).count();
    u8::try_from(switched).unwrap_or(u8::MAX)
}

/// What of a node's GPUs is gone in the window.
#[derive(Debug, Clone, Copy, Default)]
struct Claim {
    held: [Gone; GPUS],
    returning: [Gone; GPUS],
    /// GPUs that are let whole, or serve the other side.
    whole: GpuSlots,
    whole_returning: GpuSlots,
    host: HostShare,
}

/// A GPU by its slot, with the layout of what is gone of it where anything is.
pub(super) type Offered = (u8, Option<Layout>);

/// What is looked away from, to tell what is in the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Only {
    All,
    Held,
    Returning,
    Sick,
}

impl Claim {
    /// The GPUs slices can be on, as far as what is looked at goes: with the layout of those that have
    /// any, without of those that are free.
    fn offered(&self, stance: &Stance, only: Only) -> Vec<Offered> {
        let with = |one: Only| only == Only::All || only == one;
        let mut free = stance.all();
        if with(Only::Sick) {
            free = free.minus(stance.sick);
        }
        if with(Only::Held) {
            free = free.minus(self.whole);
        }
        if with(Only::Returning) {
            free = free.minus(self.whole_returning);
        }
        let offered = free.iter().map(|slot| {
            let at = usize::from(slot);
            let mut gone = Gone::default();
            if with(Only::Held) {
                gone = gone.with(self.held[at]);
            }
            if with(Only::Returning) {
                gone = gone.with(self.returning[at]);
            }
            (slot, (gone != Gone::default()).then(|| gone.layout()))
        });
        offered.collect()
    }
}

/// The GPUs of a node that slices can be on, for somebody in a window, healthy and not let whole; the ask
/// knows when the node would be clean.
pub(super) fn offered(ask: &Ask<'_>, node: NodeIndex) -> Vec<Offered> {
    let (known, stance) = ask.look(node);
    let (claim, _) = claim(known, stance, ask, &mut Faults::default());
    claim.offered(stance, Only::All)
}

fn fits(wish: &Wish<'_>, offered: &[Offered]) -> bool {
    let free = offered.iter().filter(|(_, layout)| layout.is_none());
    let free = free.count();
    let is_plain = free == offered.len() || wish.gpus.is_none();
    free >= usize::from(wish.bound)
        || (!is_plain && choose(wish.geometry, offered, &wish.wanted).is_some())
}

/// Judges one node of the right SKU for slices.
pub(super) fn judge_slices(
    wish: &Wish<'_>,
    node: &Node,
    stance: &Stance,
    ask: &Ask<'_>,
) -> Verdict {
    let mut faults = judge_fitness(stance.condition, ask);
    let (mut claim, beside) = claim(node, stance, ask, &mut faults);
    if ask.apart.granularity == Granularity::Domain {
        judge_mates(node, ask, &mut faults);
    }
    let offered = claim.offered(stance, Only::All);
    if !fits(wish, &offered) {
        blame(wish, &claim, stance, &mut faults);
    }
    claim.host = host_taken(node, stance, ask);
    let takes_more = claim.host != HostShare::default() || ask.request.host.is_some();
    if let Some(sku) = ask.cell.described(stance.sku).filter(|_| takes_more) {
        let mine = host_asked(ask, sku);
        judge_shares(&mut faults, sku.host_share(stance.gpus), claim.host, mine);
    }
    let none = offered.iter().filter(|(_, layout)| layout.is_none());
    Verdict {
        faults,
        free: none.fold(GpuSlots::NONE, |free, (slot, _)| free.with(*slot)),
        loose: offered.iter().map(|(_, layout)| free_slices(*layout)).sum(),
        changes_side: beside.last_side.is_some_and(|last| last != ask.side),
        host: claim.host,
        idle_minutes: idle_minutes(ask, beside.next),
    }
}

fn free_slices(layout: Option<Layout>) -> u8 {
    let taken = layout.map_or(0, Layout::taken);
    taken.count_zeros().to_le_bytes()[0]
}

/// Says what is in the way on a node on which slices do not fit: each thing that would be by itself,
/// and where only all together are, each of them.
fn blame(wish: &Wish<'_>, claim: &Claim, stance: &Stance, faults: &mut Faults) {
    let empty: Vec<_> = stance.all().iter().map(|slot| (slot, None)).collect();
    if !fits(wish, &empty) {
        faults.add(Rule::Unhealthy, Cause::Unavailable);
        return;
    }
    let away = [
        (Only::Held, Rule::Taken, Cause::Held),
        (Only::Returning, Rule::Returning, Cause::Cleanup),
        (Only::Sick, Rule::Unhealthy, Cause::Unavailable),
    ];
    let seen = away.map(|(only, _, _)| claim.offered(stance, only));
    let fails = seen.each_ref().map(|offered| !fits(wish, offered));
    let any = fails.contains(&true);
    for (at, (_, rule, cause)) in away.into_iter().enumerate() {
        if fails[at] || (!any && seen[at] != empty) {
            faults.add(rule, cause);
        }
    }
}

/// What leases take of a node in the window, and what is beside it.
fn claim(node: &Node, stance: &Stance, ask: &Ask<'_>, faults: &mut Faults) -> (Claim, Beside) {
    let mut claim = Claim::default();
    let beside = walk(node, stance, ask, faults, |hold, is_returning| {
        let (gone, whole) = if is_returning {
            (&mut claim.returning, &mut claim.whole_returning)
        } else {
            (&mut claim.held, &mut claim.whole)
        };
        // Pieces of a GPU are only to be had beside those whom policy lets be together.
        let is_shared = ask.party().may_share_node(hold.party(), ask.apart);
        if hold.side == ask.side && is_shared {
            for piece in &hold.pieces {
                let gone = &mut gone[usize::from(piece.gpu)];
                *gone = gone.with(piece.gone());
            }
            *whole = whole.union(hold.whole());
        } else {
            *whole = whole.union(hold.slots);
        }
    });
    (claim, beside)
}

/// Where slices go on one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Spot {
    node: NodeIndex,
    slices: Vec<Slice>,
    /// GPUs that get their first slices.
    carved: u8,
    /// Memory slices left free on the GPUs it uses.
    left: u32,
}

impl Spot {
    /// Where slices go on a node that they fit.
    pub(super) fn on(ask: &Ask<'_>, node: NodeIndex) -> Option<Self> {
        let wish = ask.wish.as_ref()?;
        let on = choose(wish.geometry, &offered(&ask.on(node), node), &wish.wanted)?;
        let slices = on.gpus.iter().flat_map(|gpu| {
            gpu.instances.iter().map(|one| Slice {
                gpu: gpu.slot,
                profile: wish.geometry.profile(one.kind).clone(),
                start: one.start,
            })
        });
        let left = on.gpus.iter().map(|gpu| gpu.layout.taken().count_zeros());
        Some(Self {
            node,
            slices: slices.collect(),
            carved: carved(&on),
            left: left.sum(),
        })
    }

    /// The GPUs that they are on.
    pub(super) fn gpus(&self) -> GpuSlots {
        let gpus = self.slices.iter().map(|slice| slice.gpu);
        gpus.fold(GpuSlots::NONE, GpuSlots::with)
    }

    pub(super) fn candidate(self, ask: &Ask<'_>) -> Candidate {
        let (_, pool) = ask.cell.index().pools.of(self.node);
        let (known, _) = ask.look(self.node);
        Candidate {
            unit: known.spec.path.unit(pool.level),
            nodes: [self.node].into_iter().collect(),
            gpus: BTreeMap::from([(self.node, self.gpus())]),
            slices: Slices::from([(self.node, self.slices)]),
            spares: NodeSet::new(),
            score: Vec::new(),
            lost_by: None,
        }
    }
}

/// The best few places.
pub(super) fn spots(ask: &Ask<'_>, tally: &Tally, limits: &mut Limits<'_>) -> Podium<Spot> {
    let mut podium = Podium::new();
    if !ask.is_present() {
        for (node, verdict) in &tally.fitting {
            let (_, stance) = ask.look(*node);
            enter(ask, *node, stance, verdict, limits, &mut podium);
        }
        return podium;
    }
    for (_, nodes) in classes(ask) {
        enter_class(ask, nodes.iter().copied(), limits, &mut podium);
    }
    enter_uncarved(ask, limits, &mut podium);
    for (node, verdict) in &tally.fitting {
        let (_, stance) = ask.look(*node);
        enter(ask, *node, stance, verdict, limits, &mut podium);
    }
    podium
}

fn enter_class(
    ask: &Ask<'_>,
    nodes: impl Iterator<Item = NodeIndex>,
    limits: &mut Limits<'_>,
    podium: &mut Podium<Spot>,
) {
    let mut entered = 0;
    for node in nodes {
        let (known, stance) = ask.look(node);
        let verdict = judge(known, stance, ask);
        if !verdict.faults.fits() {
            // What one node of a class fails all do.
            return;
        }
        entered += usize::from(enter(ask, node, stance, &verdict, limits, podium));
        if entered > RUNNERS_UP {
            return;
        }
    }
}

/// Nodes without slices, where as many GPUs are free as it takes.
fn enter_uncarved(ask: &Ask<'_>, limits: &mut Limits<'_>, podium: &mut Podium<Spot>) {
    let (Some(wish), Need::Slices(gpus)) = (ask.wish, ask.need) else {
        return;
    };
    let whole = Ask {
        need: Need::Gpus(gpus),
        wish: None,
        ..*ask
    };
    let mut places = Podium::new();
    small::enter_idle(&whole, limits, &mut places);
    small::enter_parts(&whole, gpus, limits, &mut places);
    small::enter_booked(&whole, limits, &mut places);
    for (score, place) in places.best {
        // Those beside whose slices it may be were entered by class; of others' nodes, whole GPUs do.
        let theirs = ask.cell.carved().account_on(place.node);
        if theirs.is_some_and(|on| ask.apart.mig_colocation || Some(on) == ask.account) {
            continue;
        }
        // No slice is there yet, so that they get as many GPUs as they need by themselves.
        let score = Score {
            slices: Some(SliceScore {
                gpus_carved: u32::from(gpus),
                slices_left: u32::from(gpus) * 8 - wish.eighths,
            }),
            ..score
        };
        podium.enter(score, || {
            let spot = Spot::on(ask, place.node).expect("as many GPUs are free as it takes");
            debug_assert_eq!(Some(spot.score()), score.slices);
            spot
        });
    }
}

fn enter(
    ask: &Ask<'_>,
    node: NodeIndex,
    stance: &Stance,
    verdict: &Verdict,
    limits: &mut Limits<'_>,
    podium: &mut Podium<Spot>,
) -> bool {
    if !verdict.faults.fits() || limits.bar(node, stance).is_some() {
        return false;
    }
    let (_, pool) = ask.cell.index().pools.of(node);
    let is_whole = stance.is_whole();
    let score = |carved: u8, slices: SliceScore| Score {
        side_changes: u32::from(verdict.changes_side),
        domains_broken: u32::from(is_whole && pool.breaks_domain()),
        slices: Some(slices),
        gpus_stranded: u32::from(verdict.free.len() - carved),
        unit_left: if is_whole { pool.whole - 1 } else { 0 },
        idle_before: u64::from(verdict.idle_minutes),
        node_index: node,
    };
    // Where on its GPUs they would go is only worked out for a node that could be among the best.
    let (carved, slices) = at_best(ask, verdict);
    if podium.is_beyond(&score(carved, slices)) {
        return true;
    }
    let Some(spot) = Spot::on(ask, node) else {
        return false;
    };
    podium.enter(score(spot.carved, spot.score()), || spot);
    true
}

/// GPUs that get their first slices, and a score that no choice of GPUs on a node beats.
fn at_best(ask: &Ask<'_>, verdict: &Verdict) -> (u8, SliceScore) {
    match ask.wish {
        // All that is left of it is GPUs without slices.
        Some(wish) if verdict.loose == verdict.free.len() * 8 => {
            let slices = SliceScore {
                gpus_carved: u32::from(wish.bound),
                slices_left: u32::from(wish.bound) * 8 - wish.eighths,
            };
            (wish.bound, slices)
        }
        Some(_) | None => {
            let slices = SliceScore {
                gpus_carved: 0,
                slices_left: 0,
            };
            (0, slices)
        }
    }
}

impl Spot {
    fn score(&self) -> SliceScore {
        SliceScore {
            gpus_carved: u32::from(self.carved),
            slices_left: self.left,
        }
    }
}
