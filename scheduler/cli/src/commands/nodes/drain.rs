//! `leasectl nodes drain`, `undrain` and `resume`: who may still begin on a node.

use super::super::hostlist::expanded;
use super::super::wait;
use crate::args::{DrainNodes, ResumeNodes, UndrainNodes, Write};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Show;
use crate::output::table::{Table, or_none};
use crate::output::time::{minute, second};
use crate::session::Session;
use leasehold_common::api::{self, BookingView, DrainReport};
use leasehold_common::hostlist;
use leasehold_common::node::FlagKind;
use serde::Serialize;

/// What was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// Flags are set.
    Drain,
    /// Flags are taken away.
    Undrain,
}

/// Drains nodes; with `--wait`, until no lease is on them.
///
/// # Errors
/// Those of the client; a hostlist that is none.
pub async fn drain(args: &DrainNodes, session: &mut Session<'_>) -> Result<Exit, Failure> {
    let (nodes, names) = folded(&args.nodes)?;
    let body = api::DrainNodes {
        nodes,
        reason: args.reason.clone(),
        flag: args.maintenance.then_some(FlagKind::Maintenance),
        until: args.until,
    };
    let limit = args.wait.then(|| session.waiting());
    let how = (Verb::Drain, args.dry_run);
    send("drain", &body, how, &args.write, session).await?;
    match limit {
        Some(limit) => wait::until_empty(names, limit, session).await,
        None => Ok(Exit::Ok),
    }
}

/// Takes one flag away.
///
/// # Errors
/// Those of the client; a hostlist that is none.
pub async fn undrain(args: &UndrainNodes, session: &mut Session<'_>) -> Result<Exit, Failure> {
    let (nodes, _) = folded(&args.nodes)?;
    let body = api::UndrainNodes {
        nodes,
        flag: args.maintenance.then_some(FlagKind::Maintenance),
        reason: args.reason.clone(),
    };
    let how = (Verb::Undrain, args.dry_run);
    send("undrain", &body, how, &args.write, session).await
}

/// Takes every flag away.
///
/// # Errors
/// Those of the client; a hostlist that is none.
pub async fn resume(args: &ResumeNodes, session: &mut Session<'_>) -> Result<Exit, Failure> {
    let (nodes, _) = folded(&args.nodes)?;
    let reason = args.reason.clone();
    let body = api::ResumeNodes { nodes, reason };
    let how = (Verb::Undrain, args.dry_run);
    send("resume", &body, how, &args.write, session).await
}

fn folded(lists: &[String]) -> Result<(String, Vec<String>), Failure> {
    let names = expanded(lists.iter().map(String::as_str))?;
    Ok((hostlist::fold(names.iter().map(String::as_str)), names))
}

async fn send<B: Serialize>(
    route: &str,
    body: &B,
    (verb, dry_run): (Verb, bool),
    write: &Write,
    session: &mut Session<'_>,
) -> Result<Exit, Failure> {
    let query = if dry_run { "?dry_run=true" } else { "" };
    let path = format!("/v1/nodes/{route}{query}");
    let answer = session.post(&path, body, write).await?;
    if dry_run {
        session.note("dry run: nothing was changed")?;
    }
    session.write::<DrainReport>(&answer, &verb)
}

impl Show for DrainReport {
    type With = Verb;

    fn text(&self, verb: &Verb, _wide: bool, headings: bool) -> String {
        let (done, would, already) = match verb {
            Verb::Drain => ("drained", "would be drained", "drained already"),
            Verb::Undrain => ("undrained", "would be undrained", "had no such flag"),
        };
        let done = if self.dry_run { would } else { done };
        let mut text = String::new();
        for (nodes, what) in [(&self.changed, done), (&self.same, already)] {
            if !nodes.is_empty() {
                text.push_str(&format!("{nodes} {what}\n"));
            }
        }
        for kept in &self.kept {
            let flag = &kept.flag;
            let (kind, by, since) = (&flag.flag, &flag.by, second(flag.since));
            let (nodes, why) = (&kept.nodes, &flag.why);
            text.push_str(&format!(
                "{nodes} keeps {kind} by {by} since {since}: {why}\n"
            ));
        }
        for out in &self.out_of_service {
            let (nodes, state, reason) = (&out.nodes, out.state, &out.reason);
            text.push_str(&format!("{nodes} is not let: {state}, {reason}\n"));
        }
        let moved = if self.dry_run {
            "could go elsewhere"
        } else {
            "goes elsewhere"
        };
        let fates = [
            (&self.running, "goes on"),
            (&self.moved, moved),
            (&self.staying, "nothing else is free: does not begin here"),
            (&self.untried, "not tried"),
        ];
        let columns = [
            "LEASE", "ACCOUNT", "STATE", "NODES", "START", "END", "BECOMES",
        ];
        let mut table = Table::new(columns);
        for (bookings, fate) in fates {
            for booking in bookings {
                table.row(row(booking, fate));
            }
        }
        text + &table.text(headings)
    }

    fn names(&self) -> Vec<String> {
        hostlist::expand(&self.changed).unwrap_or_default()
    }
}

fn row(booking: &BookingView, fate: &str) -> [String; 7] {
    [
        or_none(booking.lease),
        or_none(booking.account.as_ref()),
        or_none(booking.state),
        booking.nodes.clone(),
        minute(booking.from),
        booking.to.map_or_else(|| "open".to_owned(), minute),
        // Words with spaces: the last column for that reason.
        fate.to_owned(),
    ]
}
