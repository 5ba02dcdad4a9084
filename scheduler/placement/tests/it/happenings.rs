//! What happens to a fleet: random changes, applied twice, to the live cell and to plain data.

use crate::fleet::{Twice, spec};
use crate::houses::only_apart;
use leasehold_common::class::Class;
use leasehold_common::ids::{LeaseId, NodeIndex};
use leasehold_common::lease::{GpuSlots, HostShare, Shape, Slice, Slices};
use leasehold_common::mig::MigFamilies;
use leasehold_common::node::{NodeState, Owner};
use leasehold_common::policy::Policy;
use leasehold_common::sku::Sku;
use leasehold_common::time::{Span, Timestamp};
use leasehold_common::topology::{Locality, Prefix};
use leasehold_common::units::MilliWatts;
use leasehold_placement::power::{Budget, BudgetStep, Minute};
use leasehold_placement::{Booking, End, Request};
use proptest::prelude::*;

/// Everything happens on whole steps of five minutes, so that ends, starts and turnarounds (two
/// steps) often meet exactly.
pub fn step(n: u64) -> Timestamp {
    Timestamp::EPOCH + steps(n)
}

pub fn steps(n: u64) -> Span {
    Span::from_mins(5 * n)
}

pub const HORIZON: u64 = 40;

/// One thing that happens to a fleet.
#[derive(Debug, Clone)]
pub enum Op {
    Admit {
        node: u32,
        place: u32,
        sku: bool,
        owner: Owner,
    },
    Remove {
        node: u32,
    },
    Condition {
        node: u32,
        state: NodeState,
        flagged: bool,
        silent: bool,
        healthy: u16,
    },
    Place {
        request: Request,
    },
    /// Whatever was decided elsewhere: the cell takes it or refuses it.
    Book {
        request: Request,
        nodes: Vec<u32>,
        slots: u16,
        from: u64,
        slices: Vec<(u8, u8, u8)>,
        /// Let to nobody, as for a maintenance.
        closed: bool,
    },
    SetEnd {
        lease: u64,
        to: Option<u64>,
    },
    Unbook {
        lease: u64,
    },
    End {
        lease: u64,
    },
    Release {
        lease: u64,
        node: u32,
    },
    Pass {
        steps: u64,
    },
    /// Kilowatts below a place from a step on, after others before; `None` takes the budget away.
    Budget {
        unit: &'static str,
        steps: Option<(u32, u64, u32)>,
    },
}

const NODES: u32 = 6;

fn owner() -> impl Strategy<Value = Owner> {
    prop_oneof![6 => Just(Owner::Sellable), 2 => Just(Owner::Internal), 1 => Just(Owner::Spare)]
}

fn end() -> impl Strategy<Value = End> {
    prop_oneof![
        5 => (1..10_u64).prop_map(|n| End::After(steps(n))),
        2 => (1..HORIZON).prop_map(|n| End::At(step(n))),
        1 => Just(End::Open),
    ]
}

/// Few slices, so that every placement of them can be tried.
pub fn slices() -> impl Strategy<Value = Shape> {
    let some = prop_oneof![
        3 => Just(vec![("1g.18gb", 1)]),
        2 => Just(vec![("1g.18gb", 2), ("3g.71gb", 1)]),
        1 => Just(vec![("1g.18gb+me", 2), ("4g.71gb", 1)]),
        1 => Just(vec![("1g.35gb", 2), ("2g.35gb", 1)]),
        1 => Just(vec![("2g.35gb", 1), ("4g.71gb", 2)]),
        1 => Just(vec![("7g.141gb", 2), ("3g.71gb", 1)]),
        1 => Just(vec![("4g.71gb", 3), ("3g.71gb", 0)]),
        1 => Just(vec![("7g.141gb", 5)]),
        1 => Just(vec![("1g.5gb", 1)]),
    ];
    some.prop_map(|some| {
        Shape::slices(
            some.into_iter()
                .map(|(name, count)| (name.parse().unwrap(), count)),
        )
    })
}

