//! What comes back, what is told late, and what survives.

use super::*;
use crate::sample::{Contact, RemappedRows};
use Action::{RebootNode, ResetGpu, Rma};
use leasehold_common::units::MilliJoules;

/// The action while it stands, each time it has come back.
fn comes_back(code: u32, ends: fn(&mut Gpu), wanted: &[Action]) {
    let mut gpu = Gpu::new();
    for (time, action) in wanted.iter().enumerate() {
        gpu.xid(code, "");
        assert_eq!(gpu.state.action(), *action, "{code} for the {time}. time");
        assert_eq!(gpu.state.verdict(), Verdict::Unhealthy);
        ends(&mut gpu);
        gpu.stays(&idle(), 60);
        assert_eq!(
            gpu.state.verdict() == Verdict::Healthy,
            *action != Rma,
            "{code}"
        );
    }
}

#[test]
fn a_fault_that_comes_back_after_what_was_done_is_graver_each_time() {
    comes_back(109, Gpu::reboot, &[ResetGpu, RebootNode, Rma]);
    comes_back(62, Gpu::reset, &[ResetGpu, Rma]);
    comes_back(79, Gpu::reboot, &[RebootNode, Rma]);
    comes_back(136, Gpu::reset, &[ResetGpu, Action::CheckFabric, Rma]);
}

#[test]
fn what_came_back_is_told_with_what_had_been_done() {
    let mut gpu = Gpu::new();
    gpu.xid(62, "");
    gpu.reset();
    gpu.xid(62, "");
    let evidence = gpu.finding(&HealthReason::HardwareXid).evidence;
    assert!(
        evidence.contains("; again, after what was done at 2027-01-15T08:"),
        "{evidence}"
    );
}

#[test]
fn a_fault_of_long_ago_is_forgotten() {
    let mut gpu = Gpu::new();
    gpu.xid(62, "");
    gpu.reset();
    gpu.now = gpu.now + Span::from_hours(24 * 31);
    gpu.xid(62, "");
    assert_eq!(gpu.state.action(), ResetGpu);
}

#[test]
fn memory_errors_after_a_reset_are_for_a_technician() {
    let sick = GpuSample {
        ecc_uncorrected: Reading::Value(1),
        ..idle()
    };
    let mut gpu = Gpu::new();
    gpu.stays(&sick, 5);
    gpu.reset();
    gpu.is_healthy("after the reset");
    gpu.stays(&sick, 1);
    assert_eq!(gpu.state.action(), Rma);
}

#[test]
fn a_signal_that_a_reset_did_not_remove_is_graver_after_a_while() {
    let sick = GpuSample {
        remapped: Reading::Value(RemappedRows {
            pending: true,
            ..RemappedRows::default()
        }),
        ..idle()
    };
    let mut gpu = Gpu::new();
    gpu.stays(&sick, 5);
    gpu.tell(&[Event::Reset { at: gpu.now }]);
    // The first readings may be of before.
    gpu.stays(&sick, 30);
    assert_eq!(gpu.state.action(), Action::DrainAndReset);
    gpu.stays(&sick, 1);
    assert_eq!(gpu.state.action(), Rma);
}

#[test]
fn a_reset_that_failed_takes_what_is_graver_once() {
    for (code, wanted) in [(119, RebootNode), (62, Rma)] {
        let mut gpu = Gpu::new();
        gpu.xid(code, "");
        let failed = Event::ResetFailed {
            at: gpu.now,
            why: "function not implemented".into(),
        };
        gpu.tell(&[failed.clone(), failed.clone()]);
        gpu.tell(&[failed]);
        assert_eq!(gpu.state.action(), wanted);
        let found = gpu.state.findings();
        assert!(
            found[0]
                .evidence
                .contains("failed: function not implemented")
        );
    }
    let mut gpu = Gpu::new();
    gpu.xid(119, "");
    gpu.tell(&[Event::ResetFailed {
        at: gpu.now,
        why: "no".into(),
    }]);
    gpu.reboot();
    gpu.is_healthy("the reboot helped");
}

