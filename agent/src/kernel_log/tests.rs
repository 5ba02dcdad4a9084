//! A log in a pipe, in a file, in a script that fails as the kernel's device does, and the real one.

use super::follower::inherited;
use super::follower::{Follower, Pause};
use super::{DEVICE, KernelLog, KernelNews, LogFrom, LogSource, Unreadable, booted_at};
use crate::clock::{Clock, SystemClock};
use async_trait::async_trait;
use leasehold_agent_core::kernel_log::{GpuMessage, KernelRecord, RecordStream, Xid};
use leasehold_common::time::{Span, Timestamp};
use nix::errno::Errno;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use std::collections::{BTreeMap, VecDeque};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::timeout;

/// Long for a thread that has nothing else to do, on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(30);

const BOOT: Timestamp = Timestamp::from_unix_ms(1_700_000_000_000);

const NOW: Timestamp = Timestamp::from_unix_ms(1_700_000_600_000);

/// It is always ten minutes after boot.
#[derive(Debug)]
struct Stopped;

#[async_trait]
impl Clock for Stopped {
    fn now(&self) -> Timestamp {
        NOW
    }

    async fn until(&self, _at: Timestamp) {}
}

fn source(path: &Path) -> LogSource {
    LogSource {
        from: LogFrom::Path(path.to_owned()),
        boot: BOOT,
        retry: Span::from_millis(10),
    }
}

fn follow(path: &Path) -> KernelLog {
    KernelLog::follow(source(path), Arc::new(Stopped)).unwrap()
}

async fn next(log: &mut KernelLog) -> KernelNews {
    timeout(PATIENCE, log.next())
        .await
        .expect("in time")
        .expect("the thread lives")
}

fn line(seq: u64, seconds: u64, text: &str) -> Vec<u8> {
    let record = KernelRecord {
        facility: 0,
        level: 4,
        seq,
        since_boot_us: seconds * 1_000_000,
        text: text.to_owned(),
        properties: BTreeMap::new(),
    };
    record.to_bytes()
}

fn xid_line(seq: u64, seconds: u64, code: u32) -> Vec<u8> {
    line(seq, seconds, &xid(code).to_string())
}

fn xid(code: u32) -> Xid {
    Xid::read(&format!(
        "NVRM: Xid (PCI:0000:9b:00): {code}, pid=7, name=python, gone"
    ))
    .unwrap()
}

fn told(code: u32, seq: u64, at: Timestamp, backlog: bool) -> KernelNews {
    KernelNews::Told {
        message: GpuMessage::Xid(xid(code)),
        at,
        seq,
        backlog,
    }
}

fn pipe_in(folder: &Path) -> (std::path::PathBuf, File) {
    let path = folder.join("kmsg");
    mkfifo(&path, Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
    // Open for both: opening does not wait for a reader, and the pipe has a writer from the start.
    let writer = OpenOptions::new()
        .read(true)
        .write(true)
        .open(&path)
        .unwrap();
    (path, writer)
}

#[tokio::test]
async fn what_was_said_before_is_found_and_then_what_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let (path, mut pipe) = pipe_in(folder.path());
    pipe.write_all(&line(0, 0, "Linux version 6.8.0")).unwrap();
    pipe.write_all(&xid_line(1, 60, 48)).unwrap();
    let mut log = follow(&path);
    let then = BOOT + Span::from_secs(60);
    assert_eq!(next(&mut log).await, told(48, 1, then, true));
    assert_eq!(next(&mut log).await, KernelNews::CaughtUp { records: 2 });

    pipe.write_all(&line(2, 61, "usb 1-1: new device")).unwrap();
    pipe.write_all(&xid_line(3, 62, 79)).unwrap();
    assert_eq!(
        next(&mut log).await,
        told(79, 3, NOW, false),
        "now, whatever the log's clock says"
    );
}

