//! A scheduler's placement-log file: it follows the ledger, and outlives the process.

use leasehold_common::ids::{CellName, Epoch, Seq};
use leasehold_common::lease::Digest;
use leasehold_common::ledger::{CommitRecord, LedgerHead};
use leasehold_common::log::{Gap, LogLine, LogRecord, Segment, canonical};
use leasehold_common::time::Timestamp;
use serde_json::Value;
use std::rc::Rc;

/// The file. Lines are kept as values and written out only when somebody reads the text.
#[derive(Debug)]
pub struct LogFile {
    cell: CellName,
    host: String,
    lines: Vec<Rc<[Value]>>,
    last: Option<(Epoch, Seq, Digest)>,
    /// The last record that is missing.
    gap: Seq,
}

impl LogFile {
    /// No file yet.
    pub const fn new(cell: CellName, host: String) -> Self {
        Self {
            cell,
            host,
            lines: Vec::new(),
            last: None,
            gap: Seq(0),
        }
    }

    /// Epoch, number and hash of the last record; absent where there is none.
    pub const fn last(&self) -> Option<(Epoch, Seq, Digest)> {
        self.last
    }

    /// The number of the last record; 0 where there is none.
    pub fn seq(&self) -> Seq {
        self.last.map_or(Seq(0), |(_, seq, _)| seq)
    }

    fn hash(&self) -> Digest {
        self.last.map_or(Digest::ZERO, |(_, _, hash)| hash)
    }

    /// A process opens it.
    pub fn open(&mut self, now: Timestamp) {
        let segment = Segment {
            cell: self.cell.clone(),
            host: self.host.clone(),
            opened: now,
            after: self.seq(),
            repaired: None,
        };
        let (line, _) = LogLine::Segment(segment).seal(self.hash());
        self.lines.push(Rc::new([line]));
    }

    /// Appends a commit. One that is there already is passed over, and one that does not follow
    /// leaves a gap before it.
    pub fn append(&mut self, commit: &CommitRecord) {
        if commit.last <= self.seq() {
            return;
        }
        if commit.prev != self.hash() {
            self.gap(commit.first.0.saturating_sub(1), commit.prev);
        }
        let epoch = commit.records.last().and_then(|record| record.get("epoch"));
        let epoch = Epoch(epoch.and_then(Value::as_u64).unwrap_or_default());
        self.lines.push(commit.records.clone().into());
        self.last = Some((epoch, commit.last, commit.hash));
    }

    /// Notes that everything up to the head is missing.
    pub fn skip_to(&mut self, head: &LedgerHead) {
        if self.seq() < head.seq {
            self.gap(head.seq.0, head.log_hash);
            self.last = Some((head.epoch, head.seq, head.log_hash));
        }
    }

    fn gap(&mut self, last: u64, resumes_at: Digest) {
        let gap = Gap {
            first: self.seq().next(),
            last: Seq(last),
            resumes_at,
            reason: "trimmed before it was read".into(),
        };
        let (line, _) = LogLine::Gap(gap).seal(self.hash());
        self.lines.push(Rc::new([line]));
        self.gap = Seq(last);
    }

    /// Whether every record after `seq` is here.
    pub fn is_whole_after(&self, seq: Seq) -> bool {
        self.gap <= seq
    }

    /// The records after `seq`.
    pub fn records_after(&self, seq: Seq) -> Vec<LogRecord> {
        let lines = self.lines.iter().flat_map(|lines| lines.iter());
        lines
            .filter(|line| {
                line.get("seq")
                    .and_then(Value::as_u64)
                    .is_some_and(|n| n > seq.0)
            })
            .map(|line| {
                let text = canonical(line);
                let opened = LogLine::open(&text, None).expect("the file has what was sealed");
                match opened.line {
                    LogLine::Record(record) => *record,
                    LogLine::Segment(_) | LogLine::Gap(_) => {
                        unreachable!("only records are numbered")
                    }
                }
            })
            .collect()
    }

    /// The file's text.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for line in self.lines.iter().flat_map(|lines| lines.iter()) {
            text.push_str(&canonical(line));
            text.push('\n');
        }
        text
    }
}
