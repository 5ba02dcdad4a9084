//! Nodes that fit and may not be had, counted from what is kept of the cell.
//!
//! ```text
//!   nodes that nobody has   by unit: what stands below a budget that is used up   cell/grid
//!                           by pool: where domains are kept for the other side    cell/pool
//!   the others that fit     one by one: room beside leases of the account, nodes with sick GPUs, those
//!                           that are booked for later
//! ```
//!
//! Nothing is counted, and next to nothing looked at, where no budget is nearly used up and every floor
//! and ceiling leaves something.

use super::ask::{Ask, Need};
use super::classes::classes;
use super::limits::{Bar, Limits};
use super::rules::judge;
use super::tally::Tally;
use crate::cell::{Group, number, other};
use crate::power::UnitId;
use leasehold_common::ids::NodeIndex;

/// Counts what is in the way of nodes that fit, each alone.
pub(super) fn count(ask: &Ask<'_>, limits: &mut Limits<'_>, tally: &mut Tally) {
    if tally.fit == 0 || !limits.may_bar() {
        return;
    }
    let mut bars = Bars::default();
    if ask.is_present() {
        let mut is_any = limits.may_reserve();
        for gpus in ask.sizes() {
            let need = ask.sku.map(|(sku, _)| limits.envelope_on(sku, gpus));
            let short = limits.short_units(need.unwrap_or_default()).to_vec();
            is_any |= !short.is_empty();
            for group in Group::ALL.into_iter().filter(|g| g.may_serve(ask.side)) {
                count_idle(ask, limits, (group, gpus), &short, &mut bars);
            }
        }
        let others = if is_any {
            found_by_room(ask)
        } else {
            Vec::new()
        };
        for node in others {
            let (known, stance) = ask.look(node);
            if let Some(bar) = limits.bar(node, stance)
                && judge(known, stance, ask).faults.fits()
            {
                bars.enter(Some(bar));
            }
        }
    }
    for (node, _) in &tally.fitting {
        let (_, stance) = ask.look(*node);
        bars.enter(limits.bar(*node, stance));
    }
    limits.met |= bars.reserved + bars.power > 0;
    tally.bar(Bar::Reserved, bars.reserved);
    tally.bar(Bar::Power, bars.power);
}

/// A node that only this keeps away: the first of those that would be taken first.
pub(super) fn first_barred(
    ask: &Ask<'_>,
    limits: &mut Limits<'_>,
    tally: &Tally,
    bar: Bar,
) -> Option<NodeIndex> {
    if tally.any[bar.cause() as usize] == 0 {
        return None;
    }
    let (sku, index) = ask.sku?;
    let mut is_barred = |node: NodeIndex| {
        let (known, stance) = ask.look(node);
        limits.bar(node, stance) == Some(bar) && judge(known, stance, ask).faults.fits()
    };
    if ask.is_present() {
        for group in Group::ALL.into_iter().filter(|g| g.may_serve(ask.side)) {
            let pools = index.groups[group.number()].sets().flatten();
            for key in pools.filter(|key| ask.is_large_enough(key.gpus)) {
                let pool = ask.cell.index().pools.get(key.pool);
                let mut alike = pool.alike(sku, group, key.gpus);
                if let Some(node) = alike.find(|node| is_barred(*node)) {
                    return Some(node);
                }
            }
        }
    }
    let by_room = if ask.is_present() {
        found_by_room(ask)
    } else {
        Vec::new()
    };
    let fitting = tally.fitting.iter().map(|(node, _)| *node);
    by_room
        .into_iter()
        .chain(fitting)
        .find(|node| is_barred(*node))
}

/// Nodes by what is in the way of them.
#[derive(Debug, Default)]
struct Bars {
    reserved: u32,
    power: u32,
}

impl Bars {
    const fn enter(&mut self, bar: Option<Bar>) {
        match bar {
            Some(Bar::Reserved) => self.reserved += 1,
            Some(Bar::Power) => self.power += 1,
            None => {}
        }
    }
}

/// Whole nodes of one group and size that nobody has.
fn count_idle(
    ask: &Ask<'_>,
    limits: &mut Limits<'_>,
    (group, gpus): (Group, u8),
    short: &[UnitId],
    bars: &mut Bars,
) {
    let Some((sku, index)) = ask.sku else {
        return;
    };
    let grid = ask.cell.grid();
    let kind = (sku, group.number(), gpus);
    if grid.idle(kind) == 0 {
        return;
    }
    if limits.keeps_all(group) {
        bars.reserved += grid.idle(kind);
        return;
    }
    if !limits.keeps_domains() {
        let below = short.iter().map(|unit| grid.idle_below(*unit, kind));
        bars.power += below.sum::<u32>();
        return;
    }
    let pools = index.groups[group.number()].sets().flatten();
    for key in pools.filter(|key| key.gpus == gpus) {
        let pool = ask.cell.index().pools.get(key.pool);
        let mut alike = pool.alike(sku, group, gpus);
        if grid.has_narrow_budgets() {
            alike.for_each(|node| bars.enter(limits.bar(node, ask.look(node).1)));
            continue;
        }
        // What is in the way of one of them is in the way of all.
        let Some(first) = alike.next() else {
            continue;
        };
        let nodes = 1 + u32::try_from(alike.count()).unwrap_or(u32::MAX);
        match limits.bar(first, ask.look(first).1) {
            Some(Bar::Reserved) => bars.reserved += nodes,
            Some(Bar::Power) => bars.power += nodes,
            None => {}
        }
    }
}

/// The other nodes that the index finds by their room or their first booking, and that may fit.
fn found_by_room(ask: &Ask<'_>) -> Vec<NodeIndex> {
    let mut found: Vec<NodeIndex> = Vec::new();
    let Some((_, index)) = ask.sku else {
        return Vec::new();
    };
    let groups = || Group::ALL.into_iter().filter(|g| g.may_serve(ask.side));
    if let Need::Gpus(count) | Need::Slices(count) = ask.need {
        let beside = ask.account.and_then(|account| index.beside.get(&account));
        let across = &index.across[number(other(ask.side))];
        let rooms = beside.map(|own| &own.room).into_iter().chain([across]);
        let rooms = rooms.chain(groups().map(|group| &index.groups[group.number()].frail));
        for room in rooms {
            found.extend(room.range((count, NodeIndex(0))..).map(|(_, node)| *node));
        }
        found.extend(classes(ask).flat_map(|(_, nodes)| nodes));
    }
    if let Some(until) = ask.window.until().filter(|_| ask.stands_alone()) {
        for booked in groups().flat_map(|group| &index.ahead.idle[group.number()]) {
            let (_, nodes) = booked;
            found.extend(nodes.range((until, NodeIndex(0))..).map(|(_, node)| *node));
        }
    }
    // A node with slices is found by its class, and by its room.
    found.sort_unstable();
    found.dedup();
    found
}
