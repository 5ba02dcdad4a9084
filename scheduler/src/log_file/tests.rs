use super::*;
use leasehold_common::ids::LeaseId;
use leasehold_common::keys::Key;
use leasehold_common::ledger::CommitRecord;
use leasehold_common::log::{
    Attributes, BadLine, EventName, LogLine, LogRecord, Subject, Verifier, VerifyReport,
};
use leasehold_common::record::{Unknown, Version};
use leasehold_common::time::Timestamp;
use serde_json::{Value, json};
use std::collections::BTreeMap;

const NOW: Timestamp = Timestamp::from_unix_ms(1_800_000_000_000);

/// A ledger that seals commits, and a folder with the log that follows it.
struct Cell {
    dir: tempfile::TempDir,
    tail: Tail,
    rotate_bytes: u64,
}

impl Cell {
    fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            tail: Tail {
                epoch: Epoch(1),
                ..Tail::EMPTY
            },
            rotate_bytes: u64::MAX,
        }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("placements.jsonl")
    }

    fn open(&self) -> (PlacementLog, OpenReport) {
        self.try_open().unwrap()
    }

    fn try_open(&self) -> Result<(PlacementLog, OpenReport), LogFileError> {
        let settings = LogSettings {
            path: self.path(),
            cell: "c1".parse().unwrap(),
            host: "ctl1".into(),
            rotate_bytes: self.rotate_bytes,
        };
        PlacementLog::open(settings, NOW)
    }

    /// The next `n` records as one commit. `word` makes its content this history's own.
    fn commit(&mut self, n: u64, word: &str) -> CommitRecord {
        self.commit_of(n, word, EventName::PlacementDecided)
    }

    fn commit_of(&mut self, n: u64, word: &str, event_name: EventName) -> CommitRecord {
        self.commit_with(n, word, event_name, &BTreeMap::new())
    }

    /// One record that changes what is under `key`.
    fn change(&mut self, key: &Key, value: Value) -> CommitRecord {
        let writes = BTreeMap::from([(key.to_string(), value)]);
        self.commit_with(1, "change", EventName::LeaseState, &writes)
    }

    fn commit_with(
        &mut self,
        n: u64,
        word: &str,
        event_name: EventName,
        writes: &BTreeMap<String, Value>,
    ) -> CommitRecord {
        let before = self.tail;
        let mut records = Vec::new();
        for _ in 0..n {
            let record = LogRecord {
                seq: self.tail.seq.next(),
                epoch: self.tail.epoch,
                cell: "c1".parse().unwrap(),
                time_unix_nano: LogRecord::nanos(NOW),
                event_name: event_name.clone(),
                subject: Subject::default(),
                attributes: Attributes {
                    reason: Some(word.into()),
                    ..Attributes::default()
                },
                inputs: None,
                why: None,
                writes: writes.clone(),
            };
            self.tail.seq = record.seq;
            let (line, hash) = LogLine::Record(Box::new(record)).seal(self.tail.hash);
            self.tail.hash = hash;
            records.push(line);
        }
        CommitRecord {
            version: Version::CURRENT,
            first: before.seq.next(),
            last: self.tail.seq,
            prev: before.hash,
            hash: self.tail.hash,
            batch: Digest::ZERO,
            records,
            unknown: Unknown::default(),
        }
    }

    /// What `log verify` says about all files of the log.
    fn verify(&self) -> Result<VerifyReport, BadLine> {
        let mut verifier = Verifier::new();
        let older = files::older(&self.path()).unwrap();
        let paths = older.into_iter().map(|older| older.path);
        for path in paths.chain([self.path()]) {
            let text = std::fs::read_to_string(&path).unwrap();
            verifier.file(&path.display().to_string(), &text)?;
        }
        Ok(verifier.finish())
    }

    fn after(&self, seq: u64) -> Vec<u64> {
        records_after(&self.path(), Seq(seq))
            .unwrap()
            .map(|entry| entry.unwrap().seq.0)
            .collect()
    }
}

