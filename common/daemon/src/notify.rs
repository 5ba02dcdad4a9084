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

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixDatagram;
    use std::process::Command;

    /// Runs the test below as a service would be run: told where to send, and watched.
    #[test]
    fn systemd_is_told_and_says_how_often_it_looks() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let systemd = UnixDatagram::bind(&path).unwrap();
        let service = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "notify::tests::service"])
            .env("NOTIFY_SOCKET", &path)
            .env("WATCHDOG_USEC", "30000000")
            .output()
            .unwrap();
        assert!(service.status.success(), "{service:?}");
        systemd.set_nonblocking(true).unwrap();
        let mut heard = Vec::new();
        let mut message = [0; 256];
        while let Ok(length) = systemd.recv(&mut message) {
            heard.push(String::from_utf8(message[..length].to_vec()).unwrap());
        }
        let wanted = [
            "STATUS=waiting for the store\n",
            "READY=1\nSTATUS=serving\n",
            "WATCHDOG=1\n",
            "STOPPING=1\nSTATUS=stopping\n",
        ];
        assert_eq!(heard, wanted);
    }

    #[test]
    #[ignore = "a part of the test above, which runs it with an environment"]
    fn service() {
        assert_eq!(watchdog_interval(), Some(Duration::from_secs(15)));
        status("waiting for the store");
        ready("serving");
        watchdog();
        stopping("stopping");
    }

    #[test]
    fn without_systemd_nothing_happens() {
        ready("serving");
        watchdog();
    }
}
