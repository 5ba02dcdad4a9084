//! Who may be beside whom: on one node, and in one domain, at one time.
//!
//! ```text
//!   granularity   one node                          one domain of several nodes
//!   node          one account                       anybody
//!   domain        one account                       one side
//!   gpu           one account of each side          anybody
//! ```
//!
//! Where policy lets MIG slices of tenants be together, accounts of one side that have nothing but
//! slices on a node share it, whatever the granularity. A GPU that is let whole is always in one
//! lease: that is asked where GPUs are, not here.
//!
//! What was booked under a policy stays when a stricter one comes, so a cell can hold what today's
//! rules would refuse, but never what no policy could have allowed.

use super::Cell;
use super::booking::Booking;
use super::node::Hold;
use super::stance::{AccountId, SkuId};
use leasehold_common::class::Side;
use leasehold_common::ids::{LeaseId, NodeIndex};
use leasehold_common::policy::{Granularity, Isolation};
use leasehold_common::time::Timestamp;

/// What any policy could allow at most.
pub(super) const LOOSEST: Isolation = Isolation {
    granularity: Granularity::Gpu,
    mig_colocation: true,
};

/// Somebody who has something of a node, or would.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Party {
    /// Absent for an account that never had anything here.
    pub(crate) account: Option<AccountId>,
    pub(crate) side: Side,
    /// Whether all it has of the node is slices of GPUs.
    pub(crate) slices_only: bool,
}

impl Party {
    /// Whether both may have something of one node at one time.
    pub(crate) fn may_share_node(self, other: Self, apart: Isolation) -> bool {
        if self.side != other.side {
            return apart.granularity == Granularity::Gpu;
        }
        let is_one = self.account.is_some() && self.account == other.account;
        is_one || (apart.mig_colocation && self.slices_only && other.slices_only)
    }
}

/// Whether both sides may have something of one domain at one time, on nodes of their own.
pub(crate) fn may_share_domain(side: Side, other: Side, apart: Isolation) -> bool {
    side == other || apart.granularity != Granularity::Domain
}

impl Booking {
    /// Whether the hardware is let: what may draw nothing is not.
    pub(crate) fn is_let(&self) -> bool {
        self.gpu_cap_watts != Some(0)
    }
}

impl Hold {
    /// Who has it.
    pub(crate) fn party(&self) -> Party {
        Party {
            account: Some(self.account),
            side: self.side,
            slices_only: !self.pieces.is_empty(),
        }
    }

    /// The side that it is let to; absent where it is let to nobody, as for a maintenance.
    pub(crate) fn serves(&self) -> Option<Side> {
        self.holder.is_let.then_some(self.side)
    }
}

impl Cell {
    /// How the hardware of a SKU is kept apart.
    pub(crate) fn isolation(&self, sku: SkuId) -> Isolation {
        self.index.isolation(sku)
    }

    /// What begins from a booking's end on and before `clean` that keeps it from going on until then: on
    /// its hardware, or beside it where the policy keeps both apart.
    pub fn after(&self, lease: LeaseId, clean: Timestamp) -> Vec<(NodeIndex, &Hold)> {
        let mut found = Vec::new();
        let Some((booking, end)) = self
            .booking(lease)
            .and_then(|booked| Some((&booked.booking, booked.booking.to?)))
        else {
            return found;
        };
        let follows = |hold: &&Hold| hold.lease != lease && hold.from >= end && hold.from < clean;
        let party = self.party(booking);
        for index in booking.nodes.iter() {
            let node = self.node(index).expect("booked nodes exist");
            let apart = self.isolation(node.sku);
            let slots = booking.slots(index);
            let pieces = self.pieces(index, booking).unwrap_or_default();
            let on_it = node.holds.iter().filter(follows).filter(|hold| {
                let theirs = hold.party();
                let wanted = hold.wants_of(slots, &pieces, theirs.side == party.side);
                !wanted.is_empty() || !party.may_share_node(theirs, apart)
            });
            found.extend(on_it.map(|hold| (index, hold)));
            if apart.granularity != Granularity::Domain {
                continue;
            }
            for mate in self.mates(index, node.sku) {
                let across = self.holds(mate).filter(follows).filter(|hold| {
                    let serves = hold.serves();
                    serves.is_some_and(|side| !may_share_domain(party.side, side, apart))
                });
                found.extend(across.map(|hold| (mate, hold)));
            }
        }
        found
    }

