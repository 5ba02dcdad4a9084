//! A node with eight GPUs, and grants for it.

use leasehold_agent_core::grants::{Facts, GrantBook, Step, decide};
use leasehold_common::class::{Class, Side};
use leasehold_common::grant::{AckState, DisconnectPolicy, Grant, LeaseAck, Order, SealedGrant};
use leasehold_common::ids::{CellName, Epoch, Generation, GpuUuid, LeaseId, NodeName, Seq, Term};
use leasehold_common::record::Version;
use leasehold_common::time::{Span, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

pub fn at(seconds: u32) -> Timestamp {
    Timestamp::EPOCH + Span::from_secs(u64::from(seconds))
}

pub fn gpu(slot: usize) -> GpuUuid {
    format!("GPU-{slot}").parse().unwrap()
}

/// Served from `starts` to `ends`, on these slots.
pub fn grant(
    lease: u64,
    generation: u64,
    slots: &[usize],
    starts: u32,
    ends: Option<u32>,
) -> Grant {
    Grant {
        version: Version::CURRENT,
        cell: "c1".parse().unwrap(),
        lease: LeaseId(lease),
        term: Term {
            epoch: Epoch(1),
            generation: Generation(generation),
        },
        term_seq: Seq(generation * 100),
        node: "h001".parse().unwrap(),
        rank: 0,
        order: Order::Serve,
        gpus: slots.iter().map(|slot| gpu(*slot)).collect(),
        slices: Vec::new(),
        account: "acme".parse().unwrap(),
        side: Side::Tenant,
        class: Class::OnDemand,
        starts_at: at(starts),
        access_end: ends.map(at),
        wipe_not_before: ends.map(at),
        notice: Span::from_mins(10),
        disconnect_policy: DisconnectPolicy::EnforceAtEnd,
        gpu_cap_mw: None,
        isolation_ref: None,
        requires: Vec::new(),
        issuer: "s1".into(),
    }
}

pub fn end(grant: &Grant, generation: u64) -> Grant {
    let mut end = grant.clone();
    end.order = Order::End;
    end.term.generation = Generation(generation);
    end.term_seq = Seq(generation * 100);
    end
}

pub fn sealed(grants: &[Grant]) -> BTreeMap<LeaseId, SealedGrant> {
    grants
        .iter()
        .map(|grant| (grant.lease, SealedGrant::unsigned(grant)))
        .collect()
}

/// The node under test.
pub struct Node {
    pub book: GrantBook,
    pub received: Option<BTreeMap<LeaseId, SealedGrant>>,
    pub occupied: BTreeSet<GpuUuid>,
    cell: CellName,
    name: NodeName,
    gpus: BTreeSet<GpuUuid>,
}

impl Node {
    pub fn new() -> Self {
        Self {
            book: GrantBook::default(),
            received: None,
            occupied: BTreeSet::new(),
            cell: "c1".parse().unwrap(),
            name: "h001".parse().unwrap(),
            gpus: (0..8).map(gpu).collect(),
        }
    }

    pub fn receive(&mut self, grants: &[Grant], seconds: u32) -> Vec<Step> {
        self.received = Some(sealed(grants));
        self.decide(seconds)
    }

    pub fn decide(&mut self, seconds: u32) -> Vec<Step> {
        let facts = Facts {
            cell: &self.cell,
            node: &self.name,
            gpus: &self.gpus,
            occupied: &self.occupied,
        };
        decide(&mut self.book, self.received.as_ref(), &facts, at(seconds))
    }

    pub fn ack(&self, lease: u64) -> LeaseAck {
        self.book.acks()[&LeaseId(lease)].clone()
    }

    pub fn states(&self) -> BTreeMap<u64, AckState> {
        let acks = self.book.acks();
        acks.iter().map(|(id, ack)| (id.0, ack.state)).collect()
    }
}
