//! What the packing engine is told by the ledger: budgets, floors, places and quotas bound what is
//! placed, and say so.

use crate::fixture::{Cell, gpus, minutes, nodes, wish};
use crate::gb200;
use leasehold_common::api::{
    CreateAccount, CreateLease, ExplainView, ExtendLease, LeaseView, ProblemCode, SetPolicy,
    SetPowerBudget, WantedHost, WantedStep,
};
use leasehold_common::class::Side;
use leasehold_common::explain::{Reason, Unblock};
use leasehold_common::ids::{NodeIndex, NodeName};
use leasehold_common::lease::{HostShare, LeaseState, Shape};
use leasehold_common::policy::{Policy, Share};
use leasehold_core::command::{Command, Query, View};

/// What one H200 node may draw: 8 × 700 W and 4,600 W of its own.
const NODE: u64 = 10_200;

fn set_budget(cell: &mut Cell, prefix: &str, watts: u64) {
    let step = WantedStep {
        from: None,
        watts: Some(watts),
    };
    cell.ask(Command::SetPowerBudget(SetPowerBudget {
        prefix: prefix.parse().unwrap(),
        steps: vec![step],
        why: None,
    }))
    .unwrap();
}

fn leased(cell: &mut Cell, wish: CreateLease) -> LeaseView {
    let id = cell.lease(wish);
    cell.view(id)
}

