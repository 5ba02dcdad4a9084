//! The published experiment: on a small made-up fleet, and, where the public files are there, as
//! published.

use leasehold_sim::openb::{Arrivals, Experiment, Order, Policy, Report, Table, Trace, run};
use std::path::{Path, PathBuf};

/// A fleet of two kinds and four requests, of which the last finds no room.
fn made_up(folder: &Path) -> Experiment {
    let file = |name: &str, text: &str| {
        let path = folder.join(name);
        std::fs::write(&path, text).expect("a new folder can be written");
        path
    };
    Experiment {
        nodes: file(
            "nodes.csv",
            "sn,cpu_milli,memory_mib,gpu,model\nbig,16000,65536,2,H\nsmall,8000,32768,1,L\n",
        ),
        pods: file(
            "pods.csv",
            "name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec\n\
             half,2000,1024,1,500,\nidle,6000,1024,0,0,\npair,4000,1024,2,1000,\n\
             picky,2000,1024,1,1000,L\n",
        ),
        order: Order::Files {
            events: file(
                "events.csv",
                "seq,name\n0,pair\n1,idle\n2,half\n3,picky\n4,half-tuned-0\n",
            ),
            ranks: file("ranks.csv", "node,tie_rank\nbig,1\nsmall,0\n"),
        },
        policy: Policy::Leasehold,
        times: 1,
    }
}

#[test]
fn every_policy_keeps_the_rules_and_a_copy_of_the_fleet_doubles_it() {
    let folder = std::env::temp_dir().join(format!("leasehold-openb-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    for policy in Policy::ALL {
        let once = Experiment {
            policy,
            ..made_up(&folder)
        };
        let twice = Experiment {
            times: 2,
            ..once.clone()
        };
        let (once, twice) = (run(&once).unwrap(), run(&twice).unwrap());
        assert_eq!(
            (once.decisions, once.checker_violations),
            (5, 0),
            "{policy}"
        );
        assert_eq!(
            (twice.decisions, twice.checker_violations),
            (10, 0),
            "{policy}"
        );
        let json = serde_json::to_string(&once).unwrap();
        let begin =
            format!("{{\"policy\":\"{policy}\",\"allocated_pct_at\":{{\"90\":null,\"100\":");
        assert!(json.starts_with(&begin), "{json}");
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

/// The public files, where `LEASEHOLD_TRACES` says, or beside the repository, where somebody has put
/// them.
fn public() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let data = std::env::var_os("LEASEHOLD_TRACES").map_or(beside, PathBuf::from);
    if !data.join("openb").is_dir() {
        eprintln!("skipped: there is no {}", data.display());
        return None;
    }
    Some(data)
}

fn published(data: &Path, list: &str, seed: u64, policy: Policy) -> Report {
    let lists = data.join("openb");
    let report = run(&Experiment {
        nodes: lists.join("openb_node_list_gpu_node.csv"),
        pods: lists.join(format!("openb_pod_list_{list}.csv")),
        order: Order::Seed(seed),
        policy,
        times: 1,
    })
    .expect("the lists are whole");
    assert_eq!(report.checker_violations, 0, "{list} {seed} {policy}");
    report
}

#[test]
fn a_seed_draws_the_given_order() {
    let Some(data) = public() else { return };
    let nodes = Table::read(&data.join("openb/openb_node_list_gpu_node.csv")).unwrap();
    for list in ["default", "gpushare40", "multigpu20"] {
        let pods = data.join(format!("openb/openb_pod_list_{list}.csv"));
        let trace = Trace::parse(&nodes, &Table::read(&pods).unwrap()).unwrap();
        for seed in 42..=46 {
            let events = data.join(format!("fgd/events/{list}_seed{seed}.csv"));
            let ranks = data.join(format!("fgd/events/{list}_seed{seed}_noderank.csv"));
            let given = Arrivals::read(&trace, &events, &ranks).unwrap();
            assert_eq!(given, Arrivals::of_seed(&trace, seed), "{list} {seed}");
        }
    }
}

/// Own baselines are the published ones, to 0.15 points, and the engine's packing is above them.
#[test]
fn the_mean_of_five_seeds_is_the_published_one() {
    let Some(data) = public() else { return };
    let expected = std::fs::read_to_string(data.join("fgd/expected.csv")).unwrap();
    let bars = [
        ("default", 95.8),
        ("gpuspec33", 95.0),
        ("gpushare40", 94.3),
        ("multigpu20", 96.3),
    ];
    for (list, bar) in bars {
        let mean = |policy| {
            let reports = (42..=46).map(|seed| published(&data, list, seed, policy));
            let at = |report: Report| {
                report
                    .allocated_pct_at
                    .values()
                    .map(|at| at.unwrap())
                    .collect()
            };
            let all: Vec<Vec<f64>> = reports.map(at).collect();
            [0, 1, 2, 3].map(|at| all.iter().map(|one| one[at]).sum::<f64>() / 5.0)
        };
        let (fgd, best_fit) = (mean(Policy::Fgd), mean(Policy::BestFit));
        let engine = mean(Policy::Leasehold);
        for (word, mine) in [("fgd", fgd), ("bestfit", best_fit)] {
            for (arrived, mine) in [90, 100, 110, 130].into_iter().zip(mine) {
                let start = format!("{list},{word},42-46,{arrived},");
                let line = expected
                    .lines()
                    .find_map(|line| line.strip_prefix(&start))
                    .unwrap();
                let theirs: f64 = line.split(',').next().unwrap().parse().unwrap();
                assert!(
                    (mine - theirs).abs() < 0.15,
                    "{start} {mine} against {theirs}"
                );
            }
        }
        assert!(engine[1] >= bar, "{list}: {engine:?}");
        assert!(
            engine[0] >= fgd[0] - 0.2,
            "{list}: {engine:?} against {fgd:?}"
        );
    }
}
