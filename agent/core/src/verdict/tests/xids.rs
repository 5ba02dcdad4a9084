//! XIDs: one story an action class of the catalogue, and one an exception to it.

use super::*;
use crate::verdict::Instance;
use crate::verdict::rules::catalogued;
use Action::{CheckFabric, DrainAndReset, RebootNode, ResetGpu, RestartApp, Rma};
use Ends::{After, ByReboot, ByReset, ByWord};
use Verdict::{Degraded, Healthy, Unhealthy};

/// Codes and words, what they show as, and how it ends.
struct Story(
    &'static [(u32, &'static str)],
    (Verdict, &'static str, Action),
    Ends,
);

const NOTHING: Action = Action::None;

#[rustfmt::skip]
const STORIES: &[Story] = &[
    // The classes of the catalogue.
    Story(&[(43, "")], (Healthy, "", NOTHING), After(0)),
    Story(&[(69, "pid=1, name=python")], (Healthy, "AppFault", RestartApp), After(600)),
    Story(&[(78, "")], (Degraded, "DriverFault", NOTHING), After(600)),
    Story(&[(109, "")], (Unhealthy, "DriverFault", ResetGpu), ByReset),
    Story(&[(167, "")], (Unhealthy, "HardwareXid", RebootNode), ByReboot),
    Story(&[(157, "")], (Unhealthy, "HardwareXid", Rma), ByWord),
    Story(&[(54, "")], (Unhealthy, "PowerXid", Rma), ByWord),
    Story(&[(26, "")], (Degraded, "XidCheck", NOTHING), After(600)),
    Story(&[(4711, "of a year to come")], (Degraded, "XidCheck", NOTHING), After(600)),
    // Where the class is not enough.
    Story(&[(13, ""), (31, ""), (32, "")], (Healthy, "AppFault", RestartApp), After(600)),
    Story(&[(45, "")], (Healthy, "", NOTHING), After(0)),
    Story(&[(45, ""), (43, "")], (Healthy, "", NOTHING), After(0)),
    Story(&[(38, "")], (Degraded, "DriverFault", NOTHING), After(600)),
    Story(&[(46, "")], (Unhealthy, "HardwareXid", DrainAndReset), ByReset),
    Story(&[(158, "")], (Unhealthy, "HardwareXid", DrainAndReset), ByReset),
    Story(&[(62, "")], (Unhealthy, "HardwareXid", ResetGpu), ByReset),
    Story(&[(63, "")], (Unhealthy, "MemoryFault", DrainAndReset), ByReset),
    Story(&[(64, "")], (Unhealthy, "MemoryFault", DrainAndReset), ByReset),
    Story(&[(74, "")], (Degraded, "FabricXid", NOTHING), After(600)),
    Story(&[(79, "GPU has fallen off the bus.")], (Unhealthy, "OffTheBus", RebootNode), ByReboot),
    Story(&[(92, ""), (160, ""), (170, "")], (Healthy, "", NOTHING), After(0)),
    Story(&[(93, "")], (Degraded, "HardwareXid", NOTHING), After(600)),
    Story(&[(94, "Contained")], (Unhealthy, "MemoryFault", DrainAndReset), ByReset),
    Story(&[(95, "Uncontained")], (Unhealthy, "MemoryFault", ResetGpu), ByReset),
    Story(&[(119, "")], (Unhealthy, "DriverFault", ResetGpu), ByReset),
    Story(&[(121, "")], (Degraded, "HardwareXid", NOTHING), After(600)),
    Story(&[(137, "")], (Degraded, "XidCheck", NOTHING), After(600)),
    Story(&[(136, "")], (Unhealthy, "FabricXid", ResetGpu), ByReset),
    Story(&[(144, "SAW_MVB Fatal (0x1 0x2)")], (Unhealthy, "FabricXid", ResetGpu), ByReset),
    Story(&[(144, "SAW_MVB Nonfatal (0x1 0x1)")], (Healthy, "", NOTHING), After(0)),
    Story(&[(145, "RLW_REMAP Nonfatal (0x1 0x4)")], (Degraded, "FabricXid", NOTHING), After(600)),
    Story(&[(150, "")], (Degraded, "FabricXid", NOTHING), After(600)),
    Story(&[(154, "GPU recovery action changed from 0x0 (None) to 0x1 (GPU Reset Required)")], (Unhealthy, "RecoveryAction", ResetGpu), ByReset),
    Story(&[(154, "GPU recovery action changed from 0x0 (None) to 0x2 (Node Reboot Required)")], (Unhealthy, "RecoveryAction", RebootNode), ByReboot),
    Story(&[(154, "GPU recovery action changed from 0x1 (GPU Reset Required) to 0x0 (None)")], (Healthy, "", NOTHING), After(0)),
    Story(&[(154, "")], (Degraded, "DriverFault", NOTHING), After(600)),
    Story(&[(165, "")], (Unhealthy, "PowerXid", Rma), ByWord),
    Story(&[(172, "")], (Unhealthy, "MemoryFault", ResetGpu), ByReset),
];

