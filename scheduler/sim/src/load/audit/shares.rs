//! Floors and ceilings, counted again from who has something of which node.

use crate::load::cell::Site;
use leasehold_common::class::Side;
use leasehold_common::ids::{NodeIndex, SkuName};
use leasehold_common::node::{NodeState, Owner};
use leasehold_common::policy::Share;
use leasehold_placement::{Booking, NodeCondition, NodeSpec, Policy};
use std::collections::BTreeMap;

/// What each side has, and could have.
#[derive(Debug)]
pub(super) struct Shares {
    site: Site,
    floors: Vec<Share>,
    ceilings: Vec<Share>,
    /// Bookings of either side on each node, and whether it is sound.
    nodes: Vec<([u32; 2], bool)>,
    /// By SKU and side.
    counts: BTreeMap<(SkuName, usize), Count>,
}

/// Nodes that are a side's, or could be, by domain.
#[derive(Debug, Default)]
struct Count {
    used: u32,
    open: u32,
    /// In each domain: its nodes of the SKU, those that are the side's, and those that could be.
    domains: BTreeMap<String, [u32; 3]>,
    used_domains: u32,
    open_domains: u32,
}

const fn number(side: Side) -> usize {
    match side {
        Side::Internal => 0,
        Side::Tenant => 1,
    }
}

impl Shares {
    pub(super) fn new(site: Site, policy: &Policy) -> Self {
        let nodes = site.nodes() as usize;
        let mut shares = Self {
            floors: policy.floors.clone(),
            ceilings: policy.ceilings.clone(),
            nodes: vec![([0; 2], false); nodes],
            counts: BTreeMap::new(),
            site,
        };
        if shares.are_any() {
            for node in (0..shares.site.nodes()).map(NodeIndex) {
                let spec = shares.site.spec(node);
                for side in 0..2 {
                    let count = shares.counts.entry((spec.sku.clone(), side)).or_default();
                    count.domains.entry(spec.path.to_string()).or_default()[0] += 1;
                }
                let sound = Site::sound(spec.gpus);
                shares.set_condition(node, &sound);
            }
        }
        shares
    }

    const fn are_any(&self) -> bool {
        !self.floors.is_empty() || !self.ceilings.is_empty()
    }

    pub(super) fn set_condition(&mut self, node: NodeIndex, condition: &NodeCondition) {
        if !self.are_any() {
            return;
        }
        let spec = self.site.spec(node);
        let lets_in =
            condition.state == NodeState::Available && !condition.flagged && !condition.silent;
        let is_sound = lets_in && condition.healthy == spec.slots();
        self.change(node, &spec, |known| known.1 = is_sound);
    }

    /// Books a lease; says how many floors and ceilings it breaks.
    pub(super) fn book(&mut self, booking: &Booking) -> u64 {
        if !self.are_any() {
            return 0;
        }
        let before = self.amounts(booking.class.side());
        for node in booking.nodes.iter() {
            let spec = self.site.spec(node);
            self.change(node, &spec, |known| {
                known.0[number(booking.class.side())] += 1;
            });
        }
        let after = self.amounts(booking.class.side());
        let broken = before.iter().zip(&after).filter(|(was, is)| {
            let is_worse = if is.is_floor {
                is.amount < was.amount
            } else {
                is.amount > was.amount
            };
            let is_out = if is.is_floor {
                is.amount < is.bound
            } else {
                is.amount > is.bound
            };
            is_worse && is_out
        });
        broken.count() as u64
    }

    pub(super) fn unbook(&mut self, booking: &Booking) {
        if !self.are_any() {
            return;
        }
        for node in booking.nodes.iter() {
            let spec = self.site.spec(node);
            self.change(node, &spec, |known| {
                known.0[number(booking.class.side())] -= 1;
            });
        }
    }

    /// Everything that is bounded for a lease of a side.
    fn amounts(&self, side: Side) -> Vec<Amount> {
        let mut amounts = Vec::new();
        let floors = self.floors.iter().filter(|share| share.side != side);
        let ceilings = self.ceilings.iter().filter(|share| share.side == side);
        for (is_floor, share) in floors
            .map(|s| (true, s))
            .chain(ceilings.map(|s| (false, s)))
        {
            let Some(count) = self.counts.get(&(share.sku.clone(), number(share.side))) else {
                continue;
            };
            let (nodes, domains) = if is_floor {
                (count.open, count.open_domains)
            } else {
                (count.used, count.used_domains)
            };
            for (bound, amount) in [(share.nodes, nodes), (share.domains, domains)] {
                amounts.extend(bound.map(|bound| Amount {
                    is_floor,
                    amount,
                    bound,
                }));
            }
        }
        amounts
    }

    fn change(
        &mut self,
        node: NodeIndex,
        spec: &NodeSpec,
        change: impl FnOnce(&mut ([u32; 2], bool)),
    ) {
        let known = &mut self.nodes[node.as_usize()];
        let was = *known;
        change(known);
        let is = *known;
        for side in 0..2 {
            let is_theirs = |(used, _): ([u32; 2], bool)| used[side] > 0;
            let is_open = |(used, is_sound): ([u32; 2], bool)| {
                let may = match spec.owner {
                    Owner::Sellable => true,
                    Owner::Internal => side == 0,
                    Owner::Spare | Owner::Repair => false,
                };
                may && is_sound && used[1 - side] == 0
            };
            let count = self
                .counts
                .get_mut(&(spec.sku.clone(), side))
                .expect("counted at first");
            let domain = count
                .domains
                .get_mut(spec.path.as_str())
                .expect("counted at first");
            let whole =
                |domain: &[u32; 3]| (u32::from(domain[1] > 0), u32::from(domain[2] == domain[0]));
            let (used_before, open_before) = whole(domain);
            move_by(&mut domain[1], is_theirs(was), is_theirs(is));
            move_by(&mut domain[2], is_open(was), is_open(is));
            let (used_after, open_after) = whole(domain);
            move_by(&mut count.used, is_theirs(was), is_theirs(is));
            move_by(&mut count.open, is_open(was), is_open(is));
            count.used_domains = count.used_domains + used_after - used_before;
            count.open_domains = count.open_domains + open_after - open_before;
        }
    }
}

fn move_by(count: &mut u32, was: bool, is: bool) {
    *count = *count + u32::from(is) - u32::from(was);
}

/// Something that is bounded.
struct Amount {
    is_floor: bool,
    amount: u32,
    bound: u32,
}
