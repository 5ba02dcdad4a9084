//! What can never be: requests that contradict themselves, and those that no unit of the cell could
//! hold even if it were empty and healthy.

use super::ask::Ask;
use super::gang::Size;
use super::survey::{Seat, Survey};
use super::tally::Tally;
use crate::request::{End, Request};
use leasehold_common::explain::{RankedReason, Reason};
use leasehold_common::lease::Shape;
use leasehold_common::time::{Span, Timestamp};
use leasehold_common::topology::Locality;

fn reason(reason: Reason, detail: String) -> Option<RankedReason> {
    Some(RankedReason {
        reason,
        nodes: 0,
        detail,
    })
}

/// What is wrong with the request itself, if it is to start then.
pub(super) fn contradiction(request: &Request, start: Timestamp) -> Option<RankedReason> {
    if asks_for_nothing(&request.shape) {
        return reason(Reason::Invalid, "it asks for nothing".to_owned());
    }
    match request.end {
        End::After(Span::ZERO) => reason(Reason::Invalid, "its length is nothing".to_owned()),
        End::At(until) if until <= start => reason(
            Reason::Invalid,
            format!("it would start at {start} and end at {until}, and the end must be later"),
        ),
        End::Open | End::After(_) | End::At(_) => None,
    }
}

fn asks_for_nothing(shape: &Shape) -> bool {
    match shape {
        Shape::Nodes { count, .. } | Shape::Gpus { count } => *count == 0,
        Shape::Slices { profiles } => profiles.values().all(|count| *count == 0),
        Shape::Unit { .. } => false,
    }
}

/// Why no node of the cell could hold it, whatever ends, is repaired or comes back.
pub(super) fn impossible_small(ask: &Ask<'_>, tally: &Tally) -> Option<RankedReason> {
    let Request { shape, sku, .. } = ask.request;
    if tally.eligible > 0 {
        return None;
    }
    no_such_sku(ask).or_else(|| {
        let side = ask.side;
        let detail = match shape {
            Shape::Gpus { count } if *count > u32::from(ask.largest) => {
                format!(
                    "{shape} on one node: a node of sku {sku} has {}",
                    ask.largest
                )
            }
            Shape::Slices { .. } if ask.wish.is_none() => no_such_slices(ask),
            Shape::Slices { .. }
            | Shape::Gpus { .. }
            | Shape::Nodes { .. }
            | Shape::Unit { .. } => {
                format!("{shape}: no node of sku {sku} with as many may serve the {side} side")
            }
        };
        reason(Reason::NeverFits, detail)
    })
}

/// Why no unit of the cell could hold so many nodes, whatever ends, is repaired or comes back.
pub(super) fn impossible_gang(survey: &Survey<'_>, size: Size) -> Option<RankedReason> {
    let ask = &survey.ask;
    let Request { shape, sku, .. } = ask.request;
    let within = ask.within();
    if let Some(reason) = no_such_sku(ask) {
        return Some(reason);
    }
    let of_unit = |unit: &[Seat]| {
        let eligible = unit.iter().filter(|seat| seat.faults.is_eligible());
        size.most_working(eligible)
    };
    let most = if within == Locality::Cell && size.spares == 0 {
        survey.tally.eligible
    } else {
        survey.units(within).map(of_unit).max().unwrap_or(0)
    };
    if let Some((level, of_one)) = survey.ask.whole().zip(survey.of_whole_unit())
        && !size.nodes.is_multiple_of(of_one.max(1))
    {
        let detail = format!("{shape}: a whole {level} of sku {sku} has {of_one} nodes");
        return reason(Reason::NeverFits, detail);
    }
    if most >= size.nodes {
        return None;
    }
    let side = ask.side;
    reason(
        Reason::NeverFits,
        format!(
            "{shape} within one {within}: the largest has {most} of sku {sku} for the {side} side"
        ),
    )
}

/// Slices that no GPU of the SKU has.
fn no_such_slices(ask: &Ask<'_>) -> String {
    let Request { shape, sku, .. } = ask.request;
    let geometry = ask.sku.and_then(|(sku, _)| ask.cell.geometry(sku));
    match geometry {
        Some(geometry) => {
            let kinds = &geometry.family().kinds;
            let names: Vec<&str> = kinds.iter().map(|kind| kind.name.as_str()).collect();
            format!("{shape}: gpus of sku {sku} have {}", names.join(", "))
        }
        None => format!("{shape}: gpus of sku {sku} are not partitioned"),
    }
}

fn no_such_sku(ask: &Ask<'_>) -> Option<RankedReason> {
    if ask.sku.is_some() {
        return None;
    }
    let sku = &ask.request.sku;
    reason(
        Reason::NoSuchSku,
        format!("no node of sku {sku} is in the cell"),
    )
}
