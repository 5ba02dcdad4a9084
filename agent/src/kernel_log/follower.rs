//! The thread that reads.

use super::{KernelNews, LogFrom, LogSource, Unreadable};
use crate::clock::Clock;
use leasehold_agent_core::kernel_log::{
    Cut, GpuMessage, KernelRecord, LONGEST_RECORD, RecordStream, Sequence, Turn,
};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::makedev;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;
use tokio::sync::mpsc::Sender;

/// How often it is looked whether anybody still wants to know, in milliseconds. Records do not wait
/// for it.
const LOOK_MS: u16 = 1000;

/// How long is waited at the end of a file or of a pipe without writers, which cannot be waited on.
/// The kernel's device has no end.
const AT_END: Duration = Duration::from_millis(200);

/// The number of the kernel's log among the devices (Documentation/admin-guide/devices.txt).
const KMSG: (u64, u64) = (1, 11);

/// After so many reads in a row that gave nothing but "lost" or "too long" the device is broken.
/// Each such read moves on by a record or more, and then one succeeds.
const SETBACKS: u32 = 1000;

/// Nobody wants to know any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unwanted;

/// Why there is nothing more to read at present.
#[derive(Debug)]
pub(super) enum Pause {
    /// The next record is not written yet.
    Quiet,
    /// The end of what is no device.
    End,
    /// It cannot be read.
    Broken(io::Error),
}

/// Reads the log and tells what is in it.
#[derive(Debug)]
pub(super) struct Follower {
    source: LogSource,
    clock: Arc<dyn Clock>,
    say: Sender<KernelNews>,
    sequence: Sequence,
    /// What was last said of not being able to read.
    unreadable: Option<Unreadable>,
    backlog: bool,
    records: u64,
    malformed: u64,
}

impl Follower {
    pub(super) const fn new(
        source: LogSource,
        clock: Arc<dyn Clock>,
        say: Sender<KernelNews>,
    ) -> Self {
        Self {
            source,
            clock,
            say,
            sequence: Sequence::new(),
            unreadable: None,
            backlog: true,
            records: 0,
            malformed: 0,
        }
    }

    /// Follows until nobody wants to know.
    pub(super) fn run(mut self, stopped: &Receiver<()>) {
        loop {
            let error = match open(&self.source.from) {
                Ok(file) => match self.follow(file, stopped) {
                    Ok(error) => error,
                    Err(Unwanted) => return,
                },
                Err(error) => error,
            };
            let retry = self.source.retry.std();
            let waited = self.cannot_read(&error).and_then(|()| wait(retry, stopped));
            if waited.is_err() {
                return;
            }
        }
    }

    /// Reads from the oldest record on, until it can no longer be read.
    fn follow(&mut self, mut file: File, stopped: &Receiver<()>) -> Result<io::Error, Unwanted> {
        // A device gives a whole record with every read, anything else what has arrived.
        let whole = match file.metadata() {
            Ok(metadata) => metadata.file_type().is_char_device(),
            Err(error) => return Ok(error),
        };
        self.sequence.reopened();
        (self.backlog, self.records) = (true, 0);
        let mut stream = RecordStream::default();
        loop {
            match self.drain(&mut file, &mut stream, whole)? {
                Pause::Quiet => match wait_for_more(&file) {
                    Ok(()) => wait(Duration::ZERO, stopped)?,
                    Err(error) => return Ok(error),
                },
                Pause::End => wait(AT_END, stopped)?,
                Pause::Broken(error) => return Ok(error),
            }
        }
    }

    /// Reads and tells whatever is there.
    pub(super) fn drain(
        &mut self,
        log: &mut impl Read,
        stream: &mut RecordStream,
        whole: bool,
    ) -> Result<Pause, Unwanted> {
        let mut buffer = [0; LONGEST_RECORD];
        let mut setbacks = 0;
        let pause = loop {
            let error = match log.read(&mut buffer) {
                Ok(0) => break Pause::End,
                Ok(length) => {
                    setbacks = 0;
                    for cut in stream.take(&buffer[..length]) {
                        self.tell(cut)?;
                    }
                    if whole && let Some(cut) = stream.flush() {
                        self.tell(cut)?;
                    }
                    continue;
                }
                Err(error) => error,
            };
            match error.raw_os_error().map(Errno::from_raw) {
                Some(Errno::EAGAIN) => break Pause::Quiet,
                Some(Errno::EINTR) => {}
                // Overwritten before it was read, or longer than the buffer. The next read gives the
                // next record, whose number says how many are missing.
                Some(Errno::EPIPE | Errno::EINVAL) if setbacks < SETBACKS => setbacks += 1,
                Some(_) | None => break Pause::Broken(error),
            }
        };
        if let Some(cut) = stream.flush() {
            self.tell(cut)?;
        }
        match pause {
            Pause::Quiet | Pause::End => self.caught_up()?,
            Pause::Broken(_) => {}
        }
        Ok(pause)
    }

