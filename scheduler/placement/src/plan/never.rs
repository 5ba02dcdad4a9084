//! What can never be: requests that contradict themselves, and those that no unit of the cell could
//! hold even if it were empty and healthy.

use super::survey::{Survey, count};
use crate::request::{End, Request};
use leasehold_common::explain::{RankedReason, Reason};
use leasehold_common::lease::Shape;
use leasehold_common::time::{Span, Timestamp};

fn reason(reason: Reason, detail: String) -> Option<RankedReason> {
    Some(RankedReason {
        reason,
        nodes: 0,
        detail,
    })
}

/// What is wrong with the request itself, if it is to start then.
pub(super) fn contradiction(request: &Request, start: Timestamp) -> Option<RankedReason> {
    if let Shape::Nodes { count: 0, .. } | Shape::Gpus { count: 0 } = request.shape {
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

/// Why no unit of the cell could hold it, whatever ends, is repaired or comes back.
pub(super) fn impossible(survey: &Survey<'_>) -> Option<RankedReason> {
    let Request {
        shape, sku, within, ..
    } = survey.request;
    let side = survey.request.side();
    if survey.cell.largest_node(sku).is_none() {
        return reason(
            Reason::NoSuchSku,
            format!("no node of sku {sku} is in the cell"),
        );
    }
    let eligible = || survey.seats.iter().filter(|s| s.verdict.is_eligible());
    match *shape {
        Shape::Gpus { count: wanted } => {
            if wanted > u32::from(survey.largest) {
                return reason(
                    Reason::NeverFits,
                    format!(
                        "{shape} on one node: a node of sku {sku} has {}",
                        survey.largest
                    ),
                );
            }
            if eligible().any(|seat| u32::from(seat.node.spec.gpus) >= wanted) {
                return None;
            }
            reason(
                Reason::NeverFits,
                format!("{shape}: no node of sku {sku} with as many may serve the {side} side"),
            )
        }
        Shape::Unit { .. } => None,
        Shape::Nodes { count: wanted, .. } => {
            let most = survey
                .units(*within)
                .map(|unit| count(unit.iter().filter(|s| s.verdict.is_eligible()).count()))
                .max()
                .unwrap_or(0);
            if most >= wanted {
                return None;
            }
            reason(
                Reason::NeverFits,
                format!(
                    "{shape} within one {within}: the largest has {most} of sku {sku} for the \
                     {side} side"
                ),
            )
        }
    }
}
