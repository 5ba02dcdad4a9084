//! What goes wrong costs what it must, and no more.

#![expect(clippy::unwrap_used, reason = "what a test builds on must not fail")]

use leasehold_common::time::Span;
use leasehold_common::units::{Bytes, MilliJoules, MilliWatts};
use leasehold_gpu_sim::{
    Call, Change, ChangeError, EccCounts, EccSeverity, EccSince, EventKind, Fault, Node, NodeSpec,
    ProcessKind, RecoveryAction, RemappedRows, Slot,
};

const THIRD: Slot = Slot(2);

fn node() -> Node {
    Node::new(&NodeSpec::new(
        "h001".parse().unwrap(),
        "h200".parse().unwrap(),
    ))
    .unwrap()
}

/// A node of eight with a process on the third GPU.
fn node_with_work() -> Node {
    let mut node = node();
    let memory = Bytes::from_gib(40);
    let start = Change::StartProcess {
        gpu: THIRD,
        pid: 4711,
        kind: ProcessKind::Compute,
        memory,
    };
    node.apply(&start).unwrap();
    node.apply(&Change::SetLoad {
        gpu: THIRD,
        permille: 800,
    })
    .unwrap();
    node.advance(Span::from_mins(1));
    node
}

#[test]
fn a_lost_gpu_answers_nothing_and_is_still_counted() {
    let mut node = node_with_work();
    node.apply(&Change::LoseGpu { gpu: THIRD }).unwrap();
    let lost = node.gpu(THIRD).unwrap();
    assert_eq!(lost.power_draw(), Err(Fault::GpuIsLost));
    assert_eq!(lost.uuid(), Err(Fault::GpuIsLost));
    assert_eq!(lost.recovery_action(), Err(Fault::GpuIsLost));
    assert_eq!(node.counted().unwrap().count(), 8);
    assert!(node.gpu(Slot(3)).unwrap().power_draw().is_ok());
    assert_eq!(
        node.events_after(0).last().unwrap().kind,
        EventKind::GpuUnavailable
    );

    let refused = node.apply(&Change::SetLoad {
        gpu: THIRD,
        permille: 1,
    });
    assert_eq!(refused, Err(ChangeError::Refused(Fault::GpuIsLost)));
    node.apply(&Change::RestoreGpu { gpu: THIRD }).unwrap();
    assert!(node.gpu(THIRD).unwrap().power_draw().is_ok());
}

#[test]
fn a_removed_gpu_is_not_counted_and_a_reboot_does_not_bring_it_back() {
    let mut node = node();
    node.apply(&Change::RemoveGpu { gpu: THIRD }).unwrap();
    node.apply(&Change::Reboot).unwrap();
    let slots: Vec<u32> = node
        .counted()
        .unwrap()
        .map(|gpu| gpu.identity().slot.0)
        .collect();
    assert_eq!(slots, [0, 1, 3, 4, 5, 6, 7]);
}

#[test]
fn one_failing_call_costs_one_answer() {
    let mut node = node();
    let (gpu, call) = (THIRD, Call::PowerDraw);
    node.apply(&Change::FailCall {
        gpu,
        call,
        fault: Fault::Timeout,
    })
    .unwrap();
    assert_eq!(node.gpu(THIRD).unwrap().power_draw(), Err(Fault::Timeout));
    assert!(node.gpu(THIRD).unwrap().temperature().is_ok());
    assert!(node.gpu(Slot(0)).unwrap().power_draw().is_ok());
    node.apply(&Change::HealCall { gpu, call }).unwrap();
    assert!(node.gpu(THIRD).unwrap().power_draw().is_ok());
}

#[test]
fn a_driver_that_is_gone_answers_for_no_gpu() {
    let mut node = node();
    node.apply(&Change::FailDriver {
        fault: Fault::LibRmVersionMismatch,
    })
    .unwrap();
    assert_eq!(node.driver_version(), Err(Fault::LibRmVersionMismatch));
    assert!(node.counted().is_err());
    node.apply(&Change::HealDriver).unwrap();
    assert_eq!(node.driver_version(), Ok("580.95.05"));
}

