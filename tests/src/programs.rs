//! Where the programs under test are.

use std::path::PathBuf;

/// The program of this name, out of the build that the running test is from.
///
/// # Panics
/// When it was not built: Cargo builds binaries only for the tests of their own package.
pub fn program(name: &str) -> PathBuf {
    let here = std::env::current_exe().expect("Linux knows the path of a running program");
    // A test is in `deps/`, one folder below the programs; a benchmark is beside them.
    let found = here
        .ancestors()
        .skip(1)
        .take(2)
        .map(|folder| folder.join(name))
        .find(|path| path.is_file());
    found.unwrap_or_else(|| {
        panic!(
            "there is no {name} near {}: `cargo xtask test` builds it before it runs the tests, \
             `cargo build -p {name}` does so alone",
            here.display()
        )
    })
}
