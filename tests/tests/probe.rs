//! `leasehold-agent probe`: one look at a node before anything is installed on it.

use leasehold_gpu_sim::{Change, NodeSpec, Scenario, Slot};
use leasehold_tests::program;
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output};

#[test]
fn a_node_is_read_without_a_store_and_without_a_trace() {
    let dir = tempfile::tempdir().expect("a temporary directory can be made");
    let library = nvml_sim::install(dir.path(), &eight_h200()).expect("the library can be copied");
    let files = || std::fs::read_dir(dir.path()).expect("it is there").count();
    let before = files();

    let output = probe(&library, "json");
    assert!(output.status.success(), "{output:?}");
    let reading: Value = serde_json::from_slice(&output.stdout).expect("one JSON document");
    let gpus = reading["gpus"].as_array().expect("a list of GPUs");
    assert_eq!(gpus.len(), 8, "{reading:#}");
    assert_eq!(files(), before, "nothing was written");
    assert!(probe(&library, "table").status.success());
}

#[test]
fn a_gpu_that_is_lost_costs_its_own_reading_only() {
    let dir = tempfile::tempdir().expect("a temporary directory can be made");
    let scenario = eight_h200().then(Change::LoseGpu { gpu: Slot(2) });
    let library = nvml_sim::install(dir.path(), &scenario).expect("the library can be copied");
    let output = probe(&library, "json");
    assert!(output.status.success(), "{output:?}");
    let reading: Value = serde_json::from_slice(&output.stdout).expect("one JSON document");
    let count = |list: &str| reading[list].as_array().map(Vec::len);
    let found = (count("gpus"), count("unidentified"));
    assert_eq!(found, (Some(7), Some(1)), "{reading:#}");
}

#[test]
fn a_host_without_a_driver_is_told_so() {
    let output = probe(Path::new("/nowhere/libnvidia-ml.so.1"), "json");
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("/nowhere/libnvidia-ml.so.1"), "{said}");
    assert!(output.stdout.is_empty(), "{output:?}");
}

fn eight_h200() -> Scenario {
    let (name, sku) = ("h001".parse(), "h200".parse());
    Scenario::new(NodeSpec::new(
        name.expect("a node's name"),
        sku.expect("a SKU's name"),
    ))
}

fn probe(library: &Path, format: &str) -> Output {
    Command::new(program("leasehold-agent"))
        .args(["probe", "--nvml"])
        .arg(library)
        .args(["-o", format])
        .output()
        .expect("the agent can be run")
}
