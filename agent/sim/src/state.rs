//! The state file: a [`Scenario`] as JSON. The only place here that touches a disk.

use crate::scenario::Scenario;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Why a state file could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The file or its folder did not let itself be used.
    #[error("state file {}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The file holds no scenario.
    #[error("state file {} is not a scenario", path.display())]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// Where and why.
        #[source]
        source: serde_json::Error,
    },
}

/// Puts the scenario in the file's place in one step, so that a reader sees the old one or the new
/// one and never half of either.
pub fn write(path: &Path, scenario: &Scenario) -> Result<(), StateError> {
    let text = serde_json::to_vec_pretty(scenario).map_err(|source| StateError::Malformed {
        path: path.to_owned(),
        source,
    })?;
    let temporary = path.with_extension(format!("{}.new", std::process::id()));
    fs::File::create(&temporary)
        .and_then(|mut file| file.write_all(&text))
        .and_then(|()| fs::rename(&temporary, path))
        .map_err(|source| StateError::Io {
            path: path.to_owned(),
            source,
        })
}

/// A state file being followed.
#[derive(Debug)]
pub struct StateFile {
    path: PathBuf,
    seen: Option<Signature>,
}

/// What tells one content of a file from another without reading it. The inode is part of it: a
/// file replaced within one tick of the clock, by one of the same length, has another inode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Signature {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
}

impl StateFile {
    /// Follows the file at `path`, which need not exist yet.
    pub fn new(path: PathBuf) -> Self {
        Self { path, seen: None }
    }

    /// The scenario where the file has changed since it was last read, nothing where it has not. A
    /// content that could not be read is reported once, not at every call.
    pub fn poll(&mut self) -> Result<Option<Scenario>, StateError> {
        let io_error = |source| StateError::Io {
            path: self.path.clone(),
            source,
        };
        let about = fs::metadata(&self.path).map_err(io_error)?;
        let found = Signature {
            device: about.dev(),
            inode: about.ino(),
            size: about.size(),
            modified: (about.mtime(), about.mtime_nsec()),
        };
        if self.seen == Some(found) {
            return Ok(None);
        }
        let text = fs::read(&self.path).map_err(io_error)?;
        self.seen = Some(found);
        serde_json::from_slice(&text)
            .map(Some)
            .map_err(|source| StateError::Malformed {
                path: self.path.clone(),
                source,
            })
    }
}
