//! Reading records back: for replay to a client, for `explain`, for recovery.

use super::error::{LogFileError, system};
use super::files;
use super::position::offset_after;
use leasehold_common::ids::{Epoch, Seq};
use leasehold_common::lease::Digest;
use leasehold_common::log::LogRecord;
use serde::Deserialize;
use serde_json::Value;
use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead as _, BufReader, ErrorKind, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

/// A record as it stands in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its number.
    pub seq: Seq,
    /// The ledger's epoch.
    pub epoch: Epoch,
    /// Its hash.
    pub hash: Digest,
    /// Its line.
    pub text: String,
}

impl Entry {
    /// What it says.
    ///
    /// # Errors
    /// A line of another form.
    pub fn record(&self) -> Result<LogRecord, serde_json::Error> {
        serde_json::from_str(&self.text)
    }

    /// The line as JSON, with its place in the chain.
    ///
    /// # Errors
    /// A line that is no JSON.
    pub fn value(&self) -> Result<Value, serde_json::Error> {
        serde_json::from_str(&self.text)
    }
}

/// The records after `seq`, in order, from all files of the log beside `path`. Gaps are passed over.
/// The end is where the log ended when it was reached; a log that is not there is empty.
///
/// # Errors
/// The system's.
pub fn records_after(path: &Path, seq: Seq) -> Result<Records, LogFileError> {
    // The current file before the list of older ones: a rotation in between then shows one file
    // twice, which is seen by its numbers, and never leaves one out.
    let current = match File::open(path) {
        Ok(file) => Some(Source::Open(path.to_owned(), file)),
        Err(e) if e.kind() == ErrorKind::NotFound => None,
        Err(e) => return Err(system("open", path)(e)),
    };
    let older = match files::older(path) {
        Ok(older) => older,
        Err(LogFileError::System { source, .. }) if source.kind() == ErrorKind::NotFound => {
            Vec::new()
        }
        Err(e) => return Err(e),
    };
    let older = older
        .into_iter()
        .filter(|older| older.range.1 > seq)
        .map(|older| Source::Path(older.path));
    Ok(Records {
        sources: older.chain(current).collect(),
        reading: None,
        after: seq,
    })
}

/// Records in order. See [`records_after`].
#[derive(Debug)]
pub struct Records {
    sources: VecDeque<Source>,
    reading: Option<(PathBuf, BufReader<File>)>,
    after: Seq,
}

#[derive(Debug)]
enum Source {
    Path(PathBuf),
    Open(PathBuf, File),
}

/// What a line of any kind says about its place.
#[derive(Deserialize)]
pub(super) struct Place {
    seq: Option<Seq>,
    epoch: Option<Epoch>,
    hash: Digest,
    /// Of a segment: the last record before it.
    after: Option<Seq>,
    /// Of a gap: the last record it stands for.
    last: Option<Seq>,
}

impl Place {
    /// Reads a line, with or without its end.
    pub(super) fn of(line: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(line)
    }

    /// The number up to which the log goes at the end of this line.
    pub(super) fn stands_for(&self) -> Seq {
        self.seq.or(self.last).or(self.after).unwrap_or_default()
    }
}

impl Records {
    fn advance(&mut self) -> Result<Option<Entry>, LogFileError> {
        loop {
            let Some((path, reader)) = &mut self.reading else {
                let Some(source) = self.sources.pop_front() else {
                    return Ok(None);
                };
                self.reading = Some(begin(source, self.after)?);
                continue;
            };
            let mut line = Vec::new();
            reader
                .read_until(b'\n', &mut line)
                .map_err(system("read", path))?;
            if line.pop_if(|last| *last == b'\n').is_none() {
                self.reading = None;
                continue;
            }
            let unreadable = |detail: String| LogFileError::Unreadable {
                path: path.clone(),
                after: self.after,
                detail,
            };
            let place = Place::of(&line).map_err(|e| unreadable(e.to_string()))?;
            let (Some(seq), Some(epoch)) = (place.seq, place.epoch) else {
                continue;
            };
            if seq > self.after {
                let text = String::from_utf8(line).map_err(|e| unreadable(e.to_string()))?;
                self.after = seq;
                return Ok(Some(Entry {
                    seq,
                    epoch,
                    hash: place.hash,
                    text,
                }));
            }
        }
    }
}

impl Iterator for Records {
    type Item = Result<Entry, LogFileError>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.advance();
        if next.is_err() {
            (self.sources, self.reading) = (VecDeque::new(), None);
        }
        next.transpose()
    }
}

fn begin(source: Source, after: Seq) -> Result<(PathBuf, BufReader<File>), LogFileError> {
    let (path, mut file) = match source {
        Source::Open(path, file) => (path, file),
        Source::Path(path) => {
            let file = File::open(&path).map_err(system("open", &path))?;
            (path, file)
        }
    };
    offset_after(&file, after)
        .and_then(|offset| file.seek(SeekFrom::Start(offset)))
        .map_err(system("search", &path))?;
    Ok((path, BufReader::with_capacity(1 << 16, file)))
}
