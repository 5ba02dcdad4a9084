//! Finding a record in a file without reading all of it.
//!
//! Numbers only grow from line to line, so a file is searched like a sorted array whose elements
//! have different lengths: look in the middle, go to the next beginning of a line, compare.

use super::read::Place;
use leasehold_common::ids::Seq;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Seek as _, SeekFrom};

/// The offset of the first line that stands for more than `seq`; the end of the whole lines where
/// none does.
pub(super) fn offset_after(file: &File, seq: Seq) -> io::Result<u64> {
    let mut lines = Lines(BufReader::with_capacity(1 << 12, file));
    // Lines that begin before `low` stand for `seq` or less; those from `high` on for more.
    let (mut low, mut high) = (0, file.metadata()?.len());
    while low < high {
        let middle = low + (high - low) / 2;
        match lines.from(middle)? {
            Some(line) if line.begin < high && line.stands_for <= seq => low = line.end,
            _ => high = middle,
        }
    }
    Ok(low)
}

struct Line {
    begin: u64,
    end: u64,
    stands_for: Seq,
}

struct Lines<'a>(BufReader<&'a File>);

impl Lines<'_> {
    /// The first whole line that begins at this offset or after it.
    fn from(&mut self, offset: u64) -> io::Result<Option<Line>> {
        let mut text = Vec::new();
        let mut begin = offset;
        if offset > 0 {
            // A line begins here only if the byte before ends one.
            self.0.seek(SeekFrom::Start(offset - 1))?;
            begin = offset - 1 + self.0.skip_until(b'\n')? as u64;
        } else {
            self.0.seek(SeekFrom::Start(0))?;
        }
        let length = self.0.read_until(b'\n', &mut text)?;
        if text.last() != Some(&b'\n') {
            return Ok(None);
        }
        Ok(Some(Line {
            begin,
            end: begin + length as u64,
            stands_for: Place::of(&text)?.stands_for(),
        }))
    }
}
