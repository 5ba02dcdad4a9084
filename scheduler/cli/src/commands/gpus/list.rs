//! GPUs in tables, or one on a page.

use crate::output::Show;
use crate::output::table::{Table, or_none};
use crate::output::time::{minute, second};
use leasehold_common::api::{GpuView, List};
use leasehold_common::node::{Action, Word, WordKind};

/// What is shown of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Columns {
    /// What it is and does.
    All,
    /// How it is, and what was seen of that.
    Health,
}

impl Show for List<GpuView> {
    type With = Columns;

    fn text(&self, columns: &Columns, wide: bool, headings: bool) -> String {
        let mut table = match columns {
            Columns::All => Table::new([
                "NODE",
                "IDX",
                "UUID",
                "SKU",
                "STATE",
                "HEALTH",
                "SINCE",
                "LEASE",
                "MEM",
                "POWER/CAP",
                "TEMP",
                "ECC",
                "ACTION",
                "REASON",
            ]),
            Columns::Health => Table::new([
                "NODE", "IDX", "UUID", "STATE", "HEALTH", "LET", "SINCE", "LEASE", "ACTION",
                "REASON", "SEEN",
            ]),
        };
        for gpu in &self.items {
            table.row(match columns {
                Columns::All => row(gpu, wide),
                Columns::Health => health(gpu, wide),
            });
        }
        table.text(headings)
    }

    fn names(&self) -> Vec<String> {
        self.items.iter().map(|gpu| gpu.uuid.to_string()).collect()
    }
}

fn row(gpu: &GpuView, wide: bool) -> Vec<String> {
    vec![
        gpu.node.to_string(),
        gpu.slot.to_string(),
        uuid(gpu, wide),
        gpu.sku.to_string(),
        gpu.node_state.to_string(),
        verdict(gpu),
        or_none(gpu.since.map(minute)),
        or_none(gpu.lease),
        or_none(gpu.memory_used_mib.map(|mib| format!("{mib}MiB"))),
        power(gpu),
        or_none(gpu.celsius.map(|celsius| format!("{celsius}C"))),
        or_none(gpu.ecc_uncorrected),
        action(gpu),
        gpu.reasons.join(";"),
    ]
}

fn health(gpu: &GpuView, wide: bool) -> Vec<String> {
    vec![
        gpu.node.to_string(),
        gpu.slot.to_string(),
        uuid(gpu, wide),
        gpu.node_state.to_string(),
        verdict(gpu),
        is_let(gpu),
        or_none(gpu.since.map(minute)),
        or_none(gpu.lease),
        action(gpu),
        gpu.reasons.join(";"),
        // Words with spaces: the last column for that reason.
        gpu.findings
            .first()
            .map_or_else(String::new, |found| found.evidence.clone()),
    ]
}

fn uuid(gpu: &GpuView, wide: bool) -> String {
    let uuid = gpu.uuid.as_str();
    if wide { uuid } else { short(uuid) }.to_owned()
}

/// The agent's verdict, and `+override` where an operator has put another in its place.
fn verdict(gpu: &GpuView) -> String {
    let is_overridden = gpu.words.iter().any(|word| word.says == WordKind::Override);
    let overridden = if is_overridden { "+override" } else { "" };
    gpu.verdict
        .map_or_else(String::new, |verdict| format!("{verdict}{overridden}"))
}

fn action(gpu: &GpuView) -> String {
    or_none(gpu.action.filter(|action| *action != Action::None))
}

/// Whether its health lets it be let; from when on where only time keeps it.
fn is_let(gpu: &GpuView) -> String {
    match (gpu.can_be_let, gpu.out_until) {
        (true, _) => "yes".to_owned(),
        (false, Some(until)) => minute(until),
        (false, None) => "no".to_owned(),
    }
}

/// The first eight digits of a UUID: NVML's are random, so eight tell GPUs apart.
fn short(uuid: &str) -> &str {
    let digits = uuid.strip_prefix("GPU-").unwrap_or(uuid);
    digits.get(..8).unwrap_or(digits)
}

fn power(gpu: &GpuView) -> String {
    let watts = |watts: Option<u64>| watts.map_or("-".to_owned(), |watts| watts.to_string());
    match (gpu.power_watts, gpu.limit_watts) {
        (None, None) => String::new(),
        (drawn, limit) => format!("{}/{}W", watts(drawn), watts(limit)),
    }
}

impl Show for GpuView {
    type With = ();

    fn text(&self, (): &(), _wide: bool, headings: bool) -> String {
        let since = self.since.map(|since| format!(" since {}", second(since)));
        let since = since.unwrap_or_default();
        let words: Vec<String> = self.words.iter().map(said).collect();
        let lines = [
            ("gpu", format!("{}/{}", self.node, self.slot)),
            ("uuid", self.uuid.to_string()),
            ("sku", self.sku.to_string()),
            ("node", self.node_state.to_string()),
            ("health", format!("{}{since}", verdict(self))),
            ("reasons", self.reasons.join(", ")),
            ("action", action(self)),
            ("let", is_let(self)),
            ("said", words.join("\n         ")),
            ("lease", or_none(self.lease)),
            ("power", power(self)),
            (
                "memory",
                or_none(self.memory_used_mib.map(|mib| format!("{mib} MiB"))),
            ),
            (
                "celsius",
                or_none(self.celsius.map(|celsius| celsius.to_string())),
            ),
            ("ecc", or_none(self.ecc_uncorrected)),
        ];
        let shown = lines.into_iter().filter(|(_, value)| !value.is_empty());
        let page: String = shown
            .map(|(name, value)| format!("{name:<8} {value}\n"))
            .collect();
        if self.findings.is_empty() {
            return page;
        }
        let mut table = Table::new(["FOUND", "SINCE", "ACTION", "SEEN"]);
        for found in &self.findings {
            table.row([
                found.reason.to_string(),
                minute(found.since),
                found.action.to_string(),
                // Words with spaces: the last column for that reason.
                found.evidence.clone(),
            ]);
        }
        page + &table.text(headings)
    }

    fn names(&self) -> Vec<String> {
        vec![self.uuid.to_string()]
    }
}

/// `override healthy by 1000 at … until …: why`.
fn said(word: &Word) -> String {
    let verdict = word.verdict.map(|verdict| format!(" {verdict}"));
    let reason = word.reason.as_ref().map(|reason| format!(" {reason}"));
    let of = verdict.or(reason).unwrap_or_default();
    let (says, by, why) = (&word.says, &word.by, &word.why);
    let (at, until) = (second(word.at), second(word.until));
    format!("{says}{of} by {by} at {at} until {until}: {why}")
}
