use super::*;
use leasehold_common::policy::Isolation;

/// Four GB200 domains of 18 nodes each, nodes 0-71 in order.
struct House {
    skus: SkuCatalogue,
    sku: SkuName,
    paths: Vec<TopologyPath>,
    names: Vec<NodeName>,
    account: AccountName,
}

fn house() -> House {
    let path = |n: usize| format!("h/r/k{}/d", n / 18).parse().unwrap();
    House {
        skus: SkuCatalogue::built_in(),
        sku: "gb200".parse().unwrap(),
        paths: (0..72).map(path).collect(),
        names: (0..72).map(|n| format!("n{n}").parse().unwrap()).collect(),
        account: "acme".parse().unwrap(),
    }
}

fn hour(n: i64) -> Timestamp {
    Timestamp::from_unix_ms(n * 3_600_000)
}

/// Lease, side, first and last node, from and to.
type Row = (u64, Side, (u32, u32), i64, Option<i64>);

impl House {
    fn broken(&self, policy: &str, rows: &[Row]) -> Vec<(u64, String)> {
        let sets: Vec<NodeSet> = rows
            .iter()
            .map(|(_, _, (first, last), _, _)| (*first..=*last).map(NodeIndex).collect())
            .collect();
        let (gpus, slices) = (BTreeMap::new(), BTreeMap::new());
        let held: Vec<Held<'_>> = rows
            .iter()
            .zip(&sets)
            .map(|((lease, side, _, from, to), nodes)| Held {
                lease: LeaseId(*lease),
                account: &self.account,
                side: *side,
                sku: &self.sku,
                from: hour(*from),
                to: to.map(hour),
                nodes,
                gpus: &gpus,
                slices: &slices,
            })
            .collect();
        let nodes: Vec<Standing<'_>> = (0..)
            .zip(self.paths.iter().zip(&self.names))
            .map(|(index, (path, name))| Standing {
                index: NodeIndex(index),
                name,
                path,
                sku: &self.sku,
            })
            .collect();
        let policy = Policy::from_text(policy).unwrap();
        let broken = breaks(&policy, &self.skus, &nodes, &held, &Passes::new());
        broken.into_iter().map(|b| (b.lease.0, b.rule)).collect()
    }
}

const T: Side = Side::Tenant;
const I: Side = Side::Internal;

#[test]
fn a_floor_of_domains_is_broken_by_one_node_in_too_many_of_them() {
    let floor = "floors = [{ side = \"internal\", sku = \"gb200\", domains = 2 }]";
    let rows = [
        (1, T, (0, 17), 0, Some(10)),
        (2, T, (18, 18), 0, Some(10)),
        (3, T, (36, 36), 2, None),
        (4, T, (54, 54), 10, Some(12)),
        (5, I, (55, 60), 0, None),
    ];
    // Lease 4 begins when 1 and 2 have ended: one domain is in use then, for 3 was not let in.
    assert_eq!(
        house().broken(floor, &rows),
        [(3, "floors[0].domains".to_owned())]
    );
}

#[test]
fn a_floor_of_nodes_counts_what_the_other_side_has_at_once() {
    let floor = "floors = [{ side = \"tenant\", sku = \"gb200\", nodes = 70 }]";
    let rows = [
        (1, I, (0, 0), 0, Some(10)),
        (2, I, (0, 0), 0, Some(10)),
        (3, I, (1, 1), 5, Some(6)),
        (4, I, (2, 2), 5, Some(6)),
        (5, I, (2, 2), 6, Some(7)),
    ];
    assert_eq!(
        house().broken(floor, &rows),
        [(4, "floors[0].nodes".to_owned())]
    );
}

#[test]
fn a_ceiling_of_domains_counts_those_a_side_has_anything_of() {
    let ceiling = "ceilings = [{ side = \"tenant\", sku = \"gb200\", domains = 2 }]";
    let rows = [
        (1, T, (0, 17), 0, None),
        (2, T, (18, 18), 0, Some(5)),
        (3, T, (19, 34), 1, None),
        (4, T, (36, 36), 2, Some(9)),
        (5, I, (54, 54), 2, None),
    ];
    // With lease 4 it has something of three: one node is enough, as it is when leases are placed.
    assert_eq!(
        house().broken(ceiling, &rows),
        [(4, "ceilings[0].domains".to_owned())]
    );
}

#[test]
fn a_domain_that_lacks_nodes_counts_against_a_ceiling_and_not_against_a_floor() {
    let mut house = house();
    // The last domain has 17 nodes, which is no whole one.
    house.paths.pop();
    let rows = [(1, T, (0, 0), 0, None), (2, T, (54, 54), 0, None)];
    let ceiling = "ceilings = [{ side = \"tenant\", sku = \"gb200\", domains = 1 }]";
    assert_eq!(
        house.broken(ceiling, &rows),
        [(2, "ceilings[0].domains".to_owned())]
    );
    let floor = "floors = [{ side = \"internal\", sku = \"gb200\", domains = 2 }]";
    assert_eq!(house.broken(floor, &rows), []);
}

#[test]
fn sides_are_held_apart_by_the_unit_that_is_asked_for() {
    let rows = [
        (1, T, (0, 3), 0, Some(10)),
        (2, I, (4, 4), 5, Some(6)),
        (3, I, (3, 3), 9, Some(20)),
        (4, I, (4, 4), 10, Some(20)),
    ];
    let by = |granularity: Granularity| {
        let mut policy = Policy::default();
        let isolation = Isolation {
            granularity,
            mig_colocation: false,
        };
        policy.isolation.insert("gb200".parse().unwrap(), isolation);
        let broken = house().broken(&policy.to_toml(), &rows);
        broken
            .into_iter()
            .map(|(lease, _)| lease)
            .collect::<Vec<_>>()
    };
    assert_eq!(by(Granularity::Domain), [2, 3]);
    assert_eq!(by(Granularity::Node), [3]);
    assert_eq!(by(Granularity::Gpu), [0_u64; 0]);
}

#[test]
fn a_longer_turnaround_is_broken_on_a_node_and_where_a_domain_serves_one_side() {
    let rows = [
        (1, T, (0, 1), 0, Some(10)),
        (2, T, (1, 1), 11, Some(12)),
        (3, I, (2, 2), 11, Some(12)),
        (4, T, (0, 0), 12, Some(14)),
        (5, I, (18, 18), 11, None),
    ];
    let by = |turnaround: &str, domain: &str| {
        let policy = format!("turnaround = \"{turnaround}\"\n{domain}");
        house().broken(&policy, &rows)
    };
    let broken = |lease| (lease, "turnaround".to_owned());
    assert_eq!(by("1h", ""), []);
    assert_eq!(by("90m", ""), [broken(2)]);
    assert_eq!(by("2h", ""), [broken(2)], "lease 4 begins two hours later");
    assert_eq!(by("3h", ""), [broken(2), broken(4)]);
    let domain = "isolation.gb200.granularity = \"domain\"";
    let sides = (3, "isolation.gb200.granularity".to_owned());
    assert_eq!(
        by("90m", domain),
        [sides, broken(2), broken(3), broken(4)],
        "lease 4 begins as lease 3 of the other side leaves the domain"
    );
}

#[test]
fn a_policy_without_such_rules_breaks_nothing() {
    let rows = [(1, T, (0, 71), 0, None)];
    assert_eq!(house().broken("", &rows), []);
}
