//! What is asked of the engine, and by which rules it answers.

use leasehold_common::class::{Class, Side};
use leasehold_common::ids::{AccountName, SkuName};
use leasehold_common::lease::{HostShare, LeaseSpec, Shape};
use leasehold_common::time::{Span, Timestamp};
use leasehold_common::topology::Locality;

/// When a lease is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    /// It is open: the hardware is taken for good, as far as planning goes.
    Open,
    /// So long after its start, whenever that is.
    After(Span),
    /// At this instant, however late it starts.
    At(Timestamp),
}

impl End {
    /// The instant, for a lease that starts at `start`; absent for an open end.
    pub fn if_started(self, start: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Open => None,
            Self::After(length) => Some(start + length),
            Self::At(until) => Some(until),
        }
    }
}

/// A lease that wants hardware.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Whose it will be. Two accounts never share a node.
    pub account: AccountName,
    /// What is promised; it also says for which side of the house the nodes will serve.
    pub class: Class,
    /// How much.
    pub shape: Shape,
    /// Of what kind.
    pub sku: SkuName,
    /// How close together.
    pub within: Locality,
    /// Not before this instant; absent for as soon as possible.
    pub start: Option<Timestamp>,
    /// Until when.
    pub end: End,
    /// CPU and memory on each node; absent for the share that goes with its GPUs.
    pub host: Option<HostShare>,
    /// The most one of its GPUs may draw, in watts; absent for the SKU's default limit.
    pub gpu_cap_watts: Option<u32>,
}

impl Request {
    /// The side its nodes will serve.
    pub const fn side(&self) -> Side {
        self.class.side()
    }
}

impl From<&LeaseSpec> for Request {
    fn from(spec: &LeaseSpec) -> Self {
        Self {
            account: spec.account.clone(),
            class: spec.class,
            shape: spec.shape.clone(),
            sku: spec.sku.clone(),
            within: spec.within,
            start: spec.start,
            end: match (spec.until, spec.length) {
                (Some(until), _) => End::At(until),
                (None, Some(length)) => End::After(length),
                (None, None) => End::Open,
            },
            host: spec.host,
            gpu_cap_watts: spec.gpu_cap_watts,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_ends_when_its_lease_would() {
        let spec = LeaseSpec {
            account: "acme".parse().unwrap(),
            class: Class::OnDemand,
            shape: Shape::Gpus { count: 2 },
            sku: "h200".parse().unwrap(),
            within: Locality::Cell,
            start: None,
            length: Some(Span::from_hours(2)),
            until: None,
            host: None,
            gpu_cap_watts: None,
            name: None,
        };
        let until = LeaseSpec {
            length: None,
            until: Some(Timestamp::EPOCH + Span::from_hours(9)),
            ..spec.clone()
        };
        let open = LeaseSpec {
            length: None,
            ..spec.clone()
        };
        let start = Timestamp::EPOCH + Span::from_hours(5);
        for spec in [spec, until, open] {
            let request = Request::from(&spec);
            assert_eq!(request.end.if_started(start), spec.end_if_started(start));
        }
    }
}
