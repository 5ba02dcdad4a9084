//! Who is at the other end.

use std::io;
use tokio::net::UnixStream;

/// The process that connected, as the kernel saw it then (`SO_PEERCRED`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// Its effective user.
    pub uid: u32,
    /// Its effective group; supplementary groups are not told.
    pub gid: u32,
    /// Its process id: a label for logs, never an identity, for it may be somebody else's by now.
    pub pid: Option<i32>,
}

impl Peer {
    /// Asks the kernel.
    ///
    /// # Errors
    /// The system's.
    pub fn of(stream: &UnixStream) -> io::Result<Self> {
        let seen = stream.peer_cred()?;
        Ok(Self {
            uid: seen.uid(),
            gid: seen.gid(),
            pid: seen.pid(),
        })
    }
}