#[test]
fn memory_is_held_by_processes_and_runs_out() {
    let mut node = node_with_work();
    let memory = node.gpu(THIRD).unwrap().memory().unwrap();
    assert_eq!(memory.used, Bytes::from_gib(40));
    assert_eq!(memory.total, memory.reserved + memory.used + memory.free);

    let start = |pid, memory| Change::StartProcess {
        gpu: THIRD,
        pid,
        kind: ProcessKind::Mps,
        memory,
    };
    let too_much = node.apply(&start(4712, Bytes::from_gib(120))).unwrap_err();
    assert_eq!(
        too_much.to_string(),
        "memory 120 GiB is too much for gpu 2: 100 GiB are free"
    );
    let twice = node.apply(&start(4711, Bytes::from_gib(1)));
    assert_eq!(
        twice,
        Err(ChangeError::PidTaken {
            gpu: THIRD,
            pid: 4711
        })
    );
    assert_eq!(node.gpu(THIRD).unwrap().processes().unwrap().len(), 1);

    node.apply(&Change::StopProcess {
        gpu: THIRD,
        pid: 4711,
    })
    .unwrap();
    assert_eq!(node.gpu(THIRD).unwrap().memory().unwrap().used, Bytes::ZERO);
    let again = node.apply(&Change::StopProcess {
        gpu: THIRD,
        pid: 4711,
    });
    assert_eq!(
        again,
        Err(ChangeError::NoSuchProcess {
            gpu: THIRD,
            pid: 4711
        })
    );
}

#[test]
fn a_reset_heals_what_a_reset_heals_once_nobody_holds_the_gpu() {
    let mut node = node_with_work();
    let rows = RemappedRows {
        corrected: 0,
        uncorrected: 1,
        pending: true,
        failure: false,
    };
    let action = RecoveryAction::DrainAndReset;
    let severity = EccSeverity::Uncorrected;
    node.apply(&Change::InjectEcc {
        gpu: THIRD,
        severity,
        count: 3,
    })
    .unwrap();
    node.apply(&Change::SetRemappedRows { gpu: THIRD, rows })
        .unwrap();
    node.apply(&Change::SetRecoveryAction { gpu: THIRD, action })
        .unwrap();
    node.apply(&Change::SetHung {
        gpu: THIRD,
        hung: true,
    })
    .unwrap();
    assert_eq!(
        node.gpu(THIRD).unwrap().recovery_action(),
        Err(Fault::Timeout)
    );

    let held = node.apply(&Change::ResetGpu { gpu: THIRD });
    assert_eq!(
        held,
        Err(ChangeError::InUse {
            gpu: THIRD,
            pid: 4711
        })
    );
    node.apply(&Change::StopProcess {
        gpu: THIRD,
        pid: 4711,
    })
    .unwrap();
    node.apply(&Change::ResetGpu { gpu: THIRD }).unwrap();

    let gpu = node.gpu(THIRD).unwrap();
    assert_eq!(gpu.recovery_action(), Ok(RecoveryAction::None));
    assert_eq!(
        gpu.remapped_rows(),
        Ok(RemappedRows {
            pending: false,
            ..rows
        })
    );
    assert_eq!(gpu.ecc_errors(EccSince::Volatile), Ok(EccCounts::default()));
    assert_eq!(gpu.ecc_errors(EccSince::Aggregate).unwrap().uncorrected, 3);
}

#[test]
fn ecc_counters_are_not_there_while_ecc_is_off() {
    let mut node = node();
    node.apply(&Change::SetEccMode {
        gpu: THIRD,
        enabled: false,
    })
    .unwrap();
    assert!(
        node.gpu(THIRD).unwrap().ecc_mode().unwrap().current,
        "it waits for the reset"
    );
    node.apply(&Change::ResetGpu { gpu: THIRD }).unwrap();
    let counts = node.gpu(THIRD).unwrap().ecc_errors(EccSince::Volatile);
    assert_eq!(counts, Err(Fault::NotSupported));
}

