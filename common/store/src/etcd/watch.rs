//! Watching: one stream, and a supervisor that never lets it die unnoticed.
//!
//! etcd-client neither reconnects a stream nor resumes it, and a dead stream looks like a quiet one.
//!
//! ```text
//!        ┌────────── deliver ◄── message ──┐
//!   open ─► follow ── every 10 s: ask for progress, so that a living stream is never quiet
//!    ▲        │ 25 s of silence, an error, the end          │ canceled, history is gone
//!    └─ pause ┴─ rotate, reopen after what was delivered    └─► list, deliver Snapshot, reopen
//! ```
//!
//! A progress answer proves that the stream lives and nothing more: before 3.4.25 and 3.5.8 it may
//! overtake the events it speaks of (etcd#15220).

use super::client::{Endpoints, Repeat, dice, pause};
use super::errors::Fault;
use super::kv::{self, ANSWER_MAX};
use crate::model::{Change, Listing, Revision, StoreError, Watch, WatchMessage};
use crate::scope::Scope;
use etcd_client::{Client, Event, EventType, WatchOptions, WatchResponse, WatchStream};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, interval_at, timeout, timeout_at};

/// How often the stream is asked for a sign of life.
const ASK_EVERY: Duration = Duration::from_secs(10);
/// A stream that was silent for this long is dead: two questions went unanswered.
const SILENT_FOR: Duration = Duration::from_secs(25);
/// Messages the watcher may be behind before the stream is no longer read, and the flow control of
/// HTTP/2 makes the server wait.
const BUFFER: usize = 256;

/// Opens a watch; the first opening is the caller's, so that a refusal is his to see.
pub(super) async fn watch(
    endpoints: Arc<Endpoints>,
    prefix: &str,
    after: Revision,
) -> Result<Watch, StoreError> {
    let (to, watch) = mpsc::channel(BUFFER);
    let watcher = Watcher {
        endpoints,
        scope: Scope::of(prefix),
        last: after,
        to,
        contact: true,
        breaks: 0,
    };
    let stream = watcher.open().await.map_err(|f| f.of_a_read(prefix))?;
    // The task belongs to the receiver and ends with it.
    tokio::spawn(watcher.run(stream));
    Ok(watch)
}

/// An open stream.
struct Stream {
    stream: WatchStream,
    /// The server's revision when it opened the watch.
    opened_at: Revision,
    /// Whether it was canceled as it was opened, because its history is gone.
    compacted: bool,
}

struct Watcher {
    endpoints: Arc<Endpoints>,
    scope: Scope,
    /// The last revision delivered.
    last: Revision,
    to: mpsc::Sender<WatchMessage>,
    contact: bool,
    /// Broken streams and failed openings since a server last said something.
    breaks: usize,
}

/// Why a stream is not followed any further.
enum End {
    /// Nobody listens.
    Unwanted,
    /// It broke, was silent or was canceled; in words.
    Broken(String),
    /// The history it wanted has been compacted away.
    Compacted,
}

/// The receiver is gone.
struct Gone;

impl Watcher {
    async fn run(mut self, first: Stream) {
        let mut stream = None;
        let mut outcome = self.adopt(first, &mut stream).await;
        loop {
            match outcome {
                Ok(()) => {}
                Err(End::Unwanted) => return,
                // Handled where it was met; another opening comes next.
                Err(End::Compacted) => {}
                Err(End::Broken(detail)) => {
                    if self.rest(&detail).await.is_err() {
                        return;
                    }
                }
            }
            outcome = match stream.take() {
                Some(stream) => self.step(stream).await,
                None => self.reopen(&mut stream).await,
            };
        }
    }

    /// After a break: says so from the second in a row on, since the first is repaired without
    /// anybody noticing, and waits a little.
    async fn rest(&mut self, detail: &str) -> Result<(), Gone> {
        self.breaks += 1;
        let prefix = self.scope.as_str();
        tracing::debug!(%prefix, %detail, breaks = self.breaks, "etcd watch broke");
        if self.breaks > 1 {
            self.lost(detail).await?;
        }
        tokio::select! {
            () = self.to.closed() => Err(Gone),
            () = tokio::time::sleep(pause(self.breaks, dice())) => Ok(()),
        }
    }

    /// Follows a stream to its end.
    async fn step(&mut self, stream: Stream) -> Result<(), End> {
        if self.back().await.is_err() {
            return Err(End::Unwanted);
        }
        match self.follow(stream).await {
            End::Compacted => self.relist().await,
            end => Err(end),
        }
    }

    async fn reopen(&mut self, slot: &mut Option<Stream>) -> Result<(), End> {
        let opened = tokio::select! {
            () = self.to.closed() => return Err(End::Unwanted),
            opened = self.open() => opened,
        };
        match opened {
            Ok(stream) => self.adopt(stream, slot).await,
            Err(Fault::Compacted(_)) => self.relist().await,
            Err(fault) => {
                let error = fault.of_a_read(self.scope.as_str());
                Err(End::Broken(error.to_string()))
            }
        }
    }

    /// Takes a stream into use. A server that is behind what was delivered is either a member that
    /// lags and will catch up, or was restored from a snapshot: then everything delivered is worth
    /// nothing.
    async fn adopt(&mut self, stream: Stream, slot: &mut Option<Stream>) -> Result<(), End> {
        if stream.compacted {
            return self.relist().await;
        }
        if stream.opened_at < self.last {
            let listing = self.list().await?;
            if listing.revision < self.last {
                return self.replace(listing).await;
            }
        }
        *slot = Some(stream);
        Ok(())
    }