    /// Whose a booking is.
    pub(super) fn party(&self, booking: &Booking) -> Party {
        Party {
            account: self.index.account(&booking.account),
            side: booking.class.side(),
            slices_only: !booking.slices.is_empty(),
        }
    }

    /// A node, and those that serve one side at a time together with it.
    pub fn kept_together(&self, node: NodeIndex) -> impl Iterator<Item = NodeIndex> {
        let sku = self.node(node).map(|known| known.sku);
        let by_domain = |sku: &SkuId| self.isolation(*sku).granularity == Granularity::Domain;
        let mates = sku.filter(by_domain).map(|sku| self.mates(node, sku));
        [node].into_iter().chain(mates.into_iter().flatten())
    }

    /// The other nodes of a SKU in a node's domain.
    pub(crate) fn mates(&self, node: NodeIndex, sku: SkuId) -> impl Iterator<Item = NodeIndex> {
        let mates = self.index.pools.mates(node).iter().copied();
        mates.filter(move |mate| {
            let stance = self.index.stance(*mate);
            *mate != node && stance.is_some_and(|stance| stance.sku == sku)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn party(account: u32, side: Side) -> Party {
        Party {
            account: Some(AccountId(account)),
            side,
            slices_only: false,
        }
    }

    fn apart(granularity: Granularity) -> Isolation {
        Isolation {
            granularity,
            mig_colocation: false,
        }
    }

    #[test]
    fn sides_share_a_node_where_gpus_are_kept_apart_and_accounts_of_one_side_never() {
        let (acme, globex) = (party(1, Side::Tenant), party(2, Side::Tenant));
        let research = party(3, Side::Internal);
        for granularity in [Granularity::Node, Granularity::Domain, Granularity::Gpu] {
            let apart = apart(granularity);
            assert!(acme.may_share_node(acme, apart));
            assert!(!acme.may_share_node(globex, apart));
            let by_gpu = granularity == Granularity::Gpu;
            assert_eq!(acme.may_share_node(research, apart), by_gpu);
        }
    }

    #[test]
    fn accounts_of_one_side_share_a_node_with_slices_alone_and_where_policy_says_so() {
        let sliced = |account| Party {
            slices_only: true,
            ..party(account, Side::Tenant)
        };
        let together = Isolation {
            mig_colocation: true,
            ..apart(Granularity::Node)
        };
        assert!(sliced(1).may_share_node(sliced(2), together));
        assert!(!sliced(1).may_share_node(party(2, Side::Tenant), together));
        assert!(!sliced(1).may_share_node(sliced(2), apart(Granularity::Gpu)));
        let internal = Party {
            slices_only: true,
            ..party(3, Side::Internal)
        };
        assert!(!sliced(1).may_share_node(internal, together));
    }

    #[test]
    fn one_whom_nobody_knows_is_nobody_else() {
        let unknown = Party {
            account: None,
            ..party(0, Side::Tenant)
        };
        assert!(!unknown.may_share_node(unknown, LOOSEST));
        assert!(may_share_domain(
            Side::Tenant,
            Side::Tenant,
            apart(Granularity::Domain)
        ));
        assert!(!may_share_domain(
            Side::Tenant,
            Side::Internal,
            apart(Granularity::Domain)
        ));
        assert!(may_share_domain(
            Side::Tenant,
            Side::Internal,
            apart(Granularity::Gpu)
        ));
    }
}
