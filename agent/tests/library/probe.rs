//! `leasehold-agent probe`, as a process.

use leasehold_gpu_sim::{
    Call, Change, Fabric, Fault, NodeSpec, NvlinkErrors, RecoveryAction, RemappedRows, Repairs,
    Scenario, Slot, SpareRows,
};
use nvml_sim::install;
use serde_json::json;
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
    let gpus = table.lines().filter(|line| line.contains("GPU-"));
    assert_eq!(gpus.count(), 8, "{table}");
    assert!(table.contains("NVIDIA H200"), "{table}");
}

#[test]
fn every_signal_comes_through_the_library_or_is_said_not_to_be_there() {
    let folder = tempfile::tempdir().unwrap();
    let gpu = Slot(2);
    let scenario = h200()
        .then(Change::SetRemappedRows {
            gpu,
            rows: RemappedRows {
                corrected: 3,
                uncorrected: 1,
                pending: true,
                failure: false,
            },
        })
        .then(Change::SetPcieWidth { gpu, width: 8 })
        .then(Change::SetNvlink {
            gpu,
            link: 5,
            active: false,
        })
        .then(Change::AddPcieReplays { gpu, count: 7 })
        .then(Change::AddPcieFatal { gpu, count: 1 })
        .then(Change::InjectSram {
            gpu,
            count: 4,
            threshold_exceeded: true,
        })
        .then(Change::SetSpareRows {
            gpu,
            banks: SpareRows {
                max: 3000,
                high: 60,
                partial: 8,
                low: 3,
                none: 1,
            },
        })
        .then(Change::SetRepairs {
            gpu,
            repairs: Repairs {
                channel: true,
                tpc: false,
            },
        })
        .then(Change::AddNvlinkErrors {
            gpu,
            errors: NvlinkErrors {
                crc: 11,
                replays: 12,
                recoveries: 13,
                failed_recoveries: 14,
            },
        })
        .then(Change::SetFabric {
            gpu,
            fabric: Fabric {
                state: 3,
                status: 0,
                health: 3,
                // Less bandwidth, and in no partition.
                mask: 1 | 4 << 8,
            },
        });
    let library = install(folder.path(), &scenario).unwrap();
    let output = probe(&library, &["-o", "json"]);
    let probed: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let reading = &probed["gpus"][2]["reading"];
    let value = |signal: &str| reading[signal]["value"].clone();
    assert_eq!(
        value("remapped"),
        json!({"corrected": 3, "uncorrected": 1, "pending": true, "failed": false})
    );
    let pcie = value("pcie");
    assert_eq!(
        (pcie["width"].as_u64(), pcie["max_width"].as_u64()),
        (Some(8), Some(16))
    );
    assert_eq!(value("pcie_replays"), 7);
    assert_eq!(value("nvlinks"), json!({"active": 17, "inactive": 1}));
    assert_eq!(value("clock_events"), 1, "idle");
    assert_eq!(value("mig"), false);
    assert_eq!(value("persistence"), true);
    assert_eq!(value("default_limit_mw"), 700_000);
    assert!(value("shutdown").as_i64() > value("slowdown").as_i64());
    assert_eq!(value("pcie_fatal"), 1);
    assert_eq!(
        value("sram"),
        json!({"uncorrected": 4, "uncorrected_ever": 4, "threshold_exceeded": true})
    );
    let banks = json!({"all": 3000, "some": 68, "few": 3, "none": 1});
    assert_eq!(value("spare_rows"), banks);
    assert_eq!(value("repairs"), json!({"channel": true, "tpc": false}));
    let errors = value("nvlink_errors");
    assert_eq!(
        errors,
        json!({"crc": 11, "replays": 12, "recoveries": 13, "failed_recoveries": null}),
        "links of generation 4 count no failed recoveries"
    );
    let fabric = value("fabric");
    assert_eq!(
        (&fabric["state"], &fabric["health"]),
        (&json!("completed"), &json!(3))
    );
    assert_eq!(fabric["faults"]["degraded_bandwidth"], true);
    assert_eq!(fabric["faults"]["wrong_configuration"], 4);
    assert!(value("memory_temperature").as_i64() < value("memory_max").as_i64());
    // A Hopper replaces rows and has no CPU of NVIDIA's beside it.
    for absent in ["retired", "c2c_errors"] {
        assert_eq!(reading[absent], "unsupported", "{absent}");
    }
    let table = String::from_utf8(probe(&library, &[]).stdout).unwrap();
    assert!(table.contains("4 pending"), "{table}");
    assert!(table.contains("17/18"), "{table}");
}

