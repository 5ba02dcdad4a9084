//! What the host must have besides a Rust toolchain, and how one sees whether it does.
//!
//! The list is data and the search is a function of two questions (a variable's value, a file's existence), so that
//! tests can describe any host. Putting what is missing in place is the affair of [`crate::install`].

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use crate::install;

/// What a task is about to do. Testing includes building.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Purpose {
    Build,
    Test,
}

/// One thing the host must have.
#[derive(Debug)]
struct Requirement {
    /// The Debian package that brings it.
    package: &'static str,
    /// From which purpose on it is needed.
    since: Purpose,
    /// How it is found.
    probe: Probe,
    /// Why it is needed, as the end of "is needed because".
    because: &'static str,
}

/// How one sees that a requirement is met.
#[derive(Debug)]
enum Probe {
    /// A program on `PATH`, or the one that this variable names instead.
    Program {
        name: &'static str,
        variable: Option<&'static str>,
    },
    /// A file below one of the usual include directories, one beside `protoc`, or the one that this variable names.
    Include {
        path: &'static str,
        variable: Option<&'static str>,
    },
}

const REQUIREMENTS: [Requirement; 9] = [
    Requirement {
        package: "gcc",
        since: Purpose::Build,
        probe: Probe::Program {
            name: "cc",
            variable: Some("CC"),
        },
        because: "the TLS library has parts in C and assembler, and rustc links with it",
    },
    Requirement {
        package: "libc6-dev",
        since: Purpose::Build,
        probe: Probe::Include {
            path: "stdlib.h",
            variable: None,
        },
        because: "those parts include the C library's headers",
    },
    Requirement {
        package: "protobuf-compiler",
        since: Purpose::Build,
        probe: Probe::Program {
            name: "protoc",
            variable: Some("PROTOC"),
        },
        because: "the etcd client compiles etcd's .proto files when it is built",
    },
    Requirement {
        package: "libprotobuf-dev",
        since: Purpose::Build,
        probe: Probe::Include {
            path: "google/protobuf/descriptor.proto",
            variable: Some("PROTOC_INCLUDE"),
        },
        because: "etcd's .proto files import the standard ones",
    },
    Requirement {
        package: "etcd-server",
        since: Purpose::Test,
        probe: Probe::Program {
            name: "etcd",
            variable: None,
        },
        because: "the store's contract and the end-to-end tests start their own etcd",
    },
    Requirement {
        package: "etcd-client",
        since: Purpose::Test,
        probe: Probe::Program {
            name: "etcdctl",
            variable: None,
        },
        because: "the end-to-end tests take and restore snapshots and set up etcd's users",
    },
    Requirement {
        package: "openssl",
        since: Purpose::Test,
        probe: Probe::Program {
            name: "openssl",
            variable: None,
        },
        because: "the store's contract makes certificates for its TLS story",
    },
    Requirement {
        package: "systemd",
        since: Purpose::Test,
        probe: Probe::Program {
            name: "systemd-analyze",
            variable: None,
        },
        because: "the shipped units are verified and scored with it",
    },
    Requirement {
        package: "prometheus",
        since: Purpose::Test,
        probe: Probe::Program {
            name: "promtool",
            variable: None,
        },
        because: "the shipped alert rules and what the daemons show are checked with it",
    },
];

/// Sees to it that the host has what this purpose needs, or says what is missing and stops.
pub fn require(purpose: Purpose) -> Result<()> {
    let missing = missing(purpose);
    if missing.is_empty() {
        return Ok(());
    }
    let report: String = missing
        .iter()
        .map(|requirement| requirement.to_line())
        .collect();
    eprintln!("Missing on this host:\n{report}");
    let packages: Vec<&str> = missing
        .iter()
        .map(|requirement| requirement.package)
        .collect();
    install::install(&packages)?;
    let still: Vec<&str> = self::missing(purpose)
        .iter()
        .map(|still| still.package)
        .collect();
    if !still.is_empty() {
        bail!(
            "apt-get installed {} but what it brings is still not found",
            still.join(", ")
        );
    }
    Ok(())
}

fn missing(purpose: Purpose) -> Vec<&'static Requirement> {
    let host = Host {
        variable: &|name| std::env::var(name).ok(),
        exists: &Path::exists,
    };
    REQUIREMENTS
        .iter()
        .filter(|requirement| requirement.since <= purpose && !host.has(&requirement.probe))
        .collect()
}

impl Requirement {
    fn to_line(&self) -> String {
        let what = match &self.probe {
            Probe::Program { name, .. } => format!("program {name}"),
            Probe::Include { path, .. } => format!("file {path}"),
        };
        let Self {
            package, because, ..
        } = self;
        format!("  {what}: needed because {because} (Debian package {package})\n")
    }
}

