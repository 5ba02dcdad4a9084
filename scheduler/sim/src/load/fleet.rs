//! A fleet as a file says it, and jobs as a file lists them.
//!
//! ```toml
//! [[group]]
//! sku = "h200"
//! nodes = 64
//! gpus = 8
//! nodes_per_rack = 8       # 8 where it is not said
//! nodes_per_domain = 1     # 1 where it is not said: every node is a domain of its own
//! ```
//!
//! Jobs are lines of comma-separated fields under a line that names them, in any order:
//! `arrives_s,length_s,account,class,sku,gpus,nodes,within`. Of `gpus` and `nodes` one is given; `within`
//! may be left out.

use leasehold_common::class::Class;
use leasehold_common::ids::{AccountName, SkuName};
use leasehold_common::lease::Shape;
use leasehold_common::node::Owner;
use leasehold_common::time::Span;
use leasehold_common::topology::Locality;
use leasehold_placement::NodeSpec;
use serde::Deserialize;
use std::collections::BTreeMap;

const RACKS_PER_ROW: u32 = 8;
const ROWS_PER_HALL: u32 = 4;
const MOST_NODES: u32 = 1_000_000;

/// Text that is no fleet or no list of jobs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTrace {
    /// The fleet is no TOML of that form.
    #[error("fleet: {rule}")]
    Form {
        /// What the parser says.
        rule: String,
    },
    /// A group is out of bounds.
    #[error("fleet: group {group}: {field} is {given}, allowed is {allowed}")]
    Group {
        /// Which, from 1.
        group: usize,
        /// The field.
        field: &'static str,
        /// What it is.
        given: u32,
        /// What it may be.
        allowed: &'static str,
    },
    /// The jobs have no line that names this field.
    #[error("jobs: line 1 names no field {field}")]
    NoField {
        /// The field.
        field: &'static str,
    },
    /// A job's field cannot be read.
    #[error("jobs: line {line}: {field} is {given:?}, allowed is {allowed}")]
    Job {
        /// The line, from 1.
        line: usize,
        /// The field.
        field: &'static str,
        /// What it is.
        given: String,
        /// What it may be.
        allowed: &'static str,
    },
}

/// What the fleet's file holds.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    group: Vec<Group>,
}

/// Nodes of one kind, in racks of their own.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    sku: SkuName,
    nodes: u32,
    gpus: u32,
    #[serde(default = "eight")]
    nodes_per_rack: u32,
    #[serde(default = "one")]
    nodes_per_domain: u32,
}

const fn eight() -> u32 {
    8
}

const fn one() -> u32 {
    1
}

/// Reads a fleet: its nodes, by number.
///
/// # Errors
/// Text of another form, or a number out of bounds; which.
pub fn nodes(text: &str) -> Result<Vec<NodeSpec>, InvalidTrace> {
    let file: File = toml::from_str(text).map_err(|error| InvalidTrace::Form {
        rule: error.message().to_owned(),
    })?;
    let mut nodes = Vec::new();
    let mut racks = 0;
    for (at, group) in file.group.iter().enumerate() {
        let bounds = [
            ("nodes", group.nodes, 1..=MOST_NODES, "1 to 1000000"),
            ("gpus", group.gpus, 1..=16, "1 to 16"),
            (
                "nodes_per_rack",
                group.nodes_per_rack,
                1..=1000,
                "1 to 1000",
            ),
            (
                "nodes_per_domain",
                group.nodes_per_domain,
                1..=1000,
                "1 to 1000",
            ),
        ];
        for (field, given, allowed_range, allowed) in bounds {
            if !allowed_range.contains(&given) {
                return Err(InvalidTrace::Group {
                    group: at + 1,
                    field,
                    given,
                    allowed,
                });
            }
        }
        nodes.extend((0..group.nodes).map(|n| group.node(n, racks)));
        racks += group.nodes.div_ceil(group.nodes_per_rack);
    }
    Ok(nodes)
}

impl Group {
    fn node(&self, n: u32, racks_before: u32) -> NodeSpec {
        let rack = racks_before + n / self.nodes_per_rack;
        let row = rack / RACKS_PER_ROW;
        let domain = n % self.nodes_per_rack / self.nodes_per_domain;
        let path = format!(
            "hall-{:04}/row-{}/rack-{}/d{domain}",
            row / ROWS_PER_HALL,
            row % ROWS_PER_HALL,
            rack % RACKS_PER_ROW,
        );
        NodeSpec {
            path: path.parse().expect("numbered places are valid"),
            sku: self.sku.clone(),
            gpus: u8::try_from(self.gpus).expect("within bounds"),
            owner: Owner::Sellable,
        }
    }
}

/// A job of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// When it arrives, after the list begins.
    pub arrives: Span,
    /// How long it runs.
    pub length: Span,
    /// Whose it is.
    pub account: AccountName,
    /// What it is promised.
    pub class: Class,
    /// How much it wants.
    pub shape: Shape,
    /// Of what.
    pub sku: SkuName,
    /// How close together.
    pub within: Locality,
}

