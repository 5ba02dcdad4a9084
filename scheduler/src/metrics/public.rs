//! What every scheduler shows, whether it leads or not.

use super::Metrics;
use leasehold_daemon::metrics::Sheet;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::registry::Registry;
use std::fmt;

pub(super) fn register(registry: &mut Registry, metrics: &Metrics) {
    registry.register_collector(Box::new(Build));
    registry.register(
        "leasehold_leader",
        "1 while this scheduler leads the cell",
        metrics.leading.clone(),
    );
    registry.register(
        "leasehold_etcd_revision",
        "The store's revision at the last commit of this scheduler, or when it last read the ledger",
        metrics.revision.clone(),
    );
}

#[derive(Debug)]
struct Build;

impl Collector for Build {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let version = [("version", env!("CARGO_PKG_VERSION"))];
        let help = "The version of this program.";
        Sheet::from(encoder).gauges("leasehold_build_info", None, help, [(version, 1.0)])
    }
}
