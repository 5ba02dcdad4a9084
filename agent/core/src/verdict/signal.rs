//! What a rule can look at in a reading, and how it is told.

use crate::sample::{Contact, FabricState, GpuSample};
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

/// How a signal is measured, and which thresholds it can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It holds or does not.
    Flag,
    /// A number in a unit, between bounds that are possible at all.
    Level {
        /// The unit.
        unit: &'static str,
        /// The least it can be.
        least: i64,
        /// The most it can be.
        most: i64,
    },
    /// A number that only grows, in a unit, until the driver is loaded again.
    Counter {
        /// The unit of its growth.
        unit: &'static str,
        /// Whether it counts from when the driver was loaded, so that a first reading above zero
        /// says that something has happened.
        from_zero: bool,
    },
    /// A bit, of which the minutes are counted in which it was seen set.
    Minutes,
}

/// A measurement of one signal in one reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// Nobody knows: the call failed.
    Unknown,
    /// This GPU does not have it, or it does not apply.
    Absent,
    /// So much; flags and bits are 0 or 1.
    Value(i64),
}

macro_rules! signals {
    ($($(#[$doc:meta])* $name:ident = $word:literal: $kind:expr,)+) => {
        /// What a rule looks at.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Signal {
            $($(#[$doc])* $name,)+
        }

        impl Signal {
            /// Every signal.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// Its word in the rules.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $word,)+
                }
            }

            /// How it is measured.
            pub const fn kind(self) -> Kind {
                match self {
                    $(Self::$name => $kind,)+
                }
            }

            /// By its word.
            pub fn from_word(word: &str) -> Option<Self> {
                match word {
                    $($word => Some(Self::$name),)+
                    _ => None,
                }
            }
        }
    };
}

const fn level(unit: &'static str, least: i64, most: i64) -> Kind {
    Kind::Level { unit, least, most }
}

const fn counter(unit: &'static str, from_zero: bool) -> Kind {
    Kind::Counter { unit, from_zero }
}

signals! {
    /// The driver says that the GPU has fallen off the bus.
    Lost = "lost": Kind::Flag,
    /// The driver does not know the GPU any more.
    Missing = "missing": Kind::Flag,
    /// No answer within the deadline.
    Unresponsive = "unresponsive": Kind::Flag,
    /// What the driver wants done (field 230).
    RecoveryAction = "recovery-action": level("code", 1, 1000),
    /// ECC is there and off.
    EccOff = "ecc-off": Kind::Flag,
    /// Uncorrected memory errors.
    EccUncorrected = "ecc-uncorrected": counter("errors", true),
    /// Corrected memory errors.
    EccCorrected = "ecc-corrected": counter("errors", false),
    /// Uncorrected errors of on-chip memory.
    SramUncorrected = "sram-uncorrected": counter("errors", true),
    /// On-chip memory is above the driver's threshold.
    SramThreshold = "sram-threshold": Kind::Flag,
    /// A row waits to be replaced.
    RowRemapPending = "row-remap-pending": Kind::Flag,
    /// A row could not be replaced.
    RowRemapFailed = "row-remap-failed": Kind::Flag,
    /// Rows replaced after uncorrectable errors.
    RowsRemapped = "rows-remapped": level("rows", 1, 1_000_000),
    /// NVLinks that are down while others are up, or while there is a fabric.
    NvLinksDown = "nvlinks-down": level("links", 1, 1000),
    /// It has a fabric and is not registered with it.
    FabricNotReady = "fabric-not-ready": Kind::Flag,
    /// The summary of its health in the fabric.
    FabricHealth = "fabric-health": level("code", 1, 100),
    /// PCIe lanes that could be and are not.
    PcieLanesMissing = "pcie-lanes-missing": level("lanes", 1, 32),
    /// PCIe generations below what could be, while it works.
    PcieGenerationsMissing = "pcie-generations-missing": level("generations", 1, 10),
    /// PCIe packets sent again.
    PcieReplays = "pcie-replays": counter("percent-of-allowed", false),
    /// Degrees below the slowdown threshold.
    SlowdownMargin = "slowdown-margin": level("celsius", -50, 100),
    /// Degrees below the shutdown threshold.
    ShutdownMargin = "shutdown-margin": level("celsius", -50, 100),
    /// Clocks slowed by the hardware because of heat.
    HardwareThermal = "hardware-thermal": Kind::Minutes,
    /// Clocks slowed by the hardware, neither for heat nor by a brake.
    HardwareSlowdown = "hardware-slowdown": Kind::Minutes,
    /// Clocks slowed from outside.
    PowerBrake = "power-brake": Kind::Minutes,
    /// Clocks slowed by the driver because of heat.
    SoftwareThermal = "software-thermal": Kind::Minutes,
    /// Power drawn, of the limit in force.
    PowerOfLimit = "power-of-limit": level("permille", 1, 10_000),
    /// The driver is unloaded between clients.
    PersistenceOff = "persistence-off": Kind::Flag,
}

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
            Self::NvLinksDown => nvlinks_down(sample),
            Self::FabricNotReady => of(&sample.fabric, |fabric| match fabric.state {
                FabricState::None => None,
                FabricState::NotStarted | FabricState::InProgress => Some(1),
                FabricState::Completed => Some(i64::from(fabric.status != 0)),
            }),
            Self::FabricHealth => of(&sample.fabric, |fabric| {
                (fabric.state == FabricState::Completed && fabric.health != HEALTH_UNSAID)
                    .then_some(i64::from(fabric.health))
            }),
            Self::PcieLanesMissing => of(&sample.pcie, |link| {
                Some(i64::from(link.max_width.saturating_sub(link.width)))
            }),
            Self::PcieGenerationsMissing => of(&sample.pcie, |link| {
                at_work(sample)
                    .then(|| i64::from(link.max_generation.saturating_sub(link.generation)))
            }),
            Self::PcieReplays => of(&sample.pcie_replays, |n| Some(whole(*n))),
            Self::SlowdownMargin => both(&sample.slowdown, &sample.temperature, |limit, now| {
                Some(i64::from(limit.0) - i64::from(now.0))
            }),
            Self::ShutdownMargin => both(&sample.shutdown, &sample.temperature, |limit, now| {
                Some(i64::from(limit.0) - i64::from(now.0))
            }),
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

impl Measure {
    fn flag(holds: bool) -> Self {
        Self::Value(i64::from(holds))
    }
}

/// The words of a recovery action.
pub(super) fn recovery_words(code: i64) -> String {
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
