//! Making things happen to simulated GPUs while they run.
//!
//! Changes are lines of `simulated/changes.jsonl` in the state folder, appended by `leasehold inject`
//! and taken up by the process that runs. They are a history: a process that starts again makes them
//! happen again, because a broken GPU is still broken after a restart.

use anyhow::{Context as _, bail};
use leasehold_agent::gpu::simulated::SimulatedNode;
use leasehold_common::ids::NodeName;
use leasehold_gpu_sim::Change;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// How often the file is looked at.
const LOOK: Duration = Duration::from_millis(250);

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// The node.
    pub node: NodeName,
    /// What happens to it.
    pub change: Change,
}

fn file(state: &Path) -> PathBuf {
    state.join("simulated").join("changes.jsonl")
}

/// Appends a change for the process that runs with this state folder.
///
/// # Errors
/// A folder in which nothing is simulated, or a change that is none.
pub fn append(state: &Path, node: &NodeName, change: &str) -> anyhow::Result<()> {
    let path = file(state);
    let folder = path.parent().expect("the file is in a folder");
    if !folder.is_dir() {
        bail!("nothing is simulated with state folder {}", state.display());
    }
    let change: Change = serde_json::from_str(change).with_context(|| {
        format!("{change:?} is no change, such as {{\"lose_gpu\":{{\"gpu\":3}}}}")
    })?;
    let line = serde_json::to_string(&Line {
        node: node.clone(),
        change,
    })?;
    let mut file = OpenOptions::new().create(true).append(true).open(&path)?;
    file.write_all(format!("{line}\n").as_bytes())?;
    Ok(())
}

/// Makes the folder in which changes are left.
///
/// # Errors
/// The system's.
pub fn prepare(state: &Path) -> std::io::Result<()> {
    fs::create_dir_all(file(state).parent().expect("the file is in a folder"))
}

/// Takes up changes until cancelled.
pub async fn follow(
    state: PathBuf,
    nodes: BTreeMap<NodeName, Arc<SimulatedNode>>,
    shutdown: CancellationToken,
) {
    let path = file(&state);
    let mut taken = 0;
    loop {
        match read(&path) {
            Ok(lines) => {
                lines
                    .iter()
                    .skip(taken)
                    .for_each(|line| happen(line, &nodes));
                taken = lines.len().max(taken);
            }
            Err(e) => warn!(error = %e, path = %path.display(), "changes cannot be read"),
        }
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

/// The whole lines that are there; one still being written is left for the next look.
fn read(path: &Path) -> std::io::Result<Vec<String>> {
    let text = match File::open(path).and_then(std::io::read_to_string) {
        Ok(text) => text,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(e),
    };
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    Ok(whole.lines().map(str::to_owned).collect())
}

fn happen(line: &str, nodes: &BTreeMap<NodeName, Arc<SimulatedNode>>) {
    let line: Line = match serde_json::from_str(line) {
        Ok(line) => line,
        Err(e) => return warn!(error = %e, line, "this is no change"),
    };
    match nodes.get(&line.node).map(|node| node.apply(&line.change)) {
        None => warn!(node = %line.node, "no such node is simulated"),
        Some(Err(e)) => warn!(node = %line.node, error = %e, "the change is refused"),
        Some(Ok(())) => info!(node = %line.node, change = ?line.change, "injected"),
    }
}
