//! Holding log files against themselves and each other.

use super::{EventName, LineError, LogLine, Opened};
use crate::ids::{Epoch, Seq};
use crate::lease::Digest;
use std::collections::{BTreeMap, BTreeSet};

/// The first line of a file that is not right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadLine {
    /// The line itself, or its place in the chain.
    #[error("{file}:{line}: {problem}")]
    Line {
        /// The file.
        file: String,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong.
        problem: LineError,
    },
    /// Numbers do not follow each other.
    #[error("{file}:{line}: record {found} follows record {before}")]
    Number {
        /// The file.
        file: String,
        /// The line, counted from 1.
        line: usize,
        /// The number before.
        before: Seq,
        /// The number found.
        found: Seq,
    },
    /// The file ends in the middle of a line.
    #[error("{file}:{line}: the last line is torn: it has no end")]
    Torn {
        /// The file.
        file: String,
        /// The line, counted from 1.
        line: usize,
    },
    /// A file begins in the middle: its first line says not what it follows.
    #[error("{file}:1: the file does not begin with a segment line: its beginning was cut off")]
    NoSegment {
        /// The file.
        file: String,
    },
    /// Two files disagree about a record.
    #[error("record {seq} of epoch {epoch} is {here} in {file} and {there} in another file")]
    Differs {
        /// The file.
        file: String,
        /// The record.
        seq: Seq,
        /// Its epoch.
        epoch: Epoch,
        /// Its hash in this file.
        here: Digest,
        /// Its hash in a file read before.
        there: Digest,
    },
}

/// What one file holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileReport {
    /// The file.
    pub file: String,
    /// Numbered records in it.
    pub records: u64,
    /// First and last record; absent where there is none.
    pub range: Option<(Seq, Seq)>,
    /// Hash of the last record; that of an empty log where there is none.
    pub last_hash: Digest,
    /// Torn lines that were mended when a process opened the file.
    pub repaired: u64,
    /// Records this file says it lacks.
    pub gaps: Vec<(Seq, Seq)>,
}

/// What all files hold together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifyReport {
    /// Each file.
    pub files: Vec<FileReport>,
    /// Distinct records.
    pub records: u64,
    /// The last record and its hash; absent where there is none.
    pub head: Option<(Seq, Digest)>,
    /// Records that no file has.
    pub missing: Vec<(Seq, Seq)>,
}

/// Verifies files one after the other. Feed it text; it reads no file itself.
#[derive(Debug, Default)]
pub struct Verifier {
    files: Vec<FileReport>,
    seen: BTreeMap<(Epoch, Seq), Digest>,
}

impl Verifier {
    /// With no file read.
    pub fn new() -> Self {
        Self::default()
    }

    /// Verifies the whole text of one file.
    ///
    /// # Errors
    /// The first line that is not right.
    pub fn file(&mut self, name: &str, text: &str) -> Result<(), BadLine> {
        let mut report = FileReport {
            file: name.to_owned(),
            records: 0,
            range: None,
            last_hash: Digest::ZERO,
            repaired: 0,
            gaps: Vec::new(),
        };
        let mut before: Option<Digest> = None;
        let mut last: Option<Seq> = None;
        for (at, raw) in text.split_inclusive('\n').enumerate() {
            let line = at + 1;
            let file = || name.to_owned();
            let text = raw
                .strip_suffix('\n')
                .ok_or_else(|| BadLine::Torn { file: file(), line })?;
            let Opened {
                line: opened,
                prev,
                hash,
            } = LogLine::open(text, before).map_err(|problem| BadLine::Line {
                file: file(),
                line,
                problem,
            })?;
            if at == 0 && !matches!(opened, LogLine::Segment(_)) {
                return Err(BadLine::NoSegment { file: file() });
            }
            match opened {
                LogLine::Record(record) => {
                    let recovers = record.event_name == EventName::LedgerRecovered;
                    if let Some(before) = last
                        && record.seq != before.next()
                        && !(recovers && record.seq > before)
                    {
                        let found = record.seq;
                        return Err(BadLine::Number {
                            file: file(),
                            line,
                            before,
                            found,
                        });
                    }
                    if let Some(there) = self.seen.insert((record.epoch, record.seq), hash)
                        && there != hash
                    {
                        let (seq, epoch) = (record.seq, record.epoch);
                        return Err(BadLine::Differs {
                            file: file(),
                            seq,
                            epoch,
                            here: hash,
                            there,
                        });
                    }
                    let first = report.range.map_or(record.seq, |(first, _)| first);
                    report.range = Some((first, record.seq));
                    report.records += 1;
                    report.last_hash = hash;
                    before = Some(hash);
                    last = Some(record.seq);
                }
                // A segment hangs on the chain without being a link of it: the record after it
                // follows the record before it.
                LogLine::Segment(segment) => {
                    report.repaired += u64::from(segment.repaired.is_some());
                    before = Some(prev);
                    last = last.or(Some(segment.after));
                }
                LogLine::Gap(gap) => {
                    report.gaps.push((gap.first, gap.last));
                    before = Some(gap.resumes_at);
                    last = Some(gap.last);
                }
            }
        }
        self.files.push(report);
        Ok(())
    }

