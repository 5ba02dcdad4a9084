//! `<run_dir>/leases/<N>.env`: what the holder of a lease reads.

use super::{DiskError, Durability, files_in, lease_of, remove, replace};
use leasehold_common::ids::LeaseId;
use std::fs;
use std::path::{Path, PathBuf};

/// The environment files. They lie in memory, and are made again from the grants at every start.
#[derive(Debug)]
pub struct EnvFiles {
    folder: PathBuf,
}

impl EnvFiles {
    /// Below this folder.
    pub fn new(run_dir: &Path) -> Self {
        Self {
            folder: run_dir.join("leases"),
        }
    }

    /// The leases that have one.
    ///
    /// # Errors
    /// A folder that is there and cannot be read.
    pub fn list(&self) -> Result<Vec<LeaseId>, DiskError> {
        if !self.folder.exists() {
            return Ok(Vec::new());
        }
        let paths = files_in(&self.folder)?;
        Ok(paths
            .iter()
            .filter_map(|path| lease_of(path, "env"))
            .collect())
    }

    /// Writes one.
    ///
    /// # Errors
    /// A folder that cannot be made, or does not take it.
    pub fn write(&self, lease: LeaseId, text: &str) -> Result<(), DiskError> {
        fs::create_dir_all(&self.folder).map_err(DiskError::at("make", &self.folder))?;
        replace(&self.path(lease), text.as_bytes(), Durability::Volatile)
    }

    /// Removes one, where it is there.
    ///
    /// # Errors
    /// A folder that does not let it go.
    pub fn remove(&self, lease: LeaseId) -> Result<(), DiskError> {
        remove(&self.path(lease), Durability::Volatile)
    }

    fn path(&self, lease: LeaseId) -> PathBuf {
        self.folder.join(format!("{lease}.env"))
    }
}
