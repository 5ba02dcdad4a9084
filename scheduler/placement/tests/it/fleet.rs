//! Small fleets, kept twice: as the live cell and as plain data.

use leasehold_common::class::{Class, Side};
use leasehold_common::ids::{LeaseId, NodeIndex};
use leasehold_common::lease::{GpuSlots, Shape};
use leasehold_common::node::{NodeState, Owner};
use leasehold_common::policy::Share;
use leasehold_common::sku::{Sku, SkuCatalogue};
use leasehold_common::time::{Span, Timestamp};
use leasehold_common::topology::Locality;
use leasehold_placement::checker;
use leasehold_placement::{
    BookError, Booked, Booking, Cell, Decision, End, NodeCondition, NodeSpec, Policy, Request, plan,
};
use std::collections::BTreeMap;

pub const POLICY: Policy = Policy {
    turnaround: Span::from_mins(10),
    sanitising_per_hour: BTreeMap::new(),
    isolation: BTreeMap::new(),
    floors: Vec::new(),
    ceilings: Vec::new(),
    reclaim: BTreeMap::new(),
    planned_ahead: 100,
};

/// An hour of the story; it begins at 0.
pub fn hour(n: u64) -> Timestamp {
    Timestamp::EPOCH + Span::from_hours(n)
}

/// Healthy, heard of, and never used.
pub fn sound(gpus: u8) -> NodeCondition {
    NodeCondition {
        state: NodeState::Available,
        flagged: false,
        silent: false,
        healthy: GpuSlots::first(gpus),
        last_side: None,
    }
}

pub fn spec(path: &str, sku: &str, gpus: u8) -> NodeSpec {
    NodeSpec {
        path: path.parse().unwrap(),
        sku: sku.parse().unwrap(),
        gpus,
        owner: Owner::Sellable,
    }
}

/// `acme` asks for hardware for two hours, on demand.
pub fn asks(shape: Shape) -> Request {
    Request {
        account: "acme".parse().unwrap(),
        class: Class::OnDemand,
        shape,
        sku: "h200".parse().unwrap(),
        within: Locality::Cell,
        start: None,
        end: End::After(Span::from_hours(2)),
        host: None,
        gpu_cap_watts: None,
    }
}

/// The same within a unit.
pub fn gang_asks(shape: Shape, within: Locality) -> Request {
    Request {
        within,
        ..asks(shape)
    }
}

/// A floor or a ceiling.
pub fn share(side: Side, sku: &str, domains: Option<u32>, nodes: Option<u32>) -> Share {
    Share {
        side,
        sku: sku.parse().unwrap(),
        domains,
        nodes,
    }
}

/// The same for GB200.
pub fn gb200(request: Request) -> Request {
    Request {
        sku: "gb200".parse().unwrap(),
        ..request
    }
}

/// The account and class of each side that stories use.
pub fn of(side: Side, request: Request) -> Request {
    let (account, class) = match side {
        Side::Internal => ("research", Class::InternalBatch),
        Side::Tenant => ("acme", Class::OnDemand),
    };
    Request {
        account: account.parse().unwrap(),
        class,
        ..request
    }
}

/// A fleet kept twice.
#[derive(Debug, Clone, Default)]
pub struct Twice {
    pub cell: Cell,
    pub plain: checker::Fleet,
    /// What leases are placed by, where it is not [`POLICY`].
    house: Option<Policy>,
    last_lease: u64,
}

impl Twice {
    /// Racks of HGX nodes with 8 GPUs, each node its own domain.
    pub fn hgx(racks: u32, per_rack: u32) -> Self {
        let mut fleet = Self::default();
        for n in 0..racks * per_rack {
            let path = format!("hall-a/row-1/rack-{}/d{}", n / per_rack, n % per_rack);
            fleet.admit(n, spec(&path, "h200", 8));
        }
        fleet
    }

    /// Racks of which each is one NVLink domain of trays with 4 GPUs.
    pub fn nvl(racks: u32, trays: u32) -> Self {
        let mut fleet = Self::default();
        for n in 0..racks * trays {
            let path = format!("hall-b/row-1/nvl-{}/d0", n / trays);
            fleet.admit(n, spec(&path, "gb200", 4));
        }
        fleet
    }

    /// Racks of which each is a domain of three trays, as many as their SKU says.
    pub fn nvl_of_three(racks: u32) -> Self {
        let mut fleet = Self::nvl(racks, 3);
        let known = SkuCatalogue::built_in();
        fleet.describe(Sku {
            nodes_per_domain: 3,
            ..known.get(&"gb200".parse().unwrap()).unwrap().clone()
        });
        fleet
    }

