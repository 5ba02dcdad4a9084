//! The health table: one story a row.

use super::*;
use crate::sample::{
    Contact, Fabric, FabricFaults, FabricState, NvLinkErrors, NvLinks, PcieLink, RemappedRows,
    Repairs, RetiredPages, SpareRows, SramErrors,
};
use leasehold_common::units::{Celsius, MilliWatts};
use std::collections::BTreeSet;

type Inject = fn(&mut GpuSample);

/// What is injected under which rule; after how many seconds it shows, as what, and how it ends.
struct Row(
    &'static str,
    Inject,
    u64,
    (Verdict, &'static str, Action),
    &'static str,
    Ends,
);

use Action::{CheckFabric, DrainAndReset, RebootNode, ResetGpu, Rma};
use Ends::{After, ByReboot, ByReset, ByWord};
use Verdict::{Degraded, Healthy, Lost, Unhealthy, Unresponsive};

const NOTHING: Action = Action::None;

fn link(change: fn(&mut PcieLink)) -> Reading<PcieLink> {
    let mut link = PcieLink {
        generation: 5,
        max_generation: 5,
        width: 16,
        max_width: 16,
    };
    change(&mut link);
    Reading::Value(link)
}

fn silent(s: &mut GpuSample, contact: Contact) {
    *s = GpuSample::silent(contact, "no answer");
}

fn wants(s: &mut GpuSample, action: u32) {
    s.recovery_action = Reading::Value(action);
}

fn fabric(s: &mut GpuSample, state: FabricState, health: u32) {
    s.fabric = Reading::Value(Fabric {
        state,
        status: 0,
        health,
        faults: FabricFaults::default(),
    });
}

fn rows(s: &mut GpuSample, uncorrected: u32, pending: bool, failed: bool) {
    s.remapped = Reading::Value(RemappedRows {
        corrected: 0,
        uncorrected,
        pending,
        failed,
    });
}

fn sram(s: &mut GpuSample, uncorrected: u64, threshold_exceeded: bool) {
    s.sram = Reading::Value(SramErrors {
        uncorrected,
        uncorrected_ever: uncorrected,
        threshold_exceeded,
    });
}

fn retired(s: &mut GpuSample, count: u32, pending: bool) {
    s.retired = Reading::Value(RetiredPages { count, pending });
}

fn links(s: &mut GpuSample, with: impl FnOnce(&mut NvLinkErrors)) {
    let mut errors = NvLinkErrors {
        crc: Some(0),
        replays: Some(0),
        recoveries: Some(0),
        failed_recoveries: Some(0),
    };
    with(&mut errors);
    s.nvlink_errors = Reading::Value(errors);
}

fn in_fabric(s: &mut GpuSample, mask: u32) {
    let Reading::Value(fabric) = &mut s.fabric else {
        unreachable!("a GPU in order has a fabric")
    };
    fabric.faults = FabricFaults::of_mask(mask);
}

#[rustfmt::skip]
const ROWS: &[Row] = &[
    Row("driver-wants-reset", |s| wants(s, 1), 0, (Unhealthy, "RecoveryAction", ResetGpu), "a reset of the GPU (recovery action 1)", ByReset),
    Row("driver-wants-reboot", |s| wants(s, 2), 0, (Unhealthy, "RecoveryAction", RebootNode), "action 2", ByReboot),
    Row("driver-wants-peers-drained", |s| wants(s, 3), 0, (Unhealthy, "RecoveryAction", DrainAndReset), "action 3", ByReset),
    Row("driver-wants-drain-and-reset", |s| wants(s, 4), 0, (Unhealthy, "RecoveryAction", DrainAndReset), "action 4", ByReset),
    Row("driver-wants-imex-recovered", |s| wants(s, 5), 0, (Unhealthy, "RecoveryAction", CheckFabric), "IMEX", After(0)),
    Row("driver-wants-bus-reset", |s| wants(s, 6), 0, (Unhealthy, "RecoveryAction", ResetGpu), "action 6", ByReset),
    Row("driver-wants-more", |s| wants(s, 99), 0, (Unhealthy, "RecoveryAction", RebootNode), "not known (recovery action 99)", ByReboot),
    Row("lost", |s| silent(s, Contact::Lost), 0, (Lost, "GpuLost", RebootNode), "gone from the bus", After(3)),
    Row("missing", |s| silent(s, Contact::Missing), 0, (Lost, "GpuMissing", RebootNode), "does not list it", After(3)),
    Row("unresponsive", |s| silent(s, Contact::Unresponsive), 0, (Unresponsive, "Unresponsive", ResetGpu), "deadline", After(3)),
    Row("uncorrected-ecc", |s| s.ecc_uncorrected = Reading::Value(2), 0, (Unhealthy, "UncorrectedEcc", DrainAndReset), "2 uncorrected memory errors more, 2 since", ByReset),
    Row("corrected-ecc-rate", |s| s.ecc_corrected = Reading::Value(1000), 0, (Degraded, "CorrectedEccRate", NOTHING), "1000 corrected memory errors more", After(3600)),
    Row("ecc-off", |s| s.ecc_enabled = Reading::Value(false), 0, (Unhealthy, "EccOff", ResetGpu), "ECC is off", After(0)),
    Row("sram-uncorrected", |s| sram(s, 1, false), 0, (Unhealthy, "SramUncorrected", DrainAndReset), "1 uncorrected errors of on-chip", ByReset),
    Row("sram-threshold", |s| sram(s, 0, true), 0, (Unhealthy, "SramThreshold", Rma), "threshold", ByWord),
    Row("row-remap-pending", |s| rows(s, 1, true, false), 0, (Unhealthy, "RowRemapPending", DrainAndReset), "waits for a reset", ByReset),
    Row("row-remap-failed", |s| rows(s, 1, false, true), 0, (Unhealthy, "RowRemapFailed", Rma), "could not be replaced", ByWord),
    Row("rows-remapped", |s| rows(s, 512, false, false), 0, (Unhealthy, "RowsRemapped", Rma), "512 memory rows", ByWord),
    Row("spare-rows-low", |s| s.spare_rows = Reading::Value(SpareRows { all: 638, some: 0, few: 1, none: 1 }), 0, (Degraded, "SpareRowsLow", NOTHING), "1 memory banks with no spare row left, 1 with few", After(0)),
    Row("repair-pending", |s| s.repairs = Reading::Value(Repairs { channel: true, tpc: false }), 0, (Unhealthy, "RepairPending", DrainAndReset), "the repair of a memory channel waits for a reset", ByReset),
    Row("page-retirement-pending", |s| retired(s, 1, true), 0, (Unhealthy, "PageRetirementPending", DrainAndReset), "a memory page waits", ByReset),
    Row("pages-retired", |s| retired(s, 61, false), 0, (Unhealthy, "PagesRetired", Rma), "61 memory pages retired", ByWord),
    Row("nvlink-crc", |s| links(s, |e| e.crc = Some(12_000)), 0, (Degraded, "NvLinkErrors", NOTHING), "12000 NVLink packets with a wrong check sum within 2m", After(600)),
    Row("nvlink-replays", |s| links(s, |e| e.replays = Some(1)), 0, (Degraded, "NvLinkErrors", NOTHING), "NVLink packets sent again 1 times within 1h", After(3600)),
    Row("nvlink-recoveries", |s| links(s, |e| e.recoveries = Some(1)), 0, (Degraded, "NvLinkErrors", NOTHING), "NVLinks set up again 1 times within 1h", After(3600)),
    Row("nvlink-recovery-failed", |s| links(s, |e| e.failed_recoveries = Some(1)), 0, (Unhealthy, "NvLinkRecoveryFailed", DrainAndReset), "NVLinks could not be set up again 1 times", ByReset),
    Row("c2c-errors", |s| s.c2c_errors = Reading::Value(1), 0, (Degraded, "C2cErrors", NOTHING), "1 errors of the link to the CPU within 1h", After(3600)),
    Row("fabric-degraded", |s| in_fabric(s, 0b01), 30, (Degraded, "FabricDegraded", CheckFabric), "less bandwidth in its fabric", After(30)),
    Row("fabric-route", |s| in_fabric(s, 0b01_00_00), 30, (Unhealthy, "FabricRoute", CheckFabric), "a route of its fabric is out of order", After(30)),
    Row("fabric-configuration", |s| in_fabric(s, 4 << 8), 60, (Unhealthy, "FabricConfiguration", CheckFabric), "configured wrongly: it is in no partition", After(30)),
    Row("pcie-fatal", |s| s.pcie_fatal = Reading::Value(1), 0, (Unhealthy, "PcieFatal", DrainAndReset), "1 fatal PCIe errors more, 1 since", ByReset),
    Row("memory-too-hot", |s| s.memory_temperature = Reading::Value(Celsius(95)), 20, (Degraded, "MemoryTooHot", NOTHING), "memory at 95 C, slows down at 95 C", After(60)),
    Row("nvlink-down", |s| s.nvlinks = Reading::Value(NvLinks { active: 16, inactive: 2 }), 30, (Unhealthy, "NvLinkDown", DrainAndReset), "2 of 18 NVLinks down, for 30s", After(60)),
    Row("fabric-not-ready", |s| fabric(s, FabricState::InProgress, 0), 60, (Unhealthy, "FabricNotReady", CheckFabric), "not registered with its fabric, for 1m", After(30)),
    Row("fabric-unhealthy", |s| fabric(s, FabricState::Completed, 2), 5, (Unhealthy, "FabricUnhealthy", CheckFabric), "fabric is 2", After(30)),
    Row("fabric-limited", |s| fabric(s, FabricState::Completed, 3), 30, (Degraded, "FabricLimited", CheckFabric), "fabric is 3", After(30)),
    Row("pcie-width", |s| s.pcie = link(|l| l.width = 8), 60, (Unhealthy, "PcieWidth", DrainAndReset), "PCIe x8 of x16", After(60)),
    Row("pcie-generation", |s| { s.pcie = link(|l| l.generation = 3); s.clock_events = Reading::Value(0); }, 300, (Degraded, "PcieGeneration", NOTHING), "PCIe 3.0 of 5.0", After(300)),
    Row("pcie-replays", |s| s.pcie_replays = Reading::Value(308), 0, (Degraded, "PcieReplays", NOTHING), "100 % of what is allowed within 10m", After(600)),
    Row("too-hot", |s| { s.temperature = Reading::Value(Celsius(89)); s.shutdown = Reading::Value(Celsius(95)); }, 5, (Degraded, "TooHot", NOTHING), "89 C, slows down at 89 C", After(30)),
    Row("near-shutdown", |s| { s.temperature = Reading::Value(Celsius(89)); s.slowdown = Reading::Unsupported; }, 0, (Unhealthy, "NearShutdown", DrainAndReset), "89 C, turns itself off at 92 C", After(60)),
    Row("thermal-slowdown", |s| s.clock_events = Reading::Value(0x48), 359, (Unhealthy, "ThermalSlowdown", DrainAndReset), "7 minutes of the last 10", After(539)),
    Row("hardware-slowdown", |s| s.clock_events = Reading::Value(0x8), 359, (Unhealthy, "HardwareSlowdown", DrainAndReset), "7 minutes of the last 10", After(539)),
    Row("power-brake", |s| s.clock_events = Reading::Value(0x88), 359, (Unhealthy, "PowerBrake", DrainAndReset), "7 minutes of the last 10", After(539)),
    Row("software-thermal", |s| s.clock_events = Reading::Value(0x20), 359, (Degraded, "SoftwareThermal", NOTHING), "7 minutes of the last 10", After(539)),
    Row("power-above-limit", |s| s.power_mw = Reading::Value(MilliWatts::from_watts(736)), 60, (Degraded, "PowerAboveLimit", NOTHING), "736", After(60)),
    Row("persistence-off", |s| s.persistence = Reading::Value(false), 60, (Healthy, "PersistenceOff", NOTHING), "persistence mode is off", After(0)),
];

#[test]
fn every_rule_has_its_story() {
    let told: BTreeSet<&str> = ROWS.iter().map(|row| row.0).collect();
    let rules = Rules::built_in();
    let known: BTreeSet<&str> = rules.rules.iter().map(|rule| rule.name.as_str()).collect();
    assert_eq!(told, known);
}

#[test]
fn each_row_of_the_table_shows_after_its_time_with_its_action_and_ends_as_it_should() {
    for Row(name, inject, hold, (verdict, reason, action), words, ends) in ROWS {
        let mut gpu = Gpu::new();
        let mut sick = idle();
        inject(&mut sick);
        gpu.stays(&sick, *hold);
        gpu.is_healthy(name);
        assert!(gpu.state.findings().is_empty(), "{name}: too early");
        gpu.stays(&sick, 1);
        let reason = HealthReason::from(*reason);
        let reasons = match verdict {
            Healthy => vec![],
            Degraded | Unhealthy | Unresponsive | Lost => vec![reason.clone()],
        };
        assert_eq!(gpu.shown(), (*verdict, reasons, *action), "{name}");
        let finding = gpu.finding(&reason);
        assert!(
            finding.evidence.contains(words),
            "{name}: {}",
            finding.evidence
        );
        assert_eq!(finding.action, *action, "{name}");
        // A call that fails says nothing either way.
        if sick.contact == Contact::Answered {
            let dumb = GpuSample {
                contact: Contact::Answered,
                ..GpuSample::silent(Contact::Lost, "timeout")
            };
            let shown = gpu.shown();
            let mut other = Gpu {
                state: gpu.state.clone(),
                now: gpu.now,
            };
            other.stays(&dumb, 4000);
            assert_eq!(other.shown(), shown, "{name}: nobody knows");
        }
        ends.happens_to(&mut gpu, name);
        assert!(gpu.state.findings().is_empty(), "{name}: nothing is left");
    }
}

#[test]
fn what_does_not_last_never_shows() {
    for Row(name, inject, hold, ..) in ROWS.iter().filter(|row| row.2 > 1) {
        let mut gpu = Gpu::new();
        let mut sick = idle();
        inject(&mut sick);
        for _ in 0..3 {
            gpu.stays(&sick, hold / 2);
            gpu.stays(&idle(), 60 * 11);
        }
        gpu.is_healthy(name);
    }
}

#[test]
fn what_is_normal_is_no_fault() {
    let normal: &[(&str, Inject)] = &[
        ("a power cap", |s| s.clock_events = Reading::Value(0x4)),
        ("application clocks, sync boost", |s| {
            s.clock_events = Reading::Value(0x12);
        }),
        ("a slow link at rest", |s| {
            s.pcie = link(|l| l.generation = 1);
        }),
        ("links off in MIG mode", |s| {
            s.mig = Reading::Value(true);
            s.nvlinks = Reading::Value(NvLinks {
                active: 0,
                inactive: 12,
            });
        }),
        ("a card without bridges", |s| {
            fabric(s, FabricState::None, 0);
            s.nvlinks = Reading::Value(NvLinks {
                active: 0,
                inactive: 12,
            });
        }),
        ("no fabric", |s| fabric(s, FabricState::None, 0)),
        ("a kind without ECC", |s| {
            s.ecc_enabled = Reading::Unsupported;
        }),
        ("a draw of 1.05 of the limit", |s| {
            s.power_mw = Reading::Value(MilliWatts::from_watts(735));
        }),
        ("a limit nobody knows", |s| {
            s.limit_mw = Reading::Value(MilliWatts(0));
        }),
        ("88 degrees", |s| {
            s.temperature = Reading::Value(Celsius(88));
        }),
        ("links that count nothing", |s| {
            s.nvlink_errors = Reading::Value(NvLinkErrors::default());
        }),
        ("a fabric that says that all is well", |s| {
            in_fabric(s, 0x1_aa);
        }),
        ("a route that is set up again", |s| in_fabric(s, 0b01_00)),
        ("60 retired pages", |s| retired(s, 60, false)),
        ("banks with most of their spare rows", |s| {
            s.spare_rows = Reading::Value(SpareRows {
                all: 600,
                some: 40,
                few: 0,
                none: 0,
            });
        }),
        ("511 rows", |s| rows(s, 511, false, false)),
        ("999 corrected errors", |s| {
            s.ecc_corrected = Reading::Value(999);
        }),
        ("307 replays in ten minutes", |s| {
            s.pcie_replays = Reading::Value(307);
        }),
    ];
    for (name, inject) in normal {
        let mut gpu = Gpu::new();
        let mut sample = idle();
        inject(&mut sample);
        gpu.stays(&sample, 1200);
        gpu.is_healthy(name);
        assert!(gpu.state.findings().is_empty(), "{name}");
    }
}

#[test]
fn an_old_driver_that_knows_nothing_is_healthy() {
    fn nothing<T>() -> Reading<T> {
        Reading::Unsupported
    }
    let mute = GpuSample {
        contact: Contact::Answered,
        recovery_action: nothing(),
        remapped: nothing(),
        sram: nothing(),
        fabric: nothing(),
        nvlinks: nothing(),
        pcie: nothing(),
        clock_events: nothing(),
        ecc_enabled: nothing(),
        ecc_uncorrected: nothing(),
        ..idle()
    };
    let mut gpu = Gpu::new();
    gpu.stays(&mute, 600);
    gpu.is_healthy("an old driver");
    // Where it cannot say that it wants nothing, a reset alone is enough.
    gpu.xid(95, "");
    gpu.tell(&[Event::Reset { at: gpu.now }]);
    gpu.stays(&mute, 1);
    gpu.is_healthy("after the reset");
}

#[test]
fn minutes_are_counted_once_each_however_often_they_are_looked_at() {
    let braked = GpuSample {
        clock_events: Reading::Value(0x80),
        ..idle()
    };
    let mut gpu = Gpu::new();
    // A second of each minute is enough: 0.6 a minute is six minutes of ten.
    for minute in 0..20 {
        gpu.stays(&braked, 1);
        gpu.stays(&idle(), 59);
        assert_eq!(
            gpu.state.verdict() == Healthy,
            minute < 6,
            "minute {minute}"
        );
    }
}
