//! Power, energy, heat and clocks answer to load, limits and time.

#![expect(clippy::unwrap_used, reason = "what a test builds on must not fail")]

use leasehold_common::time::Span;
use leasehold_common::units::{Celsius, MilliJoules, MilliWatts};
use leasehold_gpu_sim::{Change, ClocksEventReasons, Gpu, Node, NodeSpec, Slot};
use proptest::prelude::*;

const SKUS: [&str; 5] = ["a100", "b200", "gb200", "h100", "h200"];
const FIRST: Slot = Slot(0);
/// Long enough for everything to have settled.
const LONG: Span = Span::from_mins(10);

fn node(sku: &str) -> Node {
    Node::new(&NodeSpec::new(
        "h001".parse().unwrap(),
        sku.parse().unwrap(),
    ))
    .unwrap()
}

fn first(node: &Node) -> &Gpu {
    node.gpu(FIRST).unwrap()
}

fn set_load(permille: u32) -> Change {
    Change::SetLoad {
        gpu: FIRST,
        permille,
    }
}

fn set_limit(watts: u64) -> Change {
    Change::SetPowerLimit {
        gpu: FIRST,
        limit: MilliWatts::from_watts(watts),
    }
}

/// All that moves by itself.
fn readings(gpu: &Gpu) -> (MilliWatts, MilliJoules, Celsius) {
    (
        gpu.power_draw().unwrap(),
        gpu.energy().unwrap(),
        gpu.temperature().unwrap(),
    )
}

#[test]
fn power_rises_under_load_and_falls_again() {
    let mut node = node("h200");
    let idle = first(&node).power_draw().unwrap();
    assert!(
        idle < MilliWatts::from_watts(100),
        "{idle} is no idle power"
    );

    node.apply(&set_load(1000)).unwrap();
    node.advance(Span::from_secs(1));
    let rising = first(&node).power_draw().unwrap();
    assert!(
        rising > idle && rising < MilliWatts::from_watts(700),
        "{rising} after a second"
    );
    node.advance(LONG);
    assert_eq!(first(&node).power_draw(), Ok(MilliWatts::from_watts(700)));

    node.apply(&set_load(0)).unwrap();
    node.advance(LONG);
    assert_eq!(first(&node).power_draw(), Ok(idle));
}

#[test]
fn heat_follows_power_more_slowly_than_power_follows_load() {
    let mut node = node("h100");
    let cool = first(&node).temperature().unwrap();
    node.apply(&set_load(1000)).unwrap();
    node.advance(Span::from_secs(5));
    let (draw, _, warmer) = readings(first(&node));
    assert!(
        draw > MilliWatts::from_watts(690),
        "{draw} after five seconds"
    );
    node.advance(LONG);
    let hot = first(&node).temperature().unwrap();
    assert!(cool < warmer && warmer < hot, "{cool}, {warmer}, {hot}");
    assert!(
        (Celsius(60)..Celsius(80)).contains(&hot),
        "{hot} at full load in a cool hall"
    );
}

#[test]
fn a_hot_hall_slows_the_gpu_down_and_says_why() {
    let mut node = node("h200");
    node.apply(&set_load(1000)).unwrap();
    node.apply(&Change::SetInlet {
        celsius: Celsius(60),
    })
    .unwrap();
    node.advance(LONG);
    let gpu = first(&node);
    assert!(gpu.temperature().unwrap() >= gpu.thresholds().unwrap().slowdown);
    assert!(
        gpu.clocks_event_reasons()
            .unwrap()
            .contains(ClocksEventReasons::HW_THERMAL_SLOWDOWN)
    );
    assert!(gpu.clocks().unwrap().sm_mhz < gpu.max_clocks().unwrap().sm_mhz);
}

#[test]
fn a_cap_holds_power_and_clocks_down_at_once() {
    let mut node = node("h200");
    node.apply(&set_load(1000)).unwrap();
    node.advance(LONG);
    node.apply(&set_limit(350)).unwrap();
    let gpu = first(&node);
    assert_eq!(gpu.power_draw(), Ok(MilliWatts::from_watts(350)));
    assert_eq!(
        gpu.clocks_event_reasons(),
        Ok(ClocksEventReasons::SW_POWER_CAP)
    );
    assert_eq!(gpu.clocks().unwrap().sm_mhz, 990);

    let refused = node.apply(&set_limit(100)).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "limit 100000 is out of range: 200000 to 700000 mW"
    );
    assert_eq!(
        first(&node).power_limits().unwrap().enforced,
        MilliWatts::from_watts(350)
    );
}

