//! Whether a policy can be kept on this fleet. Everything that is wrong is told at once.

use super::{Granularity, Policy, Share};
use crate::class::{Class, Side};
use crate::ids::SkuName;
use crate::sku::{Sku, SkuCatalogue};
use crate::time::Span;
use crate::topology::{Locality, Prefix, TopologyPath};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use utoipa::ToSchema;

/// The largest policy, as canonical JSON. It stands in a commit twice, in its record and in the log,
/// and a commit has room for 1.4 MB; a policy for a hundred halls and every SKU has a tenth of it.
pub const POLICY_MAX_BYTES: usize = 64 * 1024;

/// The longest time hardware is kept free after a lease.
const TURNAROUND_MAX: Span = Span::from_hours(7 * 24);

/// The longest a lease can be safe from being reclaimed.
const MIN_RUN_MAX: Span = Span::from_hours(30 * 24);

/// The most waiting leases that hold bookings: each is planned again whenever something changes.
const PLANNED_AHEAD_MAX: u32 = 1_000;

/// The most nodes a cell has, and so the most that are made clean in an hour.
const NODES_MAX: u32 = 125_000;

/// Something in a policy that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Finding {
    /// Where, as in the policy's own text: `floors[1].nodes`.
    pub field: String,
    /// What stands there.
    pub value: String,
    /// What is allowed.
    pub allowed: String,
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            field,
            value,
            allowed,
        } = self;
        write!(f, "{field} is {value:?}, allowed is {allowed}")
    }
}

/// What a fleet has of one SKU, however it is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Shapes {
    /// Nodes.
    pub nodes: u32,
    /// Domains that have all the nodes the SKU's domains have.
    pub domains: u32,
}

/// A fleet as far as a policy can ask for something of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Fleet {
    shapes: BTreeMap<SkuName, Shapes>,
    places: BTreeSet<Prefix>,
}

impl Fleet {
    /// Of these nodes: where each stands and what it is.
    pub fn of<'a>(
        nodes: impl IntoIterator<Item = (&'a TopologyPath, &'a SkuName)>,
        skus: &SkuCatalogue,
    ) -> Self {
        let mut fleet = Self::default();
        let mut domains: BTreeMap<(&SkuName, Prefix), u32> = BTreeMap::new();
        for (path, sku) in nodes {
            fleet.shapes.entry(sku.clone()).or_default().nodes += 1;
            fleet
                .places
                .extend(Locality::ALL.map(|level| path.unit(level)));
            *domains
                .entry((sku, path.unit(Locality::Domain)))
                .or_default() += 1;
        }
        for ((name, _), nodes) in domains {
            let whole = skus.get(name).map_or(1, |sku| sku.nodes_per_domain);
            if nodes >= u32::from(whole)
                && let Some(shapes) = fleet.shapes.get_mut(name)
            {
                shapes.domains += 1;
            }
        }
        fleet
    }

    /// What there is of a SKU.
    pub fn shapes(&self, sku: &SkuName) -> Shapes {
        self.shapes.get(sku).copied().unwrap_or_default()
    }

    /// Whether a node stands below this place.
    pub fn has(&self, place: &Prefix) -> bool {
        self.places.contains(place)
    }
}

/// Everything in a policy that contradicts itself, the catalogue or the fleet; empty where it can be
/// kept.
pub fn check(policy: &Policy, skus: &SkuCatalogue, fleet: &Fleet) -> Vec<Finding> {
    let mut found = Findings(Vec::new());
    let size = policy.canonical().len();
    if size > POLICY_MAX_BYTES {
        let allowed = format!("up to {POLICY_MAX_BYTES} bytes as JSON");
        found.wrong("policy", format!("{size} bytes"), allowed);
    }
    found.span("turnaround", policy.turnaround, TURNAROUND_MAX);
    if policy.planned_ahead > PLANNED_AHEAD_MAX {
        let allowed = format!("0 to {PLANNED_AHEAD_MAX}");
        found.wrong("planned_ahead", policy.planned_ahead, allowed);
    }
    for (place, rate) in &policy.sanitising_per_hour {
        let field = format!("sanitising_per_hour.{place}");
        if !(1..=NODES_MAX).contains(rate) {
            found.wrong(&field, rate, format!("1 to {NODES_MAX} nodes an hour"));
        }
        if *place != Prefix::cell() && !fleet.has(place) {
            found.wrong(&field, place, "a place below which nodes are admitted");
        }
    }
    for (name, isolation) in &policy.isolation {
        let field = format!("isolation.{name}");
        match found.sku(&field, name, skus) {
            Some(sku) if isolation.mig_colocation && sku.mig.is_none() => {
                let allowed = format!("false: {name} has no MIG");
                found.wrong(&format!("{field}.mig_colocation"), true, allowed);
            }
            Some(_) | None => {}
        }
    }
    for (class, terms) in &policy.reclaim {
        let field = format!("reclaim.{class}");
        if matches!(class, Class::Committed | Class::InternalCritical) {
            let allowed = "on-demand, internal-batch, spot: this class is never reclaimed";
            found.wrong(&field, class, allowed);
        }
        found.span(&format!("{field}.min_run"), terms.min_run, MIN_RUN_MAX);
    }
    found.shares("floors", &policy.floors, skus);
    found.shares("ceilings", &policy.ceilings, skus);
    found.unkept(policy, skus);
    found.too_high(policy, skus, fleet);
    found.contradictions(policy, skus);
    found.0
}

