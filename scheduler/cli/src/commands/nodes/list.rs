//! Nodes in tables: folded by equal state, one a line, or one on a page.

use crate::output::Show;
use crate::output::table::{Table, or_none};
use crate::output::time::{minute, second};
use leasehold_common::api::{Ailment, List, NodeView};
use leasehold_common::hostlist;
use leasehold_common::node::{Action, FlagKind, Verdict};
use leasehold_common::units::MilliWatts;
use std::collections::BTreeMap;

/// How nodes are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Folding {
    /// One line for all nodes that are alike, as `sinfo` has it.
    ByState,
    /// One line per node, as `sinfo -N` has it.
    PerNode,
    /// One line for all nodes that cannot be let for the same reason, as `sinfo -R` has it.
    ByReason,
}

impl Show for List<NodeView> {
    type With = Folding;

    fn text(&self, folding: &Folding, wide: bool, headings: bool) -> String {
        match folding {
            Folding::ByState => folded(&self.items),
            Folding::PerNode => per_node(&self.items, wide),
            Folding::ByReason => by_reason(&self.items),
        }
        .text(headings)
    }

    fn names(&self) -> Vec<String> {
        self.items
            .iter()
            .map(|node| node.name.to_string())
            .collect()
    }
}

/// The state, with Slurm's `*` where the agent is silent and its `+drain` where no new lease begins.
fn state(node: &NodeView) -> String {
    let silent = if node.live { "" } else { "*" };
    format!("{}{silent}{}", node.state, flags(node))
}

/// `+drain`, `+maint`.
fn flags(node: &NodeView) -> String {
    let flags = node.flags.iter().map(|flag| match &flag.flag {
        FlagKind::NoNewLeases => "+drain".to_owned(),
        FlagKind::Maintenance => "+maint".to_owned(),
        other => format!("+{other}"),
    });
    flags.collect()
}

/// The reason is worth a column only where somebody could do something about it.
fn reason(node: &NodeView) -> String {
    use leasehold_common::node::StateReason as R;
    match &node.reason {
        R::Verified | R::Admitted => String::new(),
        reason => reason.to_string(),
    }
}

/// GPUs free, leased, other (sick, being cleaned, on a node that cannot be let) and total.
#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    free: u64,
    leased: u64,
    total: u64,
}

impl Counts {
    fn add(&mut self, node: &NodeView) {
        self.free += u64::from(node.gpus_free);
        self.leased += u64::from(node.gpus_leased);
        self.total += u64::from(node.gpus);
    }

    fn text(self) -> String {
        let Self {
            free,
            leased,
            total,
        } = self;
        format!(
            "{free}/{leased}/{}/{total}",
            total.saturating_sub(free + leased)
        )
    }
}

fn folded(nodes: &[NodeView]) -> Table {
    #[derive(Default)]
    struct Group<'a> {
        names: Vec<&'a str>,
        gpus: Counts,
        watts: u64,
    }
    let mut groups: BTreeMap<_, Group<'_>> = BTreeMap::new();
    for node in nodes {
        let alike = (
            node.state,
            !node.live,
            flags(node),
            node.sku.clone(),
            reason(node),
        );
        let group = groups.entry(alike).or_default();
        group.names.push(node.name.as_str());
        group.gpus.add(node);
        group.watts += node.power_watts;
    }
    let mut table = Table::new([
        "NODES",
        "STATE",
        "SKU",
        "COUNT",
        "GPUS(F/L/O/T)",
        "POWER",
        "REASON",
    ]);
    for ((state, silent, flags, sku, reason), group) in groups {
        table.row([
            hostlist::fold(group.names.iter().copied()),
            format!("{state}{}{flags}", if silent { "*" } else { "" }),
            or_none(sku),
            group.names.len().to_string(),
            group.gpus.text(),
            power(group.watts),
            reason,
        ]);
    }
    table
}

/// `gpu 3 unhealthy (MemoryFault): XID 95`.
fn ailing(ailment: &Ailment) -> String {
    let of = ailment
        .slot
        .map_or("node".to_owned(), |slot| format!("gpu {slot}"));
    let why: Vec<&str> = ailment
        .reasons
        .iter()
        .map(|reason| reason.as_str())
        .collect();
    let why = match why.is_empty() {
        true => String::new(),
        false => format!(" ({})", why.join(", ")),
    };
    let seen = match ailment.evidence.is_empty() {
        true => String::new(),
        false => format!(": {}", ailment.evidence),
    };
    let is_out = match (ailment.verdict, ailment.can_be_let) {
        (Verdict::Healthy, false) => ", not let again yet",
        (_, true) => ", let",
        (_, false) => "",
    };
    format!("{of} {}{is_out}{why}{seen}", ailment.verdict)
}

