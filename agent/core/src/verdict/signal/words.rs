//! How each signal is told.

use super::Signal;
use crate::sample::GpuSample;
use leasehold_common::node::Reading;

impl Signal {
    /// What was seen, in words and numbers. `value` is what was measured; of a counter its growth.
    pub fn words(self, sample: &GpuSample, value: i64) -> String {
        match self {
            Self::Lost => "the driver says that it is gone from the bus".to_owned(),
            Self::Missing => "the driver does not list it any more".to_owned(),
            Self::Unresponsive => "no answer within the deadline".to_owned(),
            Self::RecoveryAction => recovery_words(value),
            Self::EccOff => "ECC is off".to_owned(),
            Self::EccUncorrected => {
                grown(value, "uncorrected memory errors", &sample.ecc_uncorrected)
            }
            Self::EccCorrected => grown(value, "corrected memory errors", &sample.ecc_corrected),
            Self::SramUncorrected => match &sample.sram {
                Reading::Value(sram) => format!(
                    "{value} uncorrected errors of on-chip memory more, {} in its life",
                    sram.uncorrected_ever
                ),
                Reading::Unsupported | Reading::Failed(_) => {
                    format!("{value} uncorrected errors of on-chip memory more")
                }
            },
            Self::SramThreshold => {
                "errors of on-chip memory above the driver's threshold".to_owned()
            }
            Self::RowRemapPending => "a memory row waits for a reset to be replaced".to_owned(),
            Self::RowRemapFailed => "a memory row could not be replaced".to_owned(),
            Self::RowsRemapped => {
                format!("{value} memory rows replaced after uncorrectable errors")
            }
            Self::SpareRowsLow => match sample.spare_rows.value() {
                Some(banks) => format!(
                    "{} memory banks with no spare row left, {} with few",
                    banks.none, banks.few
                ),
                None => format!("{value} memory banks with few spare rows"),
            },
            Self::RepairPending => {
                let of = match sample.repairs.value() {
                    Some(repairs) if repairs.channel && repairs.tpc => "a channel and a TPC",
                    Some(repairs) if repairs.channel => "a memory channel",
                    Some(_) | None => "a TPC",
                };
                format!("the repair of {of} waits for a reset")
            }
            Self::PagesRetired => format!("{value} memory pages retired"),
            Self::PageRetirementPending => {
                "a memory page waits for the driver to be loaded again to be retired".to_owned()
            }
            Self::NvLinkCrc => format!("{value} NVLink packets with a wrong check sum"),
            Self::NvLinkReplays => format!("NVLink packets sent again {value} times"),
            Self::NvLinkRecoveries => format!("NVLinks set up again {value} times"),
            Self::NvLinkFailedRecoveries => {
                format!("NVLinks could not be set up again {value} times")
            }
            Self::C2cErrors => format!("{value} errors of the link to the CPU"),
            Self::FabricDegraded => "less bandwidth in its fabric than it should have".to_owned(),
            Self::FabricRoute => match sample.fabric.value() {
                Some(fabric) if fabric.faults.route_unhealthy => {
                    "a route of its fabric is out of order".to_owned()
                }
                Some(_) | None => "accesses over its fabric take too long".to_owned(),
            },
            Self::FabricConfiguration => {
                let wrong = sample.fabric.value();
                let what = match wrong.map_or(0, |fabric| fabric.faults.wrong_configuration) {
                    2 => "the system GUID is wrong",
                    3 => "the chassis serial number is wrong",
                    4 => "it is in no partition",
                    5 => "there are too few NVLinks",
                    _ => "for a reason that is not known",
                };
                format!("its fabric is configured wrongly: {what}")
            }
            Self::NvLinksDown => format!(
                "{value} of {} NVLinks down",
                sample.nvlinks.value().map_or(value, |links| {
                    i64::from(links.active) + i64::from(links.inactive)
                })
            ),
            Self::FabricNotReady => match sample.fabric.value() {
                Some(fabric) if fabric.status != 0 => {
                    format!(
                        "registration with the fabric ended with code {}",
                        fabric.status
                    )
                }
                Some(_) | None => "not registered with its fabric".to_owned(),
            },
            Self::FabricHealth => format!("the driver's summary of its fabric is {value}"),
            Self::PcieLanesMissing => match sample.pcie.value() {
                Some(link) => format!("PCIe x{} of x{}", link.width, link.max_width),
                None => format!("{value} PCIe lanes missing"),
            },
            Self::PcieGenerationsMissing => match sample.pcie.value() {
                Some(link) => format!(
                    "PCIe {}.0 of {}.0 at work",
                    link.generation, link.max_generation
                ),
                None => format!("{value} PCIe generations below"),
            },
            Self::PcieReplays => format!("PCIe packets sent again at {value} % of what is allowed"),
            Self::PcieFatal => grown(value, "fatal PCIe errors", &sample.pcie_fatal),
            Self::MemoryMargin => {
                match (sample.memory_temperature.value(), sample.memory_max.value()) {
                    (Some(now), Some(limit)) => {
                        format!("memory at {} C, slows down at {} C", now.0, limit.0)
                    }
                    _ => "memory close to where it slows down".to_owned(),
                }
            }
            Self::SlowdownMargin => temperatures(sample, "slows down", &sample.slowdown),
            Self::ShutdownMargin => temperatures(sample, "turns itself off", &sample.shutdown),
            Self::HardwareThermal => format!("slowed by heat in {value} minutes"),
            Self::HardwareSlowdown => format!("slowed by the hardware in {value} minutes"),
            Self::PowerBrake => format!("braked from outside in {value} minutes"),
            Self::SoftwareThermal => format!("slowed by the driver for heat in {value} minutes"),
            Self::PowerOfLimit => match (sample.power_mw.value(), sample.limit_mw.value()) {
                (Some(power), Some(limit)) => format!("draws {power} with a limit of {limit}"),
                _ => format!("draws {value} permille of its limit"),
            },
            Self::PersistenceOff => "persistence mode is off".to_owned(),
        }
    }
}

/// The words of a recovery action.
pub(in crate::verdict) fn recovery_words(code: i64) -> String {
    let meaning = match code {
        0 => "nothing",
        1 => "a reset of the GPU",
        2 => "a reboot of the node",
        3 => "its peers drained",
        4 => "a drain and a reset",
        5 => "its IMEX domain recovered",
        6 => "a reset of the bus",
        7 => "a reboot of the system",
        _ => "something that is not known",
    };
    format!("the driver wants {meaning} (recovery action {code})")
}

fn grown(value: i64, what: &str, total: &Reading<u64>) -> String {
    match total {
        Reading::Value(total) => {
            format!("{value} {what} more, {total} since the driver was loaded")
        }
        Reading::Unsupported | Reading::Failed(_) => format!("{value} {what} more"),
    }
}

fn temperatures(
    sample: &GpuSample,
    what: &str,
    limit: &Reading<leasehold_common::units::Celsius>,
) -> String {
    match (sample.temperature.value(), limit.value()) {
        (Some(now), Some(limit)) => format!("{} C, {what} at {} C", now.0, limit.0),
        _ => format!("close to where it {what}"),
    }
}
