//! `leasectl nodes`: what there is, and what the operator admits of it.

mod drain;
mod import;
mod list;

use super::hostlist::expanded;
use crate::args::{AdmitNodes, Format, ListNodes, Nodes};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::json;
use crate::session::Session;
use leasehold_common::api::{self, List, NodeView};
use leasehold_common::hostlist;
use list::Folding;

/// Carries out a verb of `nodes`.
///
/// # Errors
/// Those of the client; an inventory or a hostlist that is none.
pub async fn run(verb: Nodes, session: &mut Session<'_>) -> Result<Exit, Failure> {
    match verb {
        Nodes::Ls(args) => ls(&args, session).await,
        Nodes::Show(args) => {
            session
                .show::<NodeView>(&format!("/v1/nodes/{}", args.node), &())
                .await
        }
        Nodes::Import(args) => import::run(&args, session).await,
        Nodes::Admit(args) => admit(&args, session).await,
        Nodes::Drain(args) => drain::drain(&args, session).await,
        Nodes::Undrain(args) => drain::undrain(&args, session).await,
        Nodes::Resume(args) => drain::resume(&args, session).await,
    }
}

async fn ls(args: &ListNodes, session: &mut Session<'_>) -> Result<Exit, Failure> {
    let query = args
        .state
        .map(|state| format!("?state={state}"))
        .unwrap_or_default();
    let folding = match (args.per_node, args.reasons) {
        (_, true) => Folding::ByReason,
        (true, false) => Folding::PerNode,
        (false, false) => Folding::ByState,
    };
    session
        .show::<List<NodeView>>(&format!("/v1/nodes{query}"), &folding)
        .await
}

async fn admit(args: &AdmitNodes, session: &mut Session<'_>) -> Result<Exit, Failure> {
    let names = expanded(args.nodes.iter().map(String::as_str))?;
    let nodes = hostlist::fold(names.iter().map(String::as_str));
    let body = api::AdmitNodes {
        nodes: nodes.clone(),
        reason: args.reason.clone(),
    };
    let answer = session.post("/v1/nodes/admit", &body, &args.write).await?;
    let text = match session.global.output {
        Format::Table | Format::Wide => format!("admitted {nodes}\n"),
        Format::Json => json::indented(answer.text()?) + "\n",
        Format::Jsonl => json::lines(answer.text()?).join("\n") + "\n",
        Format::Name => names.join("\n") + "\n",
    };
    session.console.out.write_all(text.as_bytes())?;
    Ok(Exit::Ok)
}