prop_compose! {
    pub fn request()(
        who in 0..3_usize,
        nodes in any::<bool>(),
        count in 1..5_u32,
        other_sku in prop::bool::weighted(0.1),
        within in prop::sample::select(Locality::ALL.to_vec()),
        start in prop::option::weighted(0.3, 0..HORIZON),
        end in end(),
        loose in prop::option::weighted(0.2, 1..4_u32),
        spares in prop_oneof![8 => Just(0), 1 => Just(1_u32)],
        unit in prop::option::weighted(0.1, prop::sample::select(vec!["", "hall-0", "hall-0/row-0"])),
        cap in prop::option::weighted(0.3, prop::sample::select(vec![200, 350, 700])),
        slices in prop::option::weighted(0.3, slices()),
        host in prop::option::weighted(0.2, (0..=8_u64, 0..=1024_u64)),
        whole in prop::option::weighted(0.15, prop::sample::select(vec![Locality::Domain, Locality::Rack, Locality::Row])),
    ) -> Request {
        let (account, class) = [
            ("acme", Class::OnDemand),
            ("globex", Class::Committed),
            ("research", Class::InternalBatch),
        ][who];
        Request {
            account: account.parse().unwrap(),
            class,
            shape: match unit {
                None if slices.is_some() => slices.unwrap_or(Shape::nodes(1)),
                Some(unit) => Shape::Unit { prefix: unit.parse().unwrap() },
                None if nodes => Shape::Nodes {
                    count,
                    at_least: loose.filter(|least| *least < count && whole.is_none()),
                    spares: if whole.is_some() { 0 } else { spares },
                    whole,
                },
                None => Shape::gpus(count),
            },
            sku: if other_sku { "h100" } else { "h200" }.parse().unwrap(),
            // Whole units are never asked for closer together than one of them is.
            within: whole.map_or(within, |level| within.max(level)),
            start: start.map(step),
            end,
            host: host.map(|(cpus, memory_mib)| HostShare { cpu_milli: cpus * 1000, memory_mib }),
            gpu_cap_watts: cap,
        }
    }
}

pub fn op() -> impl Strategy<Value = Op> {
    let node = 0..NODES;
    let lease = 1..12_u64;
    let state = prop_oneof![
        6 => Just(NodeState::Available),
        1 => Just(NodeState::Unreachable),
        1 => Just(NodeState::Sanitising),
    ];
    prop_oneof![
        2 => (node.clone(), 0..8_u32, prop::bool::weighted(0.1), owner())
            .prop_map(|(node, place, sku, owner)| Op::Admit { node, place, sku, owner }),
        1 => node.clone().prop_map(|node| Op::Remove { node }),
        3 => (node.clone(), state, prop::bool::weighted(0.1), prop::bool::weighted(0.1), 0..16_u16)
            .prop_map(|(node, state, flagged, silent, sick)| Op::Condition {
                node, state, flagged, silent,
                // Mostly healthy.
                healthy: if sick < 10 { 0xf } else { sick },
            }),
        10 => request().prop_map(|request| Op::Place { request }),
        3 => (
            request(),
            prop::collection::vec(node.clone(), 1..3),
            0..16_u16,
            0..HORIZON,
            prop::collection::vec((0..4_u8, 0..7_u8, 0..8_u8), 0..4),
            prop::bool::weighted(0.2),
        )
            .prop_map(|(request, nodes, slots, from, slices, closed)| Op::Book {
                request, nodes, slots, from, slices, closed,
            }),
        2 => (lease.clone(), prop::option::of(0..HORIZON))
            .prop_map(|(lease, to)| Op::SetEnd { lease, to }),
        1 => lease.clone().prop_map(|lease| Op::Unbook { lease }),
        2 => lease.clone().prop_map(|lease| Op::End { lease }),
        2 => (lease, node).prop_map(|(lease, node)| Op::Release { lease, node }),
        2 => (0..4_u64).prop_map(|steps| Op::Pass { steps }),
        1 => (
            prop::sample::select(vec!["", "hall-0", "hall-0/row-1", "hall-0/row-0/rack-1"]),
            prop::option::weighted(0.8, (2..14_u32, 1..HORIZON, 2..14_u32)),
        )
            .prop_map(|(unit, steps)| Op::Budget { unit, steps }),
    ]
}

/// Where a node of a random fleet stands: racks with one domain of two nodes or two of one.
fn place(n: u32) -> String {
    let domain = if n < 4 { 0 } else { n % 2 };
    format!("hall-{}/row-{}/rack-{}/d{domain}", n / 6, n / 4, n / 2)
}

/// A slice of a GPU of an H200: of the profile with that number, at that start.
fn slice((gpu, profile, start): (u8, u8, u8)) -> Slice {
    let kinds = &MigFamilies::built_in().get("H200-141GB").unwrap().kinds;
    Slice {
        gpu,
        profile: kinds[usize::from(profile)].name.clone(),
        start,
    }
}

fn gpus_of(slices: &[Slice]) -> GpuSlots {
    let gpus = slices.iter().map(|slice| slice.gpu);
    gpus.fold(GpuSlots::NONE, GpuSlots::with)
}

