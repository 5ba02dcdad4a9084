//! `leasectl status`: one screen. What an operator must know comes first, as `#` lines.

use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Show;
use crate::output::time::second;
use crate::session::Session;
use leasehold_common::api::Status;
use leasehold_common::units::MilliWatts;
use std::collections::BTreeMap;
use std::fmt::Display;

/// Shows the cell.
///
/// # Errors
/// Those of the client.
pub async fn run(session: &mut Session<'_>) -> Result<Exit, Failure> {
    session.show::<Status>("/v1/status", &()).await
}

impl Show for Status {
    type With = ();

    fn text(&self, (): &(), _wide: bool, _headings: bool) -> String {
        let mut text = String::new();
        let frozen = self
            .frozen
            .iter()
            .map(|why| format!("decisions are frozen: {why}"));
        let brake = self
            .brake
            .then(|| "brake: consequences of lost nodes are held back".to_owned());
        for alert in frozen.chain(brake).chain(self.alerts.iter().cloned()) {
            text.push_str(&format!("# {alert}\n"));
        }
        let leader = match &self.leader {
            Some(leader) if self.leading => format!("{leader} (this host)"),
            Some(leader) => format!("{leader} (asked {})", self.host),
            None => format!("none (asked {})", self.host),
        };
        let watts = |watts| MilliWatts::from_watts(watts);
        let lines = [
            ("cell", self.cell.to_string()),
            ("leader", leader),
            ("store", self.store.clone()),
            (
                "ledger",
                format!(
                    "epoch {}, record {}, {}",
                    self.epoch,
                    self.seq,
                    second(self.now)
                ),
            ),
            ("log head", self.log_hash.to_string()),
            ("nodes", counts(self.node_count, &self.nodes)),
            (
                "live",
                format!("{} of {}", self.nodes_live, self.node_count),
            ),
            (
                "gpus",
                format!(
                    "{}: {} free · {} leased",
                    self.gpus, self.gpus_free, self.gpus_leased
                ),
            ),
            (
                "power",
                format!(
                    "{} drawn, {} promised",
                    watts(self.power_watts),
                    watts(self.envelope_watts)
                ),
            ),
            ("leases", counts(self.leases.values().sum(), &self.leases)),
            (
                "pending",
                counts(self.pending.values().sum(), &self.pending),
            ),
        ];
        for (name, value) in lines {
            text.push_str(&format!("{name:<9} {value}\n"));
        }
        text
    }

    fn names(&self) -> Vec<String> {
        vec![self.cell.to_string()]
    }
}

/// `64: 60 available · 4 leased`.
fn counts<K: Display>(total: u64, by: &BTreeMap<K, u64>) -> String {
    let parts: Vec<String> = by
        .iter()
        .filter(|(_, count)| **count > 0)
        .map(|(what, count)| format!("{count} {what}"))
        .collect();
    if parts.is_empty() {
        total.to_string()
    } else {
        format!("{total}: {}", parts.join(" · "))
    }
}
