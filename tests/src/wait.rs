//! Waiting for a condition, with a deadline.

use std::fmt::Display;
use std::time::{Duration, Instant};

/// How long a condition may take to come true. An election after a crash takes a leader's TTL, five
/// seconds in these tests; the rest is for a machine that is busy with other things.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// How often it is looked at.
const LOOK: Duration = Duration::from_millis(40);

/// Asks until there is an answer. What `ask` says instead is what the failure reports.
///
/// # Panics
/// When [`PATIENCE`] has run out.
pub fn wait_for<T, E: Display>(what: &str, mut ask: impl FnMut() -> Result<T, E>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let instead = match ask() {
            Ok(answer) => return answer,
            Err(instead) => instead,
        };
        assert!(
            Instant::now() < deadline,
            "waited {PATIENCE:?} in vain for {what}; it is: {instead}"
        );
        std::thread::park_timeout(LOOK);
    }
}

/// Asks until the answer is yes.
///
/// # Panics
/// When [`PATIENCE`] has run out.
pub fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    wait_for(what, || is_so().then_some(()).ok_or("not so"));
}
