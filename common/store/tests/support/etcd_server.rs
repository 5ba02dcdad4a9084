//! A real etcd server, on free ports and in a temporary directory, ended when dropped.

use super::gateway;
use leasehold_common::time::Span;
use leasehold_store::etcd::{EtcdSettings, EtcdStore};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs::File;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;
use tokio::time::{Instant, interval};

/// Set where there is no etcd: the stories over etcd are then left out.
const WITHOUT: &str = "LEASEHOLD_TESTS_WITHOUT_ETCD";

/// How a server is started.
#[derive(Clone, Default)]
pub struct Wish {
    /// Whether it syncs to disk; without it tests are faster, and only a power cut would show.
    pub durable: bool,
    /// More arguments, such as certificates.
    pub arguments: Vec<String>,
    /// The scheme of the client URL, `https` where certificates are given.
    pub https: bool,
}

/// One member.
pub struct EtcdServer {
    process: Child,
    dir: TempDir,
    ports: Ports,
    wish: Wish,
}

#[derive(Clone, Copy)]
struct Ports {
    client: u16,
    peer: u16,
    /// Serves `/health` without TLS, whatever the client port does.
    health: u16,
}

impl EtcdServer {
    /// Starts a server as most tests want it; `None` where tests run without etcd.
    pub async fn start() -> Option<Self> {
        Self::start_as(Wish::default()).await
    }

    /// Starts a server and waits until it is healthy.
    pub async fn start_as(wish: Wish) -> Option<Self> {
        let version = Command::new("etcd").arg("--version").output();
        if version.is_err() {
            assert!(
                std::env::var_os(WITHOUT).is_some(),
                "there is no `etcd` to test against (Debian: etcd-server); {WITHOUT}=1 leaves \
                 these tests out"
            );
            return None;
        }
        // Somebody may take a port between its being found and its being used.
        for _ in 0..5 {
            let dir = tempfile::tempdir().unwrap();
            let ports = Ports::free();
            let mut server = Self {
                process: spawn(&dir, ports, &wish),
                dir,
                ports,
                wish: wish.clone(),
            };
            if server.becomes_healthy().await {
                return Some(server);
            }
        }
        panic!("etcd did not start in five tries");
    }

    /// Its client URL.
    pub fn url(&self) -> String {
        let scheme = if self.wish.https { "https" } else { "http" };
        format!("{scheme}://127.0.0.1:{}", self.ports.client)
    }

    /// Settings for it, with deadlines short enough for a test.
    pub fn settings(&self) -> EtcdSettings {
        EtcdSettings {
            connect_timeout: Span::from_secs(1),
            call_timeout: Span::from_secs(2),
            ..EtcdSettings::plain(vec![self.url()])
        }
    }

    /// A store over it.
    pub async fn store(&self) -> EtcdStore {
        EtcdStore::connect(self.settings()).await.unwrap()
    }

    /// Ends it the hard way.
    pub fn kill(&mut self) {
        self.signal(Signal::SIGKILL);
        self.process.wait().unwrap();
    }

    /// Starts it again on its data.
    pub async fn restart(&mut self) {
        self.process = spawn(&self.dir, self.ports, &self.wish);
        assert!(self.becomes_healthy().await, "etcd did not come back");
    }

    /// Stops it without closing a connection, as a hanging disk or a paused machine does.
    pub fn freeze(&self) {
        self.signal(Signal::SIGSTOP);
        self.await_standstill();
    }

    /// Waits until every one of its threads stands still: each takes the signal in its own time, and
    /// what is sent to it before then is still answered.
    fn await_standstill(&self) {
        let tasks = format!("/proc/{}/task", self.process.id());
        let still = |task: std::fs::DirEntry| {
            let stat = std::fs::read_to_string(task.path().join("stat")).unwrap_or_default();
            // The state follows the name, which stands in brackets.
            stat.rsplit(") ")
                .next()
                .is_some_and(|rest| rest.starts_with('T'))
        };
        let deadline = Instant::now() + std::time::Duration::from_secs(10);
        while !std::fs::read_dir(&tasks).is_ok_and(|all| all.flatten().all(still)) {
            assert!(Instant::now() < deadline, "a stopped process goes on");
            std::thread::yield_now();
        }
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        self.signal(Signal::SIGCONT);
    }

    /// Posts to its JSON gateway.
    pub fn post(&self, path: &str, body: &str) {
        gateway::post(self.ports.client, path, body).unwrap();
    }

    /// Forgets all history below a revision.
    pub fn compact(&self, revision: i64) {
        let body = format!(r#"{{"revision":"{revision}","physical":true}}"#);
        self.post("/v3/kv/compaction", &body);
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.process.id()).unwrap();
        kill(Pid::from_raw(pid), signal).unwrap();
    }

    /// False where it has ended instead.
    async fn becomes_healthy(&mut self) -> bool {
        let deadline = Instant::now() + super::PATIENCE;
        let mut look = interval(Duration::from_millis(20));
        while self.process.try_wait().unwrap().is_none() {
            let health = gateway::get(self.ports.health, "/health");
            if health.is_ok_and(|answer| answer.contains(r#""health":"true""#)) {
                return true;
            }
            assert!(Instant::now() < deadline, "etcd never became healthy");
            look.tick().await;
        }
        false
    }
}

impl Drop for EtcdServer {
    fn drop(&mut self) {
        // It may have been killed already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Ports {
    fn free() -> Self {
        let held: Vec<TcpListener> = (0..3)
            .map(|_| TcpListener::bind("127.0.0.1:0").unwrap())
            .collect();
        let port = |i: usize| held[i].local_addr().unwrap().port();
        Self {
            client: port(0),
            peer: port(1),
            health: port(2),
        }
    }
}

/// A port where nobody listens.
pub fn dead_url() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

fn spawn(dir: &TempDir, ports: Ports, wish: &Wish) -> Child {
    let scheme = if wish.https { "https" } else { "http" };
    let client = format!("{scheme}://127.0.0.1:{}", ports.client);
    let peer = format!("http://127.0.0.1:{}", ports.peer);
    let log = File::options()
        .create(true)
        .append(true)
        .open(dir.path().join("etcd.log"))
        .unwrap();
    let mut command = Command::new("etcd");
    command
        .args(["--name", "test", "--log-level", "warn"])
        .arg("--data-dir")
        .arg(dir.path().join("data"))
        .args(["--listen-client-urls", &client])
        .args(["--advertise-client-urls", &client])
        .args(["--listen-peer-urls", &peer])
        .args(["--initial-advertise-peer-urls", &peer])
        .args(["--initial-cluster", &format!("test={peer}")])
        .arg("--listen-metrics-urls")
        .arg(format!("http://127.0.0.1:{}", ports.health))
        .args(&wish.arguments);
    if !wish.durable {
        command.arg("--unsafe-no-fsync");
    }
    command
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap()
}