#[test]
fn each_class_and_each_exception_shows_with_its_action_and_ends_as_it_should() {
    for Story(xids, (verdict, reason, action), ends) in STORIES {
        let story = format!("{xids:?}");
        let mut gpu = Gpu::new();
        for (code, words) in *xids {
            gpu.xid(*code, words);
        }
        let reasons = match verdict {
            Healthy => vec![],
            Degraded | Unhealthy | Verdict::Unresponsive | Verdict::Lost => {
                vec![HealthReason::from(*reason)]
            }
        };
        assert_eq!(gpu.shown(), (*verdict, reasons, *action), "{story}");
        if reason.is_empty() {
            assert!(
                gpu.state.findings().is_empty(),
                "{story}: it is counted only"
            );
        } else {
            let evidence = gpu.finding(&HealthReason::from(*reason)).evidence;
            assert!(evidence.starts_with("XID "), "{story}: {evidence}");
        }
        if let After(seconds @ 1..) = ends {
            // The last of them was this second.
            gpu.stays(&idle(), seconds - 1);
            assert_eq!(gpu.state.action(), *action, "{story}: too early");
            gpu.stays(&idle(), 1);
            gpu.is_healthy(&story);
        } else {
            ends.happens_to(&mut gpu, &story);
        }
        let codes: Vec<u32> = gpu.state.xids().map(|(code, _)| code).collect();
        let mut told: Vec<u32> = xids.iter().map(|(code, _)| *code).collect();
        told.sort_unstable();
        assert_eq!(codes, told, "{story}: all are counted");
    }
}

#[test]
fn no_fault_of_an_application_takes_a_gpu_from_its_owner() {
    for (code, class, _) in catalogued().filter(|(_, class, _)| *class == "app-fault") {
        let mut gpu = Gpu::new();
        for _ in 0..20 {
            gpu.xid(code, "");
            gpu.stays(&idle(), 30);
            assert!(gpu.state.verdict().can_be_let(), "{code} of {class}");
        }
        gpu.reset();
        gpu.xid(code, "");
        assert!(gpu.state.verdict().can_be_let(), "{code} after a reset");
    }
}

#[test]
fn every_code_of_the_catalogue_does_what_its_class_says() {
    for (code, class, policy) in catalogued() {
        let mut gpu = Gpu::new();
        gpu.xid(code, "");
        let (verdict, _, action) = gpu.shown();
        let unsold = matches!(policy, "reset-gpu" | "reboot-node" | "drain-rma");
        assert_eq!(!verdict.can_be_let(), unsold, "{code} {class} {policy}");
        assert_eq!(!action.is_harmless(), unsold, "{code} {class} {policy}");
        let counted = gpu.state.xids().map(|(code, count)| (code, count.total));
        assert_eq!(counted.collect::<Vec<_>>(), [(code, 1)]);
    }
}

#[test]
fn what_comes_with_48_says_how_urgent_it_is() {
    for (with, waits, then) in [
        (None, DrainAndReset, ResetGpu),
        (Some(63), DrainAndReset, DrainAndReset),
        (Some(94), DrainAndReset, DrainAndReset),
        (Some(64), ResetGpu, ResetGpu),
        (Some(95), ResetGpu, ResetGpu),
    ] {
        for first in [true, false] {
            let mut gpu = Gpu::new();
            let at = gpu.now + Span::from_secs(1);
            gpu.now = at;
            let mut events: Vec<Event> = with.iter().map(|code| xid(*code, at, "")).collect();
            events.insert(if first { 0 } else { events.len() }, xid(48, at, ""));
            for event in &events {
                gpu.tell(std::slice::from_ref(event));
            }
            let of_48 = |gpu: &Gpu| gpu.state.standing["xid-48"].action;
            assert_eq!(of_48(&gpu), waits, "48 with {with:?}");
            gpu.stays(&idle(), 3);
            assert_eq!(of_48(&gpu), then, "48 with {with:?}, later");
            gpu.reset();
            gpu.is_healthy("after the reset");
        }
    }
}

#[test]
fn a_failure_to_record_a_row_is_urgent_with_48_only() {
    let mut gpu = Gpu::new();
    gpu.xid(64, "");
    gpu.stays(&idle(), 3);
    assert_eq!(gpu.state.action(), DrainAndReset);
    let mut gpu = Gpu::new();
    gpu.xid(48, "");
    gpu.xid(64, "");
    assert_eq!(gpu.state.standing["xid-64"].action, ResetGpu);
}

