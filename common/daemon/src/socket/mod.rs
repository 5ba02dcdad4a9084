//! A listening Unix socket that can never be reached with wrong permissions.
//!
//! Under systemd the socket unit has made it, with owner and mode, before this process began, and
//! it is found by its name among the descriptors passed on. Started by hand, the daemon binds it
//! itself, inside a private folder beside its final place; gives it group and mode there, where
//! nobody else can reach it; and renames it into place. Between `bind` and `chmod` on the final
//! path a stranger could connect, and a connection made then outlives the `chmod`.
//!
//! A socket that a dead process left behind is replaced. One that somebody listens on is not.

mod activation;
mod bind;
mod peer;

pub use peer::Peer;

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use tokio::net::UnixListener;

/// Where the socket is made, and for whom, if systemd has not made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SocketSettings {
    /// Its path.
    pub path: PathBuf,
    /// Its mode, such as `0o660`.
    pub mode: u32,
    /// Its group; the process's own where absent.
    pub group: Option<u32>,
}

/// A socket that is listened on. Removes what it has made when it is dropped.
#[derive(Debug)]
pub struct Listener {
    socket: UnixListener,
    made: Option<Made>,
}

/// The file that a socket made by us is reached by.
#[derive(Debug)]
struct Made {
    path: PathBuf,
    inode: (u64, u64),
}

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// What systemd passed on under the name is no listening Unix socket.
    #[error("the descriptor {name:?} that was passed on is no listening Unix socket")]
    NotListening {
        /// The descriptor's name.
        name: String,
    },
    /// Somebody listens there.
    #[error("somebody listens on {} already; is another one running?", path.display())]
    Live {
        /// The path.
        path: PathBuf,
    },
    /// Something else is there, and is left alone.
    #[error("{} exists and is no socket", path.display())]
    NotASocket {
        /// The path.
        path: PathBuf,
    },
    /// The system says no.
    #[error("cannot {what} {}", path.display())]
    System {
        /// What was tried.
        what: &'static str,
        /// On which path.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

/// Listens: on the descriptor that systemd passed on under `name`, or else on a socket made here.
/// To be called once for each name, inside a tokio runtime.
///
/// # Errors
/// See [`SocketError`]; nothing is left behind.
pub fn listen(name: &str, settings: &SocketSettings) -> Result<Listener, SocketError> {
    if let Some(socket) = activation::take(name)? {
        return Ok(Listener { socket, made: None });
    }
    let socket = bind::bind(settings)?;
    let made =
        Made::at(&settings.path).map_err(|source| system("look at", &settings.path, source))?;
    Ok(Listener {
        socket,
        made: Some(made),
    })
}

impl Listener {
    /// Whether systemd made the socket.
    pub const fn is_activated(&self) -> bool {
        self.made.is_none()
    }

    /// The next connection, and who calls.
    ///
    /// # Errors
    /// The system's, such as too many open files; the listener stays usable.
    pub async fn accept(&self) -> io::Result<(tokio::net::UnixStream, Peer)> {
        let (stream, _) = self.socket.accept().await?;
        let peer = Peer::of(&stream)?;
        Ok((stream, peer))
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Some(made) = &self.made {
            made.remove();
        }
    }
}

impl Made {
    fn at(path: &Path) -> io::Result<Self> {
        let meta = path.symlink_metadata()?;
        Ok(Self {
            path: path.to_owned(),
            inode: (meta.dev(), meta.ino()),
        })
    }

    /// Removes the file, unless another process has put its own there since.
    fn remove(&self) {
        if Self::at(&self.path).is_ok_and(|now| now.inode == self.inode)
            && let Err(e) = std::fs::remove_file(&self.path)
        {
            tracing::warn!(path = %self.path.display(), error = %e, "the socket's file stays");
        }
    }
}

fn system(what: &'static str, path: &Path, source: io::Error) -> SocketError {
    SocketError::System {
        what,
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests;
