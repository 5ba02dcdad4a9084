//! Explanations as people read them.

use super::*;
use leasehold_common::class::{Class, Side};
use leasehold_common::explain::{
    Dimension, Filter, HarmField, Outcome, RankedReason, Reason, Reclaim, ReclaimLoser, Victim,
};
use leasehold_common::ids::{Epoch, Generation, LeaseId, MaintenanceId};
use leasehold_common::lease::{Digest, HostShare, LeaseState, Shape};
use leasehold_common::topology::Locality;
use std::collections::BTreeMap;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn view(lease: LeaseView, explanation: Option<Explanation>) -> String {
    let node_names = (0..100)
        .map(|n| (n, format!("h{n:03}").parse().unwrap()))
        .collect();
    ExplainView {
        lease,
        explanation,
        node_names,
    }
    .text(&at("2026-11-22T09:26:02Z"), false, true)
}

fn four_nodes_in_a_rack() -> LeaseView {
    LeaseView {
        id: LeaseId(18_342),
        account: "acme".parse().unwrap(),
        side: Side::Tenant,
        class: Class::OnDemand,
        state: LeaseState::Requested,
        since: at("2026-11-22T09:14:02Z"),
        conditions: Vec::new(),
        epoch: Epoch(1),
        generation: Generation(1),
        shape: Shape::nodes(4),
        sku: "h200".parse().unwrap(),
        within: Locality::Rack,
        created: at("2026-11-22T09:14:02Z"),
        start: None,
        end: None,
        closed: None,
        nodes: String::new(),
        spares: String::new(),
        nodes_leaving: String::new(),
        gpus_leaving: BTreeMap::new(),
        segments: Vec::new(),
        node_count: 0,
        nodes_ready: 0,
        nodes_returned: 0,
        gpus: BTreeMap::new(),
        slices: BTreeMap::new(),
        gpu_count: 0,
        envelope_watts: 0,
        energy_wh: 0,
        reason: Some(Reason::Fragmented),
        earliest: Some(at("2026-11-22T10:40:00Z")),
        held_until: None,
        gpu_cap_watts: None,
        host: None,
        name: None,
    }
}

fn candidate(rack: u32, first: u32, left: i64) -> Candidate {
    Candidate {
        unit: format!("hall-1/row-1/rack-{rack}").parse().unwrap(),
        nodes: (first..first + 4).map(NodeIndex).collect(),
        gpus: BTreeMap::new(),
        slices: BTreeMap::new(),
        spares: leasehold_common::node_set::NodeSet::new(),
        score: vec![
            (ScoreField::SideChanges, 0),
            (ScoreField::UnitLeft, left),
            (ScoreField::NodeIndex, i64::from(first)),
        ],
        lost_by: None,
    }
}

fn nothing_said(outcome: Outcome) -> Explanation {
    Explanation {
        outcome,
        evaluated: 64,
        fit: 4,
        filtered: BTreeMap::from([(Filter::GpusTaken, 40), (Filter::NodeState, 20)]),
        exhausted: BTreeMap::new(),
        winner: None,
        runners_up: Vec::new(),
        reasons: Vec::new(),
        earliest: None,
        unblocked_by: Vec::new(),
        reclaim: None,
        policy: None,
    }
}