    /// What all files hold together.
    pub fn finish(self) -> VerifyReport {
        let numbers: BTreeSet<Seq> = self.seen.keys().map(|(_, seq)| *seq).collect();
        let held = |first: Seq, last: Seq| numbers.range(first..=last).count() as u64;
        let missing = self
            .files
            .iter()
            .flat_map(|file| &file.gaps)
            .filter(|(first, last)| held(*first, *last) < last.0 - first.0 + 1)
            .copied()
            .collect();
        let head = self
            .seen
            .iter()
            .next_back()
            .map(|((_, seq), hash)| (*seq, *hash));
        VerifyReport {
            files: self.files,
            records: self.seen.len() as u64,
            head,
            missing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Attributes, Gap, LogRecord, Segment, Subject};
    use super::*;
    use crate::time::Timestamp;

    fn record(seq: u64) -> LogLine {
        LogLine::Record(Box::new(LogRecord {
            seq: Seq(seq),
            epoch: Epoch(1),
            cell: "c1".parse().unwrap(),
            time_unix_nano: LogRecord::nanos(Timestamp::from_unix_ms(1000)),
            event_name: EventName::PlacementDecided,
            subject: Subject::default(),
            attributes: Attributes::default(),
            inputs: None,
            why: None,
            writes: BTreeMap::new(),
        }))
    }

    fn segment(after: u64) -> LogLine {
        LogLine::Segment(Segment {
            cell: "c1".parse().unwrap(),
            host: "ctl1".into(),
            opened: Timestamp::EPOCH,
            after: Seq(after),
            repaired: None,
        })
    }

    /// Seals records `1..=n`; the hashes of 0 to n, and the lines.
    fn chain(n: u64) -> (Vec<Digest>, Vec<String>) {
        let (mut hashes, mut lines) = (vec![Digest::ZERO], Vec::new());
        for seq in 1..=n {
            let (line, hash) = record(seq).seal(*hashes.last().unwrap());
            lines.push(super::super::canonical(&line));
            hashes.push(hash);
        }
        (hashes, lines)
    }

    fn opening(after: u64, hash: Digest) -> String {
        super::super::canonical(&segment(after).seal(hash).0)
    }

    fn text(lines: &[String]) -> String {
        lines.iter().map(|l| format!("{l}\n")).collect()
    }

    fn verify(files: &[String]) -> Result<VerifyReport, BadLine> {
        let mut verifier = Verifier::new();
        for (at, file) in files.iter().enumerate() {
            verifier.file(&format!("f{at}"), file)?;
        }
        Ok(verifier.finish())
    }

    #[test]
    fn a_log_with_a_restart_in_it_verifies() {
        let (hashes, lines) = chain(4);
        let mut all = vec![opening(0, Digest::ZERO)];
        all.extend_from_slice(&lines[..2]);
        all.push(opening(2, hashes[2]));
        all.extend_from_slice(&lines[2..]);
        let report = verify(&[text(&all)]).unwrap();
        assert_eq!(
            (report.records, report.head),
            (4, Some((Seq(4), hashes[4])))
        );
    }

    #[test]
    fn every_flipped_bit_is_caught() {
        let (_, mut lines) = chain(2);
        lines.insert(0, opening(0, Digest::ZERO));
        let good = text(&lines);
        for at in 0..good.len() {
            let mut bytes = good.clone().into_bytes();
            bytes[at] ^= 1;
            let Ok(bad) = String::from_utf8(bytes) else {
                continue;
            };
            assert!(verify(&[bad]).is_err(), "byte {at}");
        }
    }

    #[test]
    fn a_line_taken_out_moved_or_torn_is_caught() {
        let (_, mut lines) = chain(3);
        lines.insert(0, opening(0, Digest::ZERO));
        for out in 0..3 {
            let mut cut = lines.clone();
            cut.remove(out);
            assert!(verify(&[text(&cut)]).is_err(), "line {out} taken out");
        }
        let mut moved = lines.clone();
        moved.swap(1, 2);
        assert!(verify(&[text(&moved)]).is_err());
        let torn = text(&lines);
        let refused = verify(&[torn[..torn.len() - 9].to_owned()]).unwrap_err();
        assert!(
            matches!(refused, BadLine::Torn { line: 4, .. }),
            "{refused}"
        );
    }

    #[test]
    fn a_gap_in_one_file_is_filled_by_another() {
        let (hashes, lines) = chain(4);
        let gap = LogLine::Gap(Gap {
            first: Seq(2),
            last: Seq(3),
            resumes_at: hashes[3],
            reason: "trimmed before it was read".into(),
        });
        let gap = super::super::canonical(&gap.seal(hashes[1]).0);
        let open = opening(0, Digest::ZERO);
        let with_gap = text(&[open.clone(), lines[0].clone(), gap, lines[3].clone()]);
        let mut whole = vec![open];
        whole.extend(lines);
        let alone = verify(std::slice::from_ref(&with_gap)).unwrap();
        assert_eq!(alone.missing, [(Seq(2), Seq(3))]);
        let both = verify(&[with_gap, text(&whole)]).unwrap();
        assert_eq!((both.missing.len(), both.records), (0, 4));
    }
}
