//! What the ledger makes of a health report: which GPUs leave, which come back, and what is recorded.
//!
//! - A GPU that cannot be let leaves with the report that says so, and so does the whole node with a
//!   finding on the node itself. That is recorded at once.
//! - It comes back by a record, on a report of the node's present boot that is no older than the one
//!   that took it out. So whatever leader reads the ledger knows what is out, and the records of
//!   leaving are no more than those of coming back.
//! - Whatever else changes, is recorded of GPUs that leases have and of those that are not well.
//!
//! What comes and goes for ever is bounded by that: after [`FREE`] records in a row of one GPU every
//! further one that is not its leaving waits, twice as long each time and up to [`LONGEST`]. A GPU then
//! makes two records an hour at most, and is out for nearly all of it.

use crate::node::Node;
use leasehold_common::lease::GpuSlots;
use leasehold_common::node::{Action, FleetGpu, GpuHealth, HealthReason, Standing, Verdict};
use leasehold_common::time::{Span, Timestamp};

/// So many records in a row are made at once.
const FREE: u32 = 4;

/// How long the first one after those waits.
const FIRST: Span = Span::from_mins(2);

/// The longest that one waits.
const LONGEST: Span = Span::from_hours(1);

/// A record so long after the one before begins a new row.
const ROW_ENDS: Span = Span::from_hours(6);

/// How many reasons are recorded, and how many bytes of evidence: an agent's words are not bounded.
const REASONS_MAX: usize = 8;
const EVIDENCE_MAX: usize = 240;

/// How a GPU or a node looks now, by its report and by what operators say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    pub verdict: Verdict,
    pub reasons: Vec<HealthReason>,
    pub action: Action,
    pub evidence: String,
    pub since: Timestamp,
    /// Whether an operator says so, and no report has to.
    pub is_said: bool,
}

/// What becomes of what was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Judgement {
    /// The ledger has it already.
    Known,
    /// It is recorded.
    Record(Box<Standing>),
    /// It is looked at again then, if nothing else has come by that time.
    Later(Timestamp),
}

impl Seen {
    fn of(health: &GpuHealth) -> Self {
        // What is found on a GPU in order is no fault of it.
        let first = health.reasons.first();
        let found = health.findings.iter();
        let mut found = found.filter(|found| Some(&found.reason) == first);
        let found = found.next();
        Self {
            verdict: health.verdict,
            reasons: health.reasons.iter().take(REASONS_MAX).cloned().collect(),
            action: health.action,
            evidence: found.map_or_else(String::new, |found| cut(&found.evidence)),
            since: health.since,
            is_said: false,
        }
    }

    const fn can_be_let(&self) -> bool {
        self.verdict.can_be_let() && self.action.is_harmless()
    }

    /// Whether nothing is the matter.
    pub const fn is_well(&self) -> bool {
        matches!(self.verdict, Verdict::Healthy) && self.action.is_harmless()
    }

    /// Whether the ledger has it so. A well GPU's findings are nobody's concern.
    fn is_as(&self, recorded: Option<&Standing>) -> bool {
        match recorded {
            None => self.is_well(),
            Some(recorded) if self.is_well() => recorded.is_well(),
            Some(recorded) => {
                (self.verdict, self.action) == (recorded.verdict, recorded.action)
                    && self.reasons == recorded.reasons
            }
        }
    }
}

impl Node {
    /// How its agent says that one of its GPUs is; `None` before the first report.
    pub fn told(&self, gpu: &FleetGpu) -> Option<Seen> {
        let health = self.health.as_ref()?;
        Some(match health.gpus.get(&gpu.uuid) {
            Some(health) => Seen::of(health),
            None => Seen {
                verdict: Verdict::Lost,
                reasons: vec![HealthReason::GpuMissing],
                action: Action::None,
                evidence: "it is missing in the report".into(),
                since: health.at,
                is_said: false,
            },
        })
    }

    /// How one of its GPUs looks: as told, or as an operator says; `None` before the first report.
    pub fn sees(&self, gpu: &FleetGpu) -> Option<Seen> {
        let seen = self.told(gpu)?;
        // Nobody's word makes a GPU answer.
        let answers = !matches!(seen.verdict, Verdict::Lost | Verdict::Unresponsive);
        Some(match gpu.overridden() {
            Some((word, verdict)) if answers => Seen {
                verdict,
                reasons: (verdict != Verdict::Healthy)
                    .then_some(HealthReason::OperatorOverride)
                    .into_iter()
                    .collect(),
                action: Action::None,
                evidence: cut(&word.why),
                since: word.at,
                is_said: true,
            },
            Some(_) | None => seen,
        })
    }

    /// How the node itself looks; `None` before the first report.
    pub fn sees_itself(&self) -> Option<Seen> {
        let health = self.health.as_ref()?;
        Some(match health.ailment() {
            None => Seen {
                verdict: Verdict::Healthy,
                reasons: Vec::new(),
                action: Action::None,
                evidence: String::new(),
                since: health.at,
                is_said: false,
            },
            Some(found) => Seen {
                verdict: Verdict::Unhealthy,
                reasons: vec![found.reason.clone()],
                action: found.action,
                evidence: cut(&found.evidence),
                since: found.since,
                is_said: false,
            },
        })
    }

    /// GPUs that may be given to a new lease: by the ledger and by the latest report. None before the
    /// first report. What an operator says of a GPU counts for more than what is found on its node.
    pub fn healthy(&self) -> GpuSlots {
        let lets = |recorded: Option<&Standing>| recorded.is_none_or(Standing::can_be_let);
        let node = self.sees_itself().is_some_and(|s| s.can_be_let())
            && lets(self.fleet.standing.as_ref());
        let is_let = |gpu: &FleetGpu| {
            let seen = self.sees(gpu);
            lets(gpu.standing.as_ref())
                && seen.is_some_and(|seen| seen.can_be_let() && (node || seen.is_said))
        };
        (0_u8..)
            .zip(&self.fleet.gpus)
            .filter(|(_, gpu)| is_let(gpu))
            .fold(GpuSlots::NONE, |slots, (slot, _)| slots.with(slot))
    }

