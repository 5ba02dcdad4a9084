//! Leases in tables, and one lease on a page.

use crate::output::Show;
use crate::output::table::{Table, or_none};
use crate::output::time::{minute, rough, second};
use leasehold_common::api::{LeaseView, List};
use leasehold_common::lease::{HostShare, Shape};
use leasehold_common::time::Timestamp;
use leasehold_common::topology::Locality;
use leasehold_common::units::MilliWatts;

impl Show for List<LeaseView> {
    /// When it is shown, for what is left of each lease.
    type With = Timestamp;

    fn text(&self, now: &Timestamp, wide: bool, headings: bool) -> String {
        let columns = [
            "ID",
            "ACCOUNT",
            "CLASS",
            "STATE",
            "SKU",
            "SHAPE",
            "GPUS",
            "NODES(REASON)",
            "START",
            "END",
            "LEFT",
        ];
        let further: &[_] = if wide {
            &["WITHIN", "GEN", "READY", "WATTS", "CONDITIONS", "NAME"]
        } else {
            &[]
        };
        let mut table = Table::new(columns.into_iter().chain(further.iter().copied()));
        for lease in &self.items {
            let mut cells = row(lease, *now);
            if wide {
                cells.extend(more(lease));
            }
            table.row(cells);
        }
        table.text(headings)
    }

    fn names(&self) -> Vec<String> {
        self.items
            .iter()
            .map(|lease| lease.id.to_string())
            .collect()
    }
}

fn row(lease: &LeaseView, now: Timestamp) -> Vec<String> {
    vec![
        lease.id.to_string(),
        lease.account.to_string(),
        lease.class.to_string(),
        lease.state.to_string(),
        lease.sku.to_string(),
        shape(&lease.shape),
        if lease.gpu_count == 0 {
            String::new()
        } else {
            lease.gpu_count.to_string()
        },
        nodes_or_reason(lease),
        or_none(lease.start.or(lease.earliest).map(minute)),
        end(lease, minute),
        left(lease, now),
    ]
}

fn more(lease: &LeaseView) -> [String; 6] {
    let conditions: Vec<String> = lease
        .conditions
        .iter()
        .map(|c| c.kind.to_string())
        .collect();
    [
        lease.within.to_string(),
        format!("{}.{}", lease.epoch, lease.generation),
        format!("{}/{}", lease.nodes_ready, lease.node_count),
        lease.envelope_watts.to_string(),
        conditions.join(","),
        // A name may have spaces; it is the last column for that reason.
        or_none(lease.name.as_ref()),
    ]
}

/// One word, so that columns stay columns.
fn shape(shape: &Shape) -> String {
    match shape {
        Shape::Nodes {
            count,
            whole: Some(unit),
            ..
        } => format!("nodes:{count}/{unit}"),
        Shape::Nodes {
            count,
            at_least: None,
            ..
        } => format!("nodes:{count}"),
        Shape::Nodes {
            count,
            at_least: Some(least),
            ..
        } => format!("nodes:{least}..{count}"),
        Shape::Unit { prefix } => format!("unit:{prefix}"),
        Shape::Gpus { count } => format!("gpus:{count}"),
        Shape::Slices { profiles } => {
            let each = profiles
                .iter()
                .map(|(profile, count)| format!("{profile}:{count}"));
            each.collect::<Vec<_>>().join("+")
        }
    }
}

/// What it has given up and not got rid of yet.
fn leaving(lease: &LeaseView) -> String {
    let nodes = Some(lease.nodes_leaving.clone()).filter(|nodes| !nodes.is_empty());
    let gpus = lease.gpus_leaving.iter();
    let gpus = gpus.map(|(node, gpus)| format!("gpus {gpus} of {node}"));
    nodes.into_iter().chain(gpus).collect::<Vec<_>>().join(", ")
}

/// How close together its nodes are to be.
pub(in crate::commands) fn within(locality: Locality) -> String {
    match locality {
        Locality::Domain | Locality::Rack | Locality::Row | Locality::Hall => {
            format!("within one {locality}")
        }
        Locality::Cell => "anywhere in the cell".to_owned(),
    }
}

/// CPU and memory, where another share was asked for than goes with GPUs.
pub(in crate::commands) fn host(share: HostShare) -> String {
    let HostShare {
        cpu_milli,
        memory_mib,
    } = share;
    let (whole, part) = (cpu_milli / 1000, cpu_milli % 1000);
    let part = match part {
        0 => String::new(),
        part => format!(".{part:03}").trim_end_matches('0').to_owned(),
    };
    let memory = match memory_mib % 1024 {
        0 => format!("{} GiB", memory_mib / 1024),
        _ => format!("{memory_mib} MiB"),
    };
    format!("{whole}{part} hardware threads and {memory} on each node")
}

