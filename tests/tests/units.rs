//! The shipped systemd files, judged by systemd's own tools: units, users, directories.
//!
//! A small root tree in a temporary directory stands in for a host on which everything is installed, because the tools
//! complain about programs, users and targets that are not there. Nothing is started, nothing on the host is read
//! but the tools themselves. Where systemd's tools are missing the tests say so and pass.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

const UNITS: [&str; 3] = [
    "leasehold-agent.service",
    "leasehold-scheduler.service",
    "leasehold-scheduler.socket",
];

/// The targets that the units name, and those that systemd adds to every unit.
const TARGETS: [&str; 8] = [
    "basic",
    "multi-user",
    "network-online",
    "shutdown",
    "sockets",
    "sysinit",
    "time-sync",
    "umount",
];

/// In tenths; a service without any confinement scores about 95, ours 12 and 16. The margin is for other versions of
/// systemd, which weigh a little differently.
const WORST_SCORE: &str = "20";

#[test]
fn units_verify_without_a_word() {
    let Some(host) = Installed::here("systemd-analyze") else {
        return;
    };
    for unit in UNITS {
        let path = host.units().join(unit);
        let said = host.ask("systemd-analyze", &["verify", "--man=no"], &[&path]);
        assert_eq!(said, (true, String::new()), "systemd-analyze verify {unit}");
    }
}

#[test]
fn services_are_confined() {
    let Some(host) = Installed::here("systemd-analyze") else {
        return;
    };
    for unit in UNITS.iter().filter(|unit| unit.ends_with(".service")) {
        let path = host.units().join(unit);
        let threshold = format!("--threshold={WORST_SCORE}");
        let arguments = ["security", "--offline=yes", "--no-pager", &threshold];
        let (passed, said) = host.ask("systemd-analyze", &arguments, &[&path]);
        let verdict = said.lines().last().unwrap_or_default();
        assert!(passed, "{unit} is confined too little: {verdict}\n{said}");
    }
}

#[test]
fn the_agent_is_given_the_kernels_log_and_told_to_read_it() {
    let Some(host) = Installed::here("systemd-analyze") else {
        return;
    };
    let unit = fs::read_to_string(host.units().join("leasehold-agent.service"));
    let unit = unit.expect("read the unit");
    // Device rules hold already when systemd opens it: without the second line the service does not start.
    for line in [
        "StandardInput=file:/dev/kmsg",
        "DeviceAllow=/dev/kmsg r",
        "ProtectKernelLogs=yes",
    ] {
        assert!(unit.lines().any(|known| known == line), "{line}");
    }
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../systemd/etc/agent.toml");
    let settings = fs::read_to_string(sample).expect("read the sample");
    let told = settings
        .lines()
        .any(|line| line == "kernel_log = \"stdin\"");
    assert!(told, "the sample settings name another log");
}

#[test]
fn every_user_that_a_unit_names_is_created() {
    let Some(host) = Installed::here("systemd-sysusers") else {
        return;
    };
    let users = host.read("etc/passwd");
    let groups = host.read("etc/group");
    for unit in UNITS {
        let text = fs::read_to_string(host.units().join(unit)).expect("read the unit");
        for (key, known) in [
            ("User=", &users),
            ("Group=", &groups),
            ("SocketGroup=", &groups),
        ] {
            for name in text.lines().filter_map(|line| line.strip_prefix(key)) {
                let entry = format!("{name}:");
                let exists = known.lines().any(|line| line.starts_with(&entry));
                assert!(
                    exists,
                    "{unit} has {key}{name}, which sysusers.d does not create"
                );
            }
        }
    }
}

#[test]
fn directories_are_made_for_those_who_use_them() {
    let Some(host) = Installed::here("systemd-tmpfiles") else {
        return;
    };
    let file = host.root().join("usr/lib/tmpfiles.d/leasehold.conf");
    let (passed, said) = host.ask("systemd-tmpfiles", &["--create"], &[&file]);
    // A mistake in the file is reported with its place in it, whoever runs the tool.
    assert!(
        !said.contains("leasehold.conf:"),
        "systemd-tmpfiles complains: {said}"
    );
    if !nix::unistd::Uid::effective().is_root() {
        println!("owners not checked: only root can give directories away");
        return;
    }
    assert!(passed, "systemd-tmpfiles failed: {said}");
    let shape = |path: &str| {
        let metadata = fs::metadata(host.root().join(path)).expect("the directory was made");
        (metadata.permissions().mode() & 0o7777, metadata.uid())
    };
    assert_eq!(
        shape("run/leasehold"),
        (0o755, 0),
        "only root may replace the control socket"
    );
    assert_eq!(
        shape("etc/leasehold/credentials/agent"),
        (0o700, 0),
        "keys are root's"
    );
    assert_eq!(
        shape("etc/leasehold/credentials/scheduler"),
        (0o700, 0),
        "keys are root's"
    );
    let (mode, owner) = shape("run/leasehold/leases");
    assert_eq!(
        mode, 0o2750,
        "operators read environment files, and nobody else"
    );
    assert_eq!(
        owner,
        host.uid("leasehold-agent"),
        "the agent writes environment files"
    );
}

