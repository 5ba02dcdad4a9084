//! A stock Slurm controller beside the packing engine, on the same imagined fleets.
//!
//! ```text
//!   controller   a slurmctld of its own: temporary folder, loopback, free ports, ended by its process id
//!   fill         one run: a queue of equal jobs on a closed partition, opened, and the clock and the CPU time until
//!                all of them hold nodes or the time is up; then the same leases through `leasehold-sim fill`
//! ```
//!
//! What is compared is placements per CPU-second: of the controller's process, with its sockets, its queue and its
//! state files, against the engine's planning and booking alone. That is not the same work, and the output says so.
//! Slurm gets the form it likes best: one array of equal jobs, no accounting, no priorities, no launch.

mod controller;

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::steps::Steps;
use crate::workspace::Workspace;
use controller::{Controller, GPUS};

/// How long one run may take before it is cut off, from the moment the queue is opened.
const CLOCK_MAX: Duration = Duration::from_secs(50);

/// What runs without `--nodes`: the smallest fleet with each shape, gangs on the largest, and one that is cut off.
const RUNS: [(u32, Shape); 4] = [
    (1_000, Shape::Node),
    (1_000, Shape::Gpu),
    (12_500, Shape::Gang),
    (5_000, Shape::Node),
];

/// What every lease asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// A whole node.
    Node,
    /// One GPU.
    Gpu,
    /// A tenth of all nodes at once.
    Gang,
}

impl Shape {
    fn leases(self, nodes: u32) -> u32 {
        match self {
            Self::Node => nodes,
            Self::Gpu => nodes * GPUS,
            Self::Gang => 10,
        }
    }

    fn to_sbatch(self, nodes: u32) -> Vec<String> {
        let node = format!("--gres=gpu:{GPUS}");
        match self {
            Self::Node => vec!["-N1".to_owned(), "-n1".to_owned(), node],
            Self::Gpu => ["-N1", "-n1", "--gres=gpu:1"].map(str::to_owned).to_vec(),
            Self::Gang => vec![
                format!("-N{}", nodes / 10),
                "--ntasks-per-node=1".to_owned(),
                node,
            ],
        }
    }

    fn to_fill(self, nodes: u32) -> String {
        match self {
            Self::Node => "node".to_owned(),
            Self::Gpu => "gpu".to_owned(),
            Self::Gang => format!("gang:{}", nodes / 10),
        }
    }
}

/// What came of one run of either.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Outcome {
    placed: u32,
    wall_s: f64,
    cpu_s: f64,
}

impl Outcome {
    fn per_cpu_second(self) -> f64 {
        f64::from(self.placed) / self.cpu_s.max(1e-6)
    }
}

/// Runs both and prints one line for each, and the ratio.
pub fn bench(workspace: &Workspace, steps: &mut Steps<'_>, arguments: &[String]) -> Result<()> {
    let runs = parse(arguments)?;
    let version = controller::version()?;
    steps.cargo(&["build", "--release", "--locked", "-p", "leasehold-sim"])?;
    println!("{}", super::machine::line());
    println!(
        "{version}: the whole daemon. leasehold: planning and booking alone, no socket and no commit. Nodes of {GPUS} GPUs."
    );
    println!(
        "{:>7} {:<10} {:<10} {:>8} {:>9} {:>9} {:>14} {:>9}",
        "nodes", "shape", "who", "placed", "wall s", "CPU s", "per CPU-second", "ratio"
    );
    for (nodes, shape) in runs {
        let slurm = fill_slurm(nodes, shape)?;
        let ours = fill_leasehold(workspace, nodes, shape)?;
        let ratio = ours.per_cpu_second() / slurm.per_cpu_second().max(1e-6);
        let told = |who: &str, outcome: Outcome, ratio: &str| {
            println!(
                "{nodes:>7} {:<10} {who:<10} {:>8} {:>9.3} {:>9.3} {:>14.1} {ratio:>9}",
                shape.to_fill(nodes),
                outcome.placed,
                outcome.wall_s,
                outcome.cpu_s,
                outcome.per_cpu_second(),
            );
        };
        let all = slurm.placed >= shape.leases(nodes);
        told("slurm", slurm, if all { "" } else { "cut off" });
        told("leasehold", ours, &format!("{ratio:.0}"));
    }
    Ok(())
}

