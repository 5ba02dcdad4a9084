//! The command line: what may be asked, and the texts that teach it.
//!
//! Parsed by hand, because a parser crate would be compiled before everything else in every fresh clone.

/// What the command line asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum Request {
    /// Print this text and stop.
    Help(&'static str),
    /// Carry out a task with the arguments that follow its name.
    Run(Task, Vec<String>),
}

/// The sub-commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    Demo,
    Test,
    Lint,
    Ci,
    Bench,
}

impl Task {
    const ALL: [Self; 5] = [Self::Demo, Self::Test, Self::Lint, Self::Ci, Self::Bench];

    fn name(self) -> &'static str {
        match self {
            Self::Demo => "demo",
            Self::Test => "test",
            Self::Lint => "lint",
            Self::Ci => "ci",
            Self::Bench => "bench",
        }
    }

    fn help(self) -> &'static str {
        match self {
            Self::Demo => DEMO,
            Self::Test => TEST,
            Self::Lint => LINT,
            Self::Ci => CI,
            Self::Bench => BENCH,
        }
    }

    /// Whether arguments after the name mean something; a word that would be ignored is refused instead.
    fn takes_arguments(self) -> bool {
        match self {
            Self::Demo | Self::Test | Self::Bench => true,
            Self::Lint | Self::Ci => false,
        }
    }
}

/// Reads the command line without its program name.
pub fn parse(arguments: &[String]) -> Result<Request, String> {
    let Some((first, rest)) = arguments.split_first() else {
        return Ok(Request::Help(OVERVIEW));
    };
    if is_help(first) {
        return Ok(Request::Help(OVERVIEW));
    }
    let Some(task) = Task::ALL.into_iter().find(|task| task.name() == first) else {
        return Err(format!(
            "no task is called {first:?}; there are demo, test, lint, ci and bench (see cargo xtask --help)"
        ));
    };
    let rest = match rest.split_first() {
        Some((word, _)) if is_help(word) => return Ok(Request::Help(task.help())),
        // `cargo xtask demo -- --help` asks the demo itself.
        Some((word, rest)) if word == "--" => rest,
        _ => rest,
    };
    match rest.first() {
        Some(word) if !task.takes_arguments() => Err(format!(
            "{} takes no arguments, but {word:?} was given",
            task.name()
        )),
        _ => Ok(Request::Run(task, rest.to_vec())),
    }
}

fn is_help(word: &str) -> bool {
    matches!(word, "help" | "-h" | "--help")
}

const OVERVIEW: &str = "\
Build, show, test and measure Leasehold.

Usage: cargo xtask TASK [ARGS]

  demo    a whole small cell in one process, from an empty directory to a verified log, in under 20 seconds
  test    every test: unit, property, end to end with a real etcd, and 10,000 seeds of the fault simulator
  lint    formatting, tidiness, clippy and documentation, all without warnings
  ci      what must pass before a change is merged: formatting, tidiness, clippy, then test
  bench   release build, then the benchmarks

`cargo xtask TASK --help` says more. Each step's command line is printed before it runs, so that it can be repeated by
hand. Missing Debian packages are named, and installed with apt-get where this user may do so.";

const DEMO: &str = "\
Builds the all-in-one program `leasehold` and runs its demonstration on simulated GPUs.

Usage: cargo xtask demo [ARGS]

The same by hand: cargo build -p leasehold && target/debug/leasehold demo
ARGS go to `leasehold demo`; a leading `--` is dropped, so `cargo xtask demo -- --help` asks the program itself.
The exit code is the demonstration's own. No GPU, no etcd and no privilege is needed.";

const TEST: &str = "\
Builds the programs that end-to-end tests start, then runs every test.

Usage: cargo xtask test [FILTER...]

  1. cargo build of the daemons, the CLI, the simulated libnvidia-ml and the fault simulator
  2. cargo nextest run --workspace, and the documentation's examples with cargo test --doc;
     plain cargo test --workspace where cargo-nextest is not installed
  3. the fault simulator over seeds 0..10000; a failing seed is printed as a ready command

With a FILTER only step 2's matching tests run: `cargo xtask test hostlist`, `cargo xtask test -p leasehold-store`.
End-to-end tests start their own etcd on free ports and end what they started; nothing on the host is touched.";

const LINT: &str = "\
Checks what a reviewer should not have to look for.

Usage: cargo xtask lint

  formatting     cargo fmt --all --check
  tidiness       no source file above 500 lines, no placeholders, each outside library named in one module only,
                 and the walls between packages as cargo tree shows them
  clippy         every target of the workspace, warnings are errors
  documentation  cargo doc, warnings (broken links, missing docs) are errors";

const CI: &str = "\
Runs what must pass before a change is merged.

Usage: cargo xtask ci

Formatting, tidiness and clippy first, because they fail fastest; then everything that `cargo xtask test` runs.
The documentation build of `lint` is left out: clippy has already compiled the same sources, and broken links may wait.
Allow 30 minutes for an empty target directory on two cores.";

const BENCH: &str = "\
Builds in release mode and runs the benchmarks.

Usage: cargo xtask bench [ARGS]

`cargo xtask bench packing [FOLDER]` measures the packing engine alone, on made-up cells. FOLDER, or LEASEHOLD_TRACES,
is where the public openb trace lies (`openb/*.csv`); with it the published experiment is run too, at its own size, at
ten times the nodes and events, and on lists drawn in other mixes, with FGD and best fit beside the engine's policy.
`cargo xtask bench slurm [--nodes N,N,…]` fills imagined fleets with a stock slurmctld (Debian packages slurmctld,
slurm-client and slurm-wlm-basic-plugins) and with the engine, and prints placements per CPU-second of both.
Other ARGS go to `leasehold-bench`; `cargo xtask bench -- --help` lists the benchmarks. Figures are only worth quoting with
the machine and the command beside them, and from a machine that does nothing else meanwhile.";

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_words(line: &str) -> Result<Request, String> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        parse(&words)
    }

    #[test]
    fn asking_for_nothing_or_for_help_teaches() {
        assert_eq!(parse_words(""), Ok(Request::Help(OVERVIEW)));
        assert_eq!(parse_words("--help"), Ok(Request::Help(OVERVIEW)));
        assert_eq!(parse_words("test -h"), Ok(Request::Help(TEST)));
    }

    #[test]
    fn arguments_are_passed_on_and_one_leading_separator_is_dropped() {
        let run = |task, words: &[&str]| {
            Ok(Request::Run(
                task,
                words.iter().map(|&word| word.to_owned()).collect(),
            ))
        };
        assert_eq!(
            parse_words("test hostlist -p leasehold-common"),
            run(Task::Test, &["hostlist", "-p", "leasehold-common"])
        );
        assert_eq!(parse_words("demo -- --help"), run(Task::Demo, &["--help"]));
    }

    #[test]
    fn unknown_tasks_and_useless_arguments_are_refused_by_name() {
        assert!(parse_words("tset").is_err_and(|message| message.contains("\"tset\"")));
        assert!(parse_words("lint fast").is_err_and(|message| message.contains("\"fast\"")));
    }
}