struct Findings(Vec<Finding>);

impl Findings {
    fn wrong(&mut self, field: &str, value: impl Display, allowed: impl Into<String>) {
        self.0.push(Finding {
            field: field.into(),
            value: value.to_string(),
            allowed: allowed.into(),
        });
    }

    fn span(&mut self, field: &str, value: Span, most: Span) {
        if value > most {
            self.wrong(field, value, format!("0s to {most}"));
        }
    }

    fn sku<'a>(&mut self, field: &str, name: &SkuName, skus: &'a SkuCatalogue) -> Option<&'a Sku> {
        let sku = skus.get(name);
        if sku.is_none() {
            let known: Vec<&str> = skus.iter().map(|sku| sku.name.as_str()).collect();
            self.wrong(field, name, known.join(", "));
        }
        sku
    }

    /// What is wrong with each share by itself.
    fn shares(&mut self, list: &str, shares: &[Share], skus: &SkuCatalogue) {
        let mut seen = BTreeMap::new();
        for (at, share) in shares.iter().enumerate() {
            let field = format!("{list}[{at}]");
            let sku = self.sku(&format!("{field}.sku"), &share.sku, skus);
            if share.domains.is_none() && share.nodes.is_none() {
                self.wrong(&field, "neither", "domains, nodes or both");
            }
            if let Some(first) = seen.insert((share.side, &share.sku), at) {
                let value = format!("{} of {}", share.side, share.sku);
                let allowed = format!("one entry for each side and sku, this is {list}[{first}]'s");
                self.wrong(&field, value, allowed);
            }
            if let (Some(domains), Some(nodes), Some(sku)) = (share.domains, share.nodes, sku) {
                let inside = domains.saturating_mul(u32::from(sku.nodes_per_domain));
                if nodes < inside {
                    let allowed = format!("{inside} or more: the nodes of the domains count too");
                    self.wrong(&format!("{field}.nodes"), nodes, allowed);
                }
            }
        }
    }

    /// Floors of nodes where a domain serves one side at a time: a node that nobody has is no use to a
    /// side whose domain it is not.
    fn unkept(&mut self, policy: &Policy, skus: &SkuCatalogue) {
        for (at, floor) in policy.floors.iter().enumerate() {
            let Some(sku) = skus.get(&floor.sku).filter(|sku| sku.nodes_per_domain > 1) else {
                continue;
            };
            let apart = policy.isolation_of(&floor.sku).granularity;
            if let (Some(nodes), Granularity::Domain) = (floor.nodes, apart) {
                let allowed = format!(
                    "absent: the domains of {} serve one side at a time, so whole domains are kept",
                    sku.name
                );
                self.wrong(&format!("floors[{at}].nodes"), nodes, allowed);
            }
        }
    }

    /// Floors that no use of this fleet could leave free, for one side or for both together.
    fn too_high(&mut self, policy: &Policy, skus: &SkuCatalogue, fleet: &Fleet) {
        let mut kept: BTreeMap<&SkuName, Shapes> = BTreeMap::new();
        for (at, floor) in policy.floors.iter().enumerate() {
            let Some(sku) = skus.get(&floor.sku) else {
                continue;
            };
            let has = fleet.shapes(&floor.sku);
            let kept = kept.entry(&floor.sku).or_default();
            let wants = wanted(floor, sku);
            let rows = [
                (
                    "domains",
                    floor.domains,
                    wants.domains,
                    kept.domains,
                    has.domains,
                ),
                ("nodes", floor.nodes, wants.nodes, kept.nodes, has.nodes),
            ];
            for (what, given, wants, before, has) in rows {
                let left = has.saturating_sub(before);
                if wants <= left || given.is_none() {
                    continue;
                }
                let mut allowed =
                    format!("0 to {left}: the fleet has {has} {what} of {}", sku.name);
                if before > 0 {
                    allowed.push_str(&format!(", of which {before} are kept by other floors"));
                }
                self.wrong(&format!("floors[{at}].{what}"), wants, allowed);
            }
            kept.domains = kept.domains.saturating_add(wants.domains);
            kept.nodes = kept.nodes.saturating_add(wants.nodes);
        }
    }

    /// Floors above the same side's ceiling: kept for somebody who may not have it.
    fn contradictions(&mut self, policy: &Policy, skus: &SkuCatalogue) {
        for (at, floor) in policy.floors.iter().enumerate() {
            let same = |ceiling: &&Share| ceiling.side == floor.side && ceiling.sku == floor.sku;
            let (Some(sku), Some(ceiling)) =
                (skus.get(&floor.sku), policy.ceilings.iter().find(same))
            else {
                continue;
            };
            let wants = wanted(floor, sku);
            let rows = [
                ("domains", wants.domains, ceiling.domains),
                ("nodes", wants.nodes, ceiling.nodes),
            ];
            for (what, wants, ceiling) in rows {
                let Some(most) = ceiling.filter(|most| wants > *most) else {
                    continue;
                };
                let allowed = format!("0 to {most}, the ceiling of the {} side", floor.side);
                self.wrong(&format!("floors[{at}].{what}"), wants, allowed);
            }
        }
    }
}

