//! Records out of bytes.
//!
//! `/dev/kmsg` gives one record with every read. A pipe or a file, which a simulated node has in its
//! place, gives whatever has arrived.

use super::record::{KernelRecord, LONGEST_RECORD, MalformedRecord};

/// Cuts bytes into records, holding on to what is not complete.
#[derive(Debug, Clone, Default)]
pub struct RecordStream {
    pending: Vec<u8>,
    /// Inside a record that is too long: what comes before the next line end is dropped.
    skipping: bool,
}

/// A record, or why there is none.
pub type Cut = Result<KernelRecord, MalformedRecord>;

impl RecordStream {
    /// Takes bytes as they arrive, and gives the records that are complete: those after which
    /// another begins.
    pub fn take(&mut self, bytes: &[u8]) -> Vec<Cut> {
        let mut cuts = Vec::new();
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            let fresh = self.pending.last().is_none_or(|byte| *byte == b'\n');
            if fresh && !self.skipping && !line.starts_with(b" ") {
                cuts.extend(self.flush());
            }
            if !self.skipping {
                self.pending.extend_from_slice(line);
            }
            if self.pending.len() > LONGEST_RECORD {
                let bytes = self.pending.len();
                self.pending.clear();
                self.skipping = true;
                cuts.push(Err(MalformedRecord::TooLong { bytes }));
            }
            if line.ends_with(b"\n") {
                self.skipping = false;
            }
        }
        cuts
    }

    /// Gives the last record: nothing more is to be had at present. A line that has not ended is
    /// kept, the rest of it may yet come.
    pub fn flush(&mut self) -> Option<Cut> {
        if self.pending.last() != Some(&b'\n') {
            return None;
        }
        let cut = KernelRecord::parse(&self.pending);
        self.pending.clear();
        Some(cut)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seqs(cuts: impl IntoIterator<Item = Cut>) -> Vec<u64> {
        cuts.into_iter().map(|cut| cut.unwrap().seq).collect()
    }

    #[test]
    fn a_record_is_complete_when_the_next_begins_or_nothing_more_comes() {
        let mut stream = RecordStream::default();
        assert_eq!(
            seqs(stream.take(b"4,1,1,-;one\n DEVICE=a\n4,2,1,-;two\n")),
            [1]
        );
        assert_eq!(seqs(stream.flush()), [2]);
        assert_eq!(seqs(stream.flush()), Vec::<u64>::new());
    }

    #[test]
    fn it_does_not_matter_where_the_bytes_are_parted() {
        let bytes = b"4,1,1,-;one\n DEVICE=a\n B=c\n4,2,1,-;two\n4,3,1,-;three\n";
        for first in 0..bytes.len() {
            let mut stream = RecordStream::default();
            let mut cuts = stream.take(&bytes[..first]);
            cuts.extend(stream.take(&bytes[first..]));
            cuts.extend(stream.flush());
            assert_eq!(
                cuts[0].as_ref().unwrap().properties.len(),
                2,
                "parted at {first}"
            );
            assert_eq!(seqs(cuts), [1, 2, 3], "parted at {first}");
        }
    }

    #[test]
    fn a_line_that_has_not_ended_is_waited_for() {
        let mut stream = RecordStream::default();
        assert!(stream.take(b"4,1,1,-;NVRM: Xid (PCI:0000:9b").is_empty());
        assert_eq!(stream.flush(), None);
        stream.take(b":00): 79, gone\n");
        let whole = stream.flush().unwrap().unwrap();
        assert_eq!(whole.text, "NVRM: Xid (PCI:0000:9b:00): 79, gone");
    }

    #[test]
    fn a_line_without_end_costs_itself_and_no_more() {
        let mut stream = RecordStream::default();
        let endless = vec![b'a'; 10_000];
        assert!(stream.take(&endless).is_empty());
        assert_eq!(
            stream.take(&endless),
            [Err(MalformedRecord::TooLong { bytes: 20_000 })]
        );
        for _ in 0..100 {
            assert!(stream.take(&endless).is_empty());
            assert!(stream.pending.is_empty());
        }
        assert_eq!(
            seqs(stream.take(b"the end of it\n4,9,1,-;after\n4,10,1,-;it\n")),
            [9]
        );
    }
}
