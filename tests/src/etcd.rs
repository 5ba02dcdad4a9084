//! A real etcd of one member, on ports of its own.

use crate::ports::free_ports;
use crate::process::{Process, bare};
use crate::wait::wait_for;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Starts that may fail because somebody took a port between its being found and its being used.
const TRIES: usize = 5;

/// An etcd server and its data.
#[derive(Debug)]
pub struct Etcd {
    process: Process,
    dir: PathBuf,
    ports: Ports,
    /// Restored data goes into a new folder each time, as etcd wants it.
    restored: u32,
}

#[derive(Debug, Clone, Copy)]
struct Ports {
    client: u16,
    peer: u16,
    health: u16,
}

impl Etcd {
    /// Starts a server with its data in `dir`, and waits until it is healthy.
    ///
    /// # Panics
    /// When there is no etcd, or it does not start.
    pub fn start(dir: &Path) -> Self {
        for _ in 0..TRIES {
            let [client, peer, health] = free_ports();
            let ports = Ports {
                client,
                peer,
                health,
            };
            let _ = fs::remove_dir_all(dir);
            fs::create_dir_all(dir).expect("a folder can be made in the temporary directory");
            let mut etcd = Self {
                process: spawn(dir, 0, ports),
                dir: dir.to_owned(),
                ports,
                restored: 0,
            };
            if etcd.becomes_healthy() {
                return etcd;
            }
        }
        panic!("etcd did not start in {TRIES} tries");
    }

    /// Where clients reach it.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports.client)
    }

    /// The `[store]` table of a daemon that uses it.
    pub fn settings(&self) -> String {
        format!(
            "[store]\nkind = \"etcd\"\nendpoints = [\"{}\"]\n",
            self.url()
        )
    }

    /// Ends it as `kill -9` does.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Stops it without closing a connection, as a hanging disk does.
    pub fn freeze(&self) {
        self.process.freeze();
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        self.process.thaw();
    }

    /// Starts it again on its data.
    ///
    /// # Panics
    /// When it does not start.
    pub fn restart(&mut self) {
        self.process = spawn(&self.dir, self.restored, self.ports);
        assert!(self.becomes_healthy(), "etcd did not come back");
    }

    /// Saves a snapshot, as `common/docs` tells operators to.
    ///
    /// # Panics
    /// When that fails.
    pub fn snapshot(&self, to: &Path) {
        self.ctl(&["snapshot", "save", text(to)]);
    }

    /// Ends the server and starts it again on what a snapshot holds.
    ///
    /// # Panics
    /// When that fails.
    pub fn restore(&mut self, from: &Path) {
        self.kill();
        self.restored += 1;
        let data = data(&self.dir, self.restored);
        let peer = peer_url(self.ports);
        let cluster = format!("test={peer}");
        self.ctl(&[
            "snapshot",
            "restore",
            text(from),
            "--name=test",
            "--data-dir",
            text(&data),
            "--initial-cluster",
            &cluster,
            "--initial-advertise-peer-urls",
            &peer,
        ]);
        self.restart();
    }

    /// Removes every key that begins so.
    ///
    /// # Panics
    /// When that fails.
    pub fn remove_all(&self, prefix: &str) {
        self.ctl(&["del", "--prefix", prefix]);
    }

    /// Runs etcdctl against this server, which must succeed.
    ///
    /// # Panics
    /// When it does not.
    pub fn ctl(&self, arguments: &[&str]) -> String {
        self.try_ctl(arguments)
            .unwrap_or_else(|said| panic!("etcdctl {}: {said}", arguments.join(" ")))
    }

    /// Runs etcdctl against this server; what it says, well or not.
    ///
    /// # Errors
    /// What it says where it fails.
    ///
    /// # Panics
    /// When there is no etcdctl.
    pub fn try_ctl(&self, arguments: &[&str]) -> Result<String, String> {
        let mut command = Command::new("etcdctl");
        command.args(["--endpoints", &self.url()]).args(arguments);
        let output = bare(&mut command)
            .env("ETCDCTL_API", "3")
            .output()
            .unwrap_or_else(|e| panic!("etcdctl cannot be run (Debian: etcd-client): {e}"));
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() {
            Ok(text(&output.stdout))
        } else {
            Err(text(&output.stderr))
        }
    }

    /// False where it has ended instead.
    fn becomes_healthy(&mut self) -> bool {
        let port = self.ports.health;
        let process = &mut self.process;
        wait_for("etcd to be healthy", || {
            if process.ended().is_some() {
                return Ok(false);
            }
            match health(port) {
                Ok(answer) if answer.contains(r#""health":"true""#) => Ok(true),
                Ok(answer) => Err(answer),
                Err(e) => Err(e.to_string()),
            }
        })
    }
}

fn data(dir: &Path, restored: u32) -> PathBuf {
    dir.join(format!("data-{restored}"))
}

fn peer_url(ports: Ports) -> String {
    format!("http://127.0.0.1:{}", ports.peer)
}

fn text(path: &Path) -> &str {
    path.to_str()
        .expect("temporary directories have plain names")
}

fn spawn(dir: &Path, restored: u32, ports: Ports) -> Process {
    let client = format!("http://127.0.0.1:{}", ports.client);
    let peer = peer_url(ports);
    let mut command = Command::new("etcd");
    command
        .args(["--name", "test", "--log-level", "warn"])
        .arg("--data-dir")
        .arg(data(dir, restored))
        .args(["--listen-client-urls", &client])
        .args(["--advertise-client-urls", &client])
        .args(["--listen-peer-urls", &peer])
        .args(["--initial-advertise-peer-urls", &peer])
        .args(["--initial-cluster", &format!("test={peer}")])
        .arg("--listen-metrics-urls")
        .arg(format!("http://127.0.0.1:{}", ports.health))
        // What a killed process has written the kernel still has; only a power cut would show.
        .arg("--unsafe-no-fsync");
    Process::start("etcd", &mut command, &dir.join("etcd.log"))
}

fn health(port: u16) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    stream.write_all(b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}
