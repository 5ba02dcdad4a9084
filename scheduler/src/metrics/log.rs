//! How the placement log of this host is.

use crate::log_file::{Appended, LogFileError};
use leasehold_common::ids::Seq;
use leasehold_daemon::metrics::Unit;
use nix::sys::statvfs::statvfs;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use std::path::Path;

/// Kept by whoever appends. Clones count together.
#[derive(Debug, Clone, Default)]
pub struct LogCounts {
    seq: Gauge,
    broken: Gauge,
    records: Counter,
    failures: Counter,
    gaps: Counter,
    free: Gauge,
}

impl LogCounts {
    /// Of a log that was opened, and so verified, with this record at its end.
    pub(crate) fn opened(last: Option<Seq>, path: &Path) -> Self {
        let counts = Self::default();
        counts.at(last, path);
        counts
    }

    /// Notes how an append went, and what the log's last record is now.
    pub(crate) fn appended(
        &self,
        outcome: &Result<Appended, LogFileError>,
        last: Option<Seq>,
        path: &Path,
    ) {
        match outcome {
            Ok(appended) => {
                self.broken.set(0);
                self.records.inc_by(appended.written);
                if appended.gap.is_some() {
                    self.gaps.inc();
                }
            }
            Err(_) => {
                self.broken.set(1);
                self.failures.inc();
            }
        }
        self.at(last, path);
    }

    fn at(&self, last: Option<Seq>, path: &Path) {
        self.seq.set(number(last.map_or(0, |seq| seq.0)));
        let folder = path.parent().unwrap_or(path);
        if let Ok(disk) = statvfs(folder) {
            let free = disk.blocks_available().saturating_mul(disk.fragment_size());
            self.free.set(number(free));
        }
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "leasehold_log_seq",
            "The last record in this host's placement log",
            self.seq.clone(),
        );
        registry.register(
            "leasehold_log_broken",
            "1 where the last append failed: the chain contradicts the store, or the disk refuses",
            self.broken.clone(),
        );
        registry.register(
            "leasehold_log_records",
            "Records written to this host's placement log",
            self.records.clone(),
        );
        registry.register(
            "leasehold_log_append_failures",
            "Appends to this host's placement log that failed",
            self.failures.clone(),
        );
        registry.register(
            "leasehold_log_gaps",
            "Gaps in this host's placement log, where the store had trimmed records before they were read",
            self.gaps.clone(),
        );
        registry.register_with_unit(
            "leasehold_log_disk_free",
            "Space left where the placement log is",
            Unit::Bytes,
            self.free.clone(),
        );
    }
}

fn number(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is shown of the log, without what depends on the disk.
    fn shown(counts: &LogCounts) -> Vec<String> {
        let (mut registry, mut text) = (Registry::default(), String::new());
        counts.register(&mut registry);
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        let series = text.lines().filter(|line| !line.starts_with('#'));
        let series = series.filter_map(|line| line.strip_prefix("leasehold_log_"));
        series
            .filter(|line| !line.starts_with("disk_free"))
            .map(str::to_owned)
            .collect()
    }

    #[test]
    fn a_log_that_could_not_be_continued_is_broken_until_it_is() {
        let path = Path::new("/var/log/placements.jsonl");
        let counts = LogCounts::opened(Some(Seq(7)), path);
        let refused = Err(LogFileError::Broken { path: path.into() });
        counts.appended(&refused, Some(Seq(7)), path);
        let broken = [
            "seq 7",
            "broken 1",
            "records_total 0",
            "append_failures_total 1",
        ];
        assert_eq!(shown(&counts)[..4], broken);

        let written = Appended {
            written: 2,
            gap: Some((Seq(8), Seq(9))),
        };
        counts.appended(&Ok(written), Some(Seq(11)), path);
        assert_eq!(
            shown(&counts),
            [
                "seq 11",
                "broken 0",
                "records_total 2",
                "append_failures_total 1",
                "gaps_total 1"
            ]
        );
    }
}
