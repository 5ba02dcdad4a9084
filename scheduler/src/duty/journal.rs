//! The placement log of this host: the file, and the live feed of what goes into it.

use crate::log_file::{LogFileError, PlacementLog, records_after};
use crate::metrics::LogCounts;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use leasehold_common::ids::{Epoch, Seq};
use leasehold_common::lease::Digest;
use leasehold_common::ledger::CommitRecord;
use leasehold_common::time::Timestamp;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use tokio::sync::{broadcast, mpsc};
use tracing::warn;

/// Records a slow listener may be behind before it is sent back to the file.
const LIVE_KEPT: usize = 4096;

/// Records read ahead for one listener.
const AHEAD: usize = 64;

/// The placement log, shared between the task that appends and those that read.
#[derive(Debug, Clone)]
pub struct Journal {
    log: Arc<Mutex<PlacementLog>>,
    path: Arc<Path>,
    live: broadcast::Sender<Arc<Value>>,
    counts: LogCounts,
}

impl Journal {
    /// Around a log that is open.
    pub fn new(log: PlacementLog) -> Self {
        let path: PathBuf = log.path().to_owned();
        let (live, _) = broadcast::channel(LIVE_KEPT);
        let counts = LogCounts::opened(log.head().map(|(_, seq, _)| seq), &path);
        Self {
            log: Arc::new(Mutex::new(log)),
            path: path.into(),
            live,
            counts,
        }
    }

    /// How the log is.
    pub(crate) const fn counts(&self) -> &LogCounts {
        &self.counts
    }

    /// The last record in the file; absent for an empty log.
    pub(crate) fn head(&self) -> Option<(Epoch, Seq, Digest)> {
        self.log
            .lock()
            .expect("nobody panics while holding the log")
            .head()
    }

    /// The file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Appends a commit's records and syncs them, then feeds them to listeners. Records that are in
    /// the file already are passed over.
    ///
    /// # Errors
    /// The system's, and records that contradict the file's.
    pub(crate) async fn append(
        &self,
        commit: CommitRecord,
        now: Timestamp,
    ) -> Result<(), LogFileError> {
        let (log, live, counts) = (
            Arc::clone(&self.log),
            self.live.clone(),
            self.counts.clone(),
        );
        let write = move || {
            let mut log = log.lock().expect("nobody panics while holding the log");
            let appended = log.append(&commit, now);
            counts.appended(&appended, log.head().map(|(_, seq, _)| seq), log.path());
            let appended = appended?;
            if let Some((first, last)) = appended.gap {
                warn!(%first, %last, "this host's log lacks records");
            }
            if appended.written > 0 {
                // Nobody listening is no error.
                commit
                    .records
                    .into_iter()
                    .for_each(|r| drop(live.send(Arc::new(r))));
            }
            Ok(())
        };
        tokio::task::spawn_blocking(write)
            .await
            .expect("appending does not panic")
    }

    /// The records after `after` in order: first from the file, then, with `follow`, as they come. A
    /// listener that falls behind goes on from the file.
    pub(crate) fn events(
        &self,
        after: Option<Seq>,
        follow: bool,
    ) -> BoxStream<'static, Arc<Value>> {
        let (send, receive) = mpsc::channel(AHEAD);
        let start = after.or_else(|| follow.then(|| self.head().map_or(Seq(0), |(_, s, _)| s)));
        tokio::spawn(self.clone().feed(start.unwrap_or(Seq(0)), follow, send));
        stream::unfold(receive, |mut receive| async move {
            receive.recv().await.map(|record| (record, receive))
        })
        .boxed()
    }

    /// Feeds one listener until it goes away. Ends with the listener, so nothing waits for it.
    async fn feed(self, mut after: Seq, follow: bool, send: mpsc::Sender<Arc<Value>>) {
        loop {
            let mut live = self.live.subscribe();
            let (path, sender) = (Arc::clone(&self.path), send.clone());
            let read = tokio::task::spawn_blocking(move || read_into(&path, after, &sender)).await;
            match read {
                Ok(Ok(last)) => after = last,
                Ok(Err(e)) => return warn!(error = %e, "the log cannot be read for a listener"),
                Err(e) => return warn!(error = %e, "reading the log for a listener failed"),
            }
            if !follow {
                return;
            }
            loop {
                let record = tokio::select! {
                    record = live.recv() => record,
                    () = send.closed() => return,
                };
                match record {
                    Ok(record) => {
                        let seq = record.get("seq").and_then(Value::as_u64).map_or(after, Seq);
                        if seq > after {
                            after = seq;
                            if send.send(record).await.is_err() {
                                return;
                            }
                        }
                    }
                    Err(broadcast::error::RecvError::Lagged(_)) => break,
                    Err(broadcast::error::RecvError::Closed) => return,
                }
            }
        }
    }
}

fn read_into(
    path: &Path,
    after: Seq,
    send: &mpsc::Sender<Arc<Value>>,
) -> Result<Seq, LogFileError> {
    let mut last = after;
    for entry in records_after(path, after)? {
        let entry = entry?;
        let Ok(value) = entry.value() else { continue };
        if send.blocking_send(Arc::new(value)).is_err() {
            return Ok(entry.seq);
        }
        last = entry.seq;
    }
    Ok(last)
}
