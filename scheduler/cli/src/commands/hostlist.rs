//! `leasectl fold` and `leasectl expand`: hostlists for shell scripts, with no scheduler asked.

use crate::args::{Expand, Fold};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::session::Session;
use leasehold_common::hostlist;
use std::io::Read as _;

/// `leasectl fold`.
///
/// # Errors
/// Text that is no hostlist.
pub fn fold(args: &Fold, session: &mut Session<'_>) -> Result<Exit, Failure> {
    let mut text = args.names.join(" ");
    if args.names.is_empty() {
        std::io::stdin().read_to_string(&mut text)?;
    }
    let names = expanded(text.split_whitespace())?;
    writeln!(
        session.console.out,
        "{}",
        hostlist::fold(names.iter().map(String::as_str))
    )?;
    Ok(Exit::Ok)
}

/// `leasectl expand`.
///
/// # Errors
/// Text that is no hostlist.
pub fn expand(args: &Expand, session: &mut Session<'_>) -> Result<Exit, Failure> {
    for name in expanded(args.lists.iter().map(String::as_str))? {
        writeln!(session.console.out, "{name}")?;
    }
    Ok(Exit::Ok)
}

/// The names of several hostlists, list after list.
pub(super) fn expanded<'a>(lists: impl Iterator<Item = &'a str>) -> Result<Vec<String>, Failure> {
    let mut names = Vec::new();
    for list in lists {
        let hostlist = |source| Failure::Hostlist {
            list: list.chars().take(80).collect(),
            source,
        };
        names.extend(hostlist::expand(list).map_err(hostlist)?);
    }
    Ok(names)
}
