//! Writing a commit's records.

use super::chain::Tail;
use super::error::{LogFileError, system};
use super::link::{Link, links};
use super::read::records_after;
use super::{Appended, PlacementLog, files};
use leasehold_common::ids::Seq;
use leasehold_common::lease::Digest;
use leasehold_common::ledger::CommitRecord;
use leasehold_common::log::{Gap, LogLine, canonical};
use leasehold_common::time::Timestamp;

impl PlacementLog {
    /// Writes the records of a commit that the log does not have yet, and returns when they are on
    /// the disk. `now` is for the segment line of a new file, should one be begun.
    ///
    /// # Errors
    /// [`LogFileError::Conflict`] where the log has another record of the same number; nothing is
    /// written then. The system's errors; the log may be broken then.
    pub fn append(
        &mut self,
        commit: &CommitRecord,
        now: Timestamp,
    ) -> Result<Appended, LogFileError> {
        if self.broken {
            let path = self.settings.path.clone();
            return Err(LogFileError::Broken { path });
        }
        let links = links(commit)?;
        let (known, fresh) = links.split_at(links.partition_point(|l| l.seq <= self.tail.seq));
        self.compare(known)?;
        let (Some(first), Some(last)) = (fresh.first(), fresh.last()) else {
            return Ok(Appended::default());
        };
        let gap = self.gap_before(first)?;
        if self.length >= self.settings.rotate_bytes {
            self.rotate(now)?;
        }
        let mut lines = String::new();
        if let Some(gap) = &gap {
            let (line, _) = LogLine::Gap(gap.clone()).seal(self.tail.hash);
            lines.push_str(&canonical(&line));
            lines.push('\n');
        }
        for link in fresh {
            lines.push_str(&link.text);
            lines.push('\n');
        }
        self.write(&lines)?;
        self.first.get_or_insert(first.seq);
        self.tail = Tail {
            epoch: last.epoch,
            seq: last.seq,
            hash: last.hash,
        };
        Ok(Appended {
            written: fresh.len() as u64,
            gap: gap.map(|gap| (gap.first, gap.last)),
        })
    }

    /// Holds records against those that the log has under their numbers. Where it lacks them, in a
    /// gap or in a file that was taken away, there is nothing to compare.
    fn compare(&self, known: &[Link]) -> Result<(), LogFileError> {
        let (Some(first), Some(last)) = (known.first(), known.last()) else {
            return Ok(());
        };
        for entry in records_after(&self.settings.path, Seq(first.seq.0.saturating_sub(1)))? {
            let entry = entry?;
            if entry.seq > last.seq {
                break;
            }
            let same = |link: &&Link| link.seq == entry.seq;
            if let Some(link) = known.iter().find(same)
                && link.hash != entry.hash
            {
                return Err(LogFileError::Conflict {
                    seq: entry.seq,
                    here_epoch: entry.epoch,
                    here: entry.hash,
                    there_epoch: link.epoch,
                    there: link.hash,
                });
            }
        }
        Ok(())
    }

    /// The records that are missing before this one; none where it follows the last.
    fn gap_before(&self, first: &Link) -> Result<Option<Gap>, LogFileError> {
        let follows: Digest = first.prev;
        let next = self.tail.seq.next();
        if follows == self.tail.hash && (first.seq == next || first.may_skip) {
            return Ok(None);
        }
        if first.seq > next && follows != self.tail.hash {
            return Ok(Some(Gap {
                first: next,
                last: Seq(first.seq.0 - 1),
                resumes_at: follows,
                reason: "the store had trimmed them before this host read them".into(),
            }));
        }
        Err(LogFileError::Conflict {
            seq: self.tail.seq,
            here_epoch: self.tail.epoch,
            here: self.tail.hash,
            there_epoch: first.epoch,
            there: follows,
        })
    }

    /// Puts the current file aside under the numbers of its records and begins a new one, which
    /// names the hash it continues from.
    fn rotate(&mut self, now: Timestamp) -> Result<(), LogFileError> {
        let Some(first) = self.first else {
            return Ok(());
        };
        let path = self.settings.path.clone();
        let aside = files::aside(&path, first, self.tail.seq);
        std::fs::rename(&path, &aside).map_err(system("put aside", &path))?;
        // From here on the name stands for no file, or for one without a beginning; opening the log
        // again finds the chain's end in the file put aside.
        self.broken = true;
        self.file = files::open_current(&path)?;
        (self.length, self.first) = (0, None);
        self.begin_segment(now, None)?;
        self.broken = false;
        Ok(())
    }
}
