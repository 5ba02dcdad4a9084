//! What all policies have in common.

use leasehold_placement::fine::{FineRequest, Placement};

/// Somebody who gives requests room, and remembers what is taken.
pub trait Placer {
    /// Gives a request room; absent where it has none to give.
    fn place(&mut self, ask: &FineRequest) -> Option<Placement>;
}
