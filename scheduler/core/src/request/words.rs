//! What operators say of GPUs.

use super::{Answer, Asked, check_why};
use crate::command::{Says, View, Written};
use crate::state::State;
use leasehold_common::api::{List, Problem, ProblemCode};
use leasehold_common::ids::NodeIndex;
use leasehold_common::lease::GpuSlots;
use leasehold_common::node::{HealthReason, Verdict, Word, WordKind};
use leasehold_common::node_set::NodeSet;
use leasehold_common::time::{Span, Timestamp};
use std::collections::BTreeMap;

/// How long an acknowledgement holds where nobody says: long enough for a signal to be gone.
const ACKNOWLEDGED: Span = Span::from_hours(24);

/// The longest that a word holds. What is to hold for longer is an rma, or rules of one's own.
const LONGEST: Span = Span::from_hours(24 * 90);

/// The most nodes of one request: each is two log records, and a batch has room for so many.
const NODES_MAX: usize = 16;

/// Which GPUs of which nodes.
type Meant = BTreeMap<NodeIndex, GpuSlots>;

impl State {
    pub(super) fn say_of_gpus(&mut self, says: &Says, asked: Asked<'_>) -> Answer {
        let meant = self.meant_gpus(says.gpus())?;
        if says.reason().trim().is_empty() {
            let allowed = "some words, for whoever meets it";
            return Err(Problem::field("reason", says.reason(), allowed));
        }
        check_why("reason", Some(says.reason()))?;
        let word = self.word(says, &meant, asked)?;
        if !asked.dry_run {
            for (index, slots) in &meant {
                self.say_word(*index, *slots, &word, asked.actor, asked.now);
            }
            let last = meant.keys().next_back();
            if let Some((last, known)) = last.zip(asked.remembered(200)) {
                self.remember_flags(*last, known);
            }
        }
        Ok(Written {
            status: 200,
            replayed: false,
            view: self.worded(&meant, asked.now),
        })
    }

    /// The answer to a write that was carried out before: how its GPUs are now.
    pub(super) fn worded_before(&self, says: &Says) -> View {
        let meant = self.meant_gpus(says.gpus()).unwrap_or_default();
        self.worded(&meant, self.head.now)
    }

    fn worded(&self, meant: &Meant, now: Timestamp) -> View {
        let views = meant.iter().flat_map(|(index, slots)| {
            let views = self.gpu_views(&self.nodes[index], now);
            views.filter(|view| u8::try_from(view.slot).is_ok_and(|slot| slots.contains(slot)))
        });
        View::Gpus(List::new("GpuList", self.head.seq, views.collect()))
    }

    fn word(&self, says: &Says, meant: &Meant, asked: Asked<'_>) -> Result<Word, Problem> {
        let now = asked.now;
        let word = |kind, until| Word {
            says: kind,
            verdict: None,
            reason: None,
            by: asked.actor.uid.to_string(),
            why: says.reason().to_owned(),
            at: now,
            until,
        };
        Ok(match says {
            Says::Acknowledge(wish) => Word {
                reason: known_reason(wish.of.clone())?,
                ..word(
                    WordKind::Acknowledge,
                    check_end(wish.length, wish.until, Some(ACKNOWLEDGED), now)?,
                )
            },
            Says::Override(wish) => {
                match wish.verdict {
                    Verdict::Healthy | Verdict::Degraded | Verdict::Unhealthy => {}
                    Verdict::Unresponsive | Verdict::Lost => {
                        let allowed = "healthy, degraded or unhealthy";
                        return Err(Problem::field("verdict", wish.verdict, allowed));
                    }
                }
                Word {
                    verdict: Some(wish.verdict),
                    ..word(
                        WordKind::Override,
                        check_end(wish.length, wish.until, None, now)?,
                    )
                }
            }
            // For as long as an agent may still have what is withdrawn.
            Says::Withdraw(_) => {
                let gpus = meant.iter().flat_map(|(index, slots)| {
                    let gpus = (0_u8..).zip(&self.nodes[index].fleet.gpus);
                    gpus.filter(|(slot, _)| slots.contains(*slot))
                });
                let ends = gpus.map(|(_, gpu)| gpu.overridden().map(|(word, _)| word.until));
                let Some(last) = ends
                    .collect::<Option<Vec<_>>>()
                    .and_then(|ends| ends.into_iter().max())
                else {
                    let detail = "the verdict on one of these GPUs is not overridden";
                    return Err(Problem::new(ProblemCode::IllegalState, detail).about(
                        "gpus",
                        says.gpus().join(" "),
                        "GPUs whose verdict is overridden",
                    ));
                };
                word(WordKind::Withdraw, last)
            }
        })
    }

