//! The layers that settings come from, least first.

use super::findings::{Finding, Findings, Origin};
use super::leaf::{Leaf, insert, leaves, readings};
use serde::de::DeserializeOwned;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use toml::Table;

/// What one layer says about one key.
#[derive(Debug)]
enum Given {
    /// From a file, with TOML's types.
    Typed(Leaf),
    /// From the environment or a flag, as text.
    Text { key: String, text: String },
}

/// The layers of one daemon's settings. Each layer is stronger than those added before it.
#[derive(Debug)]
pub struct Layers {
    prefix: String,
    given: Vec<(Origin, Given)>,
    findings: Findings,
}

impl Layers {
    /// No layer yet, for the daemon of this name: `scheduler` or `agent`.
    pub fn new(daemon: &str) -> Self {
        Self {
            prefix: format!("LEASEHOLD_{}_", daemon.to_uppercase()),
            given: Vec::new(),
            findings: Findings::default(),
        }
    }

    /// A file, then `<file>.d/*.toml` in the order of their names. A file that is not there is a
    /// mistake; a folder that is not there is none.
    #[must_use]
    pub fn file(mut self, path: &Path) -> Self {
        self.one_file(path);
        let mut folder = path.as_os_str().to_owned();
        folder.push(".d");
        match drop_ins(Path::new(&folder)) {
            Ok(paths) => paths.iter().for_each(|path| self.one_file(path)),
            Err(e) => self.unreadable(PathBuf::from(folder), &e.to_string()),
        }
        self
    }

    /// Variables `LEASEHOLD_<DAEMON>_<KEY>`, where `__` stands for the dot of a table's key:
    /// `LEASEHOLD_AGENT_LIVENESS__TTL`. The variable that ends in `_CONFIG` names the file and is no
    /// key. Lists may be written with commas.
    #[must_use]
    pub fn environment<T: Into<OsString>>(
        mut self,
        variables: impl Iterator<Item = (T, T)>,
    ) -> Self {
        let mut mine: Vec<(String, OsString)> = variables
            .filter_map(|(name, value)| Some((name.into().into_string().ok()?, value.into())))
            .filter(|(name, _)| name.starts_with(&self.prefix))
            .collect();
        mine.sort();
        for (name, value) in mine {
            let key = name[self.prefix.len()..].to_lowercase().replace("__", ".");
            if key == "config" {
                continue;
            }
            let origin = Origin::Variable(name);
            match value.into_string() {
                Ok(text) => self.given.push((origin, Given::Text { key, text })),
                Err(_) => self.findings.add(Finding {
                    origin: Some(origin),
                    key: Some(key),
                    problem: "is not UTF-8".into(),
                }),
            }
        }
        self
    }

    /// A flag that sets `key`; nothing where it was not given.
    #[must_use]
    pub fn flag(mut self, flag: &str, key: &str, text: Option<&str>) -> Self {
        if let Some(text) = text {
            let (key, text) = (key.to_owned(), text.to_owned());
            self.given
                .push((Origin::Flag(flag.to_owned()), Given::Text { key, text }));
        }
        self
    }

    /// A flag `--set KEY=VALUE`, which sets any key.
    #[must_use]
    pub fn set(mut self, assignment: &str) -> Self {
        let origin = Origin::Flag("--set".into());
        match assignment.split_once('=') {
            Some((key, text)) => {
                let (key, text) = (key.trim().to_owned(), text.trim().to_owned());
                self.given.push((origin, Given::Text { key, text }));
            }
            None => self.findings.add(Finding {
                origin: Some(origin),
                key: None,
                problem: format!("{assignment:?} is not KEY=VALUE"),
            }),
        }
        self
    }

    /// Lays the layers over each other. Keys that are not known or do not parse are left out of the
    /// input and stand in the findings, to which the caller adds what it finds itself.
    pub fn read<F: DeserializeOwned + Default>(mut self) -> (F, Findings) {
        let mut table = Table::new();
        for (origin, given) in self.given {
            let dotted = given.key();
            self.findings.set_by(&dotted, &origin);
            match given.resolve::<F>() {
                Ok(leaf) => insert(&mut table, leaf),
                Err(problem) => self.findings.add(Finding {
                    origin: Some(origin),
                    key: Some(dotted),
                    problem,
                }),
            }
        }
        let input = F::deserialize(table).unwrap_or_else(|e| {
            self.findings.add(Finding {
                origin: None,
                key: None,
                problem: e.message().to_owned(),
            });
            F::default()
        });
        (input, self.findings)
    }

    fn one_file(&mut self, path: &Path) {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(e) => return self.unreadable(path.to_owned(), &e.to_string()),
        };
        match text.parse::<Table>() {
            Ok(table) => self.given.extend(
                leaves(table)
                    .into_iter()
                    .map(|leaf| (Origin::File(path.to_owned()), Given::Typed(leaf))),
            ),
            Err(e) => {
                let line = e.span().map(|span| {
                    1 + text.as_bytes()[..span.start]
                        .iter()
                        .filter(|b| **b == b'\n')
                        .count()
                });
                let at = line
                    .map(|line| format!("line {line}: "))
                    .unwrap_or_default();
                self.unreadable(path.to_owned(), &format!("{at}{}", e.message()));
            }
        }
    }

    fn unreadable(&mut self, path: PathBuf, problem: &str) {
        self.findings.add(Finding {
            origin: Some(Origin::File(path)),
            key: None,
            problem: problem.to_owned(),
        });
    }
}

impl Given {
    fn key(&self) -> String {
        match self {
            Self::Typed(leaf) => leaf.dotted(),
            Self::Text { key, .. } => key.clone(),
        }
    }

    /// The leaf, if the fragment type takes it; otherwise why not, about the likeliest reading.
    fn resolve<F: DeserializeOwned>(self) -> Result<Leaf, String> {
        match self {
            Self::Typed(leaf) => leaf.check::<F>().map(|()| leaf),
            Self::Text { key, text } => {
                let mut told = None;
                for value in readings(&text) {
                    let telling = told.is_none() || !(value.is_str() || value.is_array());
                    let leaf = Leaf::new(&key, value);
                    match leaf.check::<F>() {
                        Ok(()) => return Ok(leaf),
                        Err(problem) if telling => told = Some(problem),
                        Err(_) => {}
                    }
                }
                Err(told.unwrap_or_default())
            }
        }
    }
}

/// The `*.toml` files of a folder by name; none where there is no such folder.
fn drop_ins(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(e),
    };
    let mut paths = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<std::io::Result<Vec<_>>>()?;
    paths.retain(|path| path.extension().is_some_and(|e| e == "toml"));
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
mod tests;
