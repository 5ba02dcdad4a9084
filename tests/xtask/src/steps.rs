//! One step is one command line: printed before it runs, timed after.

use std::ffi::OsStr;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::workspace::Workspace;

/// A step that ran and did not succeed, with the code that xtask ends with in turn.
#[derive(Debug)]
pub struct Failed {
    what: String,
    pub code: u8,
}

impl std::fmt::Display for Failed {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            formatter,
            "`{}` failed with exit code {}",
            self.what, self.code
        )
    }
}

impl std::error::Error for Failed {}

/// Runs steps in the workspace's root and remembers how long each took.
#[derive(Debug)]
pub struct Steps<'a> {
    workspace: &'a Workspace,
    done: Vec<(String, Duration)>,
}

impl<'a> Steps<'a> {
    pub fn new(workspace: &'a Workspace) -> Self {
        Self {
            workspace,
            done: Vec::new(),
        }
    }

    /// Runs `cargo` with these arguments.
    pub fn cargo<S: AsRef<OsStr>>(&mut self, arguments: &[S]) -> Result<()> {
        self.run(&mut self.cargo_command(arguments))
    }

    /// Runs any program with these arguments.
    pub fn program<S: AsRef<OsStr>>(&mut self, program: &Path, arguments: &[S]) -> Result<()> {
        self.run(Command::new(program).args(arguments))
    }

    /// Runs a command whose environment the caller has prepared.
    pub fn run(&mut self, command: &mut Command) -> Result<()> {
        let line = command_line(command);
        self.prepare(command);
        eprintln!("\n$ {line}");
        let started = Instant::now();
        let status = command
            .status()
            .with_context(|| format!("start `{line}`"))?;
        let took = started.elapsed();
        eprintln!("  [{}] {line}", seconds(took));
        self.done.push((line.clone(), took));
        match exit_code(status) {
            0 => Ok(()),
            code => Err(Failed { what: line, code }.into()),
        }
    }

    /// The standard output of a cargo command that is a question, not a step.
    pub fn ask_cargo(&self, arguments: &[&str]) -> Result<String> {
        let mut command = self.cargo_command(arguments);
        let line = command_line(&command);
        self.prepare(&mut command);
        let output = command
            .stderr(Stdio::inherit())
            .output()
            .with_context(|| format!("start `{line}`"))?;
        match exit_code(output.status) {
            0 => String::from_utf8(output.stdout).with_context(|| format!("read `{line}`")),
            code => Err(Failed { what: line, code }.into()),
        }
    }

    /// Whether this cargo has a sub-command, such as `nextest`.
    pub fn cargo_has(&self, subcommand: &str) -> bool {
        let mut command = self.cargo_command(&[subcommand, "--version"]);
        self.prepare(&mut command);
        let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
        status.is_ok_and(|status| status.success())
    }

    /// Ends a task of several steps with one line for each.
    pub fn print_summary(&self) {
        if self.done.len() < 2 {
            return;
        }
        eprintln!("\nAll steps passed:");
        for (line, took) in &self.done {
            eprintln!("  {:>9}  {line}", seconds(*took));
        }
        eprintln!(
            "  {:>9}  in all",
            seconds(self.done.iter().map(|(_, took)| *took).sum())
        );
    }

    /// A cargo command, for a caller that has more to set on it.
    pub fn cargo_command<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Command {
        let mut command = Command::new(&self.workspace.cargo);
        command.args(arguments);
        command
    }

    fn prepare(&self, command: &mut Command) {
        command.current_dir(&self.workspace.root);
        command.env("CARGO_TARGET_DIR", &self.workspace.target);
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(is_left_by_cargo_run) {
                command.env_remove(name);
            }
        }
    }
}

/// Whether `cargo run` set this variable to describe xtask itself.
///
/// Some build scripts watch these names. Handed down, they would make such crates, and all that depend on them, build
/// again whenever one changes between xtask and a plain cargo command.
fn is_left_by_cargo_run(name: &str) -> bool {
    name.starts_with("CARGO_PKG_")
        || matches!(
            name,
            "CARGO_MANIFEST_DIR" | "CARGO_MANIFEST_PATH" | "CARGO_BIN_NAME" | "CARGO_CRATE_NAME"
        )
}

/// The exit code as a shell would show it: 128 and the signal's number for a program that was killed.
fn exit_code(status: ExitStatus) -> u8 {
    let code = status
        .code()
        .or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}

/// The command as a person would type it: the variables set for it, the program's name, its arguments.
fn command_line(command: &Command) -> String {
    let variables = command.get_envs().filter_map(|(name, value)| {
        Some(format!(
            "{}={}",
            name.to_string_lossy(),
            quoted(&value?.to_string_lossy())
        ))
    });
    let program = Path::new(command.get_program());
    let program = match program.file_name() {
        Some(name) if name == "cargo" => name.to_string_lossy(),
        _ => program.to_string_lossy(),
    };
    let arguments = command
        .get_args()
        .map(|argument| quoted(&argument.to_string_lossy()));
    variables
        .chain([program.into_owned()])
        .chain(arguments)
        .collect::<Vec<_>>()
        .join(" ")
}

fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,@+%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_line_can_be_pasted_into_a_shell() {
        let mut command = Command::new("/opt/rust/bin/cargo");
        command
            .args(["doc", "it's"])
            .env("RUSTDOCFLAGS", "-D warnings");
        assert_eq!(
            command_line(&command),
            r"RUSTDOCFLAGS='-D warnings' cargo doc 'it'\''s'"
        );
    }

    #[test]
    fn exit_codes_are_those_a_shell_shows() {
        // Wait statuses: the exit code in the second byte, a signal's number in the first.
        assert_eq!(exit_code(ExitStatus::from_raw(0)), 0);
        assert_eq!(exit_code(ExitStatus::from_raw(101 << 8)), 101);
        assert_eq!(exit_code(ExitStatus::from_raw(9)), 137);
    }

    #[test]
    fn only_what_describes_xtask_is_taken_from_the_environment() {
        assert!(is_left_by_cargo_run("CARGO_PKG_NAME"));
        assert!(is_left_by_cargo_run("CARGO_MANIFEST_DIR"));
        assert!(!is_left_by_cargo_run("CARGO_HOME"));
        assert!(!is_left_by_cargo_run("CARGO_BUILD_JOBS"));
    }
}
