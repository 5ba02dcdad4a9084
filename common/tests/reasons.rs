//! The words of explanations and what operators read about them: none is left out, none is made up.

use leasehold_common::explain::{Dimension, Filter, Reason, Unblock};

const DOCUMENT: &str = include_str!("../docs/reasons.md");

/// The words that stand first in the rows of one section's table, in order.
fn words(section: &str) -> Vec<&'static str> {
    let (_, rest) = DOCUMENT
        .split_once(section)
        .expect("the section is in the document");
    let text = rest.split("\n## ").next().unwrap_or_default();
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.filter_map(|row| row.split('`').next()).collect()
}

#[test]
fn every_reason_says_what_it_means_and_what_to_do() {
    let known: Vec<&str> = Reason::ALL.iter().map(Reason::as_str).collect();
    assert_eq!(words("# Reasons\n"), known, "in the order of rank");
}

#[test]
fn everything_that_runs_out_is_explained() {
    let known: Vec<&str> = Dimension::ALL.iter().map(Dimension::as_str).collect();
    assert_eq!(words("## What runs out\n"), known);
}

#[test]
fn every_rule_that_a_node_can_fail_is_explained() {
    let known: Vec<&str> = Filter::ALL.iter().map(Filter::as_str).collect();
    assert_eq!(words("## What nodes fail\n"), known);
}

#[test]
fn what_a_later_version_would_wait_for_is_no_reason_not_to_read_a_record() {
    let later = r#"[{"kind":"moon-is-full","phase":4},{"kind":"nodes-return","nodes":2}]"#;
    let read: Vec<Unblock> = serde_json::from_str(later).unwrap();
    assert_eq!(read, [Unblock::Unknown, Unblock::NodesReturn { nodes: 2 }]);
}
