//! Small runs of the packing engine under load, with every plan checked.

use leasehold_sim::load::buyout::{self, Buyout};
use leasehold_sim::load::churn::{self, Churn};
use leasehold_sim::load::fill::{self, Fill};
use leasehold_sim::load::{Figures, Layout, jobs, nodes, trace};

fn is_clean(figures: &Figures) {
    assert_eq!(figures.checker_violations, 0, "{figures}");
    assert!(figures.checker_checked >= figures.placed, "{figures}");
}

#[test]
fn a_cell_is_filled_to_the_last_node() {
    let layout = Layout::new(64, 8, 0).unwrap();
    for (fill, leases) in [(Fill::Node, 64), (Fill::Gang(16), 4)] {
        let figures = fill::run(layout, 100, fill, 1);
        is_clean(&figures);
        assert_eq!(figures.placed, leases, "{fill}");
    }
    let figures = fill::run(layout, 100, Fill::Gpu, 1);
    is_clean(&figures);
    assert!(figures.used_pct > 95.0, "{figures}");
}

#[test]
fn the_same_seed_decides_the_same() {
    let layout = Layout::new(90, 8, 40).unwrap();
    let digest = |seed| {
        let figures = fill::run(layout, 95, Fill::Mixed, seed);
        is_clean(&figures);
        figures.digest
    };
    assert_eq!(digest(7), digest(7));
    assert_ne!(digest(7), digest(8));
}

#[test]
fn three_of_ten_are_refused_in_a_steady_state() {
    let layout = Layout::new(150, 8, 25).unwrap();
    let run = |seed| {
        // With 64 accounts on 150 nodes, more would leave every free GPU beside somebody else's.
        let churn = Churn {
            used_pct: 50,
            decisions: 1500,
            seed,
        };
        churn::run(layout, 95, churn)
    };
    for seed in 0..3 {
        let figures = run(seed);
        is_clean(&figures);
        assert!((25.0..40.0).contains(&figures.refused_pct), "{figures}");
    }
    assert_eq!(run(3).digest, run(3).digest);
}

#[test]
fn a_large_part_of_a_used_cell_is_bought() {
    let layout = Layout::new(200, 8, 0).unwrap();
    let buyout = Buyout {
        lease_gpus: 400,
        used_pct: 40,
        seed: 1,
    };
    let bought = buyout::run(layout, 95, buyout);
    assert!(bought.placed, "{bought}");
    assert_eq!((bought.nodes, bought.checker_violations), (50, 0));
}

#[test]
fn jobs_wait_for_each_other_and_all_run() {
    let fleet = nodes("[[group]]\nsku = \"h200\"\nnodes = 2\ngpus = 8\n").unwrap();
    let list = "arrives_s,length_s,account,class,sku,gpus,nodes,within\n\
                0,3600,acme,spot,h200,,2,rack\n\
                60,3600,acme,spot,h200,8,,\n\
                120,3600,globex,spot,h200,1,,\n\
                180,60,globex,spot,h200,9,,\n";
    let replayed = trace::run(fleet, jobs(list).unwrap());
    is_clean(&replayed.figures);
    assert_eq!((replayed.jobs, replayed.ran, replayed.never), (4, 3, 1));
    // The gang's hour and the cleaning after it, less the time at which the second came.
    assert_eq!(replayed.wait_p99_s, 3600 + 6 * 60 - 120);
}