#[tokio::test]
async fn a_time_of_the_kernels_that_is_yet_to_come_is_now() {
    let folder = tempfile::tempdir().unwrap();
    let (path, mut pipe) = pipe_in(folder.path());
    pipe.write_all(&xid_line(0, 3600, 48)).unwrap();
    assert_eq!(next(&mut follow(&path)).await, told(48, 0, NOW, true));
}

#[tokio::test]
async fn lost_and_malformed_records_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let (path, mut pipe) = pipe_in(folder.path());
    let mut log = follow(&path);
    assert_eq!(next(&mut log).await, KernelNews::CaughtUp { records: 0 });
    pipe.write_all(&line(0, 1, "fine")).unwrap();
    pipe.write_all(b"no record at all\n4,x,1,-;nor this\n")
        .unwrap();
    let mut malformed = 0;
    while malformed < 2 {
        match next(&mut log).await {
            KernelNews::Malformed { records } => malformed += records,
            other => panic!("{other:?}"),
        }
    }
    pipe.write_all(&xid_line(5, 1, 79)).unwrap();
    let lost = KernelNews::Lost {
        records: 4,
        backlog: false,
    };
    assert_eq!(next(&mut log).await, lost);
    assert_eq!(next(&mut log).await, told(79, 5, NOW, false));
}

#[tokio::test]
async fn a_log_that_is_not_there_is_said_once_and_read_when_it_comes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kmsg");
    let mut log = follow(&path);
    assert_eq!(
        next(&mut log).await,
        KernelNews::Unreadable(Unreadable::Missing)
    );
    // In one step: the thread may look at any moment.
    let written = folder.path().join("written");
    std::fs::write(&written, xid_line(0, 1, 79)).unwrap();
    std::fs::rename(&written, &path).unwrap();
    assert_eq!(
        next(&mut log).await,
        told(79, 0, BOOT + Span::from_secs(1), true)
    );
    assert_eq!(next(&mut log).await, KernelNews::CaughtUp { records: 1 });

    let mut file = OpenOptions::new().append(true).open(&path).unwrap();
    file.write_all(&xid_line(1, 2, 48)).unwrap();
    assert_eq!(
        next(&mut log).await,
        told(48, 1, NOW, false),
        "a file that grows is followed"
    );
}

#[tokio::test]
async fn a_folder_in_its_place_is_no_log() {
    let folder = tempfile::tempdir().unwrap();
    let news = next(&mut follow(folder.path())).await;
    assert!(
        matches!(news, KernelNews::Unreadable(Unreadable::Failed(_))),
        "{news:?}"
    );
}

#[test]
fn what_may_not_be_read_is_told_from_what_is_not_there() {
    let why = |errno: Errno| Unreadable::from(&io::Error::from(errno));
    assert_eq!(why(Errno::EPERM), Unreadable::NotPermitted);
    assert_eq!(why(Errno::EACCES), Unreadable::NotPermitted);
    assert_eq!(why(Errno::ENOENT), Unreadable::Missing);
    assert!(matches!(why(Errno::EIO), Unreadable::Failed(_)));
}

/// A device that answers as it is told to.
struct Script(VecDeque<Result<Vec<u8>, Errno>>);

impl Read for Script {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.0.pop_front().unwrap_or(Err(Errno::EAGAIN))?;
        buffer[..bytes.len()].copy_from_slice(&bytes);
        Ok(bytes.len())
    }
}

fn read_script(
    answers: impl IntoIterator<Item = Result<Vec<u8>, Errno>>,
) -> (Pause, Vec<KernelNews>) {
    let (say, mut news) = mpsc::channel(64);
    let mut follower = Follower::new(source(Path::new(DEVICE)), Arc::new(Stopped), say);
    let mut script = Script(answers.into_iter().collect());
    let pause = follower
        .drain(&mut script, &mut RecordStream::default(), true)
        .unwrap();
    let said = std::iter::from_fn(|| news.try_recv().ok()).collect();
    (pause, said)
}