#[test]
fn what_a_reboot_was_for_is_not_found_again_in_the_kernels_log() {
    let mut gpu = Gpu::new();
    let before = gpu.now + Span::from_secs(1);
    gpu.stays(&idle(), 60);
    gpu.reset();
    // An agent that was away hears of it only now.
    gpu.tell(&[xid(95, before, "")]);
    gpu.is_healthy("it was before the reset");
    // It is remembered all the same.
    gpu.xid(95, "");
    assert_eq!(gpu.state.action(), Rma);
}

#[test]
fn an_xid_of_before_the_agents_start_is_found() {
    let mut state = GpuState::default();
    let boot = Event::Boot {
        at: MORNING,
        id: "boot-1".into(),
    };
    let events = [xid(79, MORNING + Span::from_mins(1), ""), boot];
    let seen = Observation {
        sample: Some(&idle()),
        events: &events,
    };
    state.observe(&seen, MORNING + Span::from_hours(1), Rules::built_in());
    assert_eq!(state.action(), RebootNode);
}

#[test]
fn a_restarted_agent_goes_on_with_the_verdict_it_had() {
    let mut gpu = Gpu::new();
    gpu.xid(95, "");
    gpu.stays(&idle(), 5);
    let kept = serde_json::to_string(&gpu.state).unwrap();
    let mut back = Gpu {
        state: serde_json::from_str(&kept).unwrap(),
        now: gpu.now,
    };
    assert_eq!(back.state, gpu.state);
    back.tell(&[Event::Boot {
        at: MORNING - Span::from_hours(24),
        id: "boot-1".into(),
    }]);
    back.stays(&idle(), 600);
    assert_eq!(back.state.action(), ResetGpu, "a restart is no reset");
    back.reset();
    back.is_healthy("after the reset");
}

#[test]
fn counters_that_fall_tell_of_a_reset_that_nobody_told() {
    let counts = |mj: u64| GpuSample {
        energy_mj: Reading::Value(MilliJoules(mj)),
        ..idle()
    };
    let mut gpu = Gpu::new();
    gpu.stays(&counts(2_000_000), 1);
    gpu.xid(95, "");
    gpu.stays(&counts(3_000_000), 60);
    assert_eq!(gpu.state.action(), ResetGpu);
    let mut reloaded = Gpu {
        state: gpu.state.clone(),
        now: gpu.now,
    };
    gpu.stays(&counts(10), 2);
    gpu.is_healthy("somebody reset it");
    // A reload of the driver explains the same, and repairs nothing.
    reloaded.tell(&[Event::DriverReload { at: reloaded.now }]);
    reloaded.stays(&counts(10), 60);
    assert_eq!(reloaded.state.action(), ResetGpu);
}

#[test]
fn a_clock_that_was_set_back_hides_nothing_and_keeps_nothing_for_ever() {
    let mut gpu = Gpu::new();
    gpu.xid(95, "");
    gpu.now = gpu.now - Span::from_hours(24);
    gpu.stays(&idle(), 5);
    assert_eq!(gpu.state.action(), ResetGpu);
    gpu.reboot();
    gpu.is_healthy("another boot is after all that was known");
    gpu.xid(79, "");
    assert_eq!(gpu.state.action(), RebootNode);
}

#[test]
fn since_is_kept_while_the_verdict_stays() {
    let mut gpu = Gpu::new();
    let first = gpu.state.since().unwrap();
    gpu.stays(&idle(), 60);
    assert_eq!(gpu.state.since(), Some(first));
    gpu.stays(&GpuSample::silent(Contact::Lost, "gone"), 10);
    assert_eq!(gpu.state.since(), Some(gpu.now - Span::from_secs(9)));
}

#[test]
fn a_hung_gpu_that_was_sick_is_sick_when_it_answers_again() {
    let mut gpu = Gpu::new();
    gpu.xid(95, "");
    gpu.stays(&GpuSample::silent(Contact::Unresponsive, "timeout"), 10);
    assert_eq!(gpu.state.verdict(), Verdict::Unresponsive);
    assert_eq!(gpu.state.reasons().len(), 2);
    gpu.stays(&idle(), 10);
    assert_eq!(gpu.state.reasons(), [HealthReason::MemoryFault]);
}