fn apply(fleet: &mut Twice, now: &mut Timestamp, op: Op) {
    match op {
        Op::Admit {
            node,
            place: at,
            sku,
            owner,
        } => {
            let sku = if sku { "h100" } else { "h200" };
            let mut spec = spec(&place(at), sku, 4);
            spec.owner = owner;
            fleet.admit(node, spec);
        }
        Op::Remove { node } => {
            if fleet.cell.remove_node(NodeIndex(node)).is_ok() {
                fleet.plain.nodes.remove(&NodeIndex(node));
            }
        }
        Op::Condition {
            node,
            state,
            flagged,
            silent,
            healthy,
        } => {
            if fleet.plain.nodes.contains_key(&NodeIndex(node)) {
                fleet.change(node, |condition| {
                    condition.state = state;
                    condition.flagged = flagged;
                    condition.silent = silent;
                    condition.healthy = GpuSlots(healthy);
                });
            }
        }
        Op::Place { request } => {
            let _ = fleet.place(&request, *now);
        }
        Op::Book {
            request,
            nodes,
            slots,
            from,
            slices,
            closed,
        } => {
            let nodes: Vec<_> = nodes.into_iter().map(NodeIndex).collect();
            // Slices that stand anywhere, on whatever the lease has there.
            let sliced = matches!(request.shape, Shape::Slices { .. }) && !slices.is_empty();
            let slices: Slices = nodes
                .first()
                .filter(|_| sliced)
                .map(|node| (*node, slices.iter().map(|one| slice(*one)).collect()))
                .into_iter()
                .collect();
            let gpus = match slots {
                0 => [].into(),
                _ if sliced => slices.iter().map(|(n, on)| (*n, gpus_of(on))).collect(),
                _ => nodes.iter().map(|n| (*n, GpuSlots(slots))).collect(),
            };
            let before = fleet.cell.clone();
            let booking = Booking {
                lease: fleet.next_lease(),
                account: request.account.clone(),
                class: request.class,
                from: step(from),
                to: request.end.if_started(step(from)),
                nodes: nodes.into_iter().collect(),
                gpus,
                slices,
                host: request.host,
                gpu_cap_watts: if closed {
                    Some(0)
                } else {
                    request.gpu_cap_watts
                },
            };
            if fleet.book(booking).is_err() {
                assert_eq!(fleet.cell, before, "a booking refused changes nothing");
            }
        }
        Op::SetEnd { lease, to } => {
            let before = fleet.cell.clone();
            if fleet.set_end(LeaseId(lease), to.map(step)).is_err() {
                assert_eq!(fleet.cell, before, "an end refused changes nothing");
            }
        }
        Op::Budget { unit, steps } => set_budget(fleet, unit, steps),
        Op::Unbook { lease } => fleet.unbook(LeaseId(lease)),
        Op::End { lease } => fleet.end(LeaseId(lease), *now),
        Op::Release { lease, node } => fleet.release(LeaseId(lease), NodeIndex(node)),
        Op::Pass { steps: n } => {
            *now = *now + steps(n);
            if n % 2 == 0 {
                // Bookings that begin without the cell being told are judged just the same.
                fleet.cell.advance(*now);
            }
        }
    }
}

fn set_budget(fleet: &mut Twice, unit: &str, steps: Option<(u32, u64, u32)>) {
    let unit: Prefix = unit.parse().unwrap();
    let watts = |kilowatts: u32| MilliWatts::from_watts(u64::from(kilowatts) * 1000);
    let Some((first, then, second)) = steps else {
        fleet.cell.set_budget(&unit, None);
        fleet.plain.budgets.remove(&unit);
        return;
    };
    let steps = [(step(0), first), (step(then), second)];
    let budget = steps.map(|(from, kilowatts)| BudgetStep {
        from: Minute::containing(from),
        limit: Some(watts(kilowatts)),
    });
    let budget = Budget::new(budget.to_vec()).unwrap();
    fleet.cell.set_budget(&unit, Some(budget));
    let steps = steps.map(|(from, kilowatts)| (from, Some(watts(kilowatts).0)));
    fleet.plain.budgets.insert(unit, steps.to_vec());
}

/// Nodes of 4 GPUs that draw 1 kW each at most, with 16 threads and 2 GiB.
pub fn small_sku() -> Sku {
    Sku {
        name: "h200".parse().unwrap(),
        model: "H200".into(),
        gpus: 4,
        nodes_per_domain: 2,
        gpu_memory_mib: 141_000,
        mig: Some("H200-141GB".into()),
        cpus: 16,
        memory_mib: 2048,
        gpu_watts_min: 200,
        gpu_watts: 700,
        gpu_watts_max: 700,
        overhead_watts: 1201,
    }
}

/// Everything that happened happened by this policy.
pub fn played_by(ops: Vec<Op>, policy: &Policy) -> (Twice, Timestamp) {
    played_if(ops, policy, |_, _| true)
}

/// The same of everything that may happen to the fleet as it is then.
pub fn played_if(
    ops: Vec<Op>,
    policy: &Policy,
    may_happen: impl Fn(&Twice, &Op) -> bool,
) -> (Twice, Timestamp) {
    let mut fleet = Twice::default();
    fleet.adopt(&only_apart(policy));
    fleet.describe(small_sku());
    // Slices stay what they are on a node that becomes one of another kind.
    fleet.describe(Sku {
        name: "h100".parse().unwrap(),
        cpus: 0,
        memory_mib: 0,
        gpu_watts_min: 0,
        gpu_watts: 0,
        overhead_watts: 0,
        ..small_sku()
    });
    for n in 0..4 {
        fleet.admit(n, spec(&place(n), "h200", 4));
    }
    let mut now = step(2);
    for op in ops {
        if may_happen(&fleet, &op) {
            apply(&mut fleet, &mut now, op);
        }
    }
    (fleet, now)
}
