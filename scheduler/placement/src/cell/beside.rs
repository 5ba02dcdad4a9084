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
use super::node::Hold;
use super::stance::{AccountId, SkuId};
use leasehold_common::class::Side;
use leasehold_common::ids::NodeIndex;
use leasehold_common::policy::{Granularity, Isolation};

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

impl Hold {
    /// Who has it.
    pub(crate) fn party(&self) -> Party {
        Party {
            account: Some(self.account),
            side: self.holder.class.side(),
            slices_only: false,
        }
    }

    /// The side that it is let to; absent where it is let to nobody, as for a maintenance.
    pub(crate) fn serves(&self) -> Option<Side> {
        self.holder.is_let.then(|| self.holder.class.side())
    }
}

impl Cell {
    /// How the hardware of a SKU is kept apart.
    pub(crate) fn isolation(&self, sku: SkuId) -> Isolation {
        self.index.isolation(sku)
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
