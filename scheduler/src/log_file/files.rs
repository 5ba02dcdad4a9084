//! The log's files: their names, and making and renaming them so that it survives a power cut.

use super::error::{LogFileError, system};
use leasehold_common::ids::Seq;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// A file that was put aside, and the records its name says it holds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Older {
    /// Its first and its last record.
    pub(super) range: (Seq, Seq),
    /// Where it is.
    pub(super) path: PathBuf,
}

/// Opens the current file for writing, makes it where it is not, and keeps others from it.
pub(super) fn open_current(path: &Path) -> Result<File, LogFileError> {
    let file = OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .mode(0o640)
        .open(path)
        .map_err(system("open", path))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(LogFileError::Busy { path: path.into() }),
        Err(TryLockError::Error(e)) => return Err(system("lock", path)(e)),
    }
    sync_folder(path)?;
    Ok(file)
}

/// Where a file with these records is put aside.
pub(super) fn aside(path: &Path, first: Seq, last: Seq) -> PathBuf {
    with_suffix(path, &format!(".{first}-{last}"))
}

/// Keeps the torn end of a file under its offset; its name is returned. A second repair at the same
/// offset, after a crash in the middle of the first, finds the same bytes or more.
pub(super) fn keep_torn(path: &Path, offset: u64, torn: &[u8]) -> Result<PathBuf, LogFileError> {
    let kept = with_suffix(path, &format!(".torn-{offset}"));
    let mut file = File::create(&kept).map_err(system("make", &kept))?;
    file.write_all(torn)
        .and_then(|()| file.sync_all())
        .map_err(system("write", &kept))?;
    sync_folder(path)?;
    Ok(kept)
}

/// The files that were put aside, in the order of their records.
pub(super) fn older(path: &Path) -> Result<Vec<Older>, LogFileError> {
    let folder = folder(path);
    let mut found = Vec::new();
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    for entry in folder.read_dir().map_err(system("list", folder))? {
        let entry = entry.map_err(system("list", folder))?;
        let range = entry
            .file_name()
            .to_str()
            .and_then(|other| other.strip_prefix(&*name)?.strip_prefix('.'))
            .and_then(|range| range.split_once('-'))
            .and_then(|(first, last)| Some((first.parse().ok()?, last.parse().ok()?)));
        if let Some(range) = range {
            let path = entry.path();
            found.push(Older { range, path });
        }
    }
    found.sort();
    Ok(found)
}

/// Makes what was done to the names in the file's folder last.
pub(super) fn sync_folder(path: &Path) -> Result<(), LogFileError> {
    let folder = folder(path);
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(system("sync", folder))
}

fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
