//! Reading a cell from the store.

use super::{DutyError, Office};
use leasehold_common::keys::Folder;
use leasehold_common::ledger::CommitRecord;
use leasehold_common::record;
use leasehold_common::time::Timestamp;
use leasehold_core::{Freeze, LoadError, Loaded, State, recover};
use leasehold_store::Revision;

/// The folders that a state is made of. The first is read first: watching from its revision on
/// misses nothing of the others.
const FOLDERS: [Folder; 11] = [
    Folder::Ledger,
    Folder::Accounts,
    Folder::Policy,
    Folder::Power,
    Folder::Maintenance,
    Folder::Leases,
    Folder::Fleet,
    Folder::Nodes,
    Folder::Health,
    Folder::Acks,
    Folder::Live,
];

/// A cell as it was read.
#[derive(Debug)]
pub(super) struct Read {
    pub loaded: Loaded,
    /// From here on changes are to be watched.
    pub revision: Revision,
    /// When the head was last changed; absent in a new cell.
    pub head_modified: Option<Revision>,
}

impl Office {
    /// Reads everything of the cell. Folder by folder, so not at one instant: a leader's own records
    /// do not change meanwhile, and what agents change comes again with the watch.
    pub(super) async fn read_cell(&self) -> Result<Read, DutyError> {
        let mut loaded = Loaded::default();
        let (mut first, mut head_modified) = (None, None);
        for folder in FOLDERS {
            let listing = self.store.list(&self.keys.folder(folder)).await?;
            first.get_or_insert(listing.revision);
            for entry in listing.entries {
                let Some(key) = self.keys.parse(&entry.key) else {
                    continue;
                };
                if key == leasehold_common::keys::Key::Head {
                    head_modified = Some(entry.modified);
                }
                loaded.take(&key, &entry.value)?;
            }
        }
        let revision = first.expect("there is a first folder");
        self.metrics.at_revision(revision);
        Ok(Read {
            loaded,
            revision,
            head_modified,
        })
    }

    /// The state that a cell as read makes. One that is older than this host's log or the agents'
    /// word is frozen; where it does not even hold together, as after a recovery that was cut off
    /// half-way, it is an empty state that is frozen, so that the recovery can be begun again.
    pub(super) fn state_of(&self, loaded: Loaded, now: Timestamp) -> Result<State, DutyError> {
        let mut differences = recover::differences(&loaded, self.journal.head());
        let settings = self.settings.core.clone();
        let mut state = match State::load(settings.clone(), loaded, now) {
            Ok(state) => state,
            Err(e) if differences.is_empty() => return Err(e.into()),
            Err(e) => {
                differences.push(format!("the ledger does not hold together: {e}"));
                State::new(settings)
            }
        };
        if !differences.is_empty() {
            state.freeze(Freeze::StoreFromPast { differences });
        }
        Ok(state)
    }

    /// The commits that are still in the store, in order.
    pub(super) async fn read_commits(&self) -> Result<Vec<CommitRecord>, DutyError> {
        let listing = self.store.list(&self.keys.folder(Folder::Log)).await?;
        let mut commits = Vec::with_capacity(listing.entries.len());
        for entry in listing.entries {
            let Some(key) = self.keys.parse(&entry.key) else {
                continue;
            };
            let commit =
                record::decode(&entry.value).map_err(|source| LoadError::Record { key, source })?;
            commits.push(commit);
        }
        Ok(commits)
    }
}
