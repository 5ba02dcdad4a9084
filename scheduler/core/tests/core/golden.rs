//! What people and later versions read, word for word.

use crate::fixture::{Cell, gpus, minutes, nodes, wish};
use leasehold_common::api::CreateLease;
use leasehold_common::class::Side;
use leasehold_core::command::{Query, View};

#[test]
fn an_explanation_of_a_wait() {
    let mut cell = Cell::of(4);
    cell.lease(wish(nodes(3)));
    let waits = cell.lease(CreateLease {
        account: "globex".parse().unwrap(),
        ..wish(nodes(2))
    });
    let View::Explain(why) = cell.query(&Query::Explain(waits)) else {
        panic!("an explanation was asked for")
    };
    let why = why.explanation.unwrap();
    let text = serde_json::to_string(&why).unwrap().replace(",\"", ",\n\"");
    insta::assert_snapshot!(text, @r#"
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
    let View::Explain(why) = cell.query(&Query::Explain(second)) else {
        panic!("an explanation was asked for")
    };
    let why = why.explanation.unwrap();
    let text = serde_json::to_string(&why).unwrap().replace(",\"", ",\n\"");
    insta::assert_snapshot!(text, @r#"
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
fn a_log_record() {
    let mut cell = Cell::of(2);
    cell.lease(wish(gpus(2)));
    let decided = cell
        .log
        .iter()
        .find(|record| record.event_name.as_str() == "placement.decided");
    let text = serde_json::to_string(decided.unwrap())
        .unwrap()
        .replace(",\"", ",\n\"");
    insta::assert_snapshot!(text, @r#"
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