#[test]
fn one_fault_of_two_tenants_is_suspicious_and_twenty_of_one_are_not() {
    let fault = |gpu: &mut Gpu, tenant: &str| {
        gpu.now = gpu.now + Span::from_mins(5);
        let event = match xid(31, gpu.now, "") {
            Event::Xid(xid) => Event::Xid(Xid {
                tenant: Some(tenant.parse().expect("an account")),
                ..xid
            }),
            other => other,
        };
        gpu.tell(&[event]);
    };
    let mut gpu = Gpu::new();
    for _ in 0..20 {
        fault(&mut gpu, "acme");
    }
    assert_eq!(gpu.shown(), (Healthy, vec![], RestartApp));
    fault(&mut gpu, "umbrella");
    let reason = HealthReason::AppFaultManyTenants;
    assert_eq!(gpu.shown(), (Degraded, vec![reason], DrainAndReset));
    gpu.now = gpu.now + Span::from_hours(24);
    gpu.stays(&idle(), 1);
    gpu.is_healthy("a day without");
}

#[test]
fn what_comes_often_is_another_matter() {
    for (code, times, verdict, action) in [
        (38, 2, Unhealthy, DrainAndReset),
        (44, 2, Unhealthy, DrainAndReset),
        (121, 2, Unhealthy, DrainAndReset),
        (45, 5, Degraded, CheckFabric),
    ] {
        let mut gpu = Gpu::new();
        for time in 1..=times {
            gpu.now = gpu.now + Span::from_secs(30);
            gpu.xid(code, "");
            let grave = gpu.state.action() == action && gpu.state.verdict() == verdict;
            assert_eq!(grave, time == times, "{code}, {time} times");
        }
        // A burst is one fault.
        let mut gpu = Gpu::new();
        for _ in 0..9 {
            gpu.xid(code, "");
        }
        assert!(gpu.state.action().is_harmless(), "{code}: a burst");
    }
}

#[test]
fn the_shadow_of_another_fault_is_no_fault_of_the_fabric() {
    let mut gpu = Gpu::new();
    for _ in 0..8 {
        gpu.now = gpu.now + Span::from_secs(30);
        gpu.xid(31, "");
        gpu.xid(45, "");
    }
    assert_eq!(gpu.shown(), (Healthy, vec![], RestartApp));
}

#[test]
fn two_sources_tell_of_one_fault_and_two_slices_of_two() {
    let on = |instance, at: Timestamp, words: &str| match xid(31, at, words) {
        Event::Xid(xid) => Event::Xid(Xid { instance, ..xid }),
        other => other,
    };
    let slice = |gpu| Some(Instance { gpu, compute: None });
    let mut gpu = Gpu::new();
    let later = gpu.now + Span::from_millis(300);
    gpu.now = later;
    gpu.tell(&[on(slice(1), MORNING, ""), on(None, later, "MMU Fault")]);
    assert_eq!(
        gpu.state.xids().map(|(_, count)| count.total).sum::<u64>(),
        1
    );
    gpu.now = gpu.now + Span::from_mins(1);
    gpu.tell(&[on(slice(1), gpu.now, ""), on(slice(2), gpu.now, "")]);
    assert_eq!(
        gpu.state.xids().map(|(_, count)| count.total).sum::<u64>(),
        3
    );
}

#[test]
fn a_slice_is_named_and_the_kernels_words_are_kept_short_and_clean() {
    let mut gpu = Gpu::new();
    let long = format!("line\u{1b}[31m\nbreak {}", "x".repeat(1000));
    let event = match xid(94, gpu.now, &long) {
        Event::Xid(xid) => Event::Xid(Xid {
            instance: Some(Instance {
                gpu: 3,
                compute: Some(0),
            }),
            ..xid
        }),
        other => other,
    };
    gpu.tell(&[event]);
    let evidence = gpu.finding(&HealthReason::MemoryFault).evidence;
    let start = "XID 94 (uncorrectable memory error, contained to one application) on GPU instance 3, compute instance 0: line";
    assert!(evidence.starts_with(start), "{evidence}");
    assert!(evidence.chars().count() <= 240 && !evidence.contains(['\n', '\u{1b}']));
}

#[test]
fn words_that_come_after_the_drivers_event_say_more() {
    let mut gpu = Gpu::new();
    gpu.xid(144, "");
    assert_eq!(gpu.state.verdict(), Degraded);
    gpu.tell(&[xid(144, gpu.now, "SAW_MVB Fatal (0x1 0x10)")]);
    assert_eq!(gpu.state.action(), ResetGpu);
    // The other way round the graver word stands as well, and one fault was counted.
    gpu.tell(&[xid(144, gpu.now, "")]);
    assert_eq!(gpu.state.action(), ResetGpu);
    assert_eq!(
        gpu.state.xids().map(|(_, count)| count.total).sum::<u64>(),
        1
    );
}