#[test]
fn what_the_kernel_has_overwritten_is_counted_and_reading_goes_on() {
    let (pause, said) = read_script([
        Ok(line(0, 0, "first")),
        Err(Errno::EPIPE),
        Err(Errno::EINTR),
        Ok(xid_line(100, 9, 79)),
        Err(Errno::EINVAL),
        Ok(xid_line(102, 10, 154)),
    ]);
    assert!(matches!(pause, Pause::Quiet));
    let lost = |records| KernelNews::Lost {
        records,
        backlog: true,
    };
    let at = |seconds| BOOT + Span::from_secs(seconds);
    let expected = [
        lost(99),
        told(79, 100, at(9), true),
        lost(1),
        told(154, 102, at(10), true),
        KernelNews::CaughtUp { records: 3 },
    ];
    assert_eq!(said, expected);
}

#[test]
fn a_device_that_fails_is_left_and_one_that_only_loses_too() {
    let (pause, said) = read_script([Ok(line(0, 0, "first")), Err(Errno::EIO)]);
    assert!(matches!(pause, Pause::Broken(_)));
    assert_eq!(said, []);
    let (pause, _) = read_script(std::iter::repeat_n(Err(Errno::EPIPE), 2000));
    assert!(matches!(pause, Pause::Broken(_)));
}

#[test]
fn whoever_no_longer_listens_ends_it() {
    let (say, news) = mpsc::channel(64);
    drop(news);
    let (stop, stopped) = std::sync::mpsc::channel();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kmsg");
    std::fs::write(&path, b"").unwrap();
    // With nobody to tell, and with nobody to stop it: each alone is enough.
    Follower::new(source(&path), Arc::new(Stopped), say).run(&stopped);
    drop(stop);
    let (say, _news) = mpsc::channel(64);
    Follower::new(source(&path), Arc::new(Stopped), say).run(&stopped);
}

#[tokio::test]
async fn the_real_log_of_this_host_is_read_where_it_may_be() {
    let clock = SystemClock;
    let source = LogSource {
        from: LogFrom::Path(DEVICE.into()),
        boot: booted_at(clock.now()),
        retry: Span::from_secs(60),
    };
    let mut log = KernelLog::follow(source, Arc::new(clock)).unwrap();
    loop {
        match next(&mut log).await {
            KernelNews::CaughtUp { records } => {
                assert!(records > 0, "a kernel that has said nothing");
                return;
            }
            KernelNews::Unreadable(why) => {
                eprintln!("skipped: {why} ({DEVICE})");
                return;
            }
            KernelNews::Malformed { records } => panic!("{records} records are not understood"),
            KernelNews::Told { .. } | KernelNews::Lost { .. } => {}
        }
    }
}

#[test]
fn a_log_that_was_opened_by_another_is_read_from_its_beginning_without_waiting() {
    let Ok(opened) = File::open(DEVICE) else {
        eprintln!("skipped: {DEVICE} cannot be opened here");
        return;
    };
    let mut ours = inherited(&opened).unwrap();
    let mut record = [0; 8192];
    let mut read = |log: &mut File| {
        log.read(&mut record)
            .map(|length| record[..length].to_vec())
    };
    let first = read(&mut ours).unwrap();
    while read(&mut ours).is_ok() {}
    let again = read(&mut inherited(&opened).unwrap()).unwrap();
    assert_eq!(again, first, "a reader that comes again begins anew");
}

#[test]
fn what_is_not_the_kernels_log_is_not_taken_for_it() {
    let null = File::open("/dev/null").unwrap();
    let refused = inherited(&null).unwrap_err();
    assert_eq!(Unreadable::from(&refused), Unreadable::Missing);
}

#[test]
fn the_host_was_booted_before_now() {
    let now = SystemClock.now();
    let boot = booted_at(now);
    assert!(boot < now && boot > Timestamp::EPOCH, "{boot}");
}
