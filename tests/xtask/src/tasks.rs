//! The tasks: which steps, in which order.

use std::ffi::{OsStr, OsString};

use anyhow::{Result, bail, ensure};

use crate::machine;
use crate::packages::{self, Purpose};
use crate::slurm;
use crate::steps::Steps;
use crate::tidy;
use crate::workspace::Workspace;

/// The packages whose programs and libraries end-to-end tests and benchmarks start or load.
///
/// Cargo builds binaries only for the integration tests of their own package, and no test may build: a test that
/// waits for a compiler has no deadline worth the name.
const STARTED_BY_TESTS: [&str; 6] = [
    "leasehold",
    "leasehold-scheduler",
    "leasehold-agent",
    "leasectl",
    "leasehold-nvml-sim",
    "leasehold-sim",
];

/// How many seeds of the fault simulator a full test run takes. It is budgeted at a minute.
const SEEDS: &str = "0..10000";

/// Builds the all-in-one program and runs its demonstration.
pub fn demo(workspace: &Workspace, steps: &mut Steps<'_>, arguments: &[String]) -> Result<()> {
    packages::require(Purpose::Build)?;
    steps.cargo(&["build", "--locked", "-p", "leasehold"])?;
    let mut words = vec!["demo".to_owned()];
    words.extend_from_slice(arguments);
    steps.program(&workspace.debug_program("leasehold"), &words)
}

/// Runs every test, or those that the filter names.
pub fn test(workspace: &Workspace, steps: &mut Steps<'_>, filter: &[String]) -> Result<()> {
    packages::require(Purpose::Test)?;
    steps.cargo(&build_started_by_tests(&[]))?;
    if steps.cargo_has("nextest") {
        steps.cargo(&with(
            &["nextest", "run", "--workspace", "--locked"],
            filter,
        ))?;
        if filter.is_empty() {
            // nextest leaves the examples in the documentation to cargo.
            steps.cargo(&["test", "--doc", "--workspace", "--locked"])?;
        }
    } else {
        steps.cargo(&with(&["test", "--workspace", "--locked"], filter))?;
    }
    if filter.is_empty() {
        steps.program(
            &workspace.debug_program("leasehold-sim"),
            &["--seeds", SEEDS],
        )?;
    }
    Ok(())
}

/// Checks everything that needs no running program.
pub fn lint(workspace: &Workspace, steps: &mut Steps<'_>) -> Result<()> {
    check(workspace, steps)?;
    let arguments = ["doc", "--no-deps", "--workspace", "--locked"];
    steps.run(
        steps
            .cargo_command(&arguments)
            .env("RUSTDOCFLAGS", "-D warnings"),
    )
}

/// Runs what must pass before a change is merged.
pub fn ci(workspace: &Workspace, steps: &mut Steps<'_>) -> Result<()> {
    check(workspace, steps)?;
    test(workspace, steps, &[])
}

/// What `bench packing` runs: the packing engine alone, under load.
const PACKING: [&str; 12] = [
    "fill --nodes 12500 --gpus 8 --shape node",
    "fill --nodes 12500 --gpus 8 --shape node --fed-pct 0",
    "fill --nodes 12500 --gpus 8 --shape gpu",
    "fill --nodes 12500 --gpus 8 --shape gpu --fed-pct 0",
    "fill --nodes 125000 --gpus 8 --shape gpu --fed-pct 0",
    "fill --nodes 12500 --gpus 8 --shape gang:1250",
    "fill --nodes 12500 --gpus 8 --shape mixed",
    "fill --nodes 3000 --gpus 8 --shape mig",
    "churn --nodes 12500 --gpus 8 --used-pct 85",
    "churn --nodes 12500 --gpus 8 --used-pct 85 --fed-pct 0",
    "buyout --nodes 125000 --gpus 8 --lease-gpus 100000 --used-pct 40",
    "buyout --nodes 125000 --gpus 8 --lease-gpus 100000 --used-pct 40 --fed-pct 0",
];

/// Builds in release mode and runs the benchmarks.
pub fn bench(workspace: &Workspace, steps: &mut Steps<'_>, arguments: &[String]) -> Result<()> {
    match arguments.split_first() {
        Some((first, rest)) if first == "packing" => return bench_packing(workspace, steps, rest),
        Some((first, rest)) if first == "slurm" => return slurm::bench(workspace, steps, rest),
        Some(_) | None => {}
    }
    packages::require(Purpose::Test)?;
    steps.cargo(&build_started_by_tests(&["--release"]))?;
    let run = [
        "run",
        "--release",
        "--locked",
        "-p",
        "leasehold-tests",
        "--bin",
        "leasehold-bench",
    ];
    let mut words = with(&run, &["--".to_owned()]);
    words.extend(arguments.iter().map(OsString::from));
    steps.cargo(&words)
}

/// The packing engine alone needs no daemon, no store and no package. The public trace is not part of the tree: where
/// its folder is given, the published experiment is run as well, the baselines beside the engine's policy.
fn bench_packing(workspace: &Workspace, steps: &mut Steps<'_>, arguments: &[String]) -> Result<()> {
    let data = match arguments {
        [] => std::env::var_os("LEASEHOLD_TRACES"),
        [folder] => Some(OsString::from(folder)),
        [_, more, ..] => bail!("bench packing takes one folder, but {more:?} was given as well"),
    };
    let data = data.map(std::path::absolute).transpose()?;
    if let Some(data) = &data {
        let fleet = data.join("openb/openb_node_list_gpu_node.csv");
        ensure!(fleet.is_file(), "there is no {}", fleet.display());
    }
    let build = ["build", "--release", "--locked", "-p", "leasehold-sim"];
    steps.cargo(&with(&build, &["--bins", "--examples"].map(str::to_owned)))?;
    println!("{}", machine::line());
    let release = workspace.target.join("release");
    for run in PACKING {
        let words: Vec<&str> = run.split_whitespace().collect();
        steps.program(&release.join("leasehold-sim"), &words)?;
    }
    let Some(data) = data else {
        println!("the openb trace was left out: neither a folder nor LEASEHOLD_TRACES was given");
        return Ok(());
    };
    let table = release.join("examples").join("openb_table");
    for part in ["published", "larger", "held-out"] {
        steps.program(&table, &[data.as_os_str(), OsStr::new(part)])?;
    }
    let backlog = [
        "run",
        "--release",
        "--locked",
        "-p",
        "leasehold-core",
        "--example",
        "backlog",
    ];
    steps.cargo(&backlog)
}

/// Formatting, tidiness and clippy, the fastest to fail first.
fn check(workspace: &Workspace, steps: &mut Steps<'_>) -> Result<()> {
    packages::require(Purpose::Build)?;
    steps.cargo(&["fmt", "--all", "--check"])?;
    tidy::check(workspace, steps)?;
    let clippy = [
        "clippy",
        "--workspace",
        "--all-targets",
        "--locked",
        "--",
        "-D",
        "warnings",
    ];
    steps.cargo(&clippy)
}

fn build_started_by_tests(options: &[&str]) -> Vec<OsString> {
    let packages = STARTED_BY_TESTS.iter().flat_map(|package| ["-p", package]);
    ["build", "--locked"]
        .into_iter()
        .chain(options.iter().copied())
        .chain(packages)
        .map(OsString::from)
        .collect()
}

fn with(words: &[&str], more: &[String]) -> Vec<OsString> {
    let words = words.iter().map(OsString::from);
    words.chain(more.iter().map(OsString::from)).collect()
}
