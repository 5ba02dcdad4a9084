//! Opening the log: verify all of it, mend a torn end, say so.

use super::chain::{Chain, Tail};
use super::error::{LogFileError, system};
use super::files;
use super::{LogSettings, OpenReport, PlacementLog};
use leasehold_common::log::{LogLine, Segment, canonical};
use leasehold_common::time::Timestamp;
use std::fs::File;
use std::io::Write as _;

impl PlacementLog {
    /// Opens the log, makes it where there is none, and begins a segment in it.
    ///
    /// # Errors
    /// Damage other than a torn last line, the log of another cell, another process that writes it,
    /// or the system's errors.
    pub fn open(settings: LogSettings, now: Timestamp) -> Result<(Self, OpenReport), LogFileError> {
        let path = &settings.path;
        let file = files::open_current(path)?;
        let chain = Chain::read(&file, path, &settings.cell)?;
        let repaired = mend(&file, &chain)?;
        let mut log = Self {
            length: chain.length,
            first: chain.first,
            tail: tail_with_epoch(&settings, chain.tail)?,
            broken: false,
            file,
            settings: settings.clone(),
        };
        let report = OpenReport {
            records: chain.records,
            lines: chain.lines,
            repaired: repaired.clone(),
        };
        log.begin_segment(now, repaired)?;
        Ok((log, report))
    }

    /// Writes the line that says from where on this process writes.
    pub(super) fn begin_segment(
        &mut self,
        now: Timestamp,
        repaired: Option<String>,
    ) -> Result<(), LogFileError> {
        let segment = Segment {
            cell: self.settings.cell.clone(),
            host: self.settings.host.clone(),
            opened: now,
            after: self.tail.seq,
            repaired,
        };
        let (line, _) = LogLine::Segment(segment).seal(self.tail.hash);
        self.write(&format!("{}\n", canonical(&line)))
    }

    /// Adds whole lines to the file and waits until they are on the disk.
    pub(super) fn write(&mut self, lines: &str) -> Result<(), LogFileError> {
        let path = &self.settings.path;
        if let Err(e) = self.file.write_all(lines.as_bytes()) {
            // A full disk is no damage: what was written of the lines is taken back.
            self.broken = self.file.set_len(self.length).is_err();
            return Err(system("write", path)(e));
        }
        if let Err(e) = self.file.sync_data() {
            // The kernel drops what it could not write and tells it once; what a second sync would
            // call synced may be gone.
            self.broken = true;
            return Err(system("sync", path)(e));
        }
        self.length += lines.len() as u64;
        Ok(())
    }
}

/// Cuts off what stands after the last whole line, and keeps it beside the file.
fn mend(file: &File, chain: &Chain<'_>) -> Result<Option<String>, LogFileError> {
    if chain.torn.is_empty() {
        return Ok(None);
    }
    let path = chain.path();
    let kept = files::keep_torn(path, chain.length, &chain.torn)?;
    file.set_len(chain.length)
        .and_then(|()| file.sync_all())
        .map_err(system("cut", path))?;
    Ok(Some(format!(
        "a torn last line of {} bytes at offset {} was cut off and kept as {}",
        chain.torn.len(),
        chain.length,
        kept.file_name().unwrap_or_default().display(),
    )))
}

/// Where the chain continues. A current file without records, which a crash in the middle of a
/// rotation leaves, does not know the epoch or anything at all; the newest of the older files does.
fn tail_with_epoch(settings: &LogSettings, tail: Option<Tail>) -> Result<Tail, LogFileError> {
    let known = tail.is_some_and(|tail| tail.epoch.0 > 0);
    let newest = files::older(&settings.path)?.pop();
    let (false, Some(newest)) = (known, newest) else {
        return Ok(tail.unwrap_or(Tail::EMPTY));
    };
    let path = &newest.path;
    let file = File::open(path).map_err(system("open", path))?;
    let before = Chain::read(&file, path, &settings.cell)?.tail;
    Ok(match (tail, before) {
        (Some(tail), Some(before)) => Tail {
            epoch: before.epoch,
            ..tail
        },
        (None, Some(before)) => before,
        (tail, None) => tail.unwrap_or(Tail::EMPTY),
    })
}
