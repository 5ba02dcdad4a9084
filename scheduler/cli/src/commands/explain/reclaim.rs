//! What would be taken back for a request that waits.

use super::{names, said};
use crate::output::table::counted;
use crate::output::time::second;
use leasehold_common::api::ExplainView;
use leasehold_common::explain::{HarmField, Reclaim, ReclaimLoser, Victim};
use leasehold_common::ids::LeaseId;

/// How many leases are named on a line.
const NAMED: usize = 8;

pub(super) fn lines(view: &ExplainView, reclaim: &Reclaim) -> Vec<String> {
    let nodes = names(view, &reclaim.nodes);
    let from = second(reclaim.from);
    let all = count(&reclaim.harm, &HarmField::Leases);
    let leases = counted(u32::try_from(all).unwrap_or(u32::MAX), "lease");
    let mut lines = vec![said(
        "reclaim",
        &format!("{leases} told now would make room on {nodes} from {from}"),
    )];
    let victims = reclaim.victims.iter().take(NAMED);
    lines.extend(victims.map(victim));
    let more = all - i64::try_from(reclaim.victims.len().min(NAMED)).unwrap_or(i64::MAX);
    if more > 0 {
        lines.push(said("", &format!("and {more} more")));
    }
    lines.push(said("", &harm(&reclaim.harm)));
    lines.extend(reclaim.runners_up.iter().map(|other| loser(other, reclaim)));
    lines
}

/// `17 (spot), 10m notice, ends 2026-11-22T09:36:02Z`.
fn victim(victim: &Victim) -> String {
    let Victim {
        lease,
        class,
        notice,
        ends,
    } = victim;
    let ends = second(*ends);
    said(
        "",
        &format!("{lease} ({class}), {notice} notice, ends {ends}"),
    )
}

fn loser(other: &ReclaimLoser, winner: &Reclaim) -> String {
    let field = &other.lost_by;
    let leases = other.leases.iter().map(LeaseId::to_string);
    let leases = listed(leases, count(&other.harm, &HarmField::Leases));
    let (lost, won) = (count(&other.harm, field), count(&winner.harm, field));
    let lost = match field {
        HarmField::LeaseIds => format!("lost by {field}"),
        _ => format!("lost by {field}: {lost} against {won}"),
    };
    said("or reclaim", &format!("{leases}, {lost}"))
}

fn count(harm: &[(HarmField, i64)], field: &HarmField) -> i64 {
    let found = harm.iter().find(|(name, _)| name == field);
    found.map_or(0, |(_, n)| *n)
}

fn listed(leases: impl Iterator<Item = String>, all: i64) -> String {
    let named: Vec<String> = leases.take(NAMED).collect();
    let more = all - i64::try_from(named.len()).unwrap_or(i64::MAX);
    let more = match more {
        1.. => format!(" and {more} more"),
        _ => String::new(),
    };
    format!("{}{more}", named.join(", "))
}

fn harm(fields: &[(HarmField, i64)]) -> String {
    let fields = fields.iter().map(|(field, n)| format!("{field} {n}"));
    fields.collect::<Vec<_>>().join(" · ")
}
