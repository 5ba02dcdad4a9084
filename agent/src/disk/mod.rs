//! What the agent keeps on disk: grants, which must survive anything, what is known of its GPUs, and
//! environment files, which can be made again.

mod env_files;
mod grants;
mod health;

pub use env_files::EnvFiles;
pub use grants::{GrantFiles, Kept};
pub use health::{HealthFile, Remembered};

use leasehold_common::ids::LeaseId;
use leasehold_common::record::{READER, Version};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// A file or folder did not let itself be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot {verb} {}", path.display())]
pub struct DiskError {
    /// What was to be done with it.
    pub verb: &'static str,
    /// Which.
    pub path: PathBuf,
    /// Why not.
    #[source]
    pub source: io::Error,
}

impl DiskError {
    fn at(verb: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self { verb, path, source }
    }
}

/// Whether a file must survive power loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Durability {
    /// Yes: its content and its name are synced.
    Synced,
    /// No: it lies in memory anyway.
    Volatile,
}

/// Puts a file in the place of the old one, whole or not at all.
fn replace(path: &Path, content: &[u8], durability: Durability) -> Result<(), DiskError> {
    let temporary = path.with_extension("new");
    let written = File::create(&temporary).and_then(|mut file| {
        file.write_all(content)?;
        match durability {
            Durability::Synced => file.sync_all(),
            Durability::Volatile => Ok(()),
        }
    });
    written
        .and_then(|()| fs::rename(&temporary, path))
        .map_err(DiskError::at("write", path))?;
    match durability {
        Durability::Synced => sync_folder(path),
        Durability::Volatile => Ok(()),
    }
}

/// Removes a file; one that is not there is no error.
fn remove(path: &Path, durability: Durability) -> Result<(), DiskError> {
    match fs::remove_file(path) {
        Ok(()) => {}
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(DiskError::at("remove", path)(e)),
    }
    match durability {
        Durability::Synced => sync_folder(path),
        Durability::Volatile => Ok(()),
    }
}

/// A rename or a removal lasts once the folder is synced.
fn sync_folder(of: &Path) -> Result<(), DiskError> {
    let folder = of.parent().expect("our files lie in folders");
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(DiskError::at("sync", folder))
}

/// Reads a file that says which readers it takes.
fn versioned<T: DeserializeOwned>(path: &Path) -> Result<T, String> {
    #[derive(Deserialize)]
    struct Head {
        version: Version,
    }
    let bytes = fs::read(path).map_err(|e| e.to_string())?;
    let head: Head = serde_json::from_slice(&bytes).map_err(|e| e.to_string())?;
    if head.version.min_reader > READER {
        let needs = head.version.min_reader;
        return Err(format!("needs a reader of form {needs}, this is {READER}"));
    }
    serde_json::from_slice(&bytes).map_err(|e| e.to_string())
}

/// The lease that a file `<N>.<extension>` is about.
fn lease_of(path: &Path, extension: &str) -> Option<LeaseId> {
    if path.extension()? != extension {
        return None;
    }
    path.file_stem()?.to_str()?.parse().ok()
}

fn files_in(folder: &Path) -> Result<Vec<PathBuf>, DiskError> {
    let mut paths = fs::read_dir(folder)
        .and_then(|entries| {
            entries
                .map(|entry| entry.map(|entry| entry.path()))
                .collect::<io::Result<Vec<_>>>()
        })
        .map_err(DiskError::at("read", folder))?;
    paths.sort();
    Ok(paths)
}