#[test]
fn a_lease_that_waits_says_why_and_until_when() {
    let why = Explanation {
        exhausted: BTreeMap::from([(Dimension::Unit, 1)]),
        reasons: vec![
            RankedReason {
                reason: Reason::Fragmented,
                nodes: 4,
                detail: "4 nodes fit, but no rack has more than 3 of them".into(),
            },
            RankedReason {
                reason: Reason::NodesUnavailable,
                nodes: 1,
                detail: "1 node is quarantined".into(),
            },
        ],
        earliest: Some(at("2026-11-22T10:40:00Z")),
        unblocked_by: vec![
            Unblock::LeaseEnds {
                lease: LeaseId(18_201),
                at: at("2026-11-22T10:40:00Z"),
            },
            Unblock::NodesRecover { nodes: 1 },
        ],
        ..nothing_said(Outcome::Wait)
    };
    insta::assert_snapshot!(view(four_nodes_in_a_rack(), Some(why)), @"
    lease 18342  requested 12m  reason: Fragmented   (since 2026-11-22T09:14:02Z)
      wants       4 nodes of h200, within one rack, account acme (tenant), class on-demand
      evaluated   64 nodes:  20 NodeState · 40 GpusTaken · 4 fit
      exhausted   unit: 1 short
      because     Fragmented (4 nodes): 4 nodes fit, but no rack has more than 3 of them
      and         NodesUnavailable (1 node): 1 node is quarantined
      earliest    2026-11-22T10:40:00Z if nothing changes
      sooner if   lease 18201 ends, booked 2026-11-22T10:40:00Z
      or if       1 node back in order
    ");
}

#[test]
fn a_lease_that_waits_for_a_maintenance_and_for_hardware_to_come_back_says_so() {
    let why = Explanation {
        reasons: vec![
            RankedReason {
                reason: Reason::Capacity,
                nodes: 3,
                detail: "4 of the 8 nodes asked are free; 3 that would do are held or booked"
                    .into(),
            },
            RankedReason {
                reason: Reason::AwaitingCleanup,
                nodes: 2,
                detail: "2 that would do are giving hardware back".into(),
            },
        ],
        unblocked_by: vec![
            Unblock::MaintenanceEnds {
                maintenance: MaintenanceId(3),
                at: at("2026-11-22T11:00:00Z"),
            },
            Unblock::NodesReturn { nodes: 2 },
        ],
        ..nothing_said(Outcome::Wait)
    };
    let said = view(four_nodes_in_a_rack(), Some(why));
    let (_, said) = said.split_once("4 fit\n").unwrap();
    insta::assert_snapshot!(said, @"
    because     Capacity (3 nodes): 4 of the 8 nodes asked are free; 3 that would do are held or booked
    and         AwaitingCleanup (2 nodes): 2 that would do are giving hardware back
    sooner if   maintenance 3 ends, booked 2026-11-22T11:00:00Z
    or if       2 nodes returned by leases that have ended
    ");
}

#[test]
fn a_lease_that_waits_says_whose_leases_would_make_room() {
    let harm = |leases, domains| {
        vec![
            (HarmField::OnDemand, 0),
            (HarmField::Leases, leases),
            (HarmField::DomainsBroken, domains),
        ]
    };
    let victim = |lease| Victim {
        lease: LeaseId(lease),
        class: Class::Spot,
        notice: Class::Spot.notice(),
        ends: at("2026-11-22T09:36:02Z"),
    };
    let why = Explanation {
        reclaim: Some(Reclaim {
            from: at("2026-11-22T09:47:00Z"),
            nodes: (4..8).map(NodeIndex).collect(),
            victims: vec![victim(17), victim(18)],
            harm: harm(2, 4),
            runners_up: vec![ReclaimLoser {
                leases: vec![LeaseId(3), LeaseId(4), LeaseId(5)],
                harm: harm(3, 3),
                lost_by: HarmField::Leases,
            }],
        }),
        ..nothing_said(Outcome::Wait)
    };
    let said = view(four_nodes_in_a_rack(), Some(why));
    let (_, said) = said.split_once("4 fit\n").unwrap();
    insta::assert_snapshot!(said, @"
    reclaim     2 leases told now would make room on h[004-007] from 2026-11-22T09:47:00Z
                17 (spot), 10m notice, ends 2026-11-22T09:36:02Z
                18 (spot), 10m notice, ends 2026-11-22T09:36:02Z
                on_demand 0 · leases 2 · domains_broken 4
    or reclaim  3, 4, 5, lost by leases: 3 against 2
    ");
}

#[test]
fn a_lease_that_is_placed_says_what_it_was_preferred_to() {
    let lease = LeaseView {
        state: LeaseState::Active,
        start: Some(at("2026-11-22T09:14:02Z")),
        end: Some(at("2026-11-22T11:14:02Z")),
        nodes: "h[001-004]".into(),
        reason: None,
        earliest: None,
        ..four_nodes_in_a_rack()
    };
    let why = Explanation {
        winner: Some(candidate(1, 1, 0)),
        runners_up: vec![Candidate {
            lost_by: Some(ScoreField::UnitLeft),
            ..candidate(2, 9, 4)
        }],
        ..nothing_said(Outcome::Placed)
    };
    insta::assert_snapshot!(view(lease, Some(why)), @"
    lease 18342  active 12m  on h[001-004]   (since 2026-11-22T09:14:02Z)
      wants       4 nodes of h200, within one rack, 2026-11-22T09:14:02Z to 2026-11-22T11:14:02Z, account acme (tenant), class on-demand
      evaluated   64 nodes:  20 NodeState · 40 GpusTaken · 4 fit
      chosen      hall-1/row-1/rack-1: h[001-004]
                  side_changes 0 · unit_left 0 · node_index 1
      runner-up   hall-1/row-1/rack-2: h[009-012], lost by unit_left: 4 against 0
    ");
}

#[test]
fn a_lease_with_spares_and_a_share_of_the_host_says_so() {
    let lease = LeaseView {
        state: LeaseState::Active,
        shape: Shape::Nodes {
            count: 3,
            at_least: None,
            spares: 1,
            whole: None,
        },
        nodes: "h[001-004]".into(),
        spares: "h004".into(),
        host: Some(HostShare {
            cpu_milli: 24_500,
            memory_mib: 256 << 10,
        }),
        reason: None,
        earliest: None,
        ..four_nodes_in_a_rack()
    };
    let why = Explanation {
        winner: Some(Candidate {
            spares: [NodeIndex(4)].into_iter().collect(),
            ..candidate(1, 1, 0)
        }),
        policy: Some(Digest::of(b"the rules of the house")),
        ..nothing_said(Outcome::Placed)
    };
    insta::assert_snapshot!(view(lease, Some(why)), @"
    lease 18342  active 12m  on h[001-004]   (since 2026-11-22T09:14:02Z)
      wants       3 nodes and 1 spare in each domain of h200, within one rack, 24.5 hardware threads and 256 GiB on each node, account acme (tenant), class on-demand
      evaluated   64 nodes:  20 NodeState · 40 GpusTaken · 4 fit
      chosen      hall-1/row-1/rack-1: h[001-004], spare h004
                  side_changes 0 · unit_left 0 · node_index 1
      policy      b3:59962c1da118
    ");
}

#[test]
fn a_policy_is_named_by_its_whole_digest_where_there_is_room() {
    let policy = Digest::of(b"the rules of the house");
    let why = Explanation {
        policy: Some(policy),
        ..nothing_said(Outcome::Placed)
    };
    let view = ExplainView {
        lease: four_nodes_in_a_rack(),
        explanation: Some(why),
        node_names: BTreeMap::new(),
    };
    let said = view.text(&at("2026-11-22T09:26:02Z"), true, true);
    assert!(said.contains(&format!("policy      {policy}\n")), "{said}");
}

#[test]
fn a_lease_that_nobody_has_looked_at_says_so() {
    let lease = LeaseView {
        reason: Some(Reason::NotEvaluated),
        ..four_nodes_in_a_rack()
    };
    insta::assert_snapshot!(view(lease, None), @"
    lease 18342  requested 12m  reason: NotEvaluated   (since 2026-11-22T09:14:02Z)
      wants       4 nodes of h200, within one rack, account acme (tenant), class on-demand
      decision    none yet
    ");
}

/// Everything after the first three lines.
fn said(why: Explanation) -> String {
    let said = view(four_nodes_in_a_rack(), Some(why));
    let (_, said) = said.split_once("fit\n").unwrap();
    said.to_owned()
}

#[test]
fn what_would_let_a_lease_go_on_is_said_in_words() {
    let (side, sku) = (Side::Internal, "gb200".parse().unwrap());
    let why = Explanation {
        exhausted: BTreeMap::from([(Dimension::Watts, 5_800), (Dimension::KeptDomains, 1)]),
        unblocked_by: vec![
            Unblock::LeaseGoesFirst {
                lease: LeaseId(12),
                at: at("2026-11-22T10:40:00Z"),
            },
            Unblock::PowerFreed {
                unit: "hall-a".parse().unwrap(),
                watts: 5_800,
            },
            Unblock::FloorLowered {
                side,
                sku,
                nodes: 2,
                domains: 1,
            },
            Unblock::CeilingRaised {
                side: Side::Tenant,
                sku: "gb200".parse().unwrap(),
                nodes: 1,
                domains: 0,
            },
        ],
        ..nothing_said(Outcome::Wait)
    };
    insta::assert_snapshot!(said(why), @r"
    exhausted   watts: 5800 short
    exhausted   kept_domains: 1 short
    sooner if   lease 12, which waits too and goes first, is over, planned 2026-11-22T10:40:00Z
    or if       5800 W more of power budget below hall-a
    or if       2 nodes and 1 domain less kept for the internal side (a floor of gb200)
    or if       1 node more allowed to the tenant side (a ceiling of gb200)
    ");
}

#[test]
fn a_lease_beyond_its_accounts_quota_says_how_many_gpus_are_missing() {
    let why = Explanation {
        evaluated: 0,
        fit: 0,
        filtered: BTreeMap::new(),
        exhausted: BTreeMap::from([(Dimension::QuotaGpus, 8)]),
        reasons: vec![RankedReason {
            reason: Reason::QuotaGpu,
            nodes: 0,
            detail: "56 of account acme's 64 GPUs are in use, 16 more are asked for".into(),
        }],
        unblocked_by: vec![Unblock::QuotaFreed { gpus: 8 }],
        ..nothing_said(Outcome::Wait)
    };
    insta::assert_snapshot!(said(why), @r"
    exhausted   quota_gpus: 8 short
    because     QuotaGpu: 56 of account acme's 64 GPUs are in use, 16 more are asked for
    sooner if   8 GPUs more of quota
    ");
}

#[test]
fn a_lease_that_waits_for_drained_nodes_is_told_who_lets_them_go() {
    let mut why = Explanation {
        reasons: vec![RankedReason {
            reason: Reason::Draining,
            nodes: 2,
            detail: "2 that would do are flagged".into(),
        }],
        unblocked_by: vec![Unblock::NodesUndrained { nodes: 2, at: None }],
        ..nothing_said(Outcome::Wait)
    };
    let said = view(four_nodes_in_a_rack(), Some(why.clone()));
    assert!(said.ends_with("sooner if   2 nodes undrained\n"), "{said}");
    let at = Some(at("2026-11-22T11:00:00Z"));
    why.unblocked_by = vec![Unblock::NodesUndrained { nodes: 2, at }];
    let said = view(four_nodes_in_a_rack(), Some(why));
    let clock = "2 nodes undrained, the first by the clock 2026-11-22T11:00:00Z";
    assert!(said.contains(clock), "{said}");
}
