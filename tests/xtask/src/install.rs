//! Debian packages through apt-get, where this user may install them.
//!
//! Tests want the programs `etcd` and `prometheus`, not services on the host's ports. Debian starts a server when its
//! package is configured, so dpkg is told to leave out the files through which that would happen: the init script and the
//! unit.

use std::ffi::OsStr;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// Packages that bring a service, and its name.
const SERVICES: [(&str, &str); 2] = [("etcd-server", "etcd"), ("prometheus", "prometheus")];

/// The files by which Debian would start and enable a service. Without them the maintainer script has nothing to
/// start.
fn service_files(service: &str) -> [String; 3] {
    [
        format!("/etc/init.d/{service}"),
        format!("/lib/systemd/system/{service}.service"),
        format!("/usr/lib/systemd/system/{service}.service"),
    ]
}

/// Installs these packages, or names them and fails where that is not possible.
pub fn install(packages: &[&str]) -> Result<()> {
    let names = packages.join(" ");
    let Some(privilege) = Privilege::of_this_user() else {
        bail!(
            "install the Debian packages {names}, or what corresponds to them here, and try again"
        );
    };
    privilege.apt_get(&["update".to_owned()])?;
    privilege.apt_get(&install_arguments(packages))?;
    for (package, _) in services_of(packages) {
        eprintln!(
            "{package} was installed without its service; `apt-get install --reinstall {package}` adds it."
        );
    }
    Ok(())
}

fn services_of(packages: &[&str]) -> impl Iterator<Item = (&'static str, &'static str)> {
    SERVICES
        .into_iter()
        .filter(|(package, _)| packages.contains(package))
}

fn install_arguments(packages: &[&str]) -> Vec<String> {
    let mut arguments = vec!["install".to_owned(), "--yes".to_owned()];
    arguments.push("--no-install-recommends".to_owned());
    for (_, service) in services_of(packages) {
        for file in service_files(service) {
            arguments.extend([
                "-o".to_owned(),
                format!("Dpkg::Options::=--path-exclude={file}"),
            ]);
        }
    }
    arguments.extend(packages.iter().map(|&package| package.to_owned()));
    arguments
}

/// How this user can become root without being asked for anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Privilege {
    Root,
    Sudo,
}

impl Privilege {
    /// None where there is no apt-get, or no way to root without a password.
    fn of_this_user() -> Option<Self> {
        succeeds("apt-get", &["--version"]).then_some(())?;
        let uid = Command::new("id").arg("-u").output().ok()?;
        if uid.stdout.trim_ascii() == b"0" {
            return Some(Self::Root);
        }
        succeeds("sudo", &["-n", "true"]).then_some(Self::Sudo)
    }

    fn apt_get(self, arguments: &[String]) -> Result<()> {
        let mut command = match self {
            Self::Root => Command::new("env"),
            Self::Sudo => Command::new("sudo"),
        };
        if self == Self::Sudo {
            command.args(["-n", "env"]);
        }
        command
            .args(["DEBIAN_FRONTEND=noninteractive", "apt-get"])
            .args(arguments);
        eprintln!("$ {} {}", command.get_program().display(), shown(&command));
        let status = command
            .stdin(Stdio::null())
            .status()
            .context("start apt-get")?;
        if !status.success() {
            bail!("apt-get {} failed ({status})", arguments.join(" "));
        }
        Ok(())
    }
}

fn shown(command: &Command) -> String {
    command
        .get_args()
        .map(OsStr::to_string_lossy)
        .collect::<Vec<_>>()
        .join(" ")
}

fn succeeds(program: &str, arguments: &[&str]) -> bool {
    let quiet = Stdio::null;
    let mut command = Command::new(program);
    command
        .args(arguments)
        .stdin(quiet())
        .stdout(quiet())
        .stderr(quiet());
    command.status().is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_comes_without_the_files_that_would_start_it() {
        for (package, unit) in [("etcd-server", "etcd"), ("prometheus", "prometheus")] {
            let arguments = install_arguments(&["protobuf-compiler", package]);
            let unit = format!("Dpkg::Options::=--path-exclude=/lib/systemd/system/{unit}.service");
            assert!(arguments.contains(&unit), "{arguments:?}");
            assert_eq!(arguments.last().map(String::as_str), Some(package));
        }
    }

    #[test]
    fn other_packages_are_installed_whole_and_without_recommendations() {
        let arguments = install_arguments(&["gcc"]);
        assert_eq!(
            arguments,
            ["install", "--yes", "--no-install-recommends", "gcc"]
        );
    }
}
