//! What a rule can look at in a reading: how it is [measured](measure), and how it is [told](words).

mod measure;
mod words;

pub(in crate::verdict) use words::recovery_words;

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
    /// Banks with few spare rows left, or none.
    SpareRowsLow = "spare-rows-low": level("banks", 1, 1_000_000),
    /// A repair waits for a reset.
    RepairPending = "repair-pending": Kind::Flag,
    /// Pages retired.
    PagesRetired = "pages-retired": level("pages", 1, 1000),
    /// A page waits for the driver to be loaded again to be retired.
    PageRetirementPending = "page-retirement-pending": Kind::Flag,
    /// NVLinks that are down while others are up, or while there is a fabric.
    NvLinksDown = "nvlinks-down": level("links", 1, 1000),
    /// NVLink packets with a wrong check sum.
    NvLinkCrc = "nvlink-crc": counter("errors", false),
    /// NVLink packets sent again.
    NvLinkReplays = "nvlink-replays": counter("errors", false),
    /// NVLinks that had to be set up again.
    NvLinkRecoveries = "nvlink-recoveries": counter("errors", false),
    /// NVLinks that could not be set up again.
    NvLinkFailedRecoveries = "nvlink-failed-recoveries": counter("errors", true),
    /// Errors of the link between GPU and CPU.
    C2cErrors = "c2c-errors": counter("errors", false),
    /// It has a fabric and is not registered with it.
    FabricNotReady = "fabric-not-ready": Kind::Flag,
    /// The summary of its health in the fabric.
    FabricHealth = "fabric-health": level("code", 1, 100),
    /// It has less bandwidth in its fabric than it should.
    FabricDegraded = "fabric-degraded": Kind::Flag,
    /// A route of its fabric is out of order, or its accesses take too long.
    FabricRoute = "fabric-route": Kind::Flag,
    /// Its fabric is configured wrongly.
    FabricConfiguration = "fabric-configuration": Kind::Flag,
    /// PCIe lanes that could be and are not.
    PcieLanesMissing = "pcie-lanes-missing": level("lanes", 1, 32),
    /// PCIe generations below what could be, while it works.
    PcieGenerationsMissing = "pcie-generations-missing": level("generations", 1, 10),
    /// PCIe packets sent again.
    PcieReplays = "pcie-replays": counter("percent-of-allowed", false),
    /// Fatal PCIe errors.
    PcieFatal = "pcie-fatal": counter("errors", true),
    /// Degrees below the slowdown threshold.
    SlowdownMargin = "slowdown-margin": level("celsius", -50, 100),
    /// Degrees below the shutdown threshold.
    ShutdownMargin = "shutdown-margin": level("celsius", -50, 100),
    /// Degrees of the memory below its own threshold.
    MemoryMargin = "memory-margin": level("celsius", -50, 100),
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
