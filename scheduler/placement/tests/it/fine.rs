//! Fine packing: what must hold of every pool, and what is chosen why.

use leasehold_placement::fine::checker::Books;
use leasehold_placement::fine::{
    FineNode, FinePolicy, FineRequest, Gpus, Mix, ModelId, ModelSet, Placement, Pool, PoolError,
    Spot,
};
use proptest::prelude::*;

fn model(index: usize) -> ModelId {
    ModelId::new(index).unwrap()
}

fn node(of: usize, cores: u32, gpus: u8) -> FineNode {
    FineNode {
        model: model(of),
        cpu_milli: cores * 1000,
        mem_mib: 65_536,
        gpus,
    }
}

fn ask(cores: u32, gpus: Gpus) -> FineRequest {
    FineRequest {
        cpu_milli: cores * 1000,
        mem_mib: 1024,
        gpus,
        models: ModelSet::ANY,
    }
}

const SHARE: Gpus = Gpus::Share { milli: 400 };
const ONE: Gpus = Gpus::Whole { count: 1 };

fn pool(nodes: &[FineNode], mix: &Mix) -> Pool {
    let ranks: Vec<u32> = (0..).take(nodes.len()).collect();
    Pool::new(nodes, &ranks, mix, &FinePolicy::HOUSE)
}

fn placed(pool: &mut Pool, ask: &FineRequest) -> Placement {
    pool.place(ask).expect("there is room").placement
}

#[test]
fn cpu_alone_goes_where_no_gpu_needs_it() {
    let nodes = [node(0, 64, 8), node(1, 64, 1)];
    let mut pool = pool(&nodes, &Mix::uniform(8_000));
    assert_eq!(placed(&mut pool, &ask(32, Gpus::None)).spot, Spot(1));
    // 8 of the 32 cores left there are the GPU's; the rest may go, and then no more than that.
    assert_eq!(placed(&mut pool, &ask(24, Gpus::None)).spot, Spot(1));
    let last = pool.place(&ask(8, Gpus::None)).unwrap();
    assert_eq!(last.placement.spot, Spot(0));
    assert!(last.score.stranded < 0, "{last:?}");
}

#[test]
fn a_share_goes_to_the_gpu_it_fits_best() {
    let mut pool = pool(&[node(0, 64, 4)], &Mix::uniform(8_000));
    let first = placed(&mut pool, &ask(2, Gpus::Share { milli: 300 }));
    let second = placed(&mut pool, &ask(2, Gpus::Share { milli: 800 }));
    assert_eq!((first.slots, second.slots), (0b01, 0b10));
    assert_eq!(
        placed(&mut pool, &ask(2, Gpus::Share { milli: 200 })).slots,
        0b10
    );
    assert_eq!(
        placed(&mut pool, &ask(2, Gpus::Whole { count: 2 })).slots,
        0b1100
    );
    assert_eq!(pool.place(&ask(2, ONE)), None);
}

#[test]
fn who_takes_any_model_leaves_alone_what_the_picky_need() {
    let picky = FineRequest {
        models: [model(1)].into_iter().collect(),
        ..ask(4, ONE)
    };
    let easy = ask(4, ONE);
    let nodes = [node(1, 16, 2), node(0, 128, 16)];
    let mut pool = pool(&nodes, &Mix::of([&picky, &picky, &easy]));
    assert_eq!(placed(&mut pool, &easy).spot, Spot(1));
    assert_eq!(placed(&mut pool, &picky).spot, Spot(0));
    let other = FineRequest {
        models: [model(2)].into_iter().collect(),
        ..easy
    };
    assert_eq!(pool.place(&other), None);
}

#[test]
fn a_node_that_is_down_gets_nothing_and_keeps_what_it_has() {
    let mut pool = pool(&[node(0, 16, 2)], &Mix::uniform(8_000));
    let first = placed(&mut pool, &ask(4, SHARE));
    pool.set_up(Spot(0), false).unwrap();
    assert_eq!(pool.place(&ask(4, SHARE)), None);
    pool.release(&first).unwrap();
    assert_eq!(
        pool.release(&first),
        Err(PoolError::NotTaken { spot: Spot(0) })
    );
    pool.set_up(Spot(0), true).unwrap();
    assert_eq!(placed(&mut pool, &ask(4, SHARE)), first);
    let strange = Placement {
        spot: Spot(7),
        ..first
    };
    let unknown = Err(PoolError::UnknownNode { spot: Spot(7) });
    assert_eq!(pool.take(&strange), unknown);
}