    pub fn admit(&mut self, node: u32, spec: NodeSpec) {
        let index = NodeIndex(node);
        let condition = sound(spec.gpus);
        self.cell.set_node(index, spec.clone());
        self.cell.set_condition(index, condition);
        self.plain.nodes.insert(index, (spec, condition));
    }

    pub fn describe(&mut self, sku: Sku) {
        self.cell.describe(sku.clone());
        self.plain.skus.insert(sku.name.clone(), sku);
    }

    /// What leases are placed by.
    pub fn house(&self) -> Policy {
        self.house.clone().unwrap_or(POLICY)
    }

    /// When cleaning begins after each lease, as plain data.
    pub fn note_passes(&mut self) {
        self.plain.passes = self.cell.passes().collect();
    }

    /// From now on leases are placed by this.
    pub fn adopt(&mut self, policy: &Policy) {
        self.cell.adopt(policy);
        self.house = Some(policy.clone());
    }

    pub fn change(&mut self, node: u32, change: impl FnOnce(&mut NodeCondition)) {
        let index = NodeIndex(node);
        let condition = &mut self.plain.nodes.get_mut(&index).unwrap().1;
        change(condition);
        self.cell.set_condition(index, *condition);
    }

    pub fn book(&mut self, booking: Booking) -> Result<(), BookError> {
        self.cell.book(booking.clone())?;
        self.plain.bookings.push(Booked {
            booking,
            awaiting_return: false,
        });
        Ok(())
    }

    /// The next lease of `request`, on GPUs of one node, as if it had been decided at its start.
    pub fn lease_on(&mut self, node: u32, gpus: u8, request: &Request) -> LeaseId {
        let index = NodeIndex(node);
        let free = self
            .cell
            .free_gpus(index, request.start.unwrap_or_default());
        let slots = free.iter().take(usize::from(gpus));
        let slots = slots.fold(GpuSlots::NONE, GpuSlots::with);
        let lease = self.next_lease();
        let from = request.start.unwrap_or_default();
        self.book(Booking {
            lease,
            account: request.account.clone(),
            class: request.class,
            from,
            to: request.end.if_started(from),
            nodes: [index].into_iter().collect(),
            gpus: [(index, slots)].into(),
            slices: [].into(),
            host: None,
            gpu_cap_watts: None,
        })
        .unwrap();
        lease
    }

    /// Decides, and books what was decided.
    pub fn place(&mut self, request: &Request, now: Timestamp) -> (LeaseId, Decision) {
        let decision = plan(&self.cell, request, &self.house(), now);
        let lease = self.next_lease();
        if let Some(plan) = decision.plan() {
            self.book(plan.booking(lease, request)).unwrap();
        }
        (lease, decision)
    }

    pub fn set_end(&mut self, lease: LeaseId, to: Option<Timestamp>) -> Result<(), BookError> {
        self.cell.set_end(lease, to)?;
        self.plain_booking(lease).booking.to = to;
        Ok(())
    }

    pub fn unbook(&mut self, lease: LeaseId) {
        self.cell.unbook(lease);
        self.plain.bookings.retain(|b| b.booking.lease != lease);
    }

    pub fn end(&mut self, lease: LeaseId, at: Timestamp) {
        self.cell.end(lease, at);
        if self.plain.bookings.iter().all(|b| b.booking.lease != lease) {
            return;
        }
        let booked = self.plain_booking(lease);
        booked.awaiting_return = true;
        booked.booking.from = booked.booking.from.min(at);
        booked.booking.to = Some(booked.booking.to.map_or(at, |to| to.min(at)));
    }

    pub fn release(&mut self, lease: LeaseId, node: NodeIndex) {
        self.cell.release_node(lease, node);
        for booked in &mut self.plain.bookings {
            if booked.booking.lease == lease {
                booked.booking.nodes.remove(node);
                booked.booking.gpus.remove(&node);
                booked.booking.slices.remove(&node);
            }
        }
        self.plain.bookings.retain(|b| !b.booking.nodes.is_empty());
    }

    pub fn next_lease(&mut self) -> LeaseId {
        self.last_lease += 1;
        LeaseId(self.last_lease)
    }

    fn plain_booking(&mut self, lease: LeaseId) -> &mut Booked {
        let mut bookings = self.plain.bookings.iter_mut();
        bookings.find(|b| b.booking.lease == lease).unwrap()
    }
}