fn explain(cell: &Cell, lease: &LeaseView) -> ExplainView {
    match cell.query(&Query::Explain(lease.id)) {
        View::Explain(view) => *view,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_lease_waits_for_watts_and_goes_where_there_are_some() {
    let mut cell = Cell::of(8);
    // Room for two nodes and a half in the first rack, for none in the second.
    set_budget(&mut cell, "hall-a/row-1/rack-0", NODE * 5 / 2);
    set_budget(&mut cell, "hall-a/row-1/rack-1", NODE / 2);
    let two = leased(&mut cell, wish(nodes(2)));
    assert_eq!(
        (two.state, two.envelope_watts),
        (LeaseState::Preparing, 2 * NODE)
    );
    let third = leased(&mut cell, wish(nodes(1)));
    assert_eq!(third.state, LeaseState::Requested);
    let why = explain(&cell, &third).explanation.unwrap();
    assert_eq!(why.reason(), Some(&Reason::PowerBudget), "{why:?}");
    let missing = why.unblocked_by.iter().find_map(|by| match by {
        Unblock::PowerFreed { unit, watts } => Some((unit.to_string(), *watts)),
        _ => None,
    });
    assert_eq!(missing, Some(("hall-a/row-1/rack-0".to_owned(), NODE / 2)));

    // With its GPUs held to less it goes at once: 5,100 W are left, and 4,600 W are the node's own.
    let mut capped = wish(nodes(1));
    capped.gpu_cap_watts = Some(200);
    let waits = leased(&mut cell, capped);
    assert_eq!(
        waits.state,
        LeaseState::Requested,
        "6,200 W are more than 5,100 W"
    );
    set_budget(&mut cell, "hall-a/row-1/rack-1", 6_200);
    assert_eq!(cell.view(waits.id).state, LeaseState::Preparing);
    assert_eq!(cell.view(waits.id).envelope_watts, 6_200);
}

#[test]
fn a_lease_is_not_extended_into_watts_that_are_not_there() {
    let mut cell = Cell::of(4);
    let id = cell.lease(wish(nodes(2)));
    let end = cell.record(id).access_end.unwrap();
    let step = |from, watts| WantedStep {
        from,
        watts: Some(watts),
    };
    cell.ask(Command::SetPowerBudget(SetPowerBudget {
        prefix: "hall-a".parse().unwrap(),
        steps: vec![step(None, 4 * NODE), step(Some(end + minutes(30)), NODE)],
        why: None,
    }))
    .unwrap();
    let extend = |length| {
        Command::ExtendLease(
            id,
            ExtendLease {
                length: Some(length),
                until: None,
            },
        )
    };
    let refused = cell.ask(extend(minutes(60))).unwrap_err();
    assert_eq!(refused.code, ProblemCode::Booked);
    assert!(
        refused.detail.contains("the power budget of hall-a"),
        "{}",
        refused.detail
    );
    cell.ask(extend(minutes(20))).unwrap();
}

#[test]
fn a_floor_keeps_whole_nodes_for_the_other_side() {
    let mut cell = Cell::of(4);
    let policy = Policy {
        floors: vec![Share {
            side: Side::Internal,
            sku: "h200".parse().unwrap(),
            domains: None,
            nodes: Some(3),
        }],
        ..Policy::default()
    };
    cell.ask(Command::SetPolicy(SetPolicy { policy, why: None }))
        .unwrap();
    assert_eq!(
        leased(&mut cell, wish(nodes(1))).state,
        LeaseState::Preparing
    );
    let second = leased(&mut cell, wish(nodes(1)));
    let why = explain(&cell, &second).explanation.unwrap();
    assert_eq!(why.reason(), Some(&Reason::ReservationOnly), "{why:?}");
}

#[test]
fn a_flexible_gang_starts_with_what_there_is_and_what_its_quota_leaves() {
    let mut cell = Cell::of(8);
    let flexible = |count, least| Shape::Nodes {
        count,
        at_least: Some(least),
        spares: 0,
        whole: None,
    };
    cell.ask(Command::CreateAccount(CreateAccount {
        name: "initech".parse().unwrap(),
        side: Side::Tenant,
        quota_gpus: Some(24),
    }))
    .unwrap();
    let mut of_initech = wish(flexible(6, 2));
    of_initech.account = "initech".parse().unwrap();
    let three = leased(&mut cell, of_initech);
    assert_eq!(
        (three.node_count, three.gpu_count),
        (3, 24),
        "as its quota has it"
    );
    let five = leased(&mut cell, wish(flexible(7, 4)));
    assert_eq!(
        (five.node_count, five.gpu_count),
        (5, 40),
        "as the cell has it"
    );
}

#[test]
fn a_buy_out_takes_everything_below_a_place_or_waits() {
    let mut cell = Cell::of(8);
    let unit = |prefix: &str| Shape::Unit {
        prefix: prefix.parse().unwrap(),
    };
    let rack = leased(&mut cell, wish(unit("hall-a/row-1/rack-1")));
    assert_eq!((rack.state, rack.node_count), (LeaseState::Preparing, 4));
    assert_eq!(rack.nodes, "h[004-007]");
    let hall = leased(&mut cell, wish(unit("hall-a")));
    assert_eq!(hall.state, LeaseState::Requested);
    assert!(hall.earliest.is_some(), "the rack's lease ends");

    let nowhere = cell
        .ask(Command::CreateLease(wish(unit("hall-z"))))
        .unwrap_err();
    assert_eq!(nowhere.code, ProblemCode::InvalidField);
    assert_eq!(nowhere.field.as_deref(), Some("shape.prefix"));
}

#[test]
fn spares_and_a_share_of_the_host_are_seen_after_placing() {
    let mut cell = gb200::cell(8);
    let spared = Shape::Nodes {
        count: 3,
        at_least: None,
        spares: 1,
        whole: None,
    };
    let gang = leased(&mut cell, gb200::of(wish(spared)));
    assert_eq!(
        (gang.nodes.as_str(), gang.spares.as_str()),
        ("h[000-003]", "h003")
    );
    let host = HostShare {
        cpu_milli: 24_000,
        memory_mib: 1 << 18,
    };
    let small = leased(
        &mut cell,
        CreateLease {
            host: Some(host.into()),
            ..gb200::of(wish(gpus(1)))
        },
    );
    assert_eq!((small.spares.as_str(), small.host), ("", Some(host)));
    let said = serde_json::to_string(&leased(&mut cell, gb200::of(wish(gpus(1))))).unwrap();
    assert!(
        !said.contains("spares\":\"") && !said.contains("host"),
        "{said}"
    );
}

#[test]
fn cpu_or_memory_alone_goes_with_the_share_of_the_other_that_the_gpus_have() {
    let mut cell = Cell::of(1);
    // A node has 224 threads and 2 TiB: a quarter of both goes with two of its eight GPUs.
    let share = |cpu_milli, memory_mib| WantedHost {
        cpu_milli,
        memory_mib,
    };
    let has = |cell: &mut Cell, shape, host| {
        let lease = CreateLease {
            host: Some(host),
            ..wish(shape)
        };
        let host = leased(cell, lease).host.unwrap();
        (host.cpu_milli, host.memory_mib)
    };
    let few = has(&mut cell, gpus(2), share(Some(1_000), None));
    assert_eq!(few, (1_000, 1 << 19));
    let little = has(&mut cell, gpus(2), share(None, Some(1 << 10)));
    assert_eq!(little, (56_000, 1 << 10));
    let sliced = has(&mut cell, slices(&[("1g.18gb", 7)]), share(None, Some(5)));
    assert_eq!(sliced, (28_000, 5));
    let nothing = CreateLease {
        host: Some(share(None, None)),
        ..wish(gpus(2))
    };
    let refused = cell.ask(Command::CreateLease(nothing)).unwrap_err();
    assert_eq!(refused.field.as_deref(), Some("host"));
}

fn slices(wanted: &[(&str, u32)]) -> Shape {
    let each = wanted
        .iter()
        .map(|(name, count)| (name.parse().unwrap(), *count));
    Shape::slices(each)
}

#[test]
fn slices_are_let_granted_and_booked_again_by_the_next_leader() {
    let mut cell = Cell::of(2);
    let first = leased(&mut cell, wish(slices(&[("1g.18gb", 3), ("3g.71gb", 1)])));
    assert_eq!((first.state, first.gpu_count), (LeaseState::Preparing, 1));
    let node: NodeName = "h000".parse().unwrap();
    let on: Vec<_> = first.slices[&node]
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(on.len(), 4);
    assert_eq!(first.gpus[&node].len(), 1);
    // Of a GPU with its share of the node's overhead, three sevenths by compute and a half by memory.
    assert_eq!(first.envelope_watts, NODE / 8 * (3 * 8 + 4 * 7) / 56);
    let second = leased(&mut cell, wish(slices(&[("1g.18gb", 1)])));
    assert_eq!(second.nodes, first.nodes, "beside it, on the same GPU");
    assert_eq!(second.gpus, first.gpus);

    cell.reload([0, 1]);
    let third = leased(&mut cell, wish(slices(&[("4g.71gb", 1)])));
    assert_ne!(third.gpus, first.gpus, "what was let before is known");
    let grants = cell.state.grants_of(NodeIndex(0)).unwrap();
    let granted = grants.grants[&second.id].open().unwrap();
    assert_eq!(
        (granted.slices.len(), granted.requires),
        (1, vec!["mig".to_owned()])
    );
}

#[test]
fn slices_that_a_node_of_the_sku_does_not_have_are_refused_by_name() {
    let mut cell = Cell::of(1);
    for (shape, field, allowed) in [
        (
            slices(&[("1g.5gb", 1)]),
            "shape.profiles",
            "1g.18gb, 1g.18gb+me",
        ),
        (
            slices(&[("7g.141gb", 9)]),
            "shape.profiles.7g.141gb",
            "1 to 8",
        ),
        (
            slices(&[("1g.18gb", 0)]),
            "shape.profiles.1g.18gb",
            "1 to 56",
        ),
        (
            slices(&[("7g.141gb", 8), ("1g.18gb", 1)]),
            "shape.profiles",
            "up to 64",
        ),
        (slices(&[]), "shape.profiles", "one profile at least"),
    ] {
        let refused = cell.ask(Command::CreateLease(wish(shape))).unwrap_err();
        assert_eq!(refused.code, ProblemCode::InvalidField);
        assert_eq!(refused.field.as_deref(), Some(field));
        assert!(format!("{refused:?}").contains(allowed), "{refused:?}");
    }
}
