//! How far the host's clock may be off.

use leasehold_agent_core::node_health::ClockFacts;
use leasehold_common::time::Span;
use nix::libc;

/// What the kernel says (adjtimex(2)); nothing where it may not be asked, as in a unit with `ProtectClock=`.
#[expect(unsafe_code, reason = "nix has no adjtimex")]
pub fn look() -> Option<ClockFacts> {
    // SAFETY: `timex` is a C structure of integers, of which all zeroes are a value. With `modes` 0
    // the kernel changes nothing and only fills in the structure, which is ours for the call.
    let (state, answer) = unsafe {
        let mut timex: libc::timex = std::mem::zeroed();
        (libc::adjtimex(&raw mut timex), timex)
    };
    let microseconds = u64::try_from(answer.maxerror).ok()?;
    (state >= 0).then(|| ClockFacts {
        synchronised: answer.status & libc::STA_UNSYNC == 0,
        max_error: Span::from_millis(microseconds.div_ceil(1000)),
    })
}