    async fn relist(&mut self) -> Result<(), End> {
        let listing = self.list().await?;
        self.replace(listing).await
    }

    async fn list(&self) -> Result<Listing, End> {
        kv::list(&self.endpoints, &self.scope)
            .await
            .map_err(|error| End::Broken(error.to_string()))
    }

    async fn replace(&mut self, listing: Listing) -> Result<(), End> {
        self.back().await.map_err(|Gone| End::Unwanted)?;
        self.last = listing.revision;
        self.send(WatchMessage::Snapshot(listing))
            .await
            .map_err(|Gone| End::Unwanted)
    }

    async fn open(&self) -> Result<Stream, Fault> {
        let mut options = WatchOptions::new()
            .with_start_revision(self.last.0 + 1)
            .with_progress_notify();
        if matches!(self.scope, Scope::Below(_)) {
            options = options.with_prefix();
        }
        self.endpoints
            .call(Repeat::Safe, |client| {
                subscribe(client, self.scope.as_str(), options.clone())
            })
            .await
    }

    /// Reads a stream until it ends, one way or another.
    async fn follow(&mut self, stream: Stream) -> End {
        let (mut questions, mut answers) = stream.stream.split();
        let mut ask = interval_at(Instant::now() + ASK_EVERY, ASK_EVERY);
        let mut heard = Instant::now();
        loop {
            let message = tokio::select! {
                () = self.to.closed() => return End::Unwanted,
                _ = ask.tick() => {
                    // Queued where the server does not read; the silence that follows is noticed.
                    let asked = timeout(self.endpoints.call_timeout(), questions.request_progress());
                    match asked.await {
                        Ok(Ok(())) => continue,
                        Ok(Err(error)) => return End::Broken(error.to_string()),
                        Err(_) => return End::Broken("cannot ask for progress".to_owned()),
                    }
                }
                message = timeout_at(heard + SILENT_FOR, answers.message()) => message,
            };
            match message {
                Err(_) => {
                    self.endpoints.rotate();
                    return End::Broken(format!("silent for {SILENT_FOR:?}"));
                }
                Ok(Err(error)) => return End::Broken(error.to_string()),
                Ok(Ok(None)) => return End::Broken("the server ended the stream".to_owned()),
                Ok(Ok(Some(answer))) => {
                    if let Some(end) = canceled(&answer) {
                        return end;
                    }
                    if self.deliver(&answer).await.is_err() {
                        return End::Unwanted;
                    }
                    self.breaks = 0;
                    // Counted from here: a slow watcher is no silence of the server.
                    heard = Instant::now();
                }
            }
        }
    }

    async fn deliver(&mut self, answer: &WatchResponse) -> Result<(), Gone> {
        let changes: Vec<Change> = answer
            .events()
            .iter()
            .filter_map(change)
            .filter(|change| revision(change) > self.last)
            .collect();
        let Some(newest) = changes.iter().map(revision).max() else {
            return Ok(());
        };
        self.last = newest;
        self.send(WatchMessage::Changes(changes)).await
    }

    async fn lost(&mut self, detail: &str) -> Result<(), Gone> {
        if !self.contact {
            return Ok(());
        }
        self.contact = false;
        let prefix = self.scope.as_str();
        tracing::warn!(%prefix, error = %detail, "etcd watch has lost contact");
        self.send(WatchMessage::ContactLost).await
    }

    async fn back(&mut self) -> Result<(), Gone> {
        if self.contact {
            return Ok(());
        }
        self.contact = true;
        tracing::info!(prefix = %self.scope.as_str(), "etcd watch has contact again");
        self.send(WatchMessage::ContactBack).await
    }

    async fn send(&self, message: WatchMessage) -> Result<(), Gone> {
        self.to.send(message).await.map_err(|_| Gone)
    }
}

/// Opens a stream and waits until the server says that the watch exists: only then is it certain
/// that the caller may watch.
async fn subscribe(
    client: Client,
    key: &str,
    options: WatchOptions,
) -> Result<Stream, etcd_client::Error> {
    let mut client = client.watch_client().max_decoding_message_size(ANSWER_MAX);
    let mut stream = client.watch(key, Some(options)).await?;
    let broken = |text: &str| etcd_client::Error::WatchError(text.to_owned());
    let created = stream.message().await?;
    let created = created.ok_or_else(|| broken("the server ended the stream"))?;
    let compacted = created.compact_revision() > 0;
    if created.canceled() && !compacted {
        return Err(broken(created.cancel_reason()));
    }
    let revision = created
        .header()
        .map_or(0, etcd_client::ResponseHeader::revision);
    Ok(Stream {
        stream,
        opened_at: Revision(revision),
        compacted,
    })
}

/// Whether the server has canceled the watch: it says so in a flag, and keeps the stream open. The
/// reason is empty where it is a compaction.
fn canceled(answer: &WatchResponse) -> Option<End> {
    if !answer.canceled() {
        return None;
    }
    if answer.compact_revision() > 0 {
        return Some(End::Compacted);
    }
    let reason = answer.cancel_reason();
    Some(End::Broken(format!("canceled by the server: {reason}")))
}

fn change(event: &Event) -> Option<Change> {
    let kv = event.kv()?;
    Some(match event.event_type() {
        EventType::Put => Change::Put(kv::entry(kv.clone())),
        EventType::Delete => Change::Delete {
            key: String::from_utf8_lossy(kv.key()).into_owned(),
            revision: Revision(kv.mod_revision()),
        },
    })
}

fn revision(change: &Change) -> Revision {
    match change {
        Change::Put(entry) => entry.modified,
        Change::Delete { revision, .. } => *revision,
    }
}
