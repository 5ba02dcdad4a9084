//! The policies of a cell: which are stored, which one decides, and which bookings a new one would
//! not have allowed.
//!
//! Stored policies never change and are never removed: they are few, and a decision of any age can
//! be made again with the policy it names. Running leases are never touched by a new one.

mod breaks;
mod stored;

pub(crate) use breaks::{Break, Held, Passes, Standing, breaks};
pub(crate) use stored::Policies;

use crate::state::State;
use leasehold_common::api::BrokenRule;
use leasehold_common::node::NodeState;
use leasehold_common::policy::{Fleet, Policy, PolicyRecord};

impl State {
    /// Enters a policy; the highest number decides from now on.
    pub(crate) fn insert_policy(&mut self, record: PolicyRecord) {
        if let Some(known) = &record.idempotency {
            let target = crate::state::Changed::Policy(record.number);
            self.by_key.insert((known.uid, known.key.clone()), target);
        }
        self.policies.insert(record);
        self.adopt_policy();
    }

    /// Tells the packing engine what it decides by.
    fn adopt_policy(&mut self) {
        self.settings.policy = self.policies.current().clone();
        self.cell.adopt(&self.settings.policy);
        // Rules that were lifted may let something in.
        self.stir_all();
    }

    /// The fleet as far as a policy can ask for something of it. Nodes that are retired are gone.
    pub(crate) fn fleet(&self) -> Fleet {
        let nodes = self
            .standing()
            .map(|node| (&node.fleet.path, &node.fleet.sku));
        Fleet::of(nodes, &self.settings.skus)
    }

    fn standing(&self) -> impl Iterator<Item = &crate::node::Node> {
        let nodes = self.nodes.values();
        nodes.filter(|node| node.fleet.state != NodeState::Retired)
    }

    /// The bookings that a policy would not have allowed.
    pub(crate) fn broken_by(&self, policy: &Policy) -> Vec<BrokenRule> {
        let nodes: Vec<Standing<'_>> = self
            .standing()
            .map(|node| Standing {
                index: node.fleet.index,
                name: &node.fleet.name,
                path: &node.fleet.path,
                sku: &node.fleet.sku,
            })
            .collect();
        let held: Vec<Held<'_>> = self
            .unfinished()
            .filter(|lease| lease.state.holds_hardware())
            .filter_map(|lease| {
                let segment = lease.segment()?;
                Some(Held {
                    lease: lease.id,
                    account: &lease.spec.account,
                    side: lease.side,
                    sku: &lease.spec.sku,
                    from: segment.from,
                    to: segment.to,
                    nodes: &segment.nodes,
                    gpus: &segment.gpus,
                    slices: &segment.slices,
                })
            })
            .collect();
        let passes = self.passes_under(policy);
        let broken = breaks(policy, &self.settings.skus, &nodes, &held, &passes);
        broken
            .into_iter()
            .map(|broken| self.broken_rule(broken))
            .collect()
    }

    /// When cleaning would begin after each booking if a policy were in force. It is asked of a copy of
    /// the cell, in which nothing is that is only planned.
    fn passes_under(&self, policy: &Policy) -> Passes {
        if policy.sanitising_per_hour.is_empty() {
            return Passes::new();
        }
        let mut cell = self.cell.clone();
        for id in self.in_engine() {
            cell.unbook(id);
        }
        cell.adopt(policy);
        cell.passes().collect()
    }

    fn broken_rule(&self, broken: Break) -> BrokenRule {
        let lease = &self.leases[&broken.lease];
        let segment = lease.segment().expect("only leases with hardware break");
        BrokenRule {
            rule: broken.rule,
            lease: lease.id,
            account: lease.spec.account.clone(),
            state: lease.state,
            nodes: self.fold(&segment.nodes),
            from: segment.from,
            to: segment.to,
            detail: broken.detail,
        }
    }
}
