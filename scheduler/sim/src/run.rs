//! One seed from birth to rest, and what is said when it does not get there.

use crate::checker::Broken;
use crate::world::{Tally, Trail, World};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A life that ended well.
pub type Summary = Tally;

/// A life that did not.
#[derive(Debug)]
pub struct Failure {
    /// Its seed.
    pub seed: u64,
    /// How many things happened by chance.
    pub steps: u32,
    /// What must never be and was.
    pub broken: Broken,
    /// What happened last, oldest first.
    pub trail: Vec<String>,
}

/// Runs one life.
///
/// # Errors
/// An invariant was broken, or something panicked. The life is lived twice then, the second time
/// with its trail kept.
pub fn run(seed: u64, steps: u32) -> Result<Summary, Box<Failure>> {
    live(seed, steps, Trail::default())
        .or_else(|_| live(seed, steps, Trail::kept()))
        .map_err(|(broken, trail)| {
            Box::new(Failure {
                seed,
                steps,
                broken,
                trail: trail.into_lines(),
            })
        })
}

fn live(seed: u64, steps: u32, trail: Trail) -> Result<Summary, (Broken, Trail)> {
    let mut world = World::new(seed, trail);
    let lived = catch_unwind(AssertUnwindSafe(|| world.live(steps)));
    let broken = match lived {
        Ok(Ok(tally)) => return Ok(tally),
        Ok(Err(broken)) => broken,
        Err(panic) => Broken::new("nothing panics", words(panic.as_ref())),
    };
    Err((broken, std::mem::take(&mut world.trail)))
}

fn words(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("without a word").into()
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            seed,
            steps,
            broken,
            trail,
        } = self;
        writeln!(f, "seed {seed} breaks: {}", broken.invariant)?;
        writeln!(f, "  {}", broken.facts)?;
        writeln!(f, "the last {} actions:", trail.len())?;
        for action in trail {
            writeln!(f, "  {action}")?;
        }
        write!(
            f,
            "again: cargo run -p leasehold-sim --bin leasehold-sim -- --seeds {seed}..{} \
             --steps {steps} --verbose",
            seed + 1
        )
    }
}
