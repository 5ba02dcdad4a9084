//! The recorder on the simulated library, and on one that can nearly nothing.

use super::*;
use leasehold_gpu_sim::{NodeSpec, Scenario};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

/// What it writes about this library, without the pauses.
fn recorded(library: &Path, arguments: &[&str]) -> Value {
    let quick = [
        "--quiet",
        "--rounds=2",
        "--fast-rounds=1",
        "--slow-rounds=0",
    ];
    let library = library.to_str().unwrap();
    let all = ["record_nvml", library].into_iter().chain(quick);
    let options = Options::parse_from(all.chain(arguments.iter().copied()));
    let mut text = Vec::new();
    record(&options).unwrap().write(&mut text).unwrap();
    serde_json::from_slice(&text).unwrap()
}

/// A simulated node of eight H200.
fn simulated(folder: &Path) -> PathBuf {
    let spec = NodeSpec::new("h001".parse().unwrap(), "h200".parse().unwrap());
    nvml_sim::install(folder, &Scenario::new(spec)).unwrap()
}

fn calls(record: &Value) -> &[Value] {
    record["calls"].as_array().unwrap()
}

/// What one function gave for each GPU.
fn values(record: &Value, name: &str) -> Vec<String> {
    let asked = calls(record).iter().filter(|entry| entry["call"] == name);
    asked
        .map(|entry| entry["value"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn a_simulated_node_is_recorded_whole_and_unnamed() {
    let folder = tempfile::tempdir().unwrap();
    let library = simulated(folder.path());
    let named = recorded(&library, &["--keep-identity"]);
    let unnamed = recorded(&library, &[]);

    assert_eq!(unnamed["schema"], SCHEMA);
    assert_eq!(
        values(&unnamed, "nvmlDeviceGetName"),
        vec!["NVIDIA H200"; 8]
    );
    let text = unnamed.to_string();
    for name in ["nvmlDeviceGetUUID", "nvmlDeviceGetSerial"] {
        let (real, made_up) = (values(&named, name), values(&unnamed, name));
        let different: BTreeSet<_> = made_up.iter().collect();
        assert_eq!(different.len(), 8, "{made_up:?}");
        for (real, made_up) in real.iter().zip(&made_up) {
            assert!(!text.contains(real.as_str()), "{real}");
            assert_eq!((real.len(), &real[..3]), (made_up.len(), &made_up[..3]));
        }
    }

    // Every struct is the library's, every handle is found again, and every field says what it is.
    for entry in calls(&unnamed) {
        assert_eq!(entry.get("overrun"), None, "{entry}");
    }
    let again = calls(&unnamed)
        .iter()
        .filter(|entry| entry["arg"] == "its UUID");
    assert!(
        again.clone().count() == 8
            && again
                .clone()
                .all(|e| e["value"]["same_as_by_index"] == true)
    );
    let action = calls(&unnamed)
        .iter()
        .find(|entry| entry["arg"] == "230 scope 0")
        .unwrap();
    assert_eq!(action["value"]["code"], "SUCCESS");
    // Eight GPUs, each without a pause and with one.
    assert_eq!(unnamed["cycles"].as_array().unwrap().len(), 8 * 3);
    assert!(unnamed["cycles"][0]["us"]["p99"].is_number());
    let exported = unnamed["symbols"].as_array().unwrap();
    assert!(
        exported.contains(&json!("nvmlDeviceGetFieldValues")),
        "{exported:?}"
    );
}

#[test]
fn a_library_that_can_only_begin_is_recorded_as_such() {
    let folder = tempfile::tempdir().unwrap();
    let (source, library) = (
        folder.path().join("stub.c"),
        folder.path().join("libstub.so"),
    );
    fs::write(&source, "int nvmlInit_v2(void) { return 0; }\n").unwrap();
    let mut compiler = Command::new("cc");
    compiler
        .args(["-shared", "-fPIC", "-o"])
        .arg(&library)
        .arg(&source);
    assert!(compiler.status().unwrap().success());

    let record = recorded(&library, &[]);
    let made: Vec<_> = calls(&record)
        .iter()
        .filter(|entry| entry["absent"] != true)
        .collect();
    assert_eq!(made.len(), 1, "{made:?}");
    assert_eq!(
        (&made[0]["call"], &made[0]["code"]),
        (&json!("nvmlInit_v2"), &json!("SUCCESS"))
    );
    assert_eq!(record["symbols"], json!(["nvmlInit_v2"]));
}

#[test]
fn what_is_to_be_skipped_is_not_called() {
    let folder = tempfile::tempdir().unwrap();
    let skip = [
        "--skip=nvmlDeviceGetFieldValues",
        "--skip=nvmlDeviceGetPowerUsage",
    ];
    let record = recorded(&simulated(folder.path()), &skip);
    let mut made: BTreeMap<&str, bool> = BTreeMap::new();
    for entry in calls(&record) {
        *made.entry(entry["call"].as_str().unwrap()).or_default() |= entry["rc"].is_number();
    }
    assert!(!made["nvmlDeviceGetFieldValues"] && !made["nvmlDeviceGetPowerUsage"]);
    assert!(made["nvmlDeviceGetEnforcedPowerLimit"]);
    let cycles = record["cycles"].to_string();
    assert!(!cycles.contains("nvmlDeviceGetFieldValues") && !cycles.contains("PowerUsage"));
}

/// What was recorded once is asked again: the older record's functions are among these.
#[test]
fn nothing_is_asked_less_than_before() {
    let before = include_str!("../../tests/library/h200-580.json");
    let before: Value = serde_json::from_str(before).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let now = recorded(&simulated(folder.path()), &[]);
    let names = |record| -> BTreeSet<String> {
        let names = calls(record)
            .iter()
            .map(|entry| entry["call"].as_str().unwrap());
        names
            .filter(|name| name.starts_with("nvml"))
            .map(str::to_owned)
            .collect()
    };
    let missing: Vec<_> = names(&before).difference(&names(&now)).cloned().collect();
    assert_eq!(
        missing,
        [
            // It was not there, and is in no header.
            "nvmlDeviceGetFBCMemoryInfo",
            // Asked for the profiles that there are: the simulated library has none.
            "nvmlDeviceGetGpuInstancePossiblePlacements_v2",
        ]
    );
}

#[test]
#[should_panic(expected = "may change something")]
fn nothing_that_changes_a_setting_can_be_called() {
    let mut recorder = Recorder::new(Identities::new(false), Vec::new(), true);
    let set = record::Symbol {
        name: "nvmlDeviceSetPowerManagementLimit",
        entry: Some(()),
    };
    recorder.call(set, "", |()| 0);
}