/// What a share is in both shapes: domains have nodes, whether these are named or not.
fn wanted(share: &Share, sku: &Sku) -> Shapes {
    let domains = share.domains.unwrap_or(0);
    let inside = domains.saturating_mul(u32::from(sku.nodes_per_domain));
    Shapes {
        nodes: share.nodes.unwrap_or(0).max(inside),
        domains,
    }
}

impl Share {
    /// The side it is kept from or measured against: the one that is not its own.
    pub const fn other_side(&self) -> Side {
        match self.side {
            Side::Internal => Side::Tenant,
            Side::Tenant => Side::Internal,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 20 H200 nodes in hall-a, two whole GB200 domains and one of five nodes in hall-b.
    fn fleet() -> Fleet {
        let path = |text: String| -> TopologyPath { text.parse().unwrap() };
        let h200: SkuName = "h200".parse().unwrap();
        let gb200: SkuName = "gb200".parse().unwrap();
        let hgx = (0..20).map(|n| (path(format!("hall-a/r1/k{}/d{n}", n / 4)), &h200));
        let nvl = (0..41).map(|n| (path(format!("hall-b/r1/k1/d{}", n / 18)), &gb200));
        let nodes: Vec<_> = hgx.chain(nvl).collect();
        let nodes = nodes.iter().map(|(path, sku)| (path, *sku));
        Fleet::of(nodes, &SkuCatalogue::built_in())
    }

    fn found(text: &str) -> Vec<String> {
        let policy = Policy::from_text(text).unwrap();
        let found = check(&policy, &SkuCatalogue::built_in(), &fleet());
        found.iter().map(Finding::to_string).collect()
    }

    #[test]
    fn the_built_in_policy_fits_any_fleet() {
        let found = check(
            &Policy::default(),
            &SkuCatalogue::built_in(),
            &Fleet::default(),
        );
        assert_eq!(found, []);
    }

    #[test]
    fn a_domain_that_lacks_nodes_is_no_domain() {
        let has = fleet().shapes(&"gb200".parse().unwrap());
        assert_eq!((has.nodes, has.domains), (41, 2));
    }

    #[test]
    fn everything_that_is_wrong_is_told_at_once() {
        let said = found(
            r#"
            turnaround = "300d"
            planned_ahead = 5000
            [sanitising_per_hour]
            hall-z = 0
            [isolation.h9000]
            granularity = "gpu"
            [[floors]]
            side = "internal"
            sku = "h9000"
            nodes = 1
            [[ceilings]]
            side = "tenant"
            sku = "h200"
            [reclaim.committed]
            min_run = "1h"
            "#,
        );
        insta::assert_snapshot!(said.join("\n"));
    }

    #[test]
    fn floors_are_held_against_what_the_topology_can_hold() {
        let said = found(
            r#"
            floors = [
                { side = "internal", sku = "gb200", domains = 2, nodes = 10 },
                { side = "tenant", sku = "gb200", domains = 1 },
                { side = "internal", sku = "h200", nodes = 21 },
                { side = "internal", sku = "h200", nodes = 1 },
            ]
            ceilings = [ { side = "internal", sku = "h200", nodes = 8 } ]
            "#,
        );
        insta::assert_snapshot!(said.join("\n"));
    }

    #[test]
    fn nodes_are_not_kept_where_domains_are_kept_apart() {
        let said = found(
            r#"
            floors = [
                { side = "internal", sku = "gb200", domains = 1, nodes = 20 },
                { side = "internal", sku = "h200", nodes = 8 },
            ]
            isolation.gb200.granularity = "domain"
            isolation.h200.granularity = "domain"
            "#,
        );
        let one = "floors[0].nodes is \"20\", allowed is absent: the domains of gb200 serve one side at a \
                   time, so whole domains are kept";
        assert_eq!(said, [one]);
    }

    #[test]
    fn a_house_that_can_be_kept_is_not_complained_of() {
        let said = found(
            r#"
            floors = [
                { side = "internal", sku = "gb200", domains = 1 },
                { side = "tenant", sku = "gb200", domains = 1 },
                { side = "internal", sku = "h200", nodes = 8 },
            ]
            ceilings = [ { side = "internal", sku = "h200", nodes = 8 } ]
            isolation.gb200.granularity = "domain"
            isolation.h200.mig_colocation = true
            sanitising_per_hour = { "hall-a" = 60, "hall-b/r1" = 18 }
            "#,
        );
        assert_eq!(said, Vec::<String>::new());
    }
}
