//! `leasectl explain`: why a lease is where it is, or why it waits. The explanation is the
//! scheduler's own value; here it only becomes sentences.

use super::leases::show;
use crate::args::Explain;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Show;
use crate::output::table::counted;
use crate::output::time::{rough, second};
use crate::session::Session;
use leasehold_common::api::{ExplainView, LeaseView};
use leasehold_common::explain::{Candidate, Explanation, ScoreField, Unblock};
use leasehold_common::hostlist;
use leasehold_common::ids::NodeIndex;
use leasehold_common::node_set::NodeSet;
use leasehold_common::time::Timestamp;

/// How much of a policy's digest is shown to people, as in `policy ls`.
pub(super) const DIGEST_SHOWN: usize = 15;

/// Explains the latest decision about a lease.
///
/// # Errors
/// Those of the client.
pub async fn run(args: &Explain, session: &mut Session<'_>) -> Result<Exit, Failure> {
    let now = session.now;
    session
        .show::<ExplainView>(&format!("/v1/leases/{}/explain", args.id), &now)
        .await
}

impl Show for ExplainView {
    type With = Timestamp;

    fn text(&self, now: &Timestamp, wide: bool, _headings: bool) -> String {
        let mut lines = vec![
            heading(&self.lease, *now),
            said("wants", &wants(&self.lease)),
        ];
        match &self.explanation {
            Some(explanation) => lines.extend(decision(self, explanation, wide)),
            None => lines.push(said("decision", "none yet")),
        }
        lines.join("\n") + "\n"
    }

    fn names(&self) -> Vec<String> {
        vec![self.lease.id.to_string()]
    }
}

/// A line under its name; values begin in one column.
fn said(name: &str, what: &str) -> String {
    format!("  {name:<11} {what}")
}

fn heading(lease: &LeaseView, now: Timestamp) -> String {
    let id = lease.id;
    let state = lease.state;
    let age = rough(now.since(lease.since));
    let place = match (&lease.reason, lease.nodes.as_str()) {
        (Some(reason), _) => format!("  reason: {reason}"),
        (None, "") => String::new(),
        (None, nodes) => format!("  on {nodes}"),
    };
    format!(
        "lease {id}  {state} {age}{place}   (since {})",
        second(lease.since)
    )
}

fn wants(lease: &LeaseView) -> String {
    let LeaseView {
        shape,
        sku,
        within,
        host,
        account,
        side,
        class,
        ..
    } = lease;
    let within = show::within(*within);
    let term = match (lease.start, lease.end) {
        (Some(start), Some(end)) => format!(", {} to {}", second(start), second(end)),
        (Some(start), None) => format!(", from {}", second(start)),
        (None, Some(end)) => format!(", until {}", second(end)),
        (None, None) => String::new(),
    };
    let host = host.map(|share| format!(", {}", show::host(share)));
    let host = host.unwrap_or_default();
    format!("{shape} of {sku}, {within}{host}{term}, account {account} ({side}), class {class}")
}

fn decision(view: &ExplainView, why: &Explanation, wide: bool) -> Vec<String> {
    let mut parts: Vec<String> = why
        .filtered
        .iter()
        .map(|(filter, count)| format!("{count} {filter}"))
        .collect();
    parts.push(format!("{} fit", why.fit));
    let evaluated = counted(why.evaluated, "node");
    let mut lines = vec![said(
        "evaluated",
        &format!("{evaluated}:  {}", parts.join(" · ")),
    )];
    for (dimension, count) in &why.exhausted {
        lines.push(said("exhausted", &format!("{dimension}: {count} short")));
    }
    if let Some(winner) = &why.winner {
        lines.push(said("chosen", &candidate(view, winner)));
        lines.push(said("", &score(winner)));
    }
    for other in &why.runners_up {
        let lost = other.lost_by.as_ref().zip(why.winner.as_ref());
        let lost = lost.map(|(field, winner)| lost_by(field, other, winner));
        let lost = lost.unwrap_or_default();
        lines.push(said(
            "runner-up",
            &format!("{}{lost}", candidate(view, other)),
        ));
    }
    for (at, reason) in why.reasons.iter().enumerate() {
        let nodes = match reason.nodes {
            0 => String::new(),
            count => format!(" ({})", counted(count, "node")),
        };
        let name = if at == 0 { "because" } else { "and" };
        lines.push(said(
            name,
            &format!("{}{nodes}: {}", reason.reason, reason.detail),
        ));
    }
    if let Some(earliest) = why.earliest {
        lines.push(said(
            "earliest",
            &format!("{} if nothing changes", second(earliest)),
        ));
    }
    for (at, unblock) in why.unblocked_by.iter().enumerate() {
        let name = if at == 0 { "sooner if" } else { "or if" };
        lines.push(said(name, &unblocked(unblock)));
    }
    if let Some(reclaim) = &why.reclaim {
        lines.extend(reclaim::lines(view, reclaim));
    }
    if let Some(policy) = why.policy {
        let digest = policy.to_string();
        let shown = if wide { digest.len() } else { DIGEST_SHOWN };
        let digest: String = digest.chars().take(shown).collect();
        lines.push(said("policy", &digest));
    }
    lines
}

