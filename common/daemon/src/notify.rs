//! What a daemon tells systemd. Without `$NOTIFY_SOCKET` all of it is nothing.
//!
//! The daemon says `READY=1` once it can do its work, `STATUS=` in words whenever what it waits for
//! changes, and `WATCHDOG=1` only from the loop whose death systemd is to notice: after a finished
//! turn, never from a timer of its own.

use sd_notify::NotifyState;
use std::time::Duration;

/// The work can be done.
pub fn ready(status: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// What is being done or waited for, in words.
pub fn status(status: &str) {
    tell(&[NotifyState::Status(status)]);
}

/// A turn of the main loop is finished.
pub fn watchdog() {
    tell(&[NotifyState::Watchdog]);
}

/// Settings are being read again. Followed by [`ready`] when that is done.
pub fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(e) => tracing::warn!(error = %e, "cannot read the monotonic clock"),
    }
}

/// The daemon is on its way out.
pub fn stopping(status: &str) {
    tell(&[NotifyState::Stopping, NotifyState::Status(status)]);
}

/// How often [`watchdog`] should be called: half of what systemd waits. Absent where it does not
/// watch this process.
pub fn watchdog_interval() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|limit| limit / 2)
}

/// A message that does not arrive is worth a line, never the daemon's life.
fn tell(state: &[NotifyState<'_>]) {
    if let Err(e) = sd_notify::notify(state) {
        tracing::debug!(error = %e, "systemd was not told");
    }
}
