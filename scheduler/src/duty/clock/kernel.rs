//! Whether the kernel's clock is kept in step with the world's, as chrony, ntpd and
//! systemd-timesyncd tell it (adjtimex(2)).

use nix::libc;
use std::path::Path;

/// Made by systemd-timesyncd once it has set the clock (systemd-timesyncd.service(8)).
const SET_BY_TIMESYNCD: &str = "/run/systemd/timesync/synchronized";

/// Whether the clock is synchronised; `None` where that cannot be read, as in a sandbox that refuses
/// the call and on a host without systemd-timesyncd.
pub(super) fn is_synchronised() -> Option<bool> {
    flag().or_else(|| Path::new(SET_BY_TIMESYNCD).exists().then_some(true))
}

/// The kernel's own flag; `None` where the call is refused (`ProtectClock=yes` answers EPERM).
#[expect(unsafe_code, reason = "nix has no adjtimex")]
fn flag() -> Option<bool> {
    // SAFETY: `timex` is a C structure of integers, of which all zeroes are a value. With `modes` 0
    // the kernel changes nothing and only fills in the structure, which is ours for the call.
    let (state, answer) = unsafe {
        let mut timex: libc::timex = std::mem::zeroed();
        (libc::adjtimex(&raw mut timex), timex)
    };
    (state >= 0).then_some(answer.status & libc::STA_UNSYNC == 0)
}
