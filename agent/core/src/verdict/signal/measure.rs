//! How each signal is measured.

use super::{Measure, Signal};
use crate::sample::{Contact, FabricFaults, FabricState, GpuSample, NvLinkErrors};
use leasehold_common::node::Reading;

/// Bits of `nvmlDeviceGetCurrentClocksEventReasons` (nvml.h, `nvmlClocksEventReason*`).
mod bit {
    pub const IDLE: u64 = 0x1;
    pub const HARDWARE_SLOWDOWN: u64 = 0x8;
    pub const SOFTWARE_THERMAL: u64 = 0x20;
    pub const HARDWARE_THERMAL: u64 = 0x40;
    pub const POWER_BRAKE: u64 = 0x80;
}

/// The code that [`crate::sample::Fabric::health`] has where the driver says nothing.
const HEALTH_UNSAID: u32 = 0;

impl Signal {
    /// Measures it.
    pub fn measure(self, sample: &GpuSample) -> Measure {
        match self {
            Self::Lost => Measure::flag(sample.contact == Contact::Lost),
            Self::Missing => Measure::flag(sample.contact == Contact::Missing),
            Self::Unresponsive => Measure::flag(sample.contact == Contact::Unresponsive),
            Self::RecoveryAction => of(&sample.recovery_action, |code| Some(i64::from(*code))),
            Self::EccOff => of(&sample.ecc_enabled, |on| Some(i64::from(!on))),
            Self::EccUncorrected => of(&sample.ecc_uncorrected, |n| Some(whole(*n))),
            Self::EccCorrected => of(&sample.ecc_corrected, |n| Some(whole(*n))),
            Self::SramUncorrected => of(&sample.sram, |sram| Some(whole(sram.uncorrected))),
            Self::SramThreshold => of(&sample.sram, |sram| {
                Some(i64::from(sram.threshold_exceeded))
            }),
            Self::RowRemapPending => of(&sample.remapped, |rows| Some(i64::from(rows.pending))),
            Self::RowRemapFailed => of(&sample.remapped, |rows| Some(i64::from(rows.failed))),
            Self::RowsRemapped => of(&sample.remapped, |rows| Some(i64::from(rows.uncorrected))),
            Self::SpareRowsLow => of(&sample.spare_rows, |banks| {
                Some(i64::from(banks.few) + i64::from(banks.none))
            }),
            Self::RepairPending => of(&sample.repairs, |repairs| {
                Some(i64::from(repairs.channel || repairs.tpc))
            }),
            Self::PagesRetired => of(&sample.retired, |pages| Some(i64::from(pages.count))),
            Self::PageRetirementPending => {
                of(&sample.retired, |pages| Some(i64::from(pages.pending)))
            }
            Self::NvLinksDown => nvlinks_down(sample),
            Self::NvLinkCrc => link_errors(sample, |errors| errors.crc),
            Self::NvLinkReplays => link_errors(sample, |errors| errors.replays),
            Self::NvLinkRecoveries => link_errors(sample, |errors| errors.recoveries),
            Self::NvLinkFailedRecoveries => link_errors(sample, |errors| errors.failed_recoveries),
            Self::C2cErrors => of(&sample.c2c_errors, |n| Some(whole(*n))),
            Self::FabricNotReady => of(&sample.fabric, |fabric| match fabric.state {
                FabricState::None => None,
                FabricState::NotStarted | FabricState::InProgress => Some(1),
                FabricState::Completed => Some(i64::from(fabric.status != 0)),
            }),
            Self::FabricHealth => of(&sample.fabric, |fabric| {
                (fabric.state == FabricState::Completed && fabric.health != HEALTH_UNSAID)
                    .then_some(i64::from(fabric.health))
            }),
            Self::FabricDegraded => in_fabric(sample, |faults| faults.degraded_bandwidth),
            Self::FabricRoute => in_fabric(sample, |faults| {
                faults.route_unhealthy || faults.access_timeout
            }),
            Self::FabricConfiguration => in_fabric(sample, |faults| faults.wrong_configuration > 0),
            Self::PcieLanesMissing => of(&sample.pcie, |link| {
                Some(i64::from(link.max_width.saturating_sub(link.width)))
            }),
            Self::PcieGenerationsMissing => of(&sample.pcie, |link| {
                at_work(sample)
                    .then(|| i64::from(link.max_generation.saturating_sub(link.generation)))
            }),
            Self::PcieReplays => of(&sample.pcie_replays, |n| Some(whole(*n))),
            Self::PcieFatal => of(&sample.pcie_fatal, |n| Some(whole(*n))),
            Self::SlowdownMargin => both(&sample.slowdown, &sample.temperature, |limit, now| {
                Some(i64::from(limit.0) - i64::from(now.0))
            }),
            Self::ShutdownMargin => both(&sample.shutdown, &sample.temperature, |limit, now| {
                Some(i64::from(limit.0) - i64::from(now.0))
            }),
            Self::MemoryMargin => both(
                &sample.memory_max,
                &sample.memory_temperature,
                |limit, now| Some(i64::from(limit.0) - i64::from(now.0)),
            ),
            Self::HardwareThermal => bits(sample, |set| set & bit::HARDWARE_THERMAL != 0),
            // The hardware sets its general bit beside those that say why.
            Self::HardwareSlowdown => bits(sample, |set| {
                set & bit::HARDWARE_SLOWDOWN != 0
                    && set & (bit::HARDWARE_THERMAL | bit::POWER_BRAKE) == 0
            }),
            Self::PowerBrake => bits(sample, |set| set & bit::POWER_BRAKE != 0),
            Self::SoftwareThermal => bits(sample, |set| set & bit::SOFTWARE_THERMAL != 0),
            Self::PowerOfLimit => both(&sample.power_mw, &sample.limit_mw, |power, limit| {
                // A draw or a limit of zero is a driver that does not know.
                (power.0 > 0 && limit.0 > 0).then(|| whole(power.0.saturating_mul(1000) / limit.0))
            }),
            Self::PersistenceOff => of(&sample.persistence, |on| Some(i64::from(!on))),
        }
    }
}

