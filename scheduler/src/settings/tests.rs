use super::*;
use leasehold_common::ids::SkuName;
use std::path::Path;

fn read(assignments: &[&str]) -> Result<Settings, String> {
    let layers = assignments
        .iter()
        .fold(Layers::new("scheduler"), |layers, a| layers.set(a));
    Settings::read(layers, "ctl1").map_err(|e| e.to_string())
}

#[test]
fn cell_and_store_are_enough() {
    let settings = read(&["cell=c1", "store.kind=embedded"]).unwrap();
    assert_eq!(settings.core.host, "ctl1");
    assert_eq!(settings.leader_ttl, Span::from_secs(12));
    assert_eq!(settings.core.liveness.grace, Span::from_secs(45));
    assert_eq!(settings.core.liveness.tolerated(16), 3);
    assert_eq!(settings.core.liveness.tolerated(1000), 20);
    assert_eq!(settings.core.liveness.tolerated(100_000), 50);
    assert_eq!(settings.control.mode, 0o660);
    assert_eq!(settings.metrics.listen, None, "nothing is shown unasked");
    assert_eq!(settings.roles, Roles::default());
    let path = PathBuf::from("/var/lib/leasehold/scheduler/store.redb");
    assert_eq!(settings.store, StoreSettings::Embedded { path });
    assert_eq!(
        settings.log_path(),
        Path::new("/var/log/leasehold/placements.jsonl")
    );
}

#[test]
fn every_mistake_is_told_at_once() {
    let told = read(&[
        "cell=Cell 1",
        "host=a b",
        "control.mode=0999",
        "control.group=no-such-group-here",
        "leader.ttl=1s",
        "liveness.brake_percent=0",
        "liveness.brake_nodes=1",
        "placement.turnaround=2d",
        "roles.operator=leasehold,user:alice",
        "log.level=loud",
        "log.rotate_mib=0",
        "metrics.listen=0.0.0.0:9471",
        "sku_files=/nowhere/skus.toml",
    ])
    .unwrap_err();
    insta::assert_snapshot!(told);
}

#[test]
fn kinds_of_node_are_added_from_files() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("skus.toml");
    let entry = "[[sku]]\nname = 'x1'\nmodel = 'X1'\ngpus = 4\nnodes_per_domain = 1\n\
                 gpu_memory_mib = 1024\ngpu_watts = 100\ngpu_watts_max = 120\noverhead_watts = 10\n";
    std::fs::write(&path, entry).unwrap();
    let file = format!("sku_files={}", path.display());
    let settings = read(&["cell=c1", "store.kind=embedded", &file]).unwrap();
    let x1: SkuName = "x1".parse().unwrap();
    assert_eq!(settings.core.skus.get(&x1).unwrap().gpus, 4);
}
