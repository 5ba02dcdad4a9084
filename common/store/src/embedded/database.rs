//! The database file: its tables, and how a transaction changes them.

use crate::model::{Change, Entry, Guard, Listing, Revision, StoreError};
use crate::scope::Scope;
use redb::{
    ReadableDatabase, ReadableTable, ReadableTableMetadata, Table, TableDefinition, TableError,
    WriteTransaction,
};
use std::fmt;
use std::fs::File;
use std::ops::Bound;
use std::path::Path;

/// Key → (created, modified, value).
const ENTRIES: TableDefinition<&str, (i64, i64, &[u8])> = TableDefinition::new("entries");
/// Key → the keeper it lives with. A key that is here when the database is opened was left behind
/// by a process that is gone.
const KEPT: TableDefinition<&str, u64> = TableDefinition::new("kept");
/// Numbers of the store itself.
const META: TableDefinition<&str, i64> = TableDefinition::new("meta");
const REVISION: &str = "revision";
/// What the tables look like; raised when that changes.
const FORMAT: &str = "format";
const FORMAT_1: i64 = 1;

/// redb would take a gigabyte. A cell of a single host has a few megabytes of records.
const CACHE_BYTES: usize = 64 << 20;

/// The open database.
pub(super) struct Database {
    inner: redb::Database,
    path: String,
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Database").field(&self.path).finish()
    }
}

/// What one transaction asks of the tables.
#[derive(Debug, Clone, Copy)]
pub(super) struct Changes<'a> {
    pub(super) puts: &'a [(String, Vec<u8>)],
    pub(super) deletes: &'a [String],
    /// The keeper that the puts live with.
    pub(super) keeper: Option<u64>,
}

impl Database {
    /// Opens or makes the file, and removes what keepers of an earlier process left.
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        let name = path.display().to_string();
        let mut builder = redb::Builder::new();
        let inner = builder.set_cache_size(CACHE_BYTES).create(path);
        let inner = inner.map_err(|error| StoreError::Database {
            path: name.clone(),
            detail: match error {
                redb::DatabaseError::DatabaseAlreadyOpen => {
                    "it is in use by another process".to_owned()
                }
                other => other.to_string(),
            },
        })?;
        let database = Self { inner, path: name };
        database.prepare()?;
        // A file that is synced but not in its directory is gone after a power cut.
        let directory = path
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty());
        let entry = File::open(directory.unwrap_or(Path::new("."))).and_then(|d| d.sync_all());
        database.fault(entry.map_err(redb::StorageError::Io))?;
        Ok(database)
    }

    /// Makes the tables and removes the keys of keepers that are gone, as one durable transaction.
    fn prepare(&self) -> Result<(), StoreError> {
        let write = self.begin()?;
        let mut tables = self.tables(&write)?;
        self.check_format(&mut tables)?;
        let orphans = self.fault(tables.orphans())?;
        if !orphans.is_empty() {
            let changes = Changes {
                puts: &[],
                deletes: &orphans,
                keeper: None,
            };
            self.fault(tables.apply(changes))?;
        }
        drop(tables);
        self.fault(write.commit())
    }

    fn check_format(&self, tables: &mut Tables<'_>) -> Result<(), StoreError> {
        let found = self.fault(tables.meta.get(FORMAT))?.map(|v| v.value());
        match found {
            Some(FORMAT_1) => Ok(()),
            None => self.fault(tables.meta.insert(FORMAT, FORMAT_1)).map(drop),
            Some(other) => Err(StoreError::Database {
                path: self.path.clone(),
                detail: format!("its format is {other}, this version reads {FORMAT_1}"),
            }),
        }
    }

    /// The newest revision.
    pub(super) fn revision(&self) -> Result<Revision, StoreError> {
        let read = self.fault(self.inner.begin_read())?;
        let meta = self.fault(read.open_table(META))?;
        self.fault(newest(&meta))
    }

    /// One key.
    pub(super) fn get(&self, key: &str) -> Result<Option<Entry>, StoreError> {
        let read = self.fault(self.inner.begin_read())?;
        let entries = self.fault(read.open_table(ENTRIES))?;
        let found = self.fault(entries.get(key))?;
        Ok(found.map(|value| entry(key, value.value())))
    }

    /// All keys of a scope, with the revision at which that is true.
    pub(super) fn list(&self, scope: &Scope) -> Result<Listing, StoreError> {
        let read = self.fault(self.inner.begin_read())?;
        let meta = self.fault(read.open_table(META))?;
        let table = self.fault(read.open_table(ENTRIES))?;
        let from = (Bound::Included(scope.as_str()), Bound::Unbounded);
        let mut entries = Vec::new();
        for row in self.fault(table.range::<&str>(from))? {
            let (key, value) = self.fault(row)?;
            if !scope.holds(key.value()) {
                break;
            }
            entries.push(entry(key.value(), value.value()));
        }
        Ok(Listing {
            revision: self.fault(newest(&meta))?,
            entries,
        })
    }

    /// Begins to write; there is one writer.
    pub(super) fn begin(&self) -> Result<WriteTransaction, StoreError> {
        // Durability::Immediate is redb's default, and the promise of this store rests on it.
        self.fault(self.inner.begin_write())
    }

    /// The tables of a transaction.
    pub(super) fn tables<'t>(&self, write: &'t WriteTransaction) -> Result<Tables<'t>, StoreError> {
        let open = || -> Result<Tables<'t>, TableError> {
            Ok(Tables {
                entries: write.open_table(ENTRIES)?,
                kept: write.open_table(KEPT)?,
                meta: write.open_table(META)?,
            })
        };
        self.fault(open())
    }

    /// Names the file in what redb reports.
    pub(super) fn fault<T, E: Into<redb::Error>>(
        &self,
        result: Result<T, E>,
    ) -> Result<T, StoreError> {
        result.map_err(|error| match error.into() {
            redb::Error::Io(io) if io.kind() == std::io::ErrorKind::StorageFull => {
                StoreError::NoSpace {
                    detail: format!("{}: {io}", self.path),
                }
            }
            other => StoreError::Database {
                path: self.path.clone(),
                detail: other.to_string(),
            },
        })
    }
}

