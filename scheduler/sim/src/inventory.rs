//! The cell that every life takes place in: a few small nodes of two kinds, so that leases meet.

use leasehold_common::api::{CreateAccount, ImportLine, ImportNodes};
use leasehold_common::class::{Class, Side};
use leasehold_common::ids::{CellName, GpuUuid, NodeName, SkuName};
use leasehold_common::policy::Policy;
use leasehold_common::sku::{Sku, SkuCatalogue};
use leasehold_common::time::{Span, Timestamp};
use leasehold_core::{CoreSettings, Liveness};
use std::collections::BTreeSet;
use std::sync::OnceLock;

/// When every life begins.
pub const BIRTH: Timestamp = Timestamp::from_unix_ms(1_790_000_000_000);

/// The SKU everybody wants.
pub const DUO: &str = "duo";

/// How much longer than its end a lease may be served because two clocks differ.
pub const TOLERANCE: Span = Span::from_secs(5);

/// Accounts, with the classes they may hold and their quota.
pub const ACCOUNTS: [(&str, Side, &[Class], Option<u32>); 3] = [
    (
        "acme",
        Side::Tenant,
        &[Class::OnDemand, Class::Spot],
        Some(6),
    ),
    (
        "globex",
        Side::Tenant,
        &[Class::Committed, Class::Spot],
        None,
    ),
    (
        "research",
        Side::Internal,
        &[Class::InternalBatch, Class::InternalCritical],
        None,
    ),
];

/// The cell.
pub fn cell() -> CellName {
    "sim".parse().expect("a valid cell name")
}

/// A name that the code spells out.
pub fn sku(name: &str) -> SkuName {
    name.parse().expect("a valid SKU name")
}

/// A node's name.
pub fn node_name(n: usize) -> NodeName {
    format!("n{n}").parse().expect("a valid node name")
}

/// A node's GPUs.
pub fn gpus_of(n: usize) -> BTreeSet<GpuUuid> {
    let gpu = |slot| format!("GPU-{n}-{slot}").parse().expect("a valid UUID");
    (0..2).map(gpu).collect()
}

/// What the scheduler is told by its configuration.
pub fn settings(host: &str) -> CoreSettings {
    // Reading the built-in catalogue takes longer than most lives.
    static SKUS: OnceLock<SkuCatalogue> = OnceLock::new();
    let skus = SKUS.get_or_init(|| {
        let mut skus = SkuCatalogue::built_in();
        let duo = Sku {
            name: sku(DUO),
            model: "H200".into(),
            gpus: 2,
            nodes_per_domain: 2,
            gpu_memory_mib: 141_000,
            mig: Some("H200-141GB".into()),
            cpus: 0,
            memory_mib: 0,
            gpu_watts_min: 200,
            gpu_watts: 700,
            gpu_watts_max: 700,
            overhead_watts: 500,
        };
        skus.extend(vec![duo]).expect("within bounds");
        skus
    });
    CoreSettings {
        cell: cell(),
        host: host.into(),
        skus: skus.clone(),
        policy: Policy {
            turnaround: Span::from_mins(10),
            ..Policy::default()
        },
        liveness: Liveness::default(),
        prepare_lead: Span::from_mins(5),
    }
}

/// The inventory of so many nodes, two in a domain and four in a rack.
pub fn import(nodes: usize) -> ImportNodes {
    let line = |n: usize| ImportLine {
        line: u32::try_from(n).unwrap_or(u32::MAX) + 2,
        node: node_name(n).to_string(),
        path: format!("h1/r1/k{}/d{}", n / 4, n / 2),
        sku: DUO.into(),
        owner: None,
    };
    ImportNodes {
        nodes: (0..nodes).map(line).collect(),
    }
}

/// One of the accounts.
pub fn account(at: usize) -> CreateAccount {
    let (name, side, _, quota_gpus) = ACCOUNTS[at];
    CreateAccount {
        name: name.parse().expect("a valid account name"),
        side,
        quota_gpus,
    }
}
