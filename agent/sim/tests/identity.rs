//! Nodes are what the catalogue sells, and their GPUs keep their names.

#![expect(clippy::unwrap_used, reason = "what a test builds on must not fail")]

use leasehold_common::sku::SkuCatalogue;
use leasehold_common::units::MilliWatts;
use leasehold_gpu_sim::{Node, NodeSpec, Slot};
use std::collections::BTreeSet;

fn node(name: &str, sku: &str) -> Node {
    Node::new(&NodeSpec::new(name.parse().unwrap(), sku.parse().unwrap())).unwrap()
}

#[test]
fn every_sku_of_the_catalogue_has_a_model_that_agrees_with_it() {
    for sku in SkuCatalogue::built_in().iter() {
        let node = node("h001", sku.name.as_str());
        assert_eq!(node.gpus().len(), usize::from(sku.gpus), "{}", sku.name);
        for gpu in node.gpus() {
            let limits = gpu.power_limits().unwrap();
            assert!(gpu.name().unwrap().contains(&sku.model), "{}", sku.name);
            assert_eq!(
                gpu.memory().unwrap().total,
                sku.gpu_memory(),
                "{}",
                sku.name
            );
            assert_eq!(limits.default, MilliWatts::from_watts(sku.gpu_watts.into()));
            assert_eq!(limits.max, MilliWatts::from_watts(sku.gpu_watts_max.into()));
        }
    }
}

#[test]
fn a_sku_without_a_model_is_refused_with_those_that_have_one() {
    let spec = NodeSpec::new("h001".parse().unwrap(), "v100".parse().unwrap());
    assert_eq!(
        Node::new(&spec).unwrap_err().to_string(),
        "sku \"v100\" has no model: one of a100, b200, gb200, h100 and h200 is allowed"
    );
}

#[test]
fn names_are_the_same_after_a_restart_and_shared_by_nobody() {
    let of = |node: &Node| -> Vec<_> {
        node.gpus()
            .iter()
            .map(|gpu| gpu.identity().clone())
            .collect()
    };
    assert_eq!(of(&node("h001", "h200")), of(&node("h001", "h200")));

    let mut uuids = BTreeSet::new();
    let mut serials = BTreeSet::new();
    for name in (0..500).map(|n| format!("h{n:03}")) {
        for gpu in node(&name, "h200").gpus() {
            assert!(
                uuids.insert(gpu.uuid().unwrap().clone()),
                "{name}: a UUID twice"
            );
            assert!(
                serials.insert(gpu.serial().unwrap().to_owned()),
                "{name}: a serial twice"
            );
        }
    }
}

#[test]
fn a_uuid_has_the_form_nvml_gives_it() {
    let uuid = node("h001", "h200").gpus()[0].uuid().unwrap().to_string();
    let parts: Vec<usize> = uuid.split('-').map(str::len).collect();
    assert_eq!(parts, [3, 8, 4, 4, 4, 12], "{uuid}");
    assert!(uuid.starts_with("GPU-"));
}

#[test]
fn the_places_in_a_node_are_all_different_but_not_in_the_same_order() {
    for sku in ["a100", "h200", "gb200"] {
        let node = node("h001", sku);
        let minors: BTreeSet<u32> = node
            .gpus()
            .iter()
            .map(|g| g.minor_number().unwrap())
            .collect();
        let places: BTreeSet<_> = node
            .gpus()
            .iter()
            .map(|g| g.pci_address().unwrap())
            .collect();
        assert_eq!(
            (minors.len(), places.len()),
            (node.gpus().len(), node.gpus().len())
        );
        assert!(
            node.gpus()
                .iter()
                .any(|gpu| Slot(gpu.minor_number().unwrap()) != gpu.identity().slot)
        );
        let near: BTreeSet<u32> = node.gpus().iter().map(|g| g.numa_node().unwrap()).collect();
        assert_eq!(near, BTreeSet::from([0, 1]));
    }
    assert_eq!(
        node("h001", "h200").gpus()[0]
            .pci_address()
            .unwrap()
            .to_string(),
        "0000:1b:00.0"
    );
}
