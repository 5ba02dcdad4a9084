//! `<state_dir>/grants/<N>.json`, one for each live lease, and `<state_dir>/ended.json`.

use super::{DiskError, Durability, files_in, lease_of, remove, replace, versioned};
use leasehold_agent_core::grants::{Ended, Entry, GrantBook, Phase};
use leasehold_agent_core::meter::RunningMeter;
use leasehold_common::grant::SealedGrant;
use leasehold_common::ids::LeaseId;
use leasehold_common::record::Version;
use leasehold_common::time::Timestamp;
use nix::fcntl::{Flock, FlockArg};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// The grants on disk. Only one agent has them at a time.
#[derive(Debug)]
pub struct GrantFiles {
    folder: PathBuf,
    ended: PathBuf,
    /// Held as long as this lives.
    _lock: Flock<File>,
}

/// What was on disk.
#[derive(Debug)]
pub struct Kept {
    /// The leases, and those that are over.
    pub book: GrantBook,
    /// Files that could not be read, each with why. They are left where they are.
    pub unreadable: Vec<String>,
}

#[derive(Debug, Serialize, Deserialize)]
struct LeaseFile {
    version: Version,
    lease: LeaseId,
    grant: SealedGrant,
    phase: Phase,
    since: Timestamp,
    meter: RunningMeter,
}

#[derive(Debug, Serialize, Deserialize)]
struct EndedFile {
    version: Version,
    leases: BTreeMap<LeaseId, Ended>,
}

impl GrantFiles {
    /// In this folder, which is made where it is not there.
    ///
    /// # Errors
    /// A folder that cannot be used, or that another agent is using.
    pub fn open(state_dir: &Path) -> Result<Self, DiskError> {
        let folder = state_dir.join("grants");
        fs::create_dir_all(&folder).map_err(DiskError::at("make", &folder))?;
        let path = state_dir.join("lock");
        let file = File::create(&path).map_err(DiskError::at("make", &path))?;
        // Two agents would each believe that nobody else serves the node's GPUs.
        let lock = Flock::lock(file, FlockArg::LockExclusiveNonblock)
            .map_err(|(_, e)| DiskError::at("lock", &path)(e.into()))?;
        Ok(Self {
            folder,
            ended: state_dir.join("ended.json"),
            _lock: lock,
        })
    }

    /// Reads everything. A file that cannot be read is named and left out: the leases in the others
    /// go on.
    ///
    /// # Errors
    /// A folder that cannot be read.
    pub fn load(&self) -> Result<Kept, DiskError> {
        let mut unreadable = Vec::new();
        let mut live = BTreeMap::new();
        for path in files_in(&self.folder)? {
            let Some(lease) = lease_of(&path, "json") else {
                continue;
            };
            match versioned::<LeaseFile>(&path).and_then(|file| entry(lease, file)) {
                Ok(entry) => {
                    live.insert(lease, entry);
                }
                Err(why) => unreadable.push(format!("{}: {why}", path.display())),
            }
        }
        let ended = match versioned::<EndedFile>(&self.ended) {
            Ok(file) => file.leases,
            Err(_) if !self.ended.exists() => BTreeMap::new(),
            Err(why) => {
                unreadable.push(format!("{}: {why}", self.ended.display()));
                BTreeMap::new()
            }
        };
        Ok(Kept {
            book: GrantBook::restored(live, ended),
            unreadable,
        })
    }

    /// Puts a lease on disk. When this returns it is there for good.
    ///
    /// # Errors
    /// A disk that does not take it; what was there before still is.
    pub fn keep(&self, lease: LeaseId, entry: &Entry) -> Result<(), DiskError> {
        let file = LeaseFile {
            version: Version::CURRENT,
            lease,
            grant: entry.sealed().clone(),
            phase: entry.phase(),
            since: entry.since(),
            meter: entry.meter().clone(),
        };
        replace(&self.path(lease), &text(&file), Durability::Synced)
    }

    /// Puts the list of ended leases on disk, then takes a lease off it. In this order: a crash in
    /// between leaves a lease that is known to be over.
    ///
    /// # Errors
    /// A disk that does not take it.
    pub fn retire(
        &self,
        lease: LeaseId,
        ended: &BTreeMap<LeaseId, Ended>,
    ) -> Result<(), DiskError> {
        let file = EndedFile {
            version: Version::CURRENT,
            leases: ended.clone(),
        };
        replace(&self.ended, &text(&file), Durability::Synced)?;
        remove(&self.path(lease), Durability::Synced)
    }

    fn path(&self, lease: LeaseId) -> PathBuf {
        self.folder.join(format!("{lease}.json"))
    }
}

fn text(file: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec_pretty(file).expect("these files have string keys and no failing fields")
}

fn entry(lease: LeaseId, file: LeaseFile) -> Result<Entry, String> {
    let entry = Entry::restored(file.grant, file.phase, file.since, file.meter)
        .map_err(|e| e.to_string())?;
    if file.lease != lease || entry.grant().lease != lease {
        return Err(format!("is about lease {}", entry.grant().lease));
    }
    Ok(entry)
}