    fn tell(&mut self, cut: Cut) -> Result<(), Unwanted> {
        self.records = self.records.saturating_add(1);
        match cut {
            Ok(record) => self.tell_record(&record),
            Err(_) => {
                self.malformed = self.malformed.saturating_add(1);
                Ok(())
            }
        }
    }

    fn tell_record(&mut self, record: &KernelRecord) -> Result<(), Unwanted> {
        let backlog = self.backlog;
        match self.sequence.take(record.seq) {
            Turn::Again => return Ok(()),
            Turn::Fresh { lost: 0 } => {}
            Turn::Fresh { lost } => self.say(KernelNews::Lost {
                records: lost,
                backlog,
            })?,
        }
        let Some(message) = GpuMessage::in_record(record) else {
            return Ok(());
        };
        let now = self.clock.now();
        // The kernel's log clock drifts from the wall clock by seconds a day.
        let at = if backlog {
            record.at(self.source.boot).min(now)
        } else {
            now
        };
        self.say(KernelNews::Told {
            message,
            at,
            seq: record.seq,
            backlog,
        })
    }

    fn caught_up(&mut self) -> Result<(), Unwanted> {
        let malformed = std::mem::take(&mut self.malformed);
        if malformed > 0 {
            self.say(KernelNews::Malformed { records: malformed })?;
        }
        if std::mem::take(&mut self.backlog) {
            self.unreadable = None;
            let records = self.records;
            self.say(KernelNews::CaughtUp { records })?;
        }
        Ok(())
    }

    /// Says why, once for each why.
    fn cannot_read(&mut self, error: &io::Error) -> Result<(), Unwanted> {
        let why = Unreadable::from(error);
        if self.unreadable.as_ref() == Some(&why) {
            return Ok(());
        }
        self.unreadable = Some(why.clone());
        self.say(KernelNews::Unreadable(why))
    }

    /// Waits where what was said before has not been taken. Meanwhile the kernel keeps the rest.
    fn say(&self, news: KernelNews) -> Result<(), Unwanted> {
        self.say.blocking_send(news).map_err(|_| Unwanted)
    }
}

impl From<&io::Error> for Unreadable {
    fn from(error: &io::Error) -> Self {
        match error.raw_os_error().map(Errno::from_raw) {
            Some(Errno::ENOENT | Errno::ENODEV | Errno::ENXIO) => Self::Missing,
            Some(Errno::EACCES | Errno::EPERM) => Self::NotPermitted,
            Some(_) | None => Self::Failed(error.to_string()),
        }
    }
}

/// Without blocking: a read that waits could not be told to end.
fn open(from: &LogFrom) -> io::Result<File> {
    match from {
        LogFrom::Path(path) => OpenOptions::new()
            .read(true)
            .custom_flags(OFlag::O_NONBLOCK.bits())
            .open(path),
        LogFrom::Stdin => inherited(&io::stdin()),
    }
}

/// The log that this process was started with, from its oldest record on.
pub(super) fn inherited(stdin: &impl AsFd) -> io::Result<File> {
    let mut file = File::from(stdin.as_fd().try_clone_to_owned()?);
    if file.metadata()?.rdev() != makedev(KMSG.0, KMSG.1) {
        // A terminal, /dev/null: it was started in another way.
        return Err(Errno::ENODEV.into());
    }
    let flags = OFlag::from_bits_retain(fcntl(&file, FcntlArg::F_GETFL)?);
    fcntl(&file, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
    file.seek(SeekFrom::Start(0))?;
    Ok(file)
}

/// Waits until there is something to read, or it is time to look whether anybody wants to know.
fn wait_for_more(file: &File) -> io::Result<()> {
    let mut files = [PollFd::new(file.as_fd(), PollFlags::POLLIN)];
    match poll(&mut files, PollTimeout::from(LOOK_MS)) {
        Ok(_) | Err(Errno::EINTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Waits so long, unless nobody wants to know any more.
fn wait(length: Duration, stopped: &Receiver<()>) -> Result<(), Unwanted> {
    match stopped.recv_timeout(length) {
        Err(RecvTimeoutError::Timeout) => Ok(()),
        Ok(()) | Err(RecvTimeoutError::Disconnected) => Err(Unwanted),
    }
}
