//! Where the library finds its node, and what it does when the file is replaced or bad.

use crate::support::{Rig, h200};
use leasehold_common::time::{Span, Timestamp};
use leasehold_gpu_sim::{Change, NodeSpec, Scenario, Slot, state};
use nvml_wrapper::Nvml;
use std::time::SystemTime;

const FIRST: Slot = Slot(0);

fn now() -> Timestamp {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap();
    Timestamp::from_unix_ms(i64::try_from(since.as_millis()).unwrap())
}

#[test]
fn two_copies_are_two_nodes() {
    let spec = |name: &str| NodeSpec::new(name.parse().unwrap(), "gb200".parse().unwrap());
    let one = Rig::of(Scenario::new(spec("t01")));
    let two = Rig::of(Scenario::new(spec("t02")));
    assert_ne!(one.gpu(0).uuid().unwrap(), two.gpu(0).uuid().unwrap());
}

#[test]
fn two_readers_of_one_file_have_one_energy_counter() {
    let loaded_at = Some(now() - Span::from_hours(1));
    let scenario = Scenario {
        loaded_at,
        ..Scenario::new(h200())
    };
    let scenario = scenario.then_at(
        now() - Span::from_mins(30),
        Change::SetLoad {
            gpu: FIRST,
            permille: 1000,
        },
    );
    let one = Rig::of(scenario.clone());
    let first = one.gpu(0).total_energy_consumption().unwrap();
    let two = Rig::of(scenario);
    let second = two.gpu(0).total_energy_consumption().unwrap();
    let third = one.gpu(0).total_energy_consumption().unwrap();
    assert!(
        first <= second && second <= third,
        "{first}, {second}, {third}"
    );
    let half_an_hour_at_700_watts = 1800 * 700_000;
    assert!(first > half_an_hour_at_700_watts, "{first}");
}

#[test]
fn a_file_with_another_past_is_another_node() {
    let rig = Rig::new();
    let before = rig.gpu(0).uuid().unwrap();
    let other = NodeSpec::new("h002".parse().unwrap(), "h200".parse().unwrap());
    rig.replace(&Scenario::new(other));
    assert_ne!(rig.gpu(0).uuid().unwrap(), before);
}

#[test]
fn a_bad_file_leaves_the_node_as_it_is_until_a_good_one_comes() {
    let mut rig = Rig::new();
    rig.happen(Change::SetLoad {
        gpu: FIRST,
        permille: 500,
    });
    assert_eq!(rig.gpu(0).utilization_rates().unwrap().gpu, 50);
    std::fs::write(rig.state(), "{ not json").unwrap();
    assert_eq!(rig.gpu(0).utilization_rates().unwrap().gpu, 50);
    std::fs::remove_file(rig.state()).unwrap();
    assert_eq!(rig.gpu(0).utilization_rates().unwrap().gpu, 50);
    rig.happen(Change::SetLoad {
        gpu: FIRST,
        permille: 600,
    });
    assert_eq!(rig.gpu(0).utilization_rates().unwrap().gpu, 60);
}

#[test]
fn a_bad_file_at_the_start_is_no_node_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let library = nvml_sim::install(folder.path(), &Scenario::new(h200())).unwrap();
    let v100 = NodeSpec::new("h001".parse().unwrap(), "v100".parse().unwrap());
    state::write(&nvml_sim::state_path(&library), &Scenario::new(v100)).unwrap();
    assert!(
        Nvml::builder()
            .lib_path(library.as_os_str())
            .init()
            .is_err()
    );
}

#[test]
fn without_a_file_there_is_a_healthy_node_named_after_the_host() {
    let folder = tempfile::tempdir().unwrap();
    let library = nvml_sim::install(folder.path(), &Scenario::new(h200())).unwrap();
    std::fs::remove_file(nvml_sim::state_path(&library)).unwrap();
    let nvml = Nvml::builder()
        .lib_path(library.as_os_str())
        .init()
        .unwrap();
    assert_eq!(nvml.device_count().unwrap(), 8);
    assert_eq!(
        nvml.device_by_index(0).unwrap().name().unwrap(),
        "NVIDIA H200"
    );
}

/// Run twice: once as the test, and once by it, with the variable set. A process that has threads
/// cannot set its own.
#[test]
fn a_variable_names_the_file_for_a_whole_process() {
    const VARIABLE: &str = "LEASEHOLD_NVML_SIM";
    let folder = tempfile::tempdir().unwrap();
    let library = nvml_sim::install(folder.path(), &Scenario::new(h200())).unwrap();
    if std::env::var_os(VARIABLE).is_some() {
        let nvml = Nvml::builder()
            .lib_path(library.as_os_str())
            .init()
            .unwrap();
        assert_eq!(
            nvml.device_count().unwrap(),
            4,
            "a GB200 tray, not the file beside it"
        );
        return;
    }
    let named = folder.path().join("tray.json");
    let tray = NodeSpec::new("t01".parse().unwrap(), "gb200".parse().unwrap());
    state::write(&named, &Scenario::new(tray)).unwrap();
    let again = std::process::Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "state::a_variable_names_the_file_for_a_whole_process",
        ])
        .env(VARIABLE, &named)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&again.stdout);
    assert!(
        again.status.success() && said.contains("1 passed"),
        "{said}"
    );
}
