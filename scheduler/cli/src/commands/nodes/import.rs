//! `leasectl nodes import`: an inventory is checked as a whole, then admitted.

use crate::args::{self, Write};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::inventory;
use crate::output::Show;
use crate::output::table::Table;
use crate::session::Session;
use leasehold_common::api::{BODY_MAX_BYTES, ImportLine, ImportNodes, ImportReport, NodeChange};

/// Imports an inventory, or says what importing it would do.
///
/// # Errors
/// Those of the client; a file that is no inventory.
pub async fn run(args: &args::ImportNodes, session: &mut Session<'_>) -> Result<Exit, Failure> {
    let mut parts = split(inventory::from_file(&args.file)?);
    // A cell's inventory may be larger than a body may be. Its parts are all tried before the first
    // of them is carried out, so that a mistake in the last one still changes nothing.
    if parts.len() > 1 && !args.dry_run {
        for part in &parts {
            let tried = send(part, true, &Write { request_id: None }, session).await?;
            if tried.read::<ImportReport>()?.errors > 0 {
                return finish(&tried, session);
            }
        }
    }
    let last = parts.pop().unwrap_or(ImportNodes { nodes: Vec::new() });
    for (number, part) in parts.iter().enumerate() {
        let done = send(part, args.dry_run, &numbered(&args.write, number), session).await?;
        if finish(&done, session)? != Exit::Ok && !args.dry_run {
            return Ok(Exit::Usage);
        }
    }
    let done = send(&last, args.dry_run, &args.write, session).await?;
    finish(&done, session)
}

async fn send(
    part: &ImportNodes,
    dry_run: bool,
    write: &Write,
    session: &Session<'_>,
) -> Result<crate::client::Answer, Failure> {
    let query = if dry_run { "?dry_run=true" } else { "" };
    session
        .post(&format!("/v1/nodes/import{query}"), part, write)
        .await
}

/// Writes a report; wrong lines are the caller's to mend.
fn finish(answer: &crate::client::Answer, session: &mut Session<'_>) -> Result<Exit, Failure> {
    session.write::<ImportReport>(answer, &())?;
    let errors = answer.read::<ImportReport>()?.errors;
    Ok(if errors == 0 { Exit::Ok } else { Exit::Usage })
}

/// Parts that stay below the largest body, by the length of their JSON.
fn split(lines: Vec<ImportLine>) -> Vec<ImportNodes> {
    let mut parts: Vec<ImportNodes> = Vec::new();
    let mut room = 0;
    for line in lines {
        // Twice the text and a frame: what escaping could make of it at worst in names.
        let owner = line.owner.as_ref().map_or(0, String::len);
        let size = 80 + 2 * (line.node.len() + line.path.len() + line.sku.len() + owner);
        if size > room || parts.is_empty() {
            parts.push(ImportNodes { nodes: Vec::new() });
            room = BODY_MAX_BYTES - 64;
        }
        room = room.saturating_sub(size);
        if let Some(part) = parts.last_mut() {
            part.nodes.push(line);
        }
    }
    parts
}

/// A name of its own for each part of a write that was named.
fn numbered(write: &Write, number: usize) -> Write {
    let name = |key| format!("{key}.{number}").parse().ok();
    Write {
        request_id: write.request_id.as_ref().and_then(name),
    }
}

impl Show for ImportReport {
    type With = ();

    fn text(&self, (): &(), wide: bool, headings: bool) -> String {
        let mut table = Table::new(["LINE", "NODE", "CHANGE", "DETAIL"]);
        for line in &self.lines {
            let (change, detail) = match &line.outcome {
                NodeChange::Add => ("add", String::new()),
                NodeChange::Same => ("same", String::new()),
                NodeChange::Move { what } => ("move", what.join(", ")),
                NodeChange::Error {
                    field,
                    value,
                    detail,
                } if detail.contains(value.as_str()) => ("error", format!("{field}: {detail}")),
                NodeChange::Error {
                    field,
                    value,
                    detail,
                } => ("error", format!("{field} {value:?}: {detail}")),
            };
            if wide || line.outcome != NodeChange::Same {
                table.row([
                    line.line.to_string(),
                    line.node.clone(),
                    change.to_owned(),
                    detail,
                ]);
            }
        }
        let Self {
            added,
            moved,
            same,
            errors,
            ..
        } = self;
        let done = match (self.dry_run, errors) {
            (_, 1..) => "nothing was changed: ",
            (true, 0) => "would be: ",
            (false, 0) => "",
        };
        let counts = format!("{added} added, {moved} moved, {same} the same, {errors} wrong");
        table.text(headings) + done + &counts + "\n"
    }

    fn names(&self) -> Vec<String> {
        self.lines.iter().map(|line| line.node.clone()).collect()
    }
}