/// `hall-1/row-1/rack-1: h[001-004]`, with the GPUs where it is not whole nodes, and with those of the
/// nodes that are spares.
fn candidate(view: &ExplainView, candidate: &Candidate) -> String {
    let nodes = names(view, &candidate.nodes);
    let spares = match candidate.spares.is_empty() {
        true => String::new(),
        false => format!(", spare {}", names(view, &candidate.spares)),
    };
    let gpus: Vec<String> = candidate
        .gpus
        .values()
        .map(|gpus| format!(" gpu {gpus}"))
        .collect();
    let slices = candidate.slices.values().flatten();
    let slices: Vec<String> = slices.map(ToString::to_string).collect();
    let slices = match slices.is_empty() {
        true => String::new(),
        false => format!(" ({})", slices.join(", ")),
    };
    let gpus = gpus.join(",");
    format!("{}: {nodes}{spares}{gpus}{slices}", candidate.unit)
}

fn names(view: &ExplainView, nodes: &NodeSet) -> String {
    let names: Vec<String> = nodes.iter().map(|node| name(view, node)).collect();
    hostlist::fold(names.iter().map(String::as_str))
}

fn name(view: &ExplainView, node: NodeIndex) -> String {
    view.node_names
        .get(&node.0)
        .map_or_else(|| format!("node-{node}"), ToString::to_string)
}

fn score(candidate: &Candidate) -> String {
    let fields: Vec<String> = candidate
        .score
        .iter()
        .map(|(field, value)| format!("{field} {value}"))
        .collect();
    fields.join(" · ")
}

/// `, lost by unit_left: 4 against 2`.
fn lost_by(field: &ScoreField, other: &Candidate, winner: &Candidate) -> String {
    let value = |of: &Candidate| {
        of.score
            .iter()
            .find(|(name, _)| name == field)
            .map(|(_, v)| *v)
    };
    match (value(other), value(winner)) {
        (Some(lost), Some(won)) => format!(", lost by {field}: {lost} against {won}"),
        _ => format!(", lost by {field}"),
    }
}

fn unblocked(by: &Unblock) -> String {
    match by {
        Unblock::LeaseEnds { lease, at } => format!("lease {lease} ends, booked {}", second(*at)),
        Unblock::LeaseGoesFirst { lease, at } => format!(
            "lease {lease}, which waits too and goes first, is over, planned {}",
            second(*at)
        ),
        Unblock::MaintenanceEnds { maintenance, at } => {
            format!("maintenance {maintenance} ends, booked {}", second(*at))
        }
        Unblock::NodesReturn { nodes } => {
            format!(
                "{} returned by leases that have ended",
                counted(*nodes, "node")
            )
        }
        Unblock::NodesRecover { nodes } => format!("{} back in order", counted(*nodes, "node")),
        Unblock::NodesUndrained { nodes, at } => {
            let by_clock = at.map(|at| format!(", the first by the clock {}", second(at)));
            let nodes = counted(*nodes, "node");
            format!("{nodes} undrained{}", by_clock.unwrap_or_default())
        }
        Unblock::PowerFreed { unit, watts } => {
            format!("{watts} W more of power budget below {unit}")
        }
        Unblock::FloorLowered {
            side,
            sku,
            nodes,
            domains,
        } => {
            let less = shares(*nodes, *domains, "less");
            format!("{less} kept for the {side} side (a floor of {sku})")
        }
        Unblock::CeilingRaised {
            side,
            sku,
            nodes,
            domains,
        } => {
            let more = shares(*nodes, *domains, "more");
            format!("{more} allowed to the {side} side (a ceiling of {sku})")
        }
        Unblock::LowerCap { gpu_cap_watts } => {
            format!("asking for --power-cap-w {gpu_cap_watts} or less")
        }
        Unblock::QuotaFreed { gpus } => format!("{} more of quota", counted(*gpus, "GPU")),
        Unblock::Unknown => "something that a later leasectl has words for".to_owned(),
    }
}

/// `2 nodes and 1 domain less`.
fn shares(nodes: u32, domains: u32, by: &str) -> String {
    let counted = [(nodes, "node"), (domains, "domain")];
    let counted = counted.into_iter().filter(|(count, _)| *count > 0);
    let counted: Vec<String> = counted
        .map(|(count, noun)| self::counted(count, noun))
        .collect();
    format!("{} {by}", counted.join(" and "))
}

mod reclaim;
#[cfg(test)]
mod tests;
