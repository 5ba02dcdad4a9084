//! Records everything that an NVML says about a machine, as raw as it can be.
//!
//! The record is what the simulated library is held against, and what somebody looks into who has no
//! such machine. It is one JSON document on stdout, a call a line, of the schema [`SCHEMA`].
//!
//! ```text
//!   main ── order of the calls, stages ──► about · mode · power · heat · clock · memory · link
//!                                          peers · mig · process · field · event · cycle
//!                                             │ a symbol, its arguments, how the answer reads
//!                                             ▼
//!                                          record ── the one place that calls: refuses what changes
//!                                             │      anything, times, names the code
//!                                             ▼
//!                                          room ── where the library writes, with a margin that shows
//!                                                  a struct or signature that is not the library's
//! ```
//!
//! # Invariants
//! - No call changes a setting: `record` takes names of questions only, and panics at any other.
//! - It runs to the end whatever the answers are. A symbol that is not there is recorded as absent.
//! - A call that does not come back, or does not leave the process alive, is the last one named on
//!   stderr, which holds all entries before it; `--skip` leaves it out the next time.
//! - UUIDs and serial numbers are replaced by made-up ones of the same form, everywhere. Host name,
//!   process names and command lines are not read, or are cut out.
//!
//! Not here: vGPU, units, GPM samples, attestation reports, PRM registers.

#![expect(
    unsafe_code,
    reason = "raw NVML is made of foreign functions and pointers"
)]

mod about;
mod clock;
mod cycle;
mod event;
mod field;
mod gpu;
mod heat;
mod host;
mod identity;
mod link;
mod memory;
mod mig;
mod mode;
mod peers;
mod power;
mod process;
mod record;
mod room;
mod symbols;
mod system;
#[cfg(test)]
mod tests;

use anyhow::Context as _;
use clap::Parser;
use gpu::Gpu;
use identity::Identities;
use nvml_wrapper_sys::bindings::NvmlLib;
use record::Recorder;
use serde_json::{Value, json};
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

/// Version 1 had the same calls, by the same names, without `code`, `gpu` and `raw`.
const SCHEMA: &str = "leasehold.io/nvml-readings/v2";

/// Records what an NVML says, without changing anything.
#[derive(Debug, Parser)]
struct Options {
    /// The library: a path with a slash, or a name that the loader looks for.
    #[arg(default_value = "libnvidia-ml.so.1")]
    library: PathBuf,
    /// Leave this function out (repeatable), because it hangs or kills the process.
    #[arg(long, value_name = "FUNCTION")]
    skip: Vec<String>,
    /// Leave UUIDs and serial numbers as they are.
    #[arg(long)]
    keep_identity: bool,
    /// How often the calls of one observation are made without a pause.
    #[arg(long, default_value_t = 200)]
    rounds: usize,
    /// How often with 100 ms between them.
    #[arg(long, default_value_t = 20)]
    fast_rounds: usize,
    /// How often with one second between them, as the agent does: the driver keeps some answers for a while.
    #[arg(long, default_value_t = 15)]
    slow_rounds: usize,
    /// Nothing on stderr.
    #[arg(long)]
    quiet: bool,
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let document = record(&options)?;
    document.write(&mut io::stdout().lock())?;
    Ok(())
}

/// All that is written down.
#[derive(Debug)]
struct Document {
    head: Vec<(&'static str, Value)>,
    recorder: Recorder,
    cycles: Vec<Value>,
    stages: Vec<Value>,
}

impl Document {
    /// A line for each entry, so that two records can be compared by eye.
    fn write(&self, to: &mut impl Write) -> io::Result<()> {
        write!(to, "{{\"schema\": {}", json!(SCHEMA))?;
        for (name, value) in &self.head {
            write!(to, ",\n{}: {value}", json!(name))?;
        }
        lines(to, "stages", self.stages.iter())?;
        lines(to, "cycles", self.cycles.iter())?;
        let calls = self.recorder.entries().iter();
        let calls = calls
            .map(serde_json::to_string)
            .collect::<Result<Vec<_>, _>>()?;
        lines(to, "calls", calls.iter())?;
        writeln!(to, "}}")?;
        to.flush()
    }
}

fn lines(
    to: &mut impl Write,
    name: &str,
    values: impl Iterator<Item = impl std::fmt::Display>,
) -> io::Result<()> {
    write!(to, ",\n{}: [", json!(name))?;
    for (at, value) in values.enumerate() {
        let comma = if at == 0 { "" } else { "," };
        write!(to, "{comma}\n{value}")?;
    }
    write!(to, "\n]")
}

fn record(options: &Options) -> anyhow::Result<Document> {
    let mut recorder = Recorder::new(
        Identities::new(options.keep_identity),
        options.skip.clone(),
        options.quiet,
    );
    let mut stages = vec![host::stage("start")];
    // SAFETY: loading runs the library's own initialisers; it is the one that the caller named.
    let lib = unsafe { NvmlLib::new(&options.library) }
        .with_context(|| format!("load {}", options.library.display()))?;
    stages.push(host::stage("library loaded"));

    system::initialise(&mut recorder, &lib);
    stages.push(host::stage("initialised"));
    system::record(&mut recorder, &lib);
    let handles = system::handles(&mut recorder, &lib);
    stages.push(host::stage("handles"));
    for &(index, handle) in &handles {
        let mut gpu = Gpu {
            rec: &mut recorder,
            lib: &lib,
            handle,
            index,
        };
        about::record(&mut gpu);
        mode::record(&mut gpu);
        power::record(&mut gpu);
        heat::record(&mut gpu);
        clock::record(&mut gpu);
        memory::record(&mut gpu);
        link::record(&mut gpu);
        mig::record(&mut gpu);
        process::record(&mut gpu);
        field::record(&mut gpu);
        event::record(&mut gpu);
        peers::record(&mut gpu, &handles);
    }
    stages.push(host::stage("recorded"));

    let paces = [
        (options.rounds, Duration::ZERO),
        (options.fast_rounds, Duration::from_millis(100)),
        (options.slow_rounds, Duration::from_secs(1)),
    ];
    let mut cycles = Vec::new();
    for &(index, handle) in &handles {
        for (rounds, pause) in paces {
            cycles.push(cycle::record(
                &mut recorder,
                &lib,
                index,
                handle,
                rounds,
                pause,
            ));
        }
    }
    stages.push(host::stage("cycles made"));
    system::shut_down(&mut recorder, &lib);
    stages.push(host::stage("shut down"));
    system::flags(&mut recorder, &lib);
    stages.push(host::stage("initialised with flags and shut down"));

    let exported = symbols::exported(&options.library);
    let facts = host::facts(&mut recorder.identities);
    recorder.finish();
    let head = vec![
        (
            "library",
            json!(options.library.file_name().map(|n| n.to_string_lossy())),
        ),
        ("skipped", json!(options.skip)),
        ("host", facts),
        ("symbols", json!(exported)),
    ];
    Ok(Document {
        head,
        recorder,
        cycles,
        stages,
    })
}