/// One thing that happens to a pool.
#[derive(Debug, Clone)]
enum Op {
    Place(FineRequest),
    /// The so-many-th of what is placed, counted around.
    Release(usize),
    SetUp(u32, bool),
}

fn any_node() -> impl Strategy<Value = FineNode> {
    (0..3_usize, 0..24_u32, 0..60_u32, 0..5_u8).prop_map(|(of, cores, mem, gpus)| FineNode {
        mem_mib: mem * 100,
        ..node(of, cores, gpus)
    })
}

fn any_gpus() -> impl Strategy<Value = Gpus> {
    prop_oneof![
        2 => Just(Gpus::None),
        4 => prop::sample::select(vec![100, 250, 400, 500, 750, 999])
            .prop_map(|milli| Gpus::Share { milli }),
        4 => (1..4_u8).prop_map(|count| Gpus::Whole { count }),
    ]
}

fn any_ask() -> impl Strategy<Value = FineRequest> {
    let models = prop::collection::vec((0..3_usize).prop_map(model), 0..3);
    (0..9_u32, 0..20_u32, any_gpus(), models).prop_map(|(cores, mem, gpus, models)| FineRequest {
        mem_mib: mem * 100,
        models: models.into_iter().collect(),
        ..ask(cores, gpus)
    })
}

fn any_op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => any_ask().prop_map(Op::Place),
        3 => any::<usize>().prop_map(Op::Release),
        1 => (0..6_u32, any::<bool>()).prop_map(|(spot, up)| Op::SetUp(spot, up)),
    ]
}

proptest! {
    /// The checker, which looks at every node, agrees with every placement and every refusal; and a
    /// pool that lived through it all chooses as one that was only told how things stand.
    #[test]
    fn every_answer_is_legal_and_independent_of_the_past(
        nodes in prop::collection::vec(any_node(), 1..6),
        mix in prop::collection::vec(any_ask(), 0..6),
        ops in prop::collection::vec(any_op(), 1..60),
    ) {
        let mix = Mix::of(&mix);
        let mut live = pool(&nodes, &mix);
        let mut books = Books::new(&nodes);
        let mut held: Vec<Placement> = Vec::new();
        let mut down = vec![false; nodes.len()];
        for op in ops {
            match op {
                Op::Place(ask) => {
                    let mut fresh = pool(&nodes, &mix);
                    held.iter().for_each(|given| fresh.take(given).unwrap());
                    for (spot, down) in (0..).map(Spot).zip(&down) {
                        fresh.set_up(spot, !down).unwrap();
                    }
                    let undecided = live.decide(&ask);
                    let choice = live.place(&ask);
                    prop_assert_eq!(undecided, choice);
                    prop_assert_eq!(fresh.decide(&ask), choice);
                    let given = choice.map(|choice| choice.placement);
                    prop_assert_eq!(books.enter(&ask, given.as_ref()), Ok(()));
                    held.extend(given);
                }
                Op::Release(at) if !held.is_empty() => {
                    let given = held.swap_remove(at % held.len());
                    prop_assert_eq!(live.release(&given), Ok(()));
                    prop_assert_eq!(books.give_back(&given), Ok(()));
                }
                Op::Release(_) => {}
                Op::SetUp(spot, up) => {
                    let spot = Spot(spot % u32::try_from(nodes.len()).unwrap());
                    live.set_up(spot, up).unwrap();
                    books.set_up(spot, up);
                    down[spot.index()] = !up;
                }
            }
        }
    }

    /// The checker sees what it is there to see.
    #[test]
    fn a_wrong_answer_is_caught(wanted in any_ask(), cores in 1..9_u32) {
        let nodes = [node(0, 8, 1)];
        let mut books = Books::new(&nodes);
        let fits = Pool::new(&nodes, &[], &Mix::of([]), &FinePolicy::HOUSE).decide(&wanted);
        prop_assert_eq!(books.clone().enter(&wanted, None).is_err(), fits.is_some());
        if let Some(choice) = fits {
            let more = Placement {
                cpu_milli: choice.placement.cpu_milli + cores,
                ..choice.placement
            };
            prop_assert!(books.clone().enter(&wanted, Some(&more)).is_err());
            prop_assert_eq!(books.enter(&wanted, Some(&choice.placement)), Ok(()));
            prop_assert!(books.enter(&ask(8, ONE), Some(&choice.placement)).is_err());
        }
    }
}