/// The two questions one can ask a host.
struct Host<'a> {
    variable: &'a dyn Fn(&str) -> Option<String>,
    exists: &'a dyn Fn(&Path) -> bool,
}

impl Host<'_> {
    fn has(&self, probe: &Probe) -> bool {
        match *probe {
            Probe::Program { name, variable } => match variable.and_then(|name| self.get(name)) {
                // A variable may hold options after the name ("gcc -m64") or a bare name.
                Some(value) => value.split_whitespace().next().is_some_and(|first| {
                    first.contains('/') && (self.exists)(Path::new(first))
                        || self.on_path(first).is_some()
                }),
                None => self.on_path(name).is_some(),
            },
            Probe::Include { path, variable } => {
                let named = variable.and_then(|name| self.get(name)).map(PathBuf::from);
                let beside_protoc = self
                    .on_path("protoc")
                    .and_then(|protoc| Some(protoc.parent()?.parent()?.join("include")));
                let usual = ["/usr/include", "/usr/local/include"].map(PathBuf::from);
                let mut dirs = named.into_iter().chain(beside_protoc).chain(usual);
                dirs.any(|dir| (self.exists)(&dir.join(path)))
            }
        }
    }

    fn get(&self, name: &str) -> Option<String> {
        (self.variable)(name).filter(|value| !value.is_empty())
    }

    fn on_path(&self, program: &str) -> Option<PathBuf> {
        let path = self.get("PATH")?;
        path.split(':')
            .map(|dir| Path::new(dir).join(program))
            .find(|file| (self.exists)(file))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a host described by its variables and files lacks.
    fn lacks(purpose: Purpose, variables: &[(&str, &str)], files: &[&str]) -> Vec<&'static str> {
        let variable = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let exists = |path: &Path| files.iter().any(|file| Path::new(file) == path);
        let host = Host {
            variable: &variable,
            exists: &exists,
        };
        REQUIREMENTS
            .iter()
            .filter(|requirement| requirement.since <= purpose && !host.has(&requirement.probe))
            .map(|requirement| requirement.package)
            .collect()
    }

    const BUILD_HOST: [&str; 4] = [
        "/usr/bin/cc",
        "/usr/include/stdlib.h",
        "/usr/bin/protoc",
        "/usr/include/google/protobuf/descriptor.proto",
    ];

    #[test]
    fn an_empty_host_lacks_everything_a_test_needs() {
        assert_eq!(
            lacks(Purpose::Test, &[("PATH", "/usr/bin")], &[]).len(),
            REQUIREMENTS.len()
        );
    }

    #[test]
    fn a_host_that_can_build_can_run_the_demo_but_not_the_tests() {
        let path = [("PATH", "/usr/local/bin:/usr/bin")];
        assert!(lacks(Purpose::Build, &path, &BUILD_HOST).is_empty());
        assert_eq!(
            lacks(Purpose::Test, &path, &BUILD_HOST),
            [
                "etcd-server",
                "etcd-client",
                "openssl",
                "systemd",
                "prometheus"
            ]
        );
    }

    #[test]
    fn variables_name_tools_outside_the_path() {
        let variables = [
            ("PATH", "/opt/bin"),
            ("CC", "clang -m64"),
            ("PROTOC", "/opt/protoc/bin/protoc"),
            ("PROTOC_INCLUDE", "/opt/protoc/include"),
        ];
        let files = [
            "/opt/bin/clang",
            "/usr/include/stdlib.h",
            "/opt/protoc/bin/protoc",
            "/opt/protoc/include/google/protobuf/descriptor.proto",
        ];
        assert!(lacks(Purpose::Build, &variables, &files).is_empty());
        // A variable that names nothing is a mistake to report, not a reason to look elsewhere.
        let variables = [("PATH", "/usr/bin"), ("PROTOC", "/gone/protoc")];
        assert_eq!(
            lacks(Purpose::Build, &variables, &BUILD_HOST),
            ["protobuf-compiler"]
        );
    }

    #[test]
    fn a_missing_thing_is_reported_with_its_reason_and_its_package() {
        let etcd = REQUIREMENTS
            .iter()
            .find(|known| known.package == "etcd-server");
        let line = etcd.expect("etcd is required").to_line();
        assert!(line.contains("program etcd"), "{line}");
        assert!(line.contains("start their own etcd"), "{line}");
        assert!(line.contains("Debian package etcd-server"), "{line}");
    }
}