/// Every flag, every state that keeps leases away and that somebody could do something about, and
/// every GPU that is not in order.
fn by_reason(nodes: &[NodeView]) -> Table {
    let mut groups: BTreeMap<_, Vec<&str>> = BTreeMap::new();
    for node in nodes {
        let flagged = node.flags.iter().map(|flag| {
            let kind = Some(flag.flag.to_string());
            let (by, until) = (Some(flag.by.clone()), flag.until);
            (kind, by, Some(flag.since), until, None, flag.why.clone())
        });
        let ails = node.ailments.iter().map(|ailment| {
            let to_do = Some(ailment.action).filter(|action| *action != Action::None);
            (
                None,
                None,
                Some(ailment.since),
                None,
                to_do,
                ailing(ailment),
            )
        });
        let words = format!("{}: {}", reason(node), node.detail);
        let words = words.trim_end_matches(": ").to_owned();
        let stands =
            (!reason(node).is_empty()).then_some((None, None, node.since, None, None, words));
        for (flag, by, since, until, to_do, why) in flagged.chain(stands).chain(ails) {
            let alike = (node.state, state(node), flag, by, since, until, to_do, why);
            groups.entry(alike).or_default().push(node.name.as_str());
        }
    }
    let columns = [
        "NODES", "COUNT", "STATE", "FLAG", "BY", "SINCE", "UNTIL", "ACTION", "REASON",
    ];
    let mut table = Table::new(columns);
    for ((_, state, flag, by, since, until, to_do, why), names) in groups {
        table.row([
            hostlist::fold(names.iter().copied()),
            names.len().to_string(),
            state,
            or_none(flag),
            or_none(by),
            or_none(since.map(minute)),
            or_none(until.map(minute)),
            or_none(to_do),
            // Words with spaces: the last column for that reason.
            why,
        ]);
    }
    table
}

fn per_node(nodes: &[NodeView], wide: bool) -> Table {
    let columns = [
        "NODE",
        "STATE",
        "SKU",
        "GPUS(F/L/O/T)",
        "POWER",
        "LEASES",
        "PATH",
        "REASON",
    ];
    let further: &[_] = if wide {
        &["INDEX", "OWNER", "SIDE", "AGENT", "DRIVER"]
    } else {
        &[]
    };
    let mut table = Table::new(columns.into_iter().chain(further.iter().copied()));
    for node in nodes {
        let mut gpus = Counts::default();
        gpus.add(node);
        let mut row = vec![
            node.name.to_string(),
            state(node),
            or_none(node.sku.as_ref()),
            gpus.text(),
            power(node.power_watts),
            leases(node),
            or_none(node.path.as_ref()),
            reason(node),
        ];
        if wide {
            row.extend([
                or_none(node.index),
                or_none(node.owner),
                or_none(node.side),
                or_none(node.agent.as_ref()),
                or_none(node.driver.as_ref()),
            ]);
        }
        table.row(row);
    }
    table
}

/// Without the space between number and unit: a cell is one word.
fn power(watts: u64) -> String {
    MilliWatts::from_watts(watts).to_string().replace(' ', "")
}

/// What its GPUs draw, and the node with them; old where its agent is silent.
fn node_power(node: &NodeView) -> String {
    let watts = |watts| MilliWatts::from_watts(watts).to_string();
    let whole = match node.node_watts {
        0 => String::new(),
        node => format!(", {} with the rest of the node", watts(node)),
    };
    let stale = if node.power_stale { " (old)" } else { "" };
    format!("{}{whole}{stale}", watts(node.power_watts))
}

/// `0: 612/700W  1: 98/700W`: draw and limit by slot.
fn draws(node: &NodeView) -> String {
    let watts = |watts: Option<u64>| watts.map_or("-".to_owned(), |watts| watts.to_string());
    let draws = node.draws.iter().map(|draw| {
        let (drawn, limit) = (watts(draw.watts), watts(draw.limit_watts));
        format!("{}: {drawn}/{limit}W", draw.slot)
    });
    draws.collect::<Vec<_>>().join("  ")
}

fn maintenance(node: &NodeView) -> String {
    let ids = node.maintenance.iter().map(ToString::to_string);
    ids.collect::<Vec<_>>().join(",")
}

fn leases(node: &NodeView) -> String {
    node.leases
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(",")
}

/// `no-new-leases by 1000 since … until …: why`, one below the other.
fn flag_lines(node: &NodeView) -> String {
    let lines = node.flags.iter().map(|flag| {
        let until = flag
            .until
            .map(|until| format!(" until {}", second(until)))
            .unwrap_or_default();
        let (kind, by, since) = (&flag.flag, &flag.by, second(flag.since));
        format!("{kind} by {by} since {since}{until}: {}", flag.why)
    });
    lines.collect::<Vec<_>>().join("\n         ")
}

impl Show for NodeView {
    type With = ();

    fn text(&self, (): &(), _wide: bool, _headings: bool) -> String {
        let mut gpus = Counts::default();
        gpus.add(self);
        let since = self.since.map(|since| format!(" since {}", second(since)));
        let ailments = self.ailments.iter().map(|ailment| {
            let (what, since) = (ailing(ailment), second(ailment.since));
            format!("{what}; do: {}; since {since}", ailment.action)
        });
        let ailments: Vec<String> = ailments.collect();
        let lines = [
            ("node", self.name.to_string()),
            ("index", or_none(self.index)),
            (
                "state",
                format!("{}{}", state(self), since.unwrap_or_default()),
            ),
            ("reason", format!("{}: {}", self.reason, self.detail)),
            ("flags", flag_lines(self)),
            ("path", or_none(self.path.as_ref())),
            ("sku", or_none(self.sku.as_ref())),
            ("owner", or_none(self.owner)),
            ("side", or_none(self.side)),
            ("gpus", format!("{} (free/leased/other/total)", gpus.text())),
            ("power", node_power(self)),
            ("draws", draws(self)),
            ("health", ailments.join("\n         ")),
            ("leases", leases(self)),
            ("maintenance", maintenance(self)),
            ("agent", or_none(self.agent.as_ref())),
            ("driver", or_none(self.driver.as_ref())),
            ("trouble", or_none(self.trouble.as_ref())),
        ];
        let shown = lines.into_iter().filter(|(_, value)| !value.is_empty());
        shown
            .map(|(name, value)| format!("{name:<8} {}\n", value.trim_end_matches(": ")))
            .collect()
    }

    fn names(&self) -> Vec<String> {
        vec![self.name.to_string()]
    }
}