impl Measure {
    fn flag(holds: bool) -> Self {
        Self::Value(i64::from(holds))
    }
}

fn of<T>(reading: &Reading<T>, value: impl FnOnce(&T) -> Option<i64>) -> Measure {
    match reading {
        Reading::Value(read) => value(read).map_or(Measure::Absent, Measure::Value),
        Reading::Unsupported => Measure::Absent,
        Reading::Failed(_) => Measure::Unknown,
    }
}

fn both<A, B>(
    one: &Reading<A>,
    other: &Reading<B>,
    value: impl FnOnce(&A, &B) -> Option<i64>,
) -> Measure {
    match (one, other) {
        (Reading::Value(one), Reading::Value(other)) => {
            value(one, other).map_or(Measure::Absent, Measure::Value)
        }
        (Reading::Unsupported, _) | (_, Reading::Unsupported) => Measure::Absent,
        (Reading::Value(_) | Reading::Failed(_), _) => Measure::Unknown,
    }
}

fn bits(sample: &GpuSample, holds: impl FnOnce(u64) -> bool) -> Measure {
    of(&sample.clock_events, |set| Some(i64::from(holds(*set))))
}

fn at_work(sample: &GpuSample) -> bool {
    sample
        .clock_events
        .value()
        .is_some_and(|set| set & bit::IDLE == 0)
}

/// The links of a divided A100 are off by design, and a card without bridges has none up.
fn nvlinks_down(sample: &GpuSample) -> Measure {
    let has_fabric = sample
        .fabric
        .value()
        .is_some_and(|fabric| fabric.state != FabricState::None);
    of(&sample.nvlinks, |links| {
        let applies = sample.mig != Reading::Value(true) && (links.active > 0 || has_fabric);
        applies.then_some(i64::from(links.inactive))
    })
}

fn whole(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

fn link_errors(sample: &GpuSample, count: impl FnOnce(&NvLinkErrors) -> Option<u64>) -> Measure {
    of(&sample.nvlink_errors, |errors| count(errors).map(whole))
}

fn in_fabric(sample: &GpuSample, holds: impl FnOnce(FabricFaults) -> bool) -> Measure {
    of(&sample.fabric, |fabric| {
        (fabric.state == FabricState::Completed).then(|| i64::from(holds(fabric.faults)))
    })
}
