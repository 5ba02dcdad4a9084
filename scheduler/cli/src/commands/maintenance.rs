//! `leasectl maintenance`: nodes booked for the people who look after them.

use crate::args::{CreateMaintenance, EndMaintenance, Maintenance};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Show;
use crate::output::table::{Table, or_none};
use crate::output::time::minute;
use crate::session::Session;
use leasehold_common::api::{self, List, MaintenanceView};
use leasehold_common::maintenance::MaintenanceState;

/// Carries out a verb of `maintenance`.
///
/// # Errors
/// Those of the client; what stands in the way of a new one is in the problem.
pub async fn run(verb: &Maintenance, session: &mut Session<'_>) -> Result<Exit, Failure> {
    match verb {
        Maintenance::Create(args) => create(args, session).await,
        Maintenance::Ls(args) => {
            let query = if args.all { "?all=true" } else { "" };
            let path = format!("/v1/maintenance{query}");
            session.show::<List<MaintenanceView>>(&path, &()).await
        }
        Maintenance::End(args) => end(args, session).await,
    }
}

async fn create(args: &CreateMaintenance, session: &mut Session<'_>) -> Result<Exit, Failure> {
    let body = api::CreateMaintenance {
        nodes: args.nodes.clone(),
        from: args.from,
        to: args.to,
        reason: args.reason.clone(),
    };
    let query = if args.dry_run { "?dry_run=true" } else { "" };
    let path = format!("/v1/maintenance{query}");
    let answer = session.post(&path, &body, &args.write).await?;
    if args.dry_run {
        session.note("dry run: nothing was changed; nothing stands in the way")?;
    }
    session.write::<MaintenanceView>(&answer, &())
}

async fn end(args: &EndMaintenance, session: &mut Session<'_>) -> Result<Exit, Failure> {
    let path = format!("/v1/maintenance/{}/end", args.id);
    let nothing = serde_json::json!({});
    let answer = session.post(&path, &nothing, &args.write).await?;
    session.write::<MaintenanceView>(&answer, &())
}

fn table<'a>(all: impl IntoIterator<Item = &'a MaintenanceView>) -> Table {
    let mut table = Table::new(["ID", "STATE", "NODES", "START", "END", "BY", "REASON"]);
    for one in all {
        let state = match one.state {
            MaintenanceState::Booked if one.active => "active".to_owned(),
            state => state.to_string(),
        };
        table.row([
            one.id.to_string(),
            state,
            one.nodes.clone(),
            minute(one.from),
            minute(one.to),
            one.by.to_string(),
            // Words with spaces: the last column for that reason.
            or_none(one.reason.as_ref()),
        ]);
    }
    table
}

impl Show for MaintenanceView {
    type With = ();

    fn text(&self, (): &(), _wide: bool, headings: bool) -> String {
        table([self]).text(headings)
    }

    fn names(&self) -> Vec<String> {
        vec![self.id.to_string()]
    }
}

impl Show for List<MaintenanceView> {
    type With = ();

    fn text(&self, (): &(), _wide: bool, headings: bool) -> String {
        table(&self.items).text(headings)
    }

    fn names(&self) -> Vec<String> {
        self.items.iter().map(|one| one.id.to_string()).collect()
    }
}
