//! Where the library, its state file and the host's name are found.

use leasehold_common::ids::NodeName;
use leasehold_gpu_sim::Scenario;
use leasehold_gpu_sim::state::{self, StateError};
use std::path::{Path, PathBuf};
use std::{env, fs, io};

/// Names the state file.
const STATE_VARIABLE: &str = "LEASEHOLD_NVML_SIM";

/// As Cargo names it. A Rust library's name cannot hold the `-` of `libnvidia-ml.so.1`.
const LIBRARY: &str = "libnvml_sim.so";

/// The simulated library, for the tests of a crate that has this one as a dev-dependency.
///
/// `cargo test` builds the library for its own use only: into `deps/`, where the running test is.
/// The copy one folder up is refreshed only when this very package is built and may be days old, so
/// the folder of the running program is looked into first; a program that is itself one folder up,
/// such as an agent that a test started, then finds the one in `deps/`.
///
/// # Panics
/// When the library is in neither place: the caller's package does not depend on this one.
pub fn library_path() -> PathBuf {
    let program = env::current_exe().expect("Linux knows the path of a running program");
    let folder = program.parent().expect("a program lies in a folder");
    let places = [
        folder.to_owned(),
        folder.join("deps"),
        folder.join("../deps"),
    ];
    let found = places
        .iter()
        .map(|place| place.join(LIBRARY))
        .find(|path| path.is_file());
    found.unwrap_or_else(|| {
        panic!(
            "no {LIBRARY} in {} nor in its deps: depend on leasehold-nvml-sim",
            folder.display()
        )
    })
}

/// The state file that a library at this path looks for when no variable names one.
pub fn state_path(library: &Path) -> PathBuf {
    library.with_extension("json")
}

/// The library could not be put in its place.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// It could not be copied.
    #[error("copy the simulated library to {}", to.display())]
    Copy {
        /// Where to.
        to: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Its state could not be written.
    #[error("write the simulated library's state")]
    State(#[from] StateError),
}

/// A copy of the library in `folder`, with its own state file beside it, at [`state_path`].
///
/// Each test takes its own copy, because the loader knows libraries by their inode: two tests in
/// one process that load the same file have one node between them.
pub fn install(folder: &Path, scenario: &Scenario) -> Result<PathBuf, InstallError> {
    let to = folder.join(LIBRARY);
    state::write(&state_path(&to), scenario)?;
    fs::copy(library_path(), &to).map_err(|source| InstallError::Copy {
        to: to.clone(),
        source,
    })?;
    Ok(to)
}

/// The state file to follow, where there is one.
pub(crate) fn state_file() -> Option<PathBuf> {
    if let Some(named) = env::var_os(STATE_VARIABLE) {
        return Some(named.into());
    }
    let beside = state_path(&own_path()?);
    beside.is_file().then_some(beside)
}

/// The file this code was loaded from: the one mapped where this very function is.
fn own_path() -> Option<PathBuf> {
    let here = own_path as fn() -> Option<PathBuf> as usize;
    let maps = fs::read_to_string("/proc/self/maps").ok()?;
    maps.lines().find_map(|line| {
        let (range, rest) = line.split_once(' ')?;
        let (from, to) = range.split_once('-')?;
        let from = usize::from_str_radix(from, 16).ok()?;
        let to = usize::from_str_radix(to, 16).ok()?;
        let path = &rest[rest.find('/')?..];
        (from..to).contains(&here).then(|| path.into())
    })
}

/// The host's name, for the node that nobody described.
pub(crate) fn host_name() -> NodeName {
    fs::read_to_string("/proc/sys/kernel/hostname")
        .ok()
        .and_then(|name| name.trim().parse().ok())
        .unwrap_or_else(|| "localhost".parse().expect("a valid node name"))
}