fn head(tail: Tail) -> Option<(Epoch, Seq, Digest)> {
    Some((tail.epoch, tail.seq, tail.hash))
}

#[test]
fn what_was_appended_is_there_after_a_restart() {
    let mut cell = Cell::new();
    let (mut log, report) = cell.open();
    assert_eq!((log.head(), report.lines), (None, 0));
    assert_eq!(log.append(&cell.commit(3, "a"), NOW).unwrap().written, 3);
    drop(log);
    let (mut log, report) = cell.open();
    assert_eq!((report.records, report.repaired), (3, None));
    assert_eq!(log.head(), head(cell.tail));
    log.append(&cell.commit(2, "b"), NOW).unwrap();
    let verified = cell.verify().unwrap();
    assert_eq!(verified.head, Some((Seq(5), cell.tail.hash)));
    assert_eq!(cell.after(0), [1, 2, 3, 4, 5]);
    assert_eq!(cell.after(3), [4, 5]);
    assert!(cell.after(9).is_empty());
}

#[test]
fn records_are_read_back_as_they_were_sealed() {
    let mut cell = Cell::new();
    let commit = cell.commit(2, "a \"quoted\" word");
    cell.open().0.append(&commit, NOW).unwrap();
    let entries: Vec<_> = records_after(&cell.path(), Seq(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let values: Vec<_> = entries.iter().map(|e| e.value().unwrap()).collect();
    assert_eq!(values, commit.records);
    let record = entries[1].record().unwrap();
    assert_eq!((record.seq, record.epoch), (Seq(2), Epoch(1)));
    assert_eq!(entries[1].hash, commit.hash);
}

#[test]
fn a_commit_that_is_there_already_is_not_written_again() {
    let mut cell = Cell::new();
    let (mut log, _) = cell.open();
    let first = cell.commit(3, "a");
    log.append(&first, NOW).unwrap();
    let length = log.length;
    assert_eq!(log.append(&first, NOW).unwrap(), Appended::default());
    assert_eq!(log.length, length);
}

#[test]
fn a_crash_at_any_byte_of_the_last_append_is_mended_and_said() {
    let mut cell = Cell::new();
    let (mut log, _) = cell.open();
    log.append(&cell.commit(1, "a"), NOW).unwrap();
    let before = usize::try_from(log.length).unwrap();
    let last = cell.commit(2, "b");
    log.append(&last, NOW).unwrap();
    drop(log);
    let whole = std::fs::read(cell.path()).unwrap();
    for cut in before..=whole.len() {
        std::fs::write(cell.path(), &whole[..cut]).unwrap();
        let (mut log, report) = cell.open();
        let at = whole[..cut].iter().rposition(|b| *b == b'\n').unwrap() + 1;
        let kept = cell.dir.path().join(format!("placements.jsonl.torn-{at}"));
        if at == cut {
            assert_eq!(report.repaired, None, "cut at {cut}");
        } else {
            let said = report.repaired.unwrap();
            assert!(
                said.contains(&format!("placements.jsonl.torn-{at}")),
                "{said}"
            );
            assert_eq!(std::fs::read(&kept).unwrap(), whole[at..cut]);
        }
        log.append(&last, NOW).unwrap();
        assert_eq!(log.head(), head(cell.tail));
        let verified = cell.verify().unwrap();
        assert_eq!(verified.files[0].repaired, u64::from(at != cut));
    }
}

#[test]
fn a_flipped_bit_refuses_the_file_and_names_the_line() {
    let mut cell = Cell::new();
    cell.open().0.append(&cell.commit(3, "a"), NOW).unwrap();
    let whole = std::fs::read(cell.path()).unwrap();
    // Every 7th byte keeps the test short and still meets every field.
    for at in (0..whole.len() - 1).step_by(7) {
        let mut flipped = whole.clone();
        flipped[at] ^= 4;
        std::fs::write(cell.path(), &flipped).unwrap();
        let line = 1 + whole[..at].iter().filter(|b| **b == b'\n').count();
        let refused = cell.try_open().unwrap_err();
        let (file, said) = (cell.path().display().to_string(), refused.to_string());
        assert!(
            said.starts_with(&format!("{file}:{line}: ")),
            "byte {at}: {said}"
        );
        assert_eq!(
            std::fs::read(cell.path()).unwrap(),
            flipped,
            "nothing is mended"
        );
    }
}

#[test]
fn a_missed_range_becomes_a_gap() {
    let mut cell = Cell::new();
    let (mut log, _) = cell.open();
    log.append(&cell.commit(2, "a"), NOW).unwrap();
    cell.commit(5, "missed");
    let appended = log.append(&cell.commit(1, "b"), NOW).unwrap();
    assert_eq!(appended.gap, Some((Seq(3), Seq(7))));
    drop(log);
    let (mut log, _) = cell.open();
    assert_eq!(log.head(), head(cell.tail));
    log.append(&cell.commit(1, "c"), NOW).unwrap();
    let verified = cell.verify().unwrap();
    assert_eq!(verified.missing, [(Seq(3), Seq(7))]);
    assert_eq!(cell.after(1), [2, 8, 9]);
}

#[test]
fn a_log_that_begins_late_begins_with_a_gap() {
    let mut cell = Cell::new();
    cell.commit(4, "missed");
    let appended = cell.open().0.append(&cell.commit(1, "b"), NOW).unwrap();
    assert_eq!(appended.gap, Some((Seq(1), Seq(4))));
    assert_eq!(cell.verify().unwrap().head, Some((Seq(5), cell.tail.hash)));
}

#[test]
fn a_store_restored_from_the_past_contradicts_the_log() {
    let mut cell = Cell::new();
    let (mut log, _) = cell.open();
    log.append(&cell.commit(3, "a"), NOW).unwrap();
    let snapshot = cell.tail;
    log.append(&cell.commit(4, "first history"), NOW).unwrap();
    let length = log.length;

    cell.tail = snapshot;
    let other = cell.commit(2, "second history");
    let refused = log.append(&other, NOW).unwrap_err();
    assert!(
        matches!(refused, LogFileError::Conflict { seq: Seq(4), .. }),
        "{refused}"
    );
    // The same seen at the head alone: a commit that follows another record of the last number.
    cell.commit(2, "second history");
    let next = cell.commit(1, "second history");
    let refused = log.append(&next, NOW).unwrap_err();
    assert!(
        matches!(refused, LogFileError::Conflict { seq: Seq(7), .. }),
        "{refused}"
    );
    assert_eq!(log.length, length, "nothing was written");
}

#[test]
fn a_recovery_may_skip_numbers() {
    let mut cell = Cell::new();
    let (mut log, _) = cell.open();
    log.append(&cell.commit(3, "a"), NOW).unwrap();
    cell.tail.seq = Seq(900);
    cell.tail.epoch = Epoch(2);
    let recovered = cell.commit_of(1, "recovered", EventName::LedgerRecovered);
    assert_eq!(log.append(&recovered, NOW).unwrap().gap, None);
    drop(log);
    assert_eq!(cell.open().0.head(), head(cell.tail));
    cell.verify().unwrap();
}

#[test]
fn a_large_file_is_put_aside_and_the_chain_goes_on() {
    let mut cell = Cell::new();
    cell.rotate_bytes = 3000;
    let (mut log, _) = cell.open();
    for _ in 0..30 {
        log.append(&cell.commit(1, "a"), NOW).unwrap();
    }
    drop(log);
    let older = files::older(&cell.path()).unwrap();
    assert!(older.len() > 2, "{older:?}");
    assert_eq!(older[0].range.0, Seq(1));
    assert_eq!(older[1].range.0, older[0].range.1.next());
    assert_eq!(cell.verify().unwrap().records, 30);
    for from in 0..=30 {
        assert_eq!(cell.after(from), (from + 1..=30).collect::<Vec<_>>());
    }
    assert_eq!(cell.open().0.head(), head(cell.tail));
}

#[test]
fn a_crash_in_the_middle_of_a_rotation_loses_nothing() {
    let mut cell = Cell::new();
    cell.open().0.append(&cell.commit(3, "a"), NOW).unwrap();
    let before = cell.tail;
    let aside = files::aside(&cell.path(), Seq(1), Seq(3));
    std::fs::rename(cell.path(), &aside).unwrap();
    for torn in [None, Some("{\"af")] {
        if let Some(torn) = torn {
            std::fs::write(cell.path(), torn).unwrap();
        }
        let (mut log, _) = cell.open();
        assert_eq!(log.head(), head(cell.tail));
        log.append(&cell.commit(1, "b"), NOW).unwrap();
        drop(log);
        cell.verify().unwrap();
        std::fs::remove_file(cell.path()).unwrap();
        cell.tail = before;
    }
}

#[test]
fn a_log_is_written_by_one_process_and_for_one_cell() {
    let mut cell = Cell::new();
    let (mut log, _) = cell.open();
    assert!(matches!(cell.try_open(), Err(LogFileError::Busy { .. })));
    log.append(&cell.commit(1, "a"), NOW).unwrap();
    let mut settings = log.settings.clone();
    drop(log);
    settings.cell = "c2".parse().unwrap();
    let refused = PlacementLog::open(settings, NOW).unwrap_err().to_string();
    assert!(
        refused.ends_with("is the log of cell c1, this is cell c2"),
        "{refused}"
    );
}

#[test]
fn a_commit_that_is_not_sealed_is_not_written() {
    let mut cell = Cell::new();
    let (mut log, _) = cell.open();
    let good = cell.commit(3, "a");
    let mut changed = good.clone();
    changed.records[1]["attributes"]["reason"] = "b".into();
    let mut swapped = good.clone();
    swapped.records.swap(0, 1);
    let mut short = good.clone();
    short.records.pop();
    for bad in [changed, swapped, short] {
        let refused = log.append(&bad, NOW).unwrap_err();
        assert!(
            matches!(refused, LogFileError::Unsealed { .. }),
            "{refused}"
        );
    }
    assert_eq!(log.head(), None);
    log.append(&good, NOW).unwrap();
}

#[test]
fn what_left_the_ledger_is_found_in_the_newest_file_that_has_it() {
    let mut cell = Cell::new();
    let (left, stays, never) = (
        Key::Lease(LeaseId(7)),
        Key::Lease(LeaseId(70)),
        Key::Lease(LeaseId(8)),
    );
    let found = |cell: &Cell, key: &Key| last_write(&cell.path(), key).unwrap();
    assert_eq!(found(&cell, &left), None, "there is no log yet");

    // Every commit goes into a file of its own.
    cell.rotate_bytes = 1;
    let (mut log, _) = cell.open();
    for (key, value) in [
        (&left, json!({"state": "active"})),
        (&left, json!({"state": "closed"})),
        (&stays, json!({"state": "active"})),
        (&left, Value::Null),
    ] {
        log.append(&cell.change(key, value), NOW).unwrap();
    }
    log.append(&cell.commit(2, "leases/00000000000000000008"), NOW)
        .unwrap();
    assert!(files::older(&cell.path()).unwrap().len() > 3);
    assert_eq!(found(&cell, &left), Some(json!({"state": "closed"})));
    assert_eq!(found(&cell, &stays), Some(json!({"state": "active"})));
    assert_eq!(found(&cell, &never), None, "a word is no record");

    // The line that is being written at this moment is not read.
    let mut text = std::fs::read(cell.path()).unwrap();
    text.extend_from_slice(b"{\"writes\":{\"leases/00000000000000000007\":{\"sta");
    std::fs::write(cell.path(), text).unwrap();
    assert_eq!(found(&cell, &left), Some(json!({"state": "closed"})));
}
