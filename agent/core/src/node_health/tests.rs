use super::*;
use crate::kernel_log::SXid;
use crate::verdict::Rules;
use leasehold_common::node::{Action, HealthReason};
use leasehold_common::time::Span;

/// A node of eight GPUs and four switches in order.
fn well() -> NodeFacts {
    NodeFacts {
        driver: DriverContact::Answers,
        pci_gpus: Some(8),
        nvml_gpus: Some(8),
        seen_gpus: 8,
        switches: Some(4),
        fabric_manager: Some(true),
        clock: Some(ClockFacts {
            synchronised: true,
            max_error: Span::from_millis(3),
        }),
        disks: vec![fill("/var/log", 40), fill("/run/leasehold", 1)],
        switch_faults: Some(Vec::new()),
    }
}

fn fill(of: &str, percent: u8) -> DiskFill {
    DiskFill {
        of: of.to_owned(),
        percent,
    }
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix_ms(seconds * 1000)
}

fn rules() -> &'static NodeRules {
    Rules::built_in().node()
}

/// What is found when the node is seen like this, look for look.
fn seen(looks: &[(i64, &NodeFacts)]) -> Vec<Finding> {
    let mut state = NodeState::default();
    for (second, facts) in looks {
        state = findings(&state, facts, rules(), at(*second));
    }
    state.findings()
}

fn only(facts: &NodeFacts) -> (HealthReason, Action, String) {
    let found = judge(facts, rules(), at(0));
    let [(_, found)] = &found[..] else {
        panic!("one finding is wanted: {found:?}");
    };
    (found.reason.clone(), found.action, found.evidence.clone())
}

#[test]
fn nothing_is_found_on_a_node_in_order_nor_on_one_that_cannot_be_read() {
    assert_eq!(judge(&well(), rules(), at(0)), []);
    assert_eq!(judge(&NodeFacts::default(), rules(), at(0)), []);
}

#[test]
fn a_driver_of_two_versions_asks_for_a_reboot() {
    let facts = NodeFacts {
        driver: DriverContact::Mismatch,
        nvml_gpus: None,
        ..well()
    };
    let (reason, action, evidence) = only(&facts);
    assert_eq!(
        (reason, action),
        (HealthReason::DriverMismatch, Action::RebootNode)
    );
    assert!(evidence.contains("NVML 18"), "{evidence}");
}

#[test]
fn a_missing_driver_is_a_fault_only_where_there_are_gpus() {
    let without = |driver, pci_gpus| NodeFacts {
        driver,
        pci_gpus,
        nvml_gpus: None,
        ..well()
    };
    let not_loaded = without(DriverContact::NotLoaded, Some(8));
    assert_eq!(only(&not_loaded).0, HealthReason::DriverNotLoaded);
    let no_library = without(DriverContact::NoLibrary, Some(8));
    assert_eq!(only(&no_library).0, HealthReason::DriverNotLoaded);
    let no_gpus = without(DriverContact::NoLibrary, Some(0));
    assert_eq!(judge(&no_gpus, rules(), at(0)), []);
}

#[test]
fn a_gpu_may_be_missing_from_nvml_or_from_the_bus_as_well() {
    let from_nvml = NodeFacts {
        nvml_gpus: Some(7),
        seen_gpus: 7,
        ..well()
    };
    let (reason, _, evidence) = only(&from_nvml);
    assert_eq!(reason, HealthReason::GpuCount);
    assert_eq!(evidence, "NVML counts 7, the PCI bus has 8, 7 were seen");
    let from_both = NodeFacts {
        pci_gpus: Some(7),
        nvml_gpus: Some(7),
        ..well()
    };
    assert_eq!(only(&from_both).0, HealthReason::GpuCount);
    // A bus that cannot be read accuses nobody.
    let blind = NodeFacts {
        pci_gpus: None,
        ..well()
    };
    assert_eq!(judge(&blind, rules(), at(0)), []);
}