/// The tables, open for writing.
pub(super) struct Tables<'t> {
    entries: Table<'t, &'static str, (i64, i64, &'static [u8])>,
    kept: Table<'t, &'static str, u64>,
    meta: Table<'t, &'static str, i64>,
}

impl Tables<'_> {
    /// The newest revision, changes of this transaction included.
    pub(super) fn revision(&self) -> Result<Revision, redb::StorageError> {
        newest(&self.meta)
    }

    /// Whether a guard holds.
    pub(super) fn holds(&self, guard: &Guard) -> Result<bool, redb::StorageError> {
        let found = self.entries.get(guard.key())?;
        let found = found.as_ref().map(redb::AccessGuard::value);
        Ok(match (guard, found) {
            (Guard::Absent { .. }, found) => found.is_none(),
            (Guard::CreatedAt { revision, .. }, Some((created, _, _))) => revision.0 == created,
            (Guard::ModifiedAt { revision, .. }, Some((_, modified, _))) => revision.0 == modified,
            // As in etcd: what does not exist was created and changed at 0.
            (Guard::CreatedAt { revision, .. } | Guard::ModifiedAt { revision, .. }, None) => {
                revision.0 == 0
            }
        })
    }

    /// Whether a key lives with this keeper.
    pub(super) fn is_kept_by(&self, key: &str, keeper: u64) -> Result<bool, redb::StorageError> {
        Ok(self.kept.get(key)?.is_some_and(|id| id.value() == keeper))
    }

    /// Applies changes at the next revision, and says what they changed. Changing nothing takes no
    /// revision.
    pub(super) fn apply(
        &mut self,
        changes: Changes<'_>,
    ) -> Result<(Revision, Vec<Change>), redb::StorageError> {
        let newest = self.revision()?;
        let revision = Revision(newest.0 + 1);
        let mut done = Vec::with_capacity(changes.puts.len() + changes.deletes.len());
        for (key, value) in changes.puts {
            done.push(Change::Put(self.put(key, value, revision)?));
            match changes.keeper {
                Some(keeper) => self.kept.insert(key.as_str(), keeper)?,
                None => self.kept.remove(key.as_str())?,
            };
        }
        for key in changes.deletes {
            self.kept.remove(key.as_str())?;
            if self.entries.remove(key.as_str())?.is_some() {
                let key = key.clone();
                done.push(Change::Delete { key, revision });
            }
        }
        if done.is_empty() {
            return Ok((newest, done));
        }
        self.meta.insert(REVISION, revision.0)?;
        Ok((revision, done))
    }

    fn put(
        &mut self,
        key: &str,
        value: &[u8],
        revision: Revision,
    ) -> Result<Entry, redb::StorageError> {
        let before = self.entries.get(key)?.map(|old| old.value().0);
        let created = before.unwrap_or(revision.0);
        self.entries.insert(key, (created, revision.0, value))?;
        Ok(entry(key, (created, revision.0, value)))
    }

    fn orphans(&self) -> Result<Vec<String>, redb::StorageError> {
        let mut keys = Vec::new();
        if self.kept.is_empty()? {
            return Ok(keys);
        }
        for row in self.kept.iter()? {
            keys.push(row?.0.value().to_owned());
        }
        Ok(keys)
    }
}

fn newest(meta: &impl ReadableTable<&'static str, i64>) -> Result<Revision, redb::StorageError> {
    Ok(Revision(
        meta.get(REVISION)?.map_or(0, |found| found.value()),
    ))
}

fn entry(key: &str, (created, modified, value): (i64, i64, &[u8])) -> Entry {
    Entry {
        key: key.to_owned(),
        value: value.to_vec(),
        created: Revision(created),
        modified: Revision(modified),
    }
}