    /// The GPUs of texts such as `h001:0`, `h001:0-3,5` and `h[001-004]:0`.
    fn meant_gpus(&self, texts: &[String]) -> Result<Meant, Problem> {
        const FORM: &str = "GPUs by node and number, such as h001:0, h001:0-3,5 or h[001-004]:0";
        let mut meant = Meant::new();
        for (at, text) in texts.iter().enumerate() {
            let field = format!("gpus[{at}]");
            let wrong = |allowed: String| {
                let shown: String = text.chars().take(80).collect();
                Problem::field(&field, shown, allowed)
            };
            let (nodes, slots) = text
                .rsplit_once([':', '/'])
                .ok_or_else(|| wrong(FORM.into()))?;
            let nodes = self.listed_nodes(nodes)?;
            let slots: NodeSet = slots.parse().map_err(|_| wrong(FORM.into()))?;
            for index in nodes.iter() {
                let has = self.nodes[&index].fleet.gpus.len();
                let name = &self.nodes[&index].fleet.name;
                for slot in slots.iter() {
                    let slot = u8::try_from(slot.0)
                        .ok()
                        .filter(|slot| usize::from(*slot) < has);
                    let slot = slot.ok_or_else(|| match has {
                        0 => wrong(format!("GPUs of a node that has reported; {name} has not")),
                        _ => wrong(format!("GPUs 0 to {} of {name}", has - 1)),
                    })?;
                    let slots = meant.entry(index).or_default();
                    *slots = slots.with(slot);
                }
            }
        }
        match meant.len() {
            1..=NODES_MAX => Ok(meant),
            0 => Err(Problem::field("gpus", "none", FORM)),
            nodes => {
                let allowed = format!("GPUs of up to {NODES_MAX} nodes at once");
                Err(Problem::field(
                    "gpus",
                    format!("GPUs of {nodes} nodes"),
                    allowed,
                ))
            }
        }
    }
}

/// Until when a word holds.
fn check_end(
    length: Option<Span>,
    until: Option<Timestamp>,
    meant: Option<Span>,
    now: Timestamp,
) -> Result<Timestamp, Problem> {
    let (field, end) = match (length.or(meant.filter(|_| until.is_none())), until) {
        (Some(length), None) => ("for", now + length),
        (None, Some(until)) => ("until", until),
        (Some(_), Some(until)) => {
            return Err(Problem::field("until", until, "one of for and until"));
        }
        (None, None) => {
            return Err(Problem::field("until", "absent", "one of for and until"));
        }
    };
    if end <= now || end > now + LONGEST {
        let allowed = format!("later than {now}, up to {}", now + LONGEST);
        return Err(Problem::field(field, end, allowed));
    }
    Ok(end)
}

/// A reason of this version: what only a later one finds, nobody here can have dealt with.
fn known_reason(reason: Option<HealthReason>) -> Result<Option<HealthReason>, Problem> {
    match reason {
        Some(reason) if !HealthReason::ALL.contains(&reason) => {
            let known: Vec<&str> = HealthReason::ALL.iter().map(HealthReason::as_str).collect();
            let shown: String = reason.as_str().chars().take(80).collect();
            Err(Problem::field("of", shown, known.join(", ")))
        }
        known => Ok(known),
    }
}