/// Reads a list of jobs, and puts them in the order in which they arrive.
///
/// # Errors
/// A field is missing or cannot be read; which, and in which line.
pub fn jobs(text: &str) -> Result<Vec<Job>, InvalidTrace> {
    let mut lines = text.lines().enumerate().map(|(at, line)| (at + 1, line));
    let (_, head) = lines.next().unwrap_or((1, ""));
    let columns: BTreeMap<&str, usize> = head
        .split(',')
        .enumerate()
        .map(|(at, name)| (name.trim(), at))
        .collect();
    for field in ["arrives_s", "length_s", "account", "class", "sku"] {
        if !columns.contains_key(field) {
            return Err(InvalidTrace::NoField { field });
        }
    }
    let mut jobs = Vec::new();
    for (line, text) in lines.filter(|(_, text)| !text.trim().is_empty()) {
        let row = Row {
            line,
            columns: &columns,
            fields: text.split(',').map(str::trim).collect(),
        };
        jobs.push(row.job()?);
    }
    jobs.sort_by_key(|job| job.arrives);
    Ok(jobs)
}

/// One line of a list of jobs.
struct Row<'a> {
    line: usize,
    columns: &'a BTreeMap<&'a str, usize>,
    fields: Vec<&'a str>,
}

impl Row<'_> {
    fn job(&self) -> Result<Job, InvalidTrace> {
        let shape = match (self.text("gpus"), self.text("nodes")) {
            (_, "" | "0") => Shape::gpus(self.read("gpus", COUNT, |n| *n > 0)?),
            ("" | "0", _) => Shape::nodes(self.read("nodes", COUNT, |n| *n > 0)?),
            (_, given) => {
                return Err(InvalidTrace::Job {
                    line: self.line,
                    field: "nodes",
                    given: given.to_owned(),
                    allowed: "nothing beside gpus",
                });
            }
        };
        let within = match self.text("within") {
            "" => Locality::Cell,
            _ => self.read("within", "domain, rack, row, hall or cell", |_| true)?,
        };
        let class = "internal-critical, committed, on-demand, internal-batch or spot";
        Ok(Job {
            arrives: Span::from_secs(self.read("arrives_s", SECONDS, |s| *s <= LONGEST_S)?),
            length: Span::from_secs(self.read("length_s", SECONDS, |s| *s > 0 && *s <= LONGEST_S)?),
            account: self.read("account", "an account's name", |_| true)?,
            class: self.read("class", class, |_| true)?,
            shape,
            sku: self.read("sku", "a SKU's name", |_| true)?,
            within,
        })
    }

    fn text(&self, field: &str) -> &str {
        let at = self.columns.get(field);
        at.and_then(|at| self.fields.get(*at))
            .copied()
            .unwrap_or("")
    }

    fn read<T: std::str::FromStr>(
        &self,
        field: &'static str,
        allowed: &'static str,
        is_allowed: impl FnOnce(&T) -> bool,
    ) -> Result<T, InvalidTrace> {
        let given = self.text(field);
        let read = given.parse().ok().filter(is_allowed);
        read.ok_or_else(|| InvalidTrace::Job {
            line: self.line,
            field,
            given: given.chars().take(80).collect(),
            allowed,
        })
    }
}

/// Ten years: nothing that a trace is about is longer.
const LONGEST_S: u64 = 10 * 366 * 24 * 3600;
const SECONDS: &str = "whole seconds up to ten years";
const COUNT: &str = "a whole number from 1 on";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fleet_stands_in_racks_and_domains() {
        let text = "[[group]]\nsku = \"h200\"\nnodes = 9\ngpus = 8\n\
                    [[group]]\nsku = \"gb200\"\nnodes = 20\ngpus = 4\n\
                    nodes_per_rack = 18\nnodes_per_domain = 18\n";
        let nodes = nodes(text).unwrap();
        let place = |n: usize| nodes[n].path.to_string();
        assert_eq!(nodes.len(), 29);
        assert_eq!(place(8), "hall-0000/row-0/rack-1/d0");
        assert_eq!(place(9), "hall-0000/row-0/rack-2/d0");
        assert_eq!(place(26), place(9));
        assert_eq!(place(27), "hall-0000/row-0/rack-3/d0");
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let head = "arrives_s,length_s,account,class,sku,gpus,nodes\n";
        let refused = |line: &str| jobs(&format!("{head}{line}\n")).unwrap_err().to_string();
        assert_eq!(
            refused("0,60,acme,sold,h200,1,"),
            "jobs: line 2: class is \"sold\", allowed is internal-critical, committed, on-demand, \
             internal-batch or spot"
        );
        assert_eq!(
            refused("0,0,acme,spot,h200,1,"),
            "jobs: line 2: length_s is \"0\", allowed is whole seconds up to ten years"
        );
        assert_eq!(
            refused("0,60,acme,spot,h200,1,2"),
            "jobs: line 2: nodes is \"2\", allowed is nothing beside gpus"
        );
        assert_eq!(
            nodes("[[group]]\nsku = \"h200\"\nnodes = 1\ngpus = 17\n")
                .unwrap_err()
                .to_string(),
            "fleet: group 1: gpus is 17, allowed is 1 to 16"
        );
    }

    #[test]
    fn jobs_come_in_the_order_in_which_they_arrive() {
        let text = "sku,class,account,nodes,length_s,arrives_s,within\n\
                    h200,spot,acme,4,60,30,rack\n\nh200,spot,acme,1,60,10,\n";
        let jobs = jobs(text).unwrap();
        assert_eq!(jobs.len(), 2);
        assert_eq!(jobs[0].shape, Shape::nodes(1));
        assert_eq!(
            (&jobs[1].shape, jobs[1].within),
            (&Shape::nodes(4), Locality::Rack)
        );
    }
}
