//! From empty until nothing fits any more.

use super::cell::Layout;
use super::driver::{BIRTH, Driver};
use super::mix::Mix;
use super::report::Figures;
use super::terms::Terms;
use leasehold_common::lease::Shape;
use leasehold_placement::Request;
use std::fmt;
use std::str::FromStr;

/// After so many refusals in a row the cell is taken to be full. There are 64 accounts, and each
/// may have room beside its own leases that no other can use.
const REFUSALS: u32 = 256;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fill {
    /// Whole nodes, one a lease.
    Node,
    /// GPUs, one a lease.
    Gpu,
    /// Slices of GPUs, the smallest, one a lease.
    Mig,
    /// Gangs of so many whole nodes.
    Gang(u32),
    /// Parts of nodes, nodes, gangs and whole domains.
    Mixed,
}

/// A shape that nobody can fill a cell with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("shape: {given:?} is none of node, gpu, mig, gang:NODES, mixed")]
pub struct InvalidFill {
    /// What was given.
    pub given: String,
}

impl FromStr for Fill {
    type Err = InvalidFill;

    fn from_str(text: &str) -> Result<Self, InvalidFill> {
        let gang = || text.strip_prefix("gang:")?.parse().ok();
        match text {
            "node" => Ok(Self::Node),
            "gpu" => Ok(Self::Gpu),
            "mig" => Ok(Self::Mig),
            "mixed" => Ok(Self::Mixed),
            _ => match gang() {
                Some(nodes) if nodes > 0 => Ok(Self::Gang(nodes)),
                _ => Err(InvalidFill {
                    given: text.chars().take(80).collect(),
                }),
            },
        }
    }
}

impl fmt::Display for Fill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node => f.write_str("node"),
            Self::Gpu => f.write_str("gpu"),
            Self::Mig => f.write_str("mig"),
            Self::Gang(nodes) => write!(f, "gang:{nodes}"),
            Self::Mixed => f.write_str("mixed"),
        }
    }
}

impl Fill {
    fn next(self, mix: &mut Mix) -> Request {
        match self {
            Self::Node => mix.of_shape(Shape::nodes(1)),
            Self::Gpu => mix.of_shape(Shape::gpus(1)),
            Self::Mig => mix.of_shape(Mix::slice()),
            Self::Gang(nodes) => mix.of_shape(Shape::nodes(nodes)),
            Self::Mixed => mix.usual(),
        }
    }
}

/// Fills a cell.
pub fn run(layout: Layout, fed_pct: u32, fill: Fill, seed: u64) -> Figures {
    let mut driver = Driver::new(layout, Terms::of(layout, fed_pct, BIRTH));
    let mut mix = Mix::new(layout, seed);
    let mut refused = 0;
    while refused < REFUSALS {
        let request = fill.next(&mut mix);
        let wanted = match request.shape.sevenths() {
            0 => request.shape.least_gpus(layout.gpus()) * 7,
            sevenths => sevenths,
        };
        if driver.used_sevenths() + wanted > layout.all_gpus() * 7 {
            // Nothing more to learn: a full cell.
            break;
        }
        match driver.ask(&request) {
            Some(_) => refused = 0,
            None => refused += 1,
        }
    }
    driver.figures()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_read_as_they_are_written() {
        for fill in [
            Fill::Node,
            Fill::Gpu,
            Fill::Mig,
            Fill::Gang(1250),
            Fill::Mixed,
        ] {
            assert_eq!(fill.to_string().parse(), Ok(fill));
        }
        for wrong in ["gang", "gang:0", "gang:-1", "nodes", ""] {
            assert!(wrong.parse::<Fill>().is_err(), "{wrong:?}");
        }
    }
}
