//! A file read line by line from its beginning, held against the rules of the chain.
//!
//! The same rules as `leasehold_common::log::Verifier`, which wants a file's whole text at once;
//! this reads files of any size and says where the last whole line ends.

use super::error::{LogFileError, system};
use leasehold_common::ids::{CellName, Epoch, Seq};
use leasehold_common::lease::Digest;
use leasehold_common::log::{BadLine, EventName, LineError, LogLine, Opened};
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;

/// What the next record must follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tail {
    /// The epoch of the last record; 0 where none is known.
    pub(super) epoch: Epoch,
    /// Its number; 0 before the first.
    pub(super) seq: Seq,
    /// Its hash; that of an empty log before the first.
    pub(super) hash: Digest,
}

impl Tail {
    /// Of a log in which nothing stands.
    pub(super) const EMPTY: Self = Self {
        epoch: Epoch(0),
        seq: Seq(0),
        hash: Digest::ZERO,
    };
}

/// A file that was read to its end.
#[derive(Debug)]
pub(super) struct Chain<'a> {
    path: &'a Path,
    cell: &'a CellName,
    /// Where the chain ends; absent before the first line.
    pub(super) tail: Option<Tail>,
    /// The first record.
    pub(super) first: Option<Seq>,
    /// Records.
    pub(super) records: u64,
    /// Whole lines.
    pub(super) lines: u64,
    /// Bytes of whole lines.
    pub(super) length: u64,
    /// What stands after the last whole line.
    pub(super) torn: Vec<u8>,
}

impl<'a> Chain<'a> {
    /// Reads and verifies a file.
    pub(super) fn read(
        file: &File,
        path: &'a Path,
        cell: &'a CellName,
    ) -> Result<Self, LogFileError> {
        let mut chain = Self {
            path,
            cell,
            tail: None,
            first: None,
            records: 0,
            lines: 0,
            length: 0,
            torn: Vec::new(),
        };
        let mut reader = BufReader::with_capacity(1 << 16, file);
        let mut line = Vec::new();
        loop {
            line.clear();
            reader
                .read_until(b'\n', &mut line)
                .map_err(system("read", path))?;
            if line.pop_if(|last| *last == b'\n').is_none() {
                chain.torn = line;
                return Ok(chain);
            }
            chain.length += line.len() as u64 + 1;
            chain.lines += 1;
            chain.take(&line)?;
        }
    }

    /// The file that was read.
    pub(super) const fn path(&self) -> &Path {
        self.path
    }

    fn take(&mut self, line: &[u8]) -> Result<(), LogFileError> {
        let text = std::str::from_utf8(line)
            .map_err(|_| self.bad_line(LineError::Form("not UTF-8".into())))?;
        let before = self.tail.map(|tail| tail.hash);
        let Opened { line, prev, hash } =
            LogLine::open(text, before).map_err(|problem| self.bad_line(problem))?;
        match line {
            LogLine::Segment(segment) => {
                self.expect_cell(&segment.cell)?;
                self.tail.get_or_insert(Tail {
                    epoch: Epoch(0),
                    seq: segment.after,
                    hash: prev,
                });
            }
            LogLine::Gap(gap) => {
                let tail = self.begun()?;
                self.tail = Some(Tail {
                    epoch: tail.epoch,
                    seq: gap.last,
                    hash: gap.resumes_at,
                });
            }
            LogLine::Record(record) => {
                let tail = self.begun()?;
                self.expect_cell(&record.cell)?;
                let recovers = record.event_name == EventName::LedgerRecovered;
                if record.seq != tail.seq.next() && !(recovers && record.seq > tail.seq) {
                    return Err(LogFileError::Bad(BadLine::Number {
                        file: self.name(),
                        line: self.line(),
                        before: tail.seq,
                        found: record.seq,
                    }));
                }
                self.first.get_or_insert(record.seq);
                self.records += 1;
                self.tail = Some(Tail {
                    epoch: record.epoch,
                    seq: record.seq,
                    hash,
                });
            }
        }
        Ok(())
    }

    /// The tail, once a segment line has said where the file continues from.
    fn begun(&self) -> Result<Tail, LogFileError> {
        let file = || self.name();
        self.tail
            .ok_or_else(|| LogFileError::Bad(BadLine::NoSegment { file: file() }))
    }

    fn expect_cell(&self, names: &CellName) -> Result<(), LogFileError> {
        if names == self.cell {
            return Ok(());
        }
        Err(LogFileError::OtherCell {
            path: self.path.to_owned(),
            names: names.clone(),
            cell: self.cell.clone(),
        })
    }

    fn bad_line(&self, problem: LineError) -> LogFileError {
        LogFileError::Bad(BadLine::Line {
            file: self.name(),
            line: self.line(),
            problem,
        })
    }

    fn name(&self) -> String {
        self.path.display().to_string()
    }

    fn line(&self) -> usize {
        usize::try_from(self.lines).unwrap_or(usize::MAX)
    }
}
