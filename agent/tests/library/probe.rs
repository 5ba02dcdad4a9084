//! `leasehold-agent probe`, as a process.

use leasehold_gpu_sim::{Call, Change, Fault, NodeSpec, Scenario, Slot};
use nvml_sim::install;
use std::path::Path;
use std::process::{Command, Output};

fn probe(library: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_leasehold-agent"))
        .arg("probe")
        .arg("--nvml")
        .arg(library)
        .args(arguments)
        .output()
        .unwrap()
}

fn h200() -> Scenario {
    Scenario::new(NodeSpec::new(
        "h001".parse().unwrap(),
        "h200".parse().unwrap(),
    ))
}

#[test]
fn a_probe_reads_everything_once() {
    let folder = tempfile::tempdir().unwrap();
    let library = install(folder.path(), &h200()).unwrap();
    let output = probe(&library, &["-o", "json"]);
    assert!(output.status.success(), "{output:?}");
    let reading: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(reading["kind"], "Probe");
    assert_eq!(reading["driver"]["version"], "580.95.05");
    assert_eq!(reading["gpus"].as_array().unwrap().len(), 8);
    let gpu = &reading["gpus"][7];
    assert_eq!(gpu["info"]["index"], 7);
    assert_eq!(gpu["verdict"], "healthy");
    assert!(gpu["reading"]["power_mw"]["value"].as_u64().unwrap() > 0);

    let output = probe(&library, &[]);
    let table = String::from_utf8(output.stdout).unwrap();
    assert_eq!(table.lines().count(), 2 + 8, "{table}");
    assert!(table.contains("NVIDIA H200"), "{table}");
}

#[test]
fn a_failing_call_shows_as_such() {
    let folder = tempfile::tempdir().unwrap();
    let scenario = h200().then(Change::FailCall {
        gpu: Slot(0),
        call: Call::Temperature,
        fault: Fault::Unknown,
    });
    let library = install(folder.path(), &scenario).unwrap();
    let output = probe(&library, &["-o", "json"]);
    assert!(output.status.success());
    let reading: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(reading["gpus"][0]["reading"]["temperature"]["failed"].is_string());
    assert!(reading["gpus"][0]["reading"]["power_mw"]["value"].is_u64());
}

#[test]
fn a_host_without_a_driver_is_told_plainly() {
    let output = probe(Path::new("libnvidia-ml-that-is-not-there.so.1"), &[]);
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8(output.stderr).unwrap();
    for part in [
        "libnvidia-ml-that-is-not-there.so.1 could not be loaded",
        "is the NVIDIA driver installed?",
        "--nvml names another library",
    ] {
        assert!(told.contains(part), "{part} in {told}");
    }
    assert!(output.stdout.is_empty());
}

#[test]
fn a_host_without_a_gpu_is_told_plainly() {
    let folder = tempfile::tempdir().unwrap();
    let scenario = (0..8).fold(h200(), |scenario, slot| {
        scenario.then(Change::RemoveGpu { gpu: Slot(slot) })
    });
    let library = install(folder.path(), &scenario).unwrap();
    let output = probe(&library, &[]);
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("finds no GPU on this host"), "{told}");
}

#[test]
fn a_driver_that_is_not_loaded_is_told_plainly() {
    let folder = tempfile::tempdir().unwrap();
    let scenario = h200().then(Change::FailDriver {
        fault: Fault::DriverNotLoaded,
    });
    let library = install(folder.path(), &scenario).unwrap();
    let output = probe(&library, &[]);
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("finds no usable driver"), "{told}");
}
