//! Where things are: the tree, its target directory, its sources.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The checked-out tree this xtask was built from, and the cargo to drive it with.
#[derive(Debug)]
pub struct Workspace {
    pub root: PathBuf,
    pub target: PathBuf,
    pub cargo: OsString,
}

impl Workspace {
    /// Finds the tree from the environment that cargo gives to `cargo run`, or from where xtask was compiled.
    pub fn find() -> Result<Self> {
        let manifest_dir = std::env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let root = manifest_dir
            .ancestors()
            .nth(2)
            .context("find the workspace two levels above tests/xtask")?
            .to_owned();
        let target = match std::env::var_os("CARGO_TARGET_DIR") {
            // Cargo reads a relative path against its working directory. The steps run in the root, so it is made
            // absolute here, against the directory that the caller had in mind.
            Some(dir) => std::path::absolute(dir).context("make CARGO_TARGET_DIR absolute")?,
            None => root.join("target"),
        };
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        Ok(Self {
            root,
            target,
            cargo,
        })
    }

    /// A program that the dev profile built.
    pub fn debug_program(&self, name: &str) -> PathBuf {
        self.target.join("debug").join(name)
    }

    /// Every Rust source of the tree with its path relative to the root, in the order of their paths.
    pub fn sources(&self) -> Result<Vec<(String, String)>> {
        let mut found = Vec::new();
        self.collect(&self.root, &mut found)?;
        found.sort();
        Ok(found)
    }

    fn collect(&self, dir: &Path, found: &mut Vec<(String, String)>) -> Result<()> {
        let entries = std::fs::read_dir(dir).with_context(|| format!("list {}", dir.display()))?;
        for entry in entries {
            let entry = entry.with_context(|| format!("list {}", dir.display()))?;
            let path = entry.path();
            let name = entry.file_name();
            let kind = entry
                .file_type()
                .with_context(|| format!("look at {}", path.display()))?;
            if kind.is_dir() {
                let hidden = name.to_string_lossy().starts_with('.');
                if !hidden && name != "target" && path != self.target {
                    self.collect(&path, found)?;
                }
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path)
                    .with_context(|| format!("read {}", path.display()))?;
                let relative = path.strip_prefix(&self.root).unwrap_or(&path);
                found.push((relative.to_string_lossy().into_owned(), text));
            }
        }
        Ok(())
    }
}