/// The samples spell out what the units decide; a path changed in one of them only would not work as installed.
#[test]
fn the_samples_name_the_paths_that_the_units_make() {
    let agent = ("leasehold-agent.service", "agent.toml");
    let scheduler = ("leasehold-scheduler.service", "scheduler.toml");
    let socket = ("leasehold-scheduler.socket", "scheduler.toml");
    for (unit, sample, key, parent) in [
        (agent.0, agent.1, "StateDirectory=", "/var/lib/"),
        (scheduler.0, scheduler.1, "StateDirectory=", "/var/lib/"),
        (scheduler.0, scheduler.1, "LogsDirectory=", "/var/log/"),
        (socket.0, socket.1, "ListenStream=", ""),
    ] {
        let unit_text = read_shipped(&format!("system/{unit}"));
        let value = unit_text.lines().find_map(|line| line.strip_prefix(key));
        let path = format!("\"{parent}{}\"", value.expect("the unit has the key"));
        assert!(
            read_shipped(&format!("etc/{sample}")).contains(&path),
            "{path} is not in {sample}"
        );
    }
    for (unit, sample) in [agent, scheduler] {
        let unit_text = read_shipped(&format!("system/{unit}"));
        let key = "RuntimeDirectory=";
        let folder = unit_text.lines().find_map(|line| line.strip_prefix(key));
        let folder = format!(
            "a socket goes below /run/{}.",
            folder.expect("the unit has the key")
        );
        assert!(
            read_shipped(&format!("etc/{sample}")).contains(&folder),
            "{sample} does not say that {folder}"
        );
        let unit_text = read_shipped(&format!("system/{unit}"));
        assert!(
            unit_text.contains(&format!(" --config /etc/leasehold/{sample}\n")),
            "{unit}"
        );
        let credentials = format!("/run/credentials/{unit}/etcd_");
        let sample_text = read_shipped(&format!("etc/{sample}"));
        for line in sample_text
            .lines()
            .filter(|line| line.contains("/run/credentials/"))
        {
            assert!(
                line.contains(&credentials),
                "{sample} has another unit's credential: {line}"
            );
        }
    }
}

/// A root tree on which the package is installed.
struct Installed {
    dir: tempfile::TempDir,
}

impl Installed {
    /// None, with a word about it, where systemd does not bring this tool.
    fn here(tool: &str) -> Option<Self> {
        if Command::new(tool).arg("--version").output().is_err() {
            println!("skipped: {tool} is not installed");
            return None;
        }
        let host = Self {
            dir: tempfile::tempdir().expect("make a temporary directory"),
        };
        let shipped = shipped();
        let units = host.units();
        for dir in [
            units.clone(),
            host.root().join("usr/bin"),
            host.root().join("etc"),
        ] {
            fs::create_dir_all(dir).expect("make a directory of the root tree");
        }
        for unit in UNITS {
            copy(&shipped.join("system").join(unit), &units.join(unit));
        }
        for target in TARGETS {
            let text = format!("[Unit]\nDescription=Stands for {target}\n");
            fs::write(units.join(format!("{target}.target")), text).expect("write a target");
        }
        for program in ["leasehold-agent", "leasehold-scheduler"] {
            copy(
                Path::new("/bin/true"),
                &host.root().join("usr/bin").join(program),
            );
        }
        for kind in ["sysusers.d", "tmpfiles.d"] {
            let dir = host.root().join("usr/lib").join(kind);
            fs::create_dir_all(&dir).expect("make a directory of the root tree");
            copy(
                &shipped.join(kind).join("leasehold.conf"),
                &dir.join("leasehold.conf"),
            );
        }
        let (created, said) = host.ask("systemd-sysusers", &[], &[]);
        assert!(
            created && !said.contains("leasehold.conf:"),
            "systemd-sysusers failed: {said}"
        );
        Some(host)
    }

    fn root(&self) -> &Path {
        self.dir.path()
    }

    fn units(&self) -> PathBuf {
        self.root().join("usr/lib/systemd/system")
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.root().join(path)).expect("read a file of the root tree")
    }

    fn uid(&self, user: &str) -> u32 {
        let users = self.read("etc/passwd");
        let fields = users
            .lines()
            .map(|line| line.split(':').collect::<Vec<_>>());
        let uid = fields
            .into_iter()
            .find(|fields| fields[0] == user)
            .map(|fields| fields[2].parse());
        uid.expect("sysusers.d creates the user")
            .expect("a uid is a number")
    }

    /// Runs one of systemd's tools on this tree: whether it was content, and all it said.
    fn ask(&self, tool: &str, arguments: &[&str], files: &[&Path]) -> (bool, String) {
        let root = format!("--root={}", self.root().display());
        let output = Command::new(tool)
            .args(arguments)
            .arg(root)
            .args(files)
            .env("SYSTEMD_COLORS", "0")
            .output()
            .expect("run the tool");
        let said = [output.stdout, output.stderr].concat();
        (
            output.status.success(),
            String::from_utf8_lossy(&said).into_owned(),
        )
    }
}

fn shipped() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../systemd")
}

fn read_shipped(path: &str) -> String {
    fs::read_to_string(shipped().join(path)).expect("read a shipped file")
}

fn copy(from: &Path, to: &Path) {
    if let Err(error) = fs::copy(from, to) {
        panic!("copy {} to {}: {error}", from.display(), to.display());
    }
}
