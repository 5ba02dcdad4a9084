//! The agent's settings: what may be written, and what comes of it.

use crate::kernel_log::{DEVICE, LogFrom};
use leasehold_agent_core::verdict::Rules;
use leasehold_common::ids::{CellName, NodeName, SkuName};
use leasehold_common::time::Span;
use leasehold_common::topology::TopologyPath;
use leasehold_daemon::logging::check_filter;
use leasehold_daemon::metrics::{MetricsFragment, MetricsSettings};
use leasehold_daemon::settings::{Findings, Layers, SettingsError};
use leasehold_daemon::store::{StoreFragment, StoreSettings};
use serde::Deserialize;
use std::fmt::Display;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

/// What one agent needs to know of its node; enough for an agent inside another program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeSettings {
    /// The cell it belongs to.
    pub cell: CellName,
    /// Its name, as in the inventory.
    pub node: NodeName,
    /// What it is sold as; absent where only the inventory says.
    pub sku: Option<SkuName>,
    /// Where it stands; absent where only the inventory says.
    pub topology: Option<TopologyPath>,
    /// Grants on disk.
    pub state_dir: PathBuf,
    /// Environment files go to `leases/` below it.
    pub run_dir: PathBuf,
    /// How often the GPUs are read.
    pub poll: Span,
    /// How long one call to the driver may take.
    pub deadline: Span,
    /// How long the node counts as alive after its last sign.
    pub ttl: Span,
    /// The rules of GPU health.
    pub rules: Arc<Rules>,
}

impl NodeSettings {
    /// With the defaults, and its state in these folders.
    pub fn new(cell: CellName, node: NodeName, state_dir: PathBuf, run_dir: PathBuf) -> Self {
        Self {
            cell,
            node,
            sku: None,
            topology: None,
            state_dir,
            run_dir,
            poll: POLL,
            deadline: DEADLINE,
            ttl: TTL,
            rules: Rules::built_in().clone(),
        }
    }
}

/// The settings of `leasehold-agent`, the program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The node.
    pub node: NodeSettings,
    /// The store that it shares with its scheduler.
    pub store: StoreSettings,
    /// The NVML library.
    pub nvml: PathBuf,
    /// The kernel's log; absent where it is not followed.
    pub kernel_log: Option<LogFrom>,
    /// Where it is shown to whoever scrapes.
    pub metrics: MetricsSettings,
    /// What is logged.
    pub log: String,
}

/// Once a second: an XID or a lost GPU shows within a second, and eight GPUs cost a few
/// milliseconds of CPU each time.
const POLL: Span = Span::from_secs(1);

/// What a GPU under full load still answers in; three polls, as its peers wait.
const DEADLINE: Span = Span::from_secs(3);

/// Three lost renewals of ten seconds each. Shorter makes a busy etcd look like dead nodes, longer
/// keeps a dead node's GPUs on offer.
const TTL: Span = Span::from_secs(30);

