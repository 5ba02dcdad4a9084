//! Quantities with their unit in the type. All are integers: quantities that are compared are
//! never floats.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Sub};

macro_rules! unit {
    ($(#[$doc:meta])* $name:ident, $raw:ty) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize,
            Deserialize, utoipa::ToSchema,
        )]
        #[serde(transparent)]
        pub struct $name(pub $raw);

        impl $name {
            /// Nothing of it.
            pub const ZERO: Self = Self(0);

            /// The difference, or nothing where `other` is larger: capacity never wraps.
            pub const fn saturating_sub(self, other: Self) -> Self {
                Self(self.0.saturating_sub(other.0))
            }

            /// `self` taken `n` times, held at the type's maximum.
            pub const fn times(self, n: $raw) -> Self {
                Self(self.0.saturating_mul(n))
            }
        }

        impl Add for $name {
            type Output = Self;
            fn add(self, other: Self) -> Self {
                Self(self.0.saturating_add(other.0))
            }
        }

        impl AddAssign for $name {
            fn add_assign(&mut self, other: Self) {
                *self = *self + other;
            }
        }

        impl Sub for $name {
            type Output = Self;
            fn sub(self, other: Self) -> Self {
                self.saturating_sub(other)
            }
        }

        impl Sum for $name {
            fn sum<I: Iterator<Item = Self>>(iter: I) -> Self {
                iter.fold(Self::ZERO, Add::add)
            }
        }
    };
}

unit!(
    /// Bytes of memory or disk.
    Bytes,
    u64
);
unit!(
    /// Thousandths of a watt, the unit NVML reports power in.
    MilliWatts,
    u64
);
unit!(
    /// Thousandths of a joule, the unit of NVML's energy counter.
    MilliJoules,
    u64
);
unit!(
    /// Thousandths of a CPU core.
    MilliCores,
    u64
);

/// Degrees Celsius, as NVML reports them: whole degrees.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Default,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
)]
#[serde(transparent)]
pub struct Celsius(pub i32);

impl Bytes {
    /// `n` MiB (2^20 bytes).
    pub const fn from_mib(n: u64) -> Self {
        Self(n.saturating_mul(1 << 20))
    }

    /// `n` GiB (2^30 bytes).
    pub const fn from_gib(n: u64) -> Self {
        Self(n.saturating_mul(1 << 30))
    }

    /// Whole MiB, rounded down.
    pub const fn mib(self) -> u64 {
        self.0 >> 20
    }
}

impl MilliWatts {
    /// `n` watts.
    pub const fn from_watts(n: u64) -> Self {
        Self(n.saturating_mul(1000))
    }

    /// Whole watts, rounded down.
    pub const fn watts(self) -> u64 {
        self.0 / 1000
    }
}

impl MilliCores {
    /// `n` whole cores.
    pub const fn from_cores(n: u64) -> Self {
        Self(n.saturating_mul(1000))
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const STEPS: [(u64, &str); 4] = [
            (1 << 40, "TiB"),
            (1 << 30, "GiB"),
            (1 << 20, "MiB"),
            (1 << 10, "KiB"),
        ];
        match STEPS.iter().find(|(size, _)| self.0 >= *size) {
            Some((size, name)) => write!(f, "{} {name}", self.0 / size),
            None => write!(f, "{} B", self.0),
        }
    }
}

impl fmt::Display for MilliWatts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MEGAWATT: u64 = 1_000_000_000;
        const KILOWATT: u64 = 1_000_000;
        match self.0 {
            mw if mw >= MEGAWATT => write!(
                f,
                "{}.{} MW",
                mw / MEGAWATT,
                mw % MEGAWATT / (MEGAWATT / 10)
            ),
            mw if mw >= 10 * KILOWATT => {
                write!(
                    f,
                    "{}.{} kW",
                    mw / KILOWATT,
                    mw % KILOWATT / (KILOWATT / 10)
                )
            }
            mw => write!(f, "{} W", mw / 1000),
        }
    }
}

impl fmt::Display for Celsius {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} °C", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capacity_never_wraps() {
        assert_eq!(Bytes(1) - Bytes(2), Bytes::ZERO);
        assert_eq!(Bytes(u64::MAX) + Bytes(1), Bytes(u64::MAX));
        assert_eq!(Bytes::from_gib(u64::MAX), Bytes(u64::MAX));
    }

    #[test]
    fn people_read_the_largest_unit_that_fits() {
        assert_eq!(MilliWatts::from_watts(700).to_string(), "700 W");
        assert_eq!(MilliWatts::from_watts(10_200).to_string(), "10.2 kW");
        assert_eq!(MilliWatts::from_watts(1_250_000).to_string(), "1.2 MW");
        assert_eq!(Bytes::from_gib(141).to_string(), "141 GiB");
    }
}
