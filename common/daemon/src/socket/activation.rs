//! A socket passed on by systemd (sd_listen_fds(3)).

use super::{SocketError, system};
use nix::sys::socket::{AddressFamily, getsockname, getsockopt, sockopt};
use nix::sys::socket::{SockaddrLike as _, SockaddrStorage};
use std::collections::BTreeSet;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd, RawFd};
use std::os::unix::net::UnixListener as StdListener;
use std::path::Path;
use std::sync::Mutex;
use tokio::net::UnixListener;

/// Descriptors that have an owner in this process. They are numbers in the environment, which stays
/// as it is, so a second look would find them again.
static TAKEN: Mutex<BTreeSet<RawFd>> = Mutex::new(BTreeSet::new());

/// The listening socket that was passed on under this name; absent where none was.
pub(super) fn take(name: &str) -> Result<Option<UnixListener>, SocketError> {
    let Some(fd) = claim(name) else {
        return Ok(None);
    };
    #[expect(
        unsafe_code,
        reason = "a descriptor arrives as a number in the environment"
    )]
    // SAFETY: the service manager passed this descriptor to this very process (LISTEN_PID was
    // compared), nobody else here knows its number, and `claim` gives each number out once.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    let listens = getsockopt(&fd, sockopt::AcceptConn).unwrap_or(false);
    let family = getsockname::<SockaddrStorage>(fd.as_raw_fd())
        .ok()
        .and_then(|address| address.family());
    if !listens || family != Some(AddressFamily::Unix) {
        return Err(SocketError::NotListening { name: name.into() });
    }
    let listener = StdListener::from(fd);
    let place = Path::new(name);
    listener
        .set_nonblocking(true)
        .and_then(|()| UnixListener::from_std(listener))
        .map(Some)
        .map_err(|source| system("use the descriptor", place, source))
}

/// The number of the descriptor of this name, given out once.
fn claim(name: &str) -> Option<RawFd> {
    let passed = match sd_notify::listen_fds_with_names() {
        Ok(passed) => passed,
        Err(e) => {
            tracing::warn!(error = %e, "what systemd says about descriptors makes no sense");
            return None;
        }
    };
    let mut taken = TAKEN
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    passed
        .filter(|(_, named)| named == name)
        .map(|(fd, _)| fd)
        .find(|fd| taken.insert(*fd))
}