/// The file as it may be written.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Fragment {
    cell: Option<String>,
    node: Option<String>,
    sku: Option<String>,
    topology: Option<String>,
    state_dir: Option<PathBuf>,
    run_dir: Option<PathBuf>,
    store: StoreFragment,
    gpu: GpuFragment,
    liveness: LivenessFragment,
    health: HealthFragment,
    metrics: MetricsFragment,
    log: LogFragment,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct GpuFragment {
    nvml: Option<PathBuf>,
    kernel_log: Option<String>,
    poll: Option<Span>,
    deadline: Option<Span>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct LivenessFragment {
    ttl: Option<Span>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct HealthFragment {
    rules: Option<PathBuf>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct LogFragment {
    level: Option<String>,
}

impl Settings {
    /// From the layers.
    ///
    /// # Errors
    /// Every mistake in them, each with where it stands.
    pub fn from_layers(layers: Layers) -> Result<Self, SettingsError> {
        let (fragment, mut findings) = layers.read::<Fragment>();
        let settings = fragment.settle(&mut findings);
        findings.finish(settings)
    }
}

impl Fragment {
    fn settle(self, findings: &mut Findings) -> Option<Settings> {
        let cell = findings
            .required("cell", self.cell)
            .and_then(|text| checked("cell", &text, findings));
        let node = match self.node.or_else(host_name) {
            Some(text) => checked("node", &text, findings),
            None => findings.required("node", None),
        };
        let sku = optional("sku", self.sku, findings);
        let topology = optional("topology", self.topology, findings);
        let state_dir = self
            .state_dir
            .unwrap_or_else(|| "/var/lib/leasehold/agent".into());
        let store = self
            .store
            .settle("store", &state_dir.join("store.redb"), findings);
        let poll = findings.bounded(
            "gpu.poll",
            self.gpu.poll.unwrap_or(POLL),
            Span::from_millis(100),
            Span::from_secs(20),
        );
        let deadline = findings.bounded(
            "gpu.deadline",
            self.gpu.deadline.unwrap_or(DEADLINE),
            Span::from_millis(100),
            Span::from_mins(1),
        );
        let ttl = findings.bounded(
            "liveness.ttl",
            self.liveness.ttl.unwrap_or(TTL),
            Span::from_secs(3),
            Span::from_mins(5),
        );
        let rules = self.health.settle(findings);
        let kernel_log = kernel_log(self.gpu.kernel_log.as_deref(), findings);
        let metrics = self.metrics.settle("metrics", findings);
        let log = self.log.level.unwrap_or_else(|| "info".to_owned());
        if let Err(e) = check_filter(&log) {
            findings.wrong("log.level", e);
        }
        Some(Settings {
            node: NodeSettings {
                cell: cell?,
                node: node?,
                sku: sku?,
                topology: topology?,
                state_dir,
                run_dir: self.run_dir.unwrap_or_else(|| "/run/leasehold".into()),
                poll: poll?,
                deadline: deadline?,
                ttl: ttl?,
                rules: rules?,
            },
            store: store?,
            nvml: self
                .gpu
                .nvml
                .unwrap_or_else(|| crate::gpu::nvml::LIBRARY.into()),
            kernel_log: kernel_log?,
            metrics: metrics?,
            log,
        })
    }
}

impl HealthFragment {
    /// The rules of the file that is named, or those that are built in.
    fn settle(self, findings: &mut Findings) -> Option<Arc<Rules>> {
        let Some(path) = self.rules else {
            return Some(Rules::built_in().clone());
        };
        let read = std::fs::read_to_string(&path)
            .map_err(|e| e.to_string())
            .and_then(|text| Rules::from_toml(&text).map_err(|e| e.to_string()));
        read.map(Arc::new)
            .map_err(|e| findings.wrong("health.rules", format!("{}: {e}", path.display())))
            .ok()
    }
}

/// `off`, `stdin`, or a path.
#[expect(
    clippy::option_option,
    reason = "the outer one is whether the settings can be used, the inner one whether it is followed"
)]
fn kernel_log(text: Option<&str>, findings: &mut Findings) -> Option<Option<LogFrom>> {
    match text.unwrap_or(DEVICE) {
        "off" => Some(None),
        "stdin" => Some(Some(LogFrom::Stdin)),
        path if path.starts_with('/') => Some(Some(LogFrom::Path(path.into()))),
        other => {
            let allowed = "allowed is \"off\", \"stdin\" or an absolute path";
            findings.wrong("gpu.kernel_log", format!("{other:?}; {allowed}"));
            None
        }
    }
}

fn checked<T>(key: &str, text: &str, findings: &mut Findings) -> Option<T>
where
    T: FromStr,
    T::Err: Display,
{
    text.parse().map_err(|e| findings.wrong(key, e)).ok()
}

/// Absent is a value too; a wrong one is neither.
#[expect(
    clippy::option_option,
    reason = "the outer one is whether the settings can be used, the inner one whether it is set"
)]
fn optional<T>(key: &str, text: Option<String>, findings: &mut Findings) -> Option<Option<T>>
where
    T: FromStr,
    T::Err: Display,
{
    match text {
        None => Some(None),
        Some(text) => checked(key, &text, findings).map(Some),
    }
}

/// The kernel's name for this host, as the inventory most likely has it.
fn host_name() -> Option<String> {
    nix::unistd::gethostname()
        .ok()
        .and_then(|name| name.into_string().ok())
}
