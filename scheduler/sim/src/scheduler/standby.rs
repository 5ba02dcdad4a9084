//! A standby: follows what the leader commits, keeps its own log file, and waits.

use super::leader::{Leader, catch_up, load};
use super::{Next, Outside};
use crate::checker::Broken;
use crate::inventory::settings;
use crate::log_file::LogFile;
use crate::store::Store;
use leasehold_common::keys::Key;
use leasehold_common::ledger::CommitRecord;
use leasehold_common::time::Timestamp;
use leasehold_core::{State, recover};

/// A scheduler that does not lead.
#[derive(Debug, Default)]
pub struct Standby {
    follows: Option<Follows>,
}

#[derive(Debug)]
struct Follows {
    state: State,
    incarnation: u32,
    cursor: usize,
}

impl Standby {
    pub(super) fn up_to_date(&self, store: &Store) -> Option<&State> {
        let follows = self.follows.as_ref()?;
        let is = follows.incarnation == store.incarnation() && follows.cursor == store.cursor();
        is.then_some(&follows.state)
    }

    pub(super) fn effect(
        &mut self,
        file: &mut LogFile,
        host: &str,
        out: &mut Outside<'_>,
        clock: Timestamp,
    ) -> Result<Next, Broken> {
        if let Some(token) = out.store.campaign(out.now) {
            let role = Leader::elect(token, file, host, out.store, clock)?;
            return Ok(Next::Become(role));
        }
        let incarnation = out.store.incarnation();
        match &mut self.follows {
            Some(follows) if follows.incarnation == incarnation => {
                follow(follows, file, out.store, clock)?;
            }
            Some(_) | None => self.begin(file, host, out.store, clock)?,
        }
        Ok(Next::Idle)
    }

    fn begin(
        &mut self,
        file: &mut LogFile,
        host: &str,
        store: &Store,
        clock: Timestamp,
    ) -> Result<(), Broken> {
        self.follows = None;
        let loaded = load(store)?;
        if !recover::differences(&loaded, file.last()).is_empty() {
            // The leader will be recovered, or this host will lead and say so.
            return Ok(());
        }
        file.open(clock);
        catch_up(file, store, &loaded);
        let state = State::load(settings(host), loaded, clock)
            .map_err(|e| Broken::new("a standby can load the ledger", format!("{e:?}")))?;
        self.follows = Some(Follows {
            state,
            incarnation: store.incarnation(),
            cursor: store.cursor(),
        });
        Ok(())
    }
}

fn follow(
    follows: &mut Follows,
    file: &mut LogFile,
    store: &Store,
    clock: Timestamp,
) -> Result<(), Broken> {
    let changes = store.since(follows.cursor);
    for revision in changes.chunk_by(|a, b| a.revision == b.revision) {
        let changes: Vec<(Key, Option<Vec<u8>>)> = revision
            .iter()
            .map(|c| (c.key.clone(), c.value.as_ref().map(|v| v.to_vec())))
            .collect();
        for (key, value) in &changes {
            if let (Key::Log(_), Some(value)) = (key, value) {
                let commit: CommitRecord =
                    serde_json::from_slice(value).expect("leaders write their commits");
                file.append(&commit);
            }
        }
        follows
            .state
            .follow_changes(&changes, clock)
            .map_err(|e| Broken::new("a standby can follow every commit", format!("{e:?}")))?;
    }
    follows.cursor = store.cursor();
    Ok(())
}
