//! What a real driver said, and whether the simulated one says the like.
//!
//! `h200-580.json` was recorded once, by read-only calls, on an idle H200 under driver 580.159.04. Each
//! entry is a call, its code and what it gave; entries `field` are `nvmlDeviceGetFieldValues`.

use leasehold_gpu_sim::{NodeSpec, Scenario};
use nvml_sim::install;
use serde_json::Value;
use std::process::Command;

/// The readings.
fn recorded() -> Vec<Value> {
    let readings: Value = serde_json::from_str(include_str!("h200-580.json")).unwrap();
    readings["calls"].as_array().unwrap().clone()
}

/// What one call gave.
fn value(calls: &[Value], call: &str, argument: Option<&str>) -> Value {
    let found = calls
        .iter()
        .find(|one| one["call"] == call && argument.is_none_or(|argument| one["arg"] == argument));
    found.unwrap_or_else(|| panic!("{call} was recorded"))["value"].clone()
}

#[test]
fn a_simulated_h200_reads_as_a_real_one() {
    let real = recorded();
    let folder = tempfile::tempdir().unwrap();
    let spec = NodeSpec::new("h001".parse().unwrap(), "h200".parse().unwrap());
    let library = install(folder.path(), &Scenario::new(spec)).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_leasehold-agent"))
        .args(["probe", "-o", "json", "--nvml"])
        .arg(&library)
        .output()
        .unwrap();
    let probe: Value = serde_json::from_slice(&output.stdout).unwrap();
    let gpu = &probe["gpus"][0];
    let (info, reading) = (&gpu["info"], &gpu["reading"]);
    assert_eq!(info["name"], value(&real, "nvmlDeviceGetName", None));
    let limit = value(&real, "nvmlDeviceGetPowerManagementDefaultLimit", None);
    assert_eq!(info["default_limit_mw"], limit);
    assert_eq!(reading["limit_mw"]["value"], limit);
    // Threshold 1 is `NVML_TEMPERATURE_THRESHOLD_SLOWDOWN`.
    let slowdown = value(&real, "nvmlDeviceGetTemperatureThreshold", Some("1"));
    assert_eq!(reading["slowdown"]["value"], slowdown);
    let ecc = value(&real, "nvmlDeviceGetEccMode", None);
    assert_eq!(reading["ecc_enabled"]["value"], ecc[0] == 1);
    // An idle GPU draws neither nothing nor much, in both.
    let idle = value(&real, "nvmlDeviceGetPowerUsage", None)
        .as_u64()
        .unwrap();
    let simulated = reading["power_mw"]["value"].as_u64().unwrap();
    assert!(
        simulated > idle / 2 && simulated < idle * 2,
        "{simulated} mW, {idle} mW"
    );
    assert_eq!(
        reading["recovery_action"]["value"],
        value(&real, "field", Some("230 scope 0"))["value"]
    );
}