#[test]
fn a_reload_of_the_driver_starts_the_energy_counter_anew() {
    let mut node = node_with_work();
    let limit = MilliWatts::from_watts(400);
    node.apply(&Change::SetPowerLimit { gpu: THIRD, limit })
        .unwrap();
    let held = node.apply(&Change::ReloadDriver);
    assert_eq!(
        held,
        Err(ChangeError::InUse {
            gpu: THIRD,
            pid: 4711
        })
    );
    assert_ne!(node.gpu(THIRD).unwrap().energy(), Ok(MilliJoules::ZERO));

    node.apply(&Change::StopProcess {
        gpu: THIRD,
        pid: 4711,
    })
    .unwrap();
    node.apply(&Change::ReloadDriver).unwrap();
    let gpu = node.gpu(THIRD).unwrap();
    assert_eq!(gpu.energy(), Ok(MilliJoules::ZERO));
    assert_eq!(
        gpu.power_limits().unwrap().enforced,
        MilliWatts::from_watts(700)
    );
}

#[test]
fn a_reboot_ends_everything_and_has_another_boot_id() {
    let mut node = node_with_work();
    let before = node.boot_id().to_owned();
    node.apply(&Change::LoseGpu { gpu: Slot(5) }).unwrap();
    node.apply(&Change::Reboot).unwrap();
    assert_ne!(node.boot_id(), before);
    assert!(
        node.gpus()
            .iter()
            .all(|gpu| gpu.processes().is_ok_and(<[_]>::is_empty))
    );
}

#[test]
fn events_are_read_by_number_and_only_so_many_are_kept() {
    let mut node = node();
    for xid in 0..2000 {
        node.apply(&Change::RaiseXid { gpu: THIRD, xid }).unwrap();
    }
    assert_eq!(node.last_event(), 2000);
    assert_eq!(
        node.events_after(1998)
            .map(|e| e.kind.data())
            .collect::<Vec<_>>(),
        [1998, 1999]
    );
    assert_eq!(node.events_after(0).count(), 1024);
}

#[test]
fn a_change_that_makes_no_sense_names_what_is_allowed() {
    let mut node = node();
    let refused = |node: &mut Node, change| node.apply(&change).unwrap_err().to_string();
    let gpu = THIRD;
    assert_eq!(
        refused(&mut node, Change::LoseGpu { gpu: Slot(8) }),
        "gpu 8 does not exist: 0 to 7 are allowed"
    );
    assert_eq!(
        refused(
            &mut node,
            Change::SetLoad {
                gpu,
                permille: 1001
            }
        ),
        "permille 1001 is out of range: 0 to 1000"
    );
    assert_eq!(
        refused(&mut node, Change::SetPcieWidth { gpu, width: 3 }),
        "width 3 is out of range: 1, 2, 4, 8 or 16"
    );
    assert_eq!(
        refused(
            &mut node,
            Change::SetNvlink {
                gpu,
                link: 18,
                active: false
            }
        ),
        "link 18 is out of range: 0 to 17"
    );
}

#[test]
fn links_fail_one_by_one() {
    let mut node = node();
    node.apply(&Change::SetNvlink {
        gpu: THIRD,
        link: 4,
        active: false,
    })
    .unwrap();
    node.apply(&Change::SetPcieWidth {
        gpu: THIRD,
        width: 8,
    })
    .unwrap();
    node.apply(&Change::AddPcieReplays {
        gpu: THIRD,
        count: 7,
    })
    .unwrap();
    let gpu = node.gpu(THIRD).unwrap();
    let active = (0..gpu.nvlink_count().unwrap()).filter(|link| gpu.nvlink(*link).unwrap().active);
    assert_eq!(active.count(), 17);
    assert_eq!(gpu.nvlink(18), Err(Fault::InvalidArgument));
    let link = gpu.pcie_link().unwrap();
    assert_eq!(
        (link.width, link.width_max, link.generation),
        (8, 16, 1),
        "idle, so generation 1"
    );
    assert_eq!(gpu.pcie_replays(), Ok(7));
}