/// Of simulated GPUs on a real host, whose clock and disks may be in whatever state.
fn check(library: &Path, arguments: &[&str]) -> (i32, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_leasehold-agent"))
        .arg("check")
        .arg("--nvml")
        .arg(library)
        .args(["--ignore", "ClockUnsynchronised", "--ignore", "DiskFull"])
        .args(["--ignore", "GpuCount", "--ignore", "FabricManagerDown"])
        .args(arguments)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    (output.status.code().unwrap(), text)
}

#[test]
fn a_check_says_by_its_exit_code_whether_a_host_can_be_let() {
    let folder = tempfile::tempdir().unwrap();
    let library = install(folder.path(), &h200()).unwrap();
    let (code, text) = check(&library, &["--gpus", "8"]);
    assert_eq!((code, text.lines().count()), (0, 1), "{text}");
    assert!(
        text.starts_with("ok: 8 GPUs can be let, driver 580."),
        "{text}"
    );
    let (code, text) = check(&library, &["--gpus", "9"]);
    assert_eq!(code, 2);
    assert_eq!(text, "node: the driver finds 8 GPUs, 9 are expected\n");

    let (code, _) = check(&library, &["--ignore", "BadLuck"]);
    assert_eq!(code, 2, "what is not known would be ignored in vain");

    let folder = tempfile::tempdir().unwrap();
    let sick = h200()
        .then(Change::SetRecoveryAction {
            gpu: Slot(1),
            action: RecoveryAction::GpuReset,
        })
        .then(Change::LoseGpu { gpu: Slot(5) });
    let library = install(folder.path(), &sick).unwrap();
    let (code, text) = check(&library, &[]);
    assert_eq!(code, 2, "{text}");
    let lines: Vec<&str> = text.lines().collect();
    assert!(
        lines
            .iter()
            .any(|line| line.contains("unhealthy: RecoveryAction")),
        "{text}"
    );
    assert!(lines.iter().any(|line| line.starts_with("gpu 5")), "{text}");

    let (code, text) = check(Path::new("/nonexistent/libnvidia-ml.so"), &[]);
    assert_eq!(code, 2);
    assert!(
        text.starts_with("node: /nonexistent/libnvidia-ml.so could not be loaded"),
        "{text}"
    );
}

#[test]
fn links_of_the_fifth_generation_are_asked_one_by_one() {
    let folder = tempfile::tempdir().unwrap();
    let b200 = NodeSpec::new("b001".parse().unwrap(), "b200".parse().unwrap());
    let scenario = Scenario::new(b200).then(Change::AddNvlinkErrors {
        gpu: Slot(1),
        errors: NvlinkErrors {
            failed_recoveries: 2,
            ..NvlinkErrors::default()
        },
    });
    let library = install(folder.path(), &scenario).unwrap();
    let output = probe(&library, &["-o", "json"]);
    let probed: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let gpu = &probed["gpus"][1];
    assert_eq!(
        gpu["reading"]["nvlink_errors"]["value"],
        json!({"crc": null, "replays": null, "recoveries": null, "failed_recoveries": 2})
    );
    assert_eq!(gpu["reasons"], json!(["NvLinkRecoveryFailed"]));
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