/// Where it is, or why it is nowhere, as `squeue` has it.
fn nodes_or_reason(lease: &LeaseView) -> String {
    match (lease.nodes.as_str(), &lease.reason) {
        ("", Some(reason)) => format!("({reason})"),
        (nodes, _) => nodes.to_owned(),
    }
}

fn end(lease: &LeaseView, written: fn(Timestamp) -> String) -> String {
    match lease.end {
        Some(end) => written(end),
        None if lease.start.is_some() && !lease.state.is_over() => "open".to_owned(),
        None => String::new(),
    }
}

fn left(lease: &LeaseView, now: Timestamp) -> String {
    match lease.end {
        Some(end) if lease.state.has_grants() => rough(end.since(now)),
        _ => String::new(),
    }
}

impl Show for LeaseView {
    type With = Timestamp;

    fn text(&self, now: &Timestamp, wide: bool, _headings: bool) -> String {
        let since = rough(now.since(self.since));
        let left = left(self, *now);
        let left = if left.is_empty() {
            left
        } else {
            format!(" ({left} left)")
        };
        let cap = self.gpu_cap_watts;
        let cap = cap.map(|watts| format!(", {watts} W for each GPU"));
        let lines = [
            ("lease", self.id.to_string()),
            ("name", or_none(self.name.as_ref())),
            ("account", format!("{} ({})", self.account, self.side)),
            ("class", self.class.to_string()),
            ("state", format!("{} for {since}", self.state)),
            ("reason", or_none(self.reason.as_ref())),
            ("earliest", or_none(self.earliest.map(second))),
            (
                "wants",
                format!("{} of {}, {}", self.shape, self.sku, within(self.within)),
            ),
            ("host", or_none(self.host.map(host))),
            ("nodes", self.nodes.clone()),
            ("spares", self.spares.clone()),
            ("leaving", leaving(self)),
            (
                "ready",
                format!("{} of {}", self.nodes_ready, self.node_count),
            ),
            ("gpus", self.gpu_count.to_string()),
            (
                "power",
                format!("{} promised", MilliWatts::from_watts(self.envelope_watts))
                    + &cap.unwrap_or_default(),
            ),
            (
                "held",
                or_none(self.held_until.map(|at| format!("until {}", second(at)))),
            ),
            ("energy", format!("{} Wh", self.energy_wh)),
            ("start", or_none(self.start.map(second))),
            ("end", end(self, second) + &left),
            ("closed", or_none(self.closed.map(second))),
            ("terms", format!("{}.{}", self.epoch, self.generation)),
            ("created", second(self.created)),
        ];
        let mut text: String = lines
            .into_iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| format!("{name:<9} {value}\n"))
            .collect();
        for segment in &self.segments {
            let from = second(segment.from);
            let to = or_none(segment.to.map(|to| format!(" to {}", second(to))));
            let spares = match segment.spares.as_str() {
                "" => String::new(),
                spares => format!(", spare {spares}"),
            };
            let parts = segment.gpus.iter();
            let parts = parts.map(|(node, gpus)| format!(", gpus {gpus} of {node}"));
            let parts: String = parts.collect();
            let line = format!(
                "{from}{to}: {}{parts}{spares} ({})",
                segment.nodes, segment.reason
            );
            text.push_str(&format!("{:<9} {line}\n", "segment"));
        }
        for condition in &self.conditions {
            let on = condition.nodes.as_ref().map(|nodes| format!(" on {nodes}"));
            text.push_str(&format!(
                "! {}{} since {}: {}\n",
                condition.kind,
                on.unwrap_or_default(),
                second(condition.since),
                condition.detail
            ));
        }
        if wide {
            for (node, gpus) in &self.gpus {
                let gpus: Vec<&str> = gpus.iter().map(|gpu| gpu.as_str()).collect();
                text.push_str(&format!("{node}  {}\n", gpus.join(" ")));
            }
            for (node, slices) in &self.slices {
                let slices: Vec<String> = slices.iter().map(ToString::to_string).collect();
                text.push_str(&format!("{node}  {}\n", slices.join(", ")));
            }
        }
        text
    }

    fn names(&self) -> Vec<String> {
        vec![self.id.to_string()]
    }
}
