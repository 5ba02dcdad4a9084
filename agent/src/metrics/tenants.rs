//! `/metrics/tenants`: who has this node, and what it used.

use super::{LeaseShown, Shown};
use leasehold_daemon::metrics::{Sheet, Unit};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::registry::Registry;
use std::fmt;

pub(super) fn register(registry: &mut Registry, shown: Shown) {
    registry.register_collector(Box::new(Tenants { shown }));
}

#[derive(Debug)]
struct Tenants {
    shown: Shown,
}

impl Collector for Tenants {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut sheet = Sheet::from(encoder);
        let shown = self.shown.borrow().clone();
        let leases = shown.as_ref().map_or(&[][..], |shown| &shown.leases);
        let named: Vec<(String, &LeaseShown)> = leases
            .iter()
            .map(|lease| (lease.lease.to_string(), lease))
            .collect();
        let info = named.iter().flat_map(|(number, lease)| {
            lease.gpus.iter().map(move |gpu| {
                let labels = [
                    ("lease", number.as_str()),
                    ("account", lease.account.as_str()),
                    ("side", lease.side.as_str()),
                    ("class", lease.class.as_str()),
                    ("UUID", gpu.as_str()),
                ];
                (labels, 1.0)
            })
        });
        sheet.gauges(
            "leasehold_agent_lease_info",
            None,
            "Who has this GPU: joins what others export of it, by UUID.",
            info,
        )?;
        let labels = |number: &'_ String, lease: &LeaseShown| {
            [
                ("lease", number.clone()),
                ("account", lease.account.to_string()),
            ]
        };
        sheet.counters(
            "leasehold_agent_lease_gpu",
            Some(&Unit::Seconds),
            "GPU time of a lease on this node, by the clock, while it is there.",
            named
                .iter()
                .map(|(number, lease)| (labels(number, lease), lease.meter.gpu_seconds as f64)),
        )?;
        sheet.counters(
            "leasehold_agent_lease_energy",
            Some(&Unit::Joules),
            "Energy that a lease has used on this node, by the GPUs' counters, while it is there.",
            named.iter().map(|(number, lease)| {
                (labels(number, lease), lease.meter.energy_mj.0 as f64 / 1e3)
            }),
        )
    }
}
