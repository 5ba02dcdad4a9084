//! What a figure was measured on and with.

use anyhow::{Context as _, Result};
use std::fmt;
use std::path::{Path, PathBuf};

/// Machine, command and profile, for the head of a table.
#[derive(Debug, Clone)]
pub struct Machine {
    cpu: String,
    cores: usize,
    kernel: String,
    disk: String,
    command: String,
    profile: &'static str,
}

impl Machine {
    /// Looks around. `dir` is where the stores were.
    pub fn look(dir: &Path) -> Result<Self> {
        let cpus = read("/proc/cpuinfo")?;
        let dir = dir.canonicalize()?;
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        let (run, profile) = match cfg!(debug_assertions) {
            false => ("cargo xtask bench", "release"),
            true => (
                "cargo run -p leasehold-tests --bin leasehold-bench --",
                "dev, not for publication",
            ),
        };
        Ok(Self {
            cpu: model(&cpus).unwrap_or("CPU of no name").to_owned(),
            cores: std::thread::available_parallelism()?.get(),
            kernel: read("/proc/sys/kernel/osrelease")?.trim().to_owned(),
            disk: file_system(&read("/proc/mounts")?, &dir)
                .unwrap_or("unknown")
                .to_owned(),
            command: format!("{run} {}", arguments.join(" ")),
            profile,
        })
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            cpu,
            cores,
            kernel,
            disk,
            command,
            profile,
        } = self;
        writeln!(f, "- machine: {cpu}, {cores} cores, Linux {kernel}")?;
        writeln!(f, "- stores and logs on: {disk}")?;
        writeln!(f, "- command: `{command}`")?;
        writeln!(f, "- profile: {profile}")
    }
}

fn read(path: &str) -> Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("read {path}"))
}

/// The first processor's name from `/proc/cpuinfo`.
fn model(cpus: &str) -> Option<&str> {
    let line = cpus.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim())
}

/// The type of the file system that holds `dir`: the mount with the longest path above it, and of
/// several on one path the last.
fn file_system<'a>(mounts: &'a str, dir: &Path) -> Option<&'a str> {
    let mount = |line: &'a str| {
        let mut fields = line.split(' ').skip(1);
        Some((PathBuf::from(fields.next()?), fields.next()?))
    };
    let above = mounts.lines().filter_map(mount);
    let holding = above.filter(|(path, _)| dir.starts_with(path));
    let nearest = holding.max_by_key(|(path, _)| path.components().count());
    nearest.map(|(_, kind)| kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_mount_holds_a_folder() {
        let mounts = "/dev/vda / ext4 rw 0 0\ntmpfs /tmp tmpfs rw 0 0\ntmpfs /tm xfs rw 0 0\n";
        assert_eq!(file_system(mounts, Path::new("/tmp/a")), Some("tmpfs"));
        assert_eq!(file_system(mounts, Path::new("/var/tmp")), Some("ext4"));
    }

    #[test]
    fn the_processor_has_a_name() {
        let cpus = "processor\t: 0\nmodel name\t: Some CPU @ 2.0GHz\n";
        assert_eq!(model(cpus), Some("Some CPU @ 2.0GHz"));
        assert_eq!(model("processor\t: 0\n"), None);
    }
}
