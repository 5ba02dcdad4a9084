//! What the kernel says about the same GPUs, and what all this costs the process.

use crate::identity::Identities;
use nix::fcntl::OFlag;
use nix::sys::resource::{UsageWho, getrusage};
use serde_json::{Map, Value, json};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Lines kept of the kernel's log.
const MOST_LINES: usize = 500;

/// `PCI_VENDOR_ID_NVIDIA`.
const NVIDIA: &str = "0x10de";

/// Of a device on the bus, these files.
const OF_DEVICE: [&str; 15] = [
    "vendor",
    "device",
    "class",
    "subsystem_vendor",
    "subsystem_device",
    "current_link_speed",
    "max_link_speed",
    "current_link_width",
    "max_link_width",
    "numa_node",
    "enable",
    "power/runtime_status",
    "aer_dev_correctable",
    "aer_dev_nonfatal",
    "aer_dev_fatal",
];

/// What the process has used up by now, and what it holds.
pub fn stage(name: &str) -> Value {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let of = |key: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(key))?;
        line.split_whitespace().next()?.parse::<u64>().ok()
    };
    let files = fs::read_dir("/proc/self/fd")
        .into_iter()
        .flatten()
        .flatten();
    let mut held: Vec<String> = files
        .filter_map(|file| fs::read_link(file.path()).ok())
        .map(|path| path.display().to_string())
        .filter(|path| path.contains("nvidia"))
        .collect();
    held.sort_unstable();
    json!({
        "stage": name,
        "rss_kib": of("VmRSS:"),
        "peak_kib": of("VmHWM:"),
        "virtual_kib": of("VmSize:"),
        "threads": of("Threads:"),
        "cpu_us": cpu_us(),
        "open": held,
    })
}

/// User and system time of this process.
pub fn cpu_us() -> u64 {
    getrusage(UsageWho::RUSAGE_SELF).map_or(0, |usage| {
        let spent = usage.user_time() + usage.system_time();
        let us = i128::from(spent.tv_sec()) * 1_000_000 + i128::from(spent.tv_usec());
        u64::try_from(us).unwrap_or(0)
    })
}

/// All of it, without what names the machine.
pub fn facts(identities: &mut Identities) -> Value {
    let mut facts = json!({
        "kernel": read(Path::new("/proc/sys/kernel/osrelease")),
        "driver": read(Path::new("/proc/driver/nvidia/version")),
        "gpus": information(),
        "pci": devices(),
        "kmsg": kernel_log(),
        "powercap": powercap(),
        "nodes": nodes(),
        "majors": majors(),
    });
    crate::record::hide(&mut facts, identities);
    facts
}

/// A file's text, or the number of the error.
fn read(path: &Path) -> Value {
    match fs::read_to_string(path) {
        Ok(text) => json!(text.trim_end()),
        Err(e) => failed(&e),
    }
}

fn failed(e: &io::Error) -> Value {
    json!({"errno": e.raw_os_error(), "error": e.to_string()})
}

/// What is in a folder, in order.
fn entries(folder: &str) -> Result<Vec<PathBuf>, Value> {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)
        .map_err(|e| failed(&e))?
        .flatten()
        .map(|entry| entry.path())
        .collect();
    paths.sort_unstable();
    Ok(paths)
}

fn name(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

fn each(folder: &str, value: impl Fn(&Path) -> Option<Value>) -> Value {
    match entries(folder) {
        Ok(paths) => paths
            .iter()
            .filter_map(|path| Some((name(path), value(path)?)))
            .collect::<Map<_, _>>()
            .into(),
        Err(e) => e,
    }
}

fn information() -> Value {
    each("/proc/driver/nvidia/gpus", |gpu| {
        Some(read(&gpu.join("information")))
    })
}

/// Everything of NVIDIA's on the bus: GPUs, and switches and bridges where there are.
fn devices() -> Value {
    each("/sys/bus/pci/devices", |device| {
        if read(&device.join("vendor")) != NVIDIA {
            return None;
        }
        let files = OF_DEVICE.map(|file| (file.to_owned(), read(&device.join(file))));
        Some(files.into_iter().collect::<Map<_, _>>().into())
    })
}

fn powercap() -> Value {
    each("/sys/class/powercap", |zone| {
        let energy = File::open(zone.join("energy_uj")).map(|_| json!("readable"));
        let energy = energy.unwrap_or_else(|e| failed(&e));
        Some(json!({"name": read(&zone.join("name")), "energy_uj": energy}))
    })
}

fn nodes() -> Value {
    let mut nodes = Map::new();
    for folder in ["/dev", "/dev/nvidia-caps"] {
        for path in entries(folder).unwrap_or_default() {
            let node = fs::symlink_metadata(&path).ok();
            let Some(node) = node.filter(|node| {
                name(&path).starts_with("nvidia") && node.file_type().is_char_device()
            }) else {
                continue;
            };
            let number = node.rdev();
            let (major, minor) = (nix::sys::stat::major(number), nix::sys::stat::minor(number));
            let mode = format!("{:o}", node.mode() & 0o7777);
            nodes.insert(
                path.display().to_string(),
                json!({"major": major, "minor": minor, "mode": mode}),
            );
        }
    }
    nodes.into()
}

fn majors() -> Value {
    let text = fs::read_to_string("/proc/devices").unwrap_or_default();
    let lines = text.lines().filter(|line| line.contains("nvidia"));
    json!(lines.map(str::trim).collect::<Vec<_>>())
}

/// The driver's lines of the kernel's log, as `/dev/kmsg` gives them.
fn kernel_log() -> Value {
    let opened = OpenOptions::new()
        .read(true)
        .custom_flags(OFlag::O_NONBLOCK.bits())
        .open("/dev/kmsg");
    let mut log = match opened {
        Ok(log) => log,
        Err(e) => return failed(&e),
    };
    let mut record = [0; 8192];
    let (mut records, mut lines, mut end) = (0_u64, Vec::new(), Value::Null);
    loop {
        let length = match log.read(&mut record) {
            Ok(0) => break,
            Ok(length) => length,
            // Overwritten before it was read: the next is there.
            Err(e) if e.kind() == io::ErrorKind::BrokenPipe => continue,
            Err(e) => {
                end = failed(&e);
                break;
            }
        };
        records += 1;
        let text = String::from_utf8_lossy(&record[..length]);
        let line = text.lines().next().unwrap_or_default();
        let spoken_of = ["NVRM", "nvidia", "NVLink", "Xid"]
            .iter()
            .any(|word| line.contains(word));
        // The kernel's own command line may name the host.
        let spoken_of = spoken_of && !line.contains("ommand line");
        if spoken_of && lines.len() < MOST_LINES {
            lines.push(without_process(line));
        }
    }
    json!({"records": records, "end": end, "lines": lines})
}

/// `name=…`, as the driver writes it into a line about an XID, is a process's name.
fn without_process(line: &str) -> String {
    let Some((before, after)) = line.split_once("name=") else {
        return line.to_owned();
    };
    let rest = after.find(',').map_or("", |comma| &after[comma..]);
    format!("{before}name=<process>{rest}")
}
