//! The rules that neither rustc nor clippy know: about the text of the sources, and about who may depend on whom.
//!
//! The rules are pure functions over texts. This module reads the texts and reports every breach at once, each with
//! the rule's reason, because a rule without a reason gets worked around.

mod sources;
mod walls;

use anyhow::{Result, bail};

use crate::steps::Steps;
use crate::workspace::Workspace;

/// Checks the whole workspace.
pub fn check(workspace: &Workspace, steps: &Steps<'_>) -> Result<()> {
    eprintln!("\n$ cargo xtask lint: tidiness of the sources, walls between packages");
    let mut breaches = sources::breaches(&workspace.sources()?);
    for wall in &walls::WALLS {
        let tree = steps.ask_cargo(&[
            "tree",
            "--locked",
            "-e",
            "normal",
            "--prefix",
            "none",
            "-p",
            wall.package,
        ])?;
        breaches.extend(wall.breaches(&tree));
    }
    for breach in &breaches {
        eprintln!("  {breach}");
    }
    match breaches.len() {
        0 => Ok(()),
        1 => bail!("1 breach of the rules"),
        count => bail!("{count} breaches of the rules"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The sources' own rules need no cargo, so every test run checks them, not only `lint`.
    #[test]
    fn the_sources_of_this_workspace_are_tidy() {
        let workspace = Workspace::find().expect("xtask lies in the workspace");
        let sources = workspace.sources().expect("the sources can be read");
        assert!(
            sources
                .iter()
                .any(|(path, _)| path == "tests/xtask/src/tidy.rs")
        );
        assert_eq!(sources::breaches(&sources), Vec::<String>::new());
    }
}