#[test]
fn a_kilowatt_for_an_hour_is_a_kilowatt_hour() {
    let mut node = node("b200");
    node.apply(&set_load(1000)).unwrap();
    node.advance(LONG);
    let before = first(&node).energy().unwrap();
    node.advance(Span::from_hours(1));
    assert_eq!(
        first(&node).energy().unwrap() - before,
        MilliJoules(3_600_000_000)
    );
}

#[test]
fn a_year_passes_in_no_time() {
    let mut node = node("gb200");
    node.apply(&set_load(730)).unwrap();
    node.advance(Span::from_hours(365 * 24));
    assert!(first(&node).energy().unwrap() > MilliJoules(365 * 24 * 3_600_000 * 800));
}

fn any_node() -> impl Strategy<Value = Node> {
    prop::sample::select(SKUS.to_vec()).prop_map(node)
}

/// A change that the physics answers to, in proportion to whatever node it is for.
#[derive(Debug, Clone)]
enum Push {
    Load(u32),
    Limit(u64),
    Inlet(i32),
    Wait(u64),
}

fn any_push() -> impl Strategy<Value = Push> {
    prop_oneof![
        (0..=1000_u32).prop_map(Push::Load),
        (0..=100_u64).prop_map(Push::Limit),
        (0..=80).prop_map(Push::Inlet),
        (0..200_000_u64).prop_map(Push::Wait),
    ]
}

fn push(node: &mut Node, push: &Push) {
    let change = match *push {
        Push::Load(permille) => set_load(permille),
        Push::Limit(percent) => {
            let limits = first(node).power_limits().unwrap();
            let limit = limits.min + MilliWatts((limits.max - limits.min).0 * percent / 100);
            Change::SetPowerLimit { gpu: FIRST, limit }
        }
        Push::Inlet(celsius) => Change::SetInlet {
            celsius: Celsius(celsius),
        },
        Push::Wait(ms) => return node.advance(Span::from_millis(ms)),
    };
    node.apply(&change).unwrap();
}

proptest! {
    #[test]
    fn draw_stays_between_idle_and_limit_and_energy_never_falls(
        mut node in any_node(),
        pushes in prop::collection::vec(any_push(), 1..40),
    ) {
        let idle = first(&node).power_draw().unwrap();
        let mut energy = MilliJoules::ZERO;
        for p in &pushes {
            push(&mut node, p);
            let gpu = first(&node);
            let draw = gpu.power_draw().unwrap();
            prop_assert!(draw >= idle && draw <= gpu.power_limits().unwrap().enforced);
            let now = gpu.energy().unwrap();
            prop_assert!(now >= energy);
            energy = now;
        }
    }

    #[test]
    fn two_advances_are_exactly_one(
        mut node in any_node(),
        pushes in prop::collection::vec(any_push(), 0..10),
        a in 0..100_000_u64,
        b in 0..100_000_u64,
    ) {
        for p in &pushes {
            push(&mut node, p);
        }
        let mut twice = node.clone();
        node.advance(Span::from_millis(a + b));
        twice.advance(Span::from_millis(a));
        twice.advance(Span::from_millis(b));
        prop_assert_eq!(readings(first(&node)), readings(first(&twice)));
    }

    #[test]
    fn everything_comes_to_rest(
        mut node in any_node(),
        pushes in prop::collection::vec(any_push(), 0..10),
    ) {
        for p in &pushes {
            push(&mut node, p);
        }
        node.advance(LONG);
        let (draw, _, temperature) = readings(first(&node));
        node.advance(Span::from_hours(1));
        let (later_draw, _, later_temperature) = readings(first(&node));
        prop_assert_eq!((draw, temperature), (later_draw, later_temperature));
    }

    #[test]
    fn more_load_is_never_less_power_or_heat(
        sku in prop::sample::select(SKUS.to_vec()),
        low in 0..=1000_u32,
        high in 0..=1000_u32,
    ) {
        let (low, high) = (low.min(high), low.max(high));
        let rest = |permille| {
            let mut node = node(sku);
            node.apply(&set_load(permille)).unwrap();
            node.advance(LONG);
            let (draw, _, temperature) = readings(first(&node));
            (draw, temperature)
        };
        let ((low_draw, low_heat), (high_draw, high_heat)) = (rest(low), rest(high));
        prop_assert!(low_draw <= high_draw && low_heat <= high_heat);
    }
}