#[test]
fn switches_want_their_manager() {
    let unmanaged = NodeFacts {
        fabric_manager: Some(false),
        ..well()
    };
    let (reason, action, _) = only(&unmanaged);
    assert_eq!(
        (reason, action),
        (HealthReason::FabricManagerDown, Action::CheckFabric)
    );
    let without_switches = NodeFacts {
        switches: Some(0),
        ..unmanaged
    };
    assert_eq!(judge(&without_switches, rules(), at(0)), []);
}

#[test]
fn a_fatal_error_of_a_switch_is_told_in_the_drivers_words() {
    let line = "nvidia-nvswitch3: SXid (PCI:0000:c1:00.0): 20034, Fatal, Link 30 LTSSM Fault Up";
    let fault = SwitchFault(SXid::read(line).unwrap());
    let facts = NodeFacts {
        switch_faults: Some(vec![fault]),
        ..well()
    };
    let (reason, _, evidence) = only(&facts);
    assert_eq!(reason, HealthReason::SwitchFault);
    assert!(evidence.contains("20034"), "{evidence}");
}

#[test]
fn clocks_and_disks_are_notes_that_keep_nothing_from_being_let() {
    let adrift = NodeFacts {
        clock: Some(ClockFacts {
            synchronised: true,
            max_error: Span::from_secs(5),
        }),
        disks: vec![fill("/var/log", 99), fill("/", 40)],
        ..well()
    };
    let found = judge(&adrift, rules(), at(0));
    let reasons: Vec<_> = found.iter().map(|(_, f)| f.reason.as_str()).collect();
    assert_eq!(reasons.len(), 2, "{found:?}");
    for (verdict, finding) in &found {
        assert!(verdict.can_be_let() && finding.action == Action::None);
    }
    let undisciplined = NodeFacts {
        clock: Some(ClockFacts {
            synchronised: false,
            max_error: Span::ZERO,
        }),
        ..well()
    };
    assert_eq!(only(&undisciplined).0, HealthReason::ClockUnsynchronised);
}

#[test]
fn a_finding_waits_for_its_hold_and_dates_from_what_was_first_seen() {
    let down = NodeFacts {
        fabric_manager: Some(false),
        ..well()
    };
    assert_eq!(seen(&[(0, &down), (29, &down)]), []);
    let found = seen(&[(0, &down), (30, &down)]);
    assert_eq!(found[0].since, at(0));
    // A manager that was only restarted begins anew.
    assert_eq!(seen(&[(0, &down), (20, &well()), (30, &down)]), []);
}

#[test]
fn a_finding_is_forgotten_when_it_has_been_gone_for_long_enough() {
    let down = NodeFacts {
        fabric_manager: Some(false),
        ..well()
    };
    let well = well();
    let held: [(i64, &NodeFacts); 2] = [(0, &down), (30, &down)];
    let then = |looks: &[(i64, &NodeFacts)]| seen(&[&held, looks].concat()).len();
    assert_eq!(then(&[(31, &well), (60, &well)]), 1);
    assert_eq!(then(&[(31, &well), (61, &well)]), 0);
    // Back before it was forgotten: the same finding.
    assert_eq!(then(&[(31, &well), (60, &down), (61, &well)]), 1);
    // What cannot be read is not gone.
    assert_eq!(
        then(&[(31, &NodeFacts::default()), (600, &NodeFacts::default())]),
        1
    );
}

#[test]
fn a_clock_that_was_set_back_neither_hides_a_fault_nor_keeps_it() {
    let down = NodeFacts {
        fabric_manager: Some(false),
        ..well()
    };
    let well = well();
    let found = seen(&[(10_000, &down), (10_030, &down), (0, &down)]);
    assert_eq!(found[0].since, at(0));
    let gone = [
        (10_000, &down),
        (10_030, &down),
        (10_031, &well),
        (0, &well),
        (30, &well),
    ];
    assert_eq!(seen(&gone), []);
}

#[test]
fn what_is_remembered_outlives_the_agent() {
    let facts = NodeFacts {
        nvml_gpus: Some(6),
        ..well()
    };
    let rules = rules().at_once();
    let state = findings(&NodeState::default(), &facts, &rules, at(5));
    let kept = serde_json::to_string(&state).unwrap();
    assert_eq!(serde_json::from_str::<NodeState>(&kept).unwrap(), state);
}