/// `--nodes N,N,…`: all shapes on each.
fn parse(arguments: &[String]) -> Result<Vec<(u32, Shape)>> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let list = match words.as_slice() {
        [] => return Ok(RUNS.to_vec()),
        ["--nodes", list] => list,
        other => bail!("bench slurm takes --nodes N,N,… and nothing else, but {other:?} was given"),
    };
    let mut runs = Vec::new();
    for word in list.split(',') {
        let nodes = word
            .parse()
            .ok()
            .filter(|nodes| (10..=45_000).contains(nodes));
        let nodes =
            nodes.with_context(|| format!("--nodes: {word:?} is not a number from 10 to 45000"))?;
        runs.extend([Shape::Node, Shape::Gpu, Shape::Gang].map(|shape| (nodes, shape)));
    }
    Ok(runs)
}

/// Queues all leases on a closed partition, opens it, and watches.
fn fill_slurm(nodes: u32, shape: Shape) -> Result<Outcome> {
    let leases = shape.leases(nodes);
    let controller = Controller::start(nodes)?;
    controller.submit(&shape.to_sbatch(nodes), leases)?;
    let (before, cpu_before) = (controller.started()?, controller.cpu_s()?);
    controller.open()?;
    let opened = Instant::now();
    loop {
        std::thread::sleep(Duration::from_millis(500));
        let (placed, cpu_s) = (controller.started()? - before, controller.cpu_s()?);
        let wall = opened.elapsed();
        if placed >= leases || wall > CLOCK_MAX {
            return Ok(Outcome {
                placed,
                wall_s: wall.as_secs_f64(),
                cpu_s: cpu_s - cpu_before,
            });
        }
    }
}

/// The engine runs on one thread and waits for nothing, so what it took is the processor's time.
fn fill_leasehold(workspace: &Workspace, nodes: u32, shape: Shape) -> Result<Outcome> {
    let program = workspace.target.join("release").join("leasehold-sim");
    let fill = shape.to_fill(nodes);
    let output = Command::new(&program)
        .args([
            "fill",
            "--gpus",
            &GPUS.to_string(),
            "--shape",
            &fill,
            // Slurm counts no watts.
            "--fed-pct",
            "0",
            "-o",
            "json",
        ])
        .args(["--nodes", &nodes.to_string()])
        .output()
        .with_context(|| format!("start {}", program.display()))?;
    let json = String::from_utf8_lossy(&output.stdout);
    let number = |field| number(&json, field).with_context(|| format!("read {field} of {json}"));
    if number("checker_violations")? > 0.0 {
        bail!("fill --shape {fill} broke a hard rule: {json}");
    }
    let seconds = number("total_ms")? / 1000.0;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a count of leases"
    )]
    let placed = number("placed")? as u32;
    Ok(Outcome {
        placed,
        wall_s: seconds,
        cpu_s: seconds,
    })
}

/// A number in one line of flat JSON.
fn number(json: &str, field: &str) -> Option<f64> {
    let (_, rest) = json.split_once(&format!("\"{field}\":"))?;
    let end = rest.find([',', '}'])?;
    rest[..end].trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fleets_are_named_or_usual() {
        let words =
            |line: &str| -> Vec<String> { line.split_whitespace().map(str::to_owned).collect() };
        assert_eq!(parse(&[]).unwrap(), RUNS);
        let named = parse(&words("--nodes 10,20")).unwrap();
        assert_eq!(named.len(), 6);
        assert_eq!(named[5], (20, Shape::Gang));
        let error = parse(&words("--nodes 10,many")).unwrap_err().to_string();
        assert!(error.contains("\"many\""), "{error}");
        assert!(parse(&words("--node 10")).is_err());
    }

    #[test]
    fn both_are_asked_for_the_same() {
        assert_eq!(Shape::Gang.to_sbatch(12_500)[0], "-N1250");
        assert_eq!(Shape::Gang.to_fill(12_500), "gang:1250");
        assert_eq!(Shape::Gpu.leases(1_000), 8_000);
    }

    #[test]
    fn figures_are_read_from_a_line() {
        let json = "{\"placed\":12,\"total_ms\":3.5}";
        assert_eq!(number(json, "placed"), Some(12.0));
        assert_eq!(number(json, "total_ms"), Some(3.5));
        assert_eq!(number(json, "wall"), None);
    }
}
