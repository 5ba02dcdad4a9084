//! One enormous lease in a part-used cell.

use super::cell::Layout;
use super::driver::{BIRTH, Driver, Placed};
use super::mix::Mix;
use super::report::{Figures, percent};
use super::terms::Terms;
use leasehold_common::class::Side;
use leasehold_common::lease::Shape;
use serde::Serialize;
use std::fmt;

/// What is bought, and from what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Buyout {
    /// GPUs of the lease, rounded up to whole nodes.
    pub lease_gpus: u32,
    /// How much of the cell is used before, in percent of its GPUs.
    pub used_pct: u32,
    /// Where chance comes from.
    pub seed: u64,
}

/// What it cost.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Bought {
    /// Nodes of the lease.
    pub nodes: u32,
    /// The share of all GPUs that leases had before, in percent.
    pub used_pct_before: f64,
    /// Planning and booking the lease, in microseconds. It is done once: nothing of it is warm.
    pub decide_us: f64,
    /// Planning alone.
    pub plan_us: f64,
    /// Whether it was placed.
    pub placed: bool,
    /// The most memory the process had, in MiB.
    pub rss_mib: u64,
    /// Placements that the engine's checker looked at, those made to use the cell included.
    pub checker_checked: u64,
    /// Hard rules they broke.
    pub checker_violations: u64,
    /// What stands for all decisions.
    pub digest: String,
}

/// Uses a part of a cell, and buys a large part of what is left.
pub fn run(layout: Layout, fed_pct: u32, buyout: Buyout) -> Bought {
    let mut driver = Driver::new(layout, Terms::of(layout, fed_pct, BIRTH));
    let mut mix = Mix::new(layout, buyout.seed);
    let target = layout.all_gpus() * u64::from(buyout.used_pct) / 100;
    use_part(layout, target, &mut driver, &mut mix);
    let before = driver.used;
    driver.begin_measuring();
    let nodes = buyout.lease_gpus.div_ceil(u32::from(layout.gpus()));
    let placed = driver.ask(&mix.of_shape(Shape::nodes(nodes)));
    let planned = driver.planning_us();
    let figures: Figures = driver.figures();
    Bought {
        nodes,
        used_pct_before: percent(before, layout.all_gpus()),
        decide_us: figures.max_us,
        plan_us: planned,
        placed: placed.is_some(),
        rss_mib: figures.rss_mib,
        checker_checked: figures.checker_checked,
        checker_violations: figures.checker_violations,
        digest: figures.digest,
    }
}

/// Leases half as much again as is wanted and ends a third of that here and there, so that what is
/// used is scattered as in a cell that has been in use.
fn use_part(layout: Layout, target: u64, driver: &mut Driver, mix: &mut Mix) {
    let most = (target + target / 2).min(layout.all_gpus() * 9 / 10);
    let mut leases: Vec<(Placed, Side)> = Vec::new();
    while driver.used < most {
        let request = mix.usual();
        let side = request.side();
        if let Some(placed) = driver.ask(&request) {
            leases.push((placed, side));
        }
    }
    while driver.used > target && !leases.is_empty() {
        let (placed, side) = leases.swap_remove(mix.rng.index(leases.len()));
        driver.end(placed.lease);
        driver.give_back(&placed, side);
    }
}

impl fmt::Display for Bought {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "nodes                     {}", self.nodes)?;
        writeln!(f, "GPUs used before, in %    {:.1}", self.used_pct_before)?;
        let placed = if self.placed { "yes" } else { "no" };
        writeln!(f, "placed                    {placed}")?;
        writeln!(
            f,
            "decided, of that planned  {:.0} µs, {:.0} µs",
            self.decide_us, self.plan_us
        )?;
        writeln!(f, "memory in MiB             {}", self.rss_mib)?;
        writeln!(
            f,
            "checked, violations       {}, {}",
            self.checker_checked, self.checker_violations
        )?;
        write!(f, "digest                    {}", self.digest)
    }
}
