//! A socket made by ourselves.

use super::{SocketError, SocketSettings, system};
use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket};
use std::fs::{DirBuilder, File, Permissions};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{DirBuilderExt as _, FileTypeExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use tokio::net::UnixListener;

/// Makes the socket beside its place, gives it group and mode, and moves it into place.
pub(super) fn bind(settings: &SocketSettings) -> Result<UnixListener, SocketError> {
    let path = &settings.path;
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    // Held until the socket is in place: two daemons that start at once must not both find the old
    // one dead.
    let lock = File::open(folder).map_err(|e| system("open", folder, e))?;
    lock.lock().map_err(|e| system("lock", folder, e))?;
    refuse_if_taken(path)?;
    let nest = Nest::in_folder(folder)?;
    let socket = nest.0.join("s");
    let listener = UnixListener::bind(&socket).map_err(|e| system("bind", &socket, e))?;
    chown(&socket, None, settings.group).map_err(|e| system("change the group of", path, e))?;
    std::fs::set_permissions(&socket, Permissions::from_mode(settings.mode))
        .map_err(|e| system("change the mode of", path, e))?;
    std::fs::rename(&socket, path).map_err(|e| system("put a socket at", path, e))?;
    Ok(listener)
}

/// A private folder that exists while the socket is made.
struct Nest(PathBuf);

impl Nest {
    /// The name is short because a socket's path has room for 107 bytes.
    fn in_folder(folder: &Path) -> Result<Self, SocketError> {
        let path = folder.join(format!(".s{}", std::process::id()));
        // Left by a process of the same number that died here; nobody else makes such names.
        let _ = std::fs::remove_file(path.join("s"));
        let _ = std::fs::remove_dir(&path);
        DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .map_err(|e| system("make a folder at", &path, e))?;
        Ok(Self(path))
    }
}

impl Drop for Nest {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(self.0.join("s"));
        let _ = std::fs::remove_dir(&self.0);
    }
}

/// Refuses a path that somebody listens on, or that holds something else than a socket.
fn refuse_if_taken(path: &Path) -> Result<(), SocketError> {
    match path.symlink_metadata() {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(system("look at", path, e)),
        Ok(meta) if !meta.file_type().is_socket() => {
            return Err(SocketError::NotASocket { path: path.into() });
        }
        Ok(_) => {}
    }
    let asked = || -> nix::Result<()> {
        let address = UnixAddr::new(path)?;
        // Without waiting: a process that is stopped or overrun is alive all the same.
        let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
        let probe = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
        connect(probe.as_raw_fd(), &address)
    };
    match asked() {
        Err(Errno::ECONNREFUSED | Errno::ENOENT) => Ok(()),
        Ok(()) | Err(Errno::EAGAIN) => Err(SocketError::Live { path: path.into() }),
        Err(e) => Err(system("ask who listens on", path, e.into())),
    }
}