    /// Whether neither the ledger nor its report has anything to say of its health, nor any operator.
    pub fn is_plainly_well(&self) -> bool {
        let health = self.health.as_ref();
        let is_well = |gpu: &FleetGpu| {
            let health = health.and_then(|health| health.gpus.get(&gpu.uuid));
            gpu.standing.is_none()
                && gpu.words.is_empty()
                && health.is_some_and(|health| {
                    health.verdict == Verdict::Healthy && health.action.is_harmless()
                })
        };
        self.fleet.standing.is_none()
            && health.is_none_or(|health| health.ailment().is_none())
            && self.fleet.gpus.iter().all(is_well)
    }

    /// GPUs that the ledger does not call well, itself or because of the node.
    pub fn ailing(&self) -> GpuSlots {
        let is_well = |recorded: Option<&Standing>| recorded.is_none_or(Standing::is_well);
        let node = is_well(self.fleet.standing.as_ref());
        (0_u8..)
            .zip(&self.fleet.gpus)
            .filter(|(_, gpu)| {
                !(is_well(gpu.standing.as_ref()) && (node || gpu.overridden().is_some()))
            })
            .fold(GpuSlots::NONE, |slots, (slot, _)| slots.with(slot))
    }

    /// Until when a GPU stays out that looks well again, because it came and went too often; absent where
    /// that is not what keeps it.
    pub fn out_until(&self, gpu: &FleetGpu) -> Option<Timestamp> {
        let recorded = gpu.standing.as_ref()?;
        let looks_well = self.sees(gpu).is_some_and(|seen| seen.can_be_let());
        (looks_well && !recorded.can_be_let()).then(|| not_before(recorded))
    }

    /// What becomes of how something looks, given how it stands in the ledger.
    pub(super) fn judge(
        &self,
        recorded: Option<&Standing>,
        seen: Option<Seen>,
        is_leased: bool,
        now: Timestamp,
    ) -> Judgement {
        let (Some(health), Some(seen)) = (&self.health, seen) else {
            return Judgement::Known;
        };
        let was_let = recorded.is_none_or(Standing::can_be_let);
        let was_well = recorded.is_none_or(Standing::is_well);
        let leaves = was_let && !seen.can_be_let();
        let returns = !was_let && seen.can_be_let();
        if seen.is_as(recorded) || !(leaves || returns || is_leased || !was_well) {
            return Judgement::Known;
        }
        if returns && !seen.is_said && recorded.is_some_and(|old| !self.is_news_after(old)) {
            return Judgement::Known;
        }
        if let Some(old) = recorded
            && !leaves
            && !seen.is_said
            && now < not_before(old)
        {
            return Judgement::Later(not_before(old));
        }
        let row = recorded.filter(|old| now.since(old.recorded) < ROW_ENDS);
        Judgement::Record(Box::new(Standing {
            verdict: seen.verdict,
            reasons: seen.reasons,
            action: seen.action,
            evidence: seen.evidence,
            since: seen.since,
            boot_id: health.boot_id.clone(),
            read: health.at,
            recorded: now,
            changes: row.map_or(0, |old| old.changes).saturating_add(1),
        }))
    }

    /// Whether the latest report is of later than what was recorded: of the same boot and not read
    /// before, or of another boot that is the node's own by its description too.
    fn is_news_after(&self, recorded: &Standing) -> bool {
        let Some(health) = &self.health else {
            return false;
        };
        if health.boot_id == recorded.boot_id {
            return health.at >= recorded.read;
        }
        let report = self.report.as_ref();
        report.is_some_and(|report| report.boot_id == health.boot_id)
    }
}

/// When the next record of something may be made that is not its leaving.
fn not_before(recorded: &Standing) -> Timestamp {
    let Some(beyond) = recorded.changes.checked_sub(FREE) else {
        return recorded.recorded;
    };
    let wait = FIRST.millis() << beyond.min(8);
    recorded.recorded + Span::from_millis(wait.min(LONGEST.millis()))
}

fn cut(words: &str) -> String {
    let clean = words.chars().filter(|c| !c.is_control());
    let mut kept = String::new();
    for c in clean {
        if kept.len() + c.len_utf8() > EVIDENCE_MAX {
            break;
        }
        kept.push(c);
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing(changes: u32) -> Standing {
        Standing {
            verdict: Verdict::Lost,
            reasons: Vec::new(),
            action: Action::None,
            evidence: String::new(),
            since: Timestamp::EPOCH,
            boot_id: "b".into(),
            read: Timestamp::EPOCH,
            recorded: Timestamp::EPOCH,
            changes,
        }
    }

    #[test]
    fn the_first_records_are_made_at_once_and_those_after_them_wait_longer_and_longer() {
        let waits = [1, 3, 4, 5, 6, 8, 9, 10_000, u32::MAX];
        let waits = waits.map(|changes| not_before(&standing(changes)).unix_ms() / 60_000);
        assert_eq!(waits, [0, 0, 2, 4, 8, 32, 60, 60, 60]);
    }

    #[test]
    fn an_agents_words_are_cut_where_a_character_ends() {
        let long = "é".repeat(200);
        assert_eq!(cut(&long).len(), EVIDENCE_MAX);
        assert_eq!(cut("a\nb"), "ab");
    }
}
