//! What people and later versions read, word for word.

use crate::fixture::{Cell, around, gpus, health, minutes, node, nodes, wish};
use leasehold_common::api::{CreateLease, CreateMaintenance, ReplaceNode, SetPolicy};
use leasehold_common::class::Side;
use leasehold_common::explain::Explanation;
use leasehold_common::ids::LeaseId;
use leasehold_common::lease::LeaseState;
use leasehold_common::policy::Policy;
use leasehold_core::Event;
use leasehold_core::command::{Command, Query, View};
use serde::Serialize;

/// Why a lease is where it is, or waits.
fn explained(cell: &mut Cell, lease: LeaseId) -> Explanation {
    let asked = cell
        .state
        .ask(&Query::Explain(lease), &around(), cell.now)
        .unwrap();
    let View::Explain(view) = asked else {
        panic!("an explanation was asked for")
    };
    view.explanation.unwrap()
}

/// With a field on a line.
fn text<T: Serialize>(what: &T) -> String {
    let text = serde_json::to_string(what).unwrap();
    text.replace(",\"", ",\n\"")
}

#[test]
fn an_explanation_of_a_wait() {
    let mut cell = Cell::of(4);
    cell.lease(wish(nodes(3)));
    let waits = cell.lease(CreateLease {
        account: "globex".parse().unwrap(),
        ..wish(nodes(2))
    });
    insta::assert_snapshot!(text(&explained(&mut cell, waits)), @r#"
    {"outcome":"wait",
    "evaluated":4,
    "fit":1,
    "filtered":{"OtherAccount":3,
    "GpusTaken":3},
    "exhausted":{"nodes":1},
    "reasons":[{"reason":"Capacity",
    "nodes":3,
    "detail":"1 of the 2 nodes asked are free; 3 that would do are held or booked"}],
    "earliest":"2026-09-21T16:23:20.000Z",
    "unblocked_by":[{"kind":"lease-ends",
    "lease":1,
    "at":"2026-09-21T16:13:20.000Z"}],
    "policy":"b3:d33edbee7f79516b98c032dcdc9869a96139e79ee6d5c141bae16904dbe28e87"}
    "#);
}

#[test]
fn an_explanation_of_a_wait_for_quota() {
    let mut cell = Cell::of(2);
    cell.account("small", Side::Tenant, Some(8));
    cell.lease(CreateLease {
        account: "globex".parse().unwrap(),
        ..wish(nodes(2))
    });
    let small = |shape| CreateLease {
        account: "small".parse().unwrap(),
        ..wish(shape)
    };
    // Both are within the quota while neither has anything.
    cell.lease(small(gpus(6)));
    let second = cell.lease(small(gpus(4)));
    cell.agents_answer([0, 1]);
    cell.pass(minutes(120));
    cell.agents_answer([0, 1]);
    insta::assert_snapshot!(text(&explained(&mut cell, second)), @r#"
    {"outcome":"wait",
    "evaluated":0,
    "fit":0,
    "exhausted":{"quota_gpus":2},
    "reasons":[{"reason":"QuotaGpu",
    "nodes":0,
    "detail":"6 of account small's 8 GPUs are in use, 4 more are asked for"}],
    "unblocked_by":[{"kind":"quota-freed",
    "gpus":2}],
    "policy":"b3:d33edbee7f79516b98c032dcdc9869a96139e79ee6d5c141bae16904dbe28e87"}
    "#);
}

#[test]
fn an_explanation_where_a_maintenance_is_in_the_way() {
    let mut cell = Cell::of(2);
    let plates = CreateMaintenance {
        nodes: "h001".into(),
        from: Some(cell.now + minutes(60)),
        to: cell.now + minutes(90),
        reason: Some("new cooling plates".into()),
    };
    cell.ask(Command::CreateMaintenance(plates)).unwrap();
    let waits = cell.lease(wish(nodes(2)));
    let why = explained(&mut cell, waits);
    insta::assert_snapshot!(text(&(why.reasons, why.earliest, why.unblocked_by)), @r#"
    [[{"reason":"Capacity",
    "nodes":1,
    "detail":"1 of the 2 nodes asked are free; 1 that would do are held or booked"}],
    "2026-09-21T15:53:20.000Z",[{"kind":"maintenance-ends",
    "maintenance":1,
    "at":"2026-09-21T15:43:20.000Z"}]]
    "#);
}

#[test]
fn an_explanation_where_hardware_of_a_lease_that_has_ended_is_not_back() {
    let mut cell = Cell::of(2);
    cell.lease(wish(nodes(2)));
    cell.agents_answer([0, 1]);
    cell.pass(minutes(120));
    let waits = cell.lease(wish(nodes(1)));
    insta::assert_snapshot!(text(&explained(&mut cell, waits)), @r#"
    {"outcome":"wait",
    "evaluated":2,
    "fit":0,
    "filtered":{"AwaitingReturn":2},
    "exhausted":{"nodes":1},
    "reasons":[{"reason":"AwaitingCleanup",
    "nodes":2,
    "detail":"no node of sku h200 is free; 2 that would do are giving hardware back"}],
    "unblocked_by":[{"kind":"nodes-return",
    "nodes":2}],
    "policy":"b3:d33edbee7f79516b98c032dcdc9869a96139e79ee6d5c141bae16904dbe28e87"}
    "#);
    cell.agents_answer([0]);
    assert_eq!(cell.state_of(waits), LeaseState::Preparing);
}

#[test]
fn an_explanation_where_an_hour_has_no_room_for_cleaning() {
    let mut cell = Cell::of(2);
    let rate = "turnaround = \"10m\"\nsanitising_per_hour = { \"/\" = 1 }";
    let policy = Policy::from_text(rate).unwrap();
    cell.ask(Command::SetPolicy(SetPolicy { policy, why: None }))
        .unwrap();
    cell.lease(wish(nodes(2)));
    let waits = cell.lease(wish(nodes(2)));
    let why = explained(&mut cell, waits);
    insta::assert_snapshot!(text(&(why.reasons, why.earliest, why.unblocked_by)), @r#"
    [[{"reason":"Capacity",
    "nodes":2,
    "detail":"0 of the 2 nodes asked are free; 2 that would do are held or booked"}],
    "2026-09-21T17:10:00.000Z",[{"kind":"lease-ends",
    "lease":1,
    "at":"2026-09-21T16:13:20.000Z"}]]
    "#);
}

#[test]
fn a_refusal_of_another_node() {
    let mut cell = Cell::of(3);
    let has = cell.lease(wish(nodes(1)));
    cell.lease(CreateLease {
        account: "globex".parse().unwrap(),
        ..wish(nodes(1))
    });
    let sick = health(2, &[3], &[]);
    cell.tell([Event::Health(node(2), Some(Box::new(sick)))]);
    cell.agents_answer([0, 1]);
    let another = ReplaceNode {
        node: node(0),
        reason: None,
    };
    let refused = cell.ask(Command::ReplaceNode(has, another)).unwrap_err();
    insta::assert_snapshot!(text(&refused), @r#"
    {"type":"urn:leasehold:problem:booked",
    "title":"the hardware is booked",
    "status":409,
    "detail":"nothing that lease 1 may have is free in the place of h000: of 3 nodes none fits (1 Flagged, 1 OtherAccount, 1 GpusTaken, 1 GpusUnhealthy)",
    "code":"booked",
    "retryable":true,
    "lease_state":"active"}
    "#);
}

#[test]
fn a_log_record() {
    let mut cell = Cell::of(2);
    cell.lease(wish(gpus(2)));
    let decided = cell
        .log
        .iter()
        .find(|record| record.event_name.as_str() == "placement.decided");
    insta::assert_snapshot!(text(decided.unwrap()), @r#"
    {"seq":12,
    "epoch":1,
    "cell":"c1",
    "time_unix_nano":"1790000000000000000",
    "event_name":"placement.decided",
    "subject":{"lease_id":1,
    "term":{"epoch":1,
    "generation":1},
    "account":"acme"},
    "attributes":{"from":"requested",
    "to":"scheduled",
    "actor":{"uid":1000,
    "role":"operator",
    "request_id":"5"}},
    "inputs":{"request":{"account":"acme",
    "class":"on-demand",
    "shape":{"kind":"gpus",
    "count":2},
    "sku":"h200",
    "within":"cell",
    "length":"2h"},
    "now":"2026-09-21T14:13:20.000Z",
    "policy":"b3:d33edbee7f79516b98c032dcdc9869a96139e79ee6d5c141bae16904dbe28e87"},
    "why":{"outcome":"placed",
    "evaluated":2,
    "fit":2,
    "winner":{"unit":"hall-a/row-1/rack-0",
    "nodes":"0",
    "gpus":{"0":"0-1"},
    "score":[["side_changes",0],["domains_broken",1],["gpus_stranded",6],["unit_left",1],["idle_before",0],["node_index",0]]},
    "policy":"b3:d33edbee7f79516b98c032dcdc9869a96139e79ee6d5c141bae16904dbe28e87"}}
    "#);
}
