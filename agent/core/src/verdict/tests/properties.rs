//! What holds whatever happens.

use super::*;
use crate::sample::{Contact, RemappedRows};
use leasehold_common::units::{Celsius, MilliJoules};
use proptest::prelude::*;

/// One second in the life of a GPU.
#[derive(Debug, Clone)]
struct Second {
    sample: Option<GpuSample>,
    events: Vec<Event>,
}

fn samples() -> impl Strategy<Value = GpuSample> {
    let contact = prop_oneof![
        8 => Just(Contact::Answered),
        1 => Just(Contact::Lost),
        1 => Just(Contact::Unresponsive),
    ];
    let recovery = prop_oneof![6 => Just(0_u32), 1 => 1..8_u32];
    (
        contact,
        recovery,
        0..3_u64,
        80..95_i32,
        any::<bool>(),
        0..3_u64,
        0..0x100_u64,
    )
        .prop_map(
            |(contact, recovery, ecc, celsius, pending, energy, clocks)| {
                if contact != Contact::Answered {
                    return GpuSample::silent(contact, "no answer");
                }
                GpuSample {
                    recovery_action: Reading::Value(recovery),
                    ecc_uncorrected: Reading::Value(ecc),
                    temperature: Reading::Value(Celsius(celsius)),
                    remapped: Reading::Value(RemappedRows {
                        pending,
                        ..RemappedRows::default()
                    }),
                    energy_mj: Reading::Value(MilliJoules(energy)),
                    clock_events: Reading::Value(clocks),
                    ..idle()
                }
            },
        )
}

/// Events of around the `second` they are told in; no operator among them.
fn events(second: u64) -> impl Strategy<Value = Event> {
    let at = (0..20_u64)
        .prop_map(move |early| MORNING + Span::from_secs((second + 20).saturating_sub(early)));
    let code = prop_oneof![
        Just(13_u32),
        Just(31),
        Just(43),
        Just(48),
        Just(62),
        Just(63),
        Just(64),
        Just(79),
        Just(94),
        Just(95),
        Just(119),
        Just(144),
        Just(154),
        Just(157),
        1..200_u32,
    ];
    let words = prop_oneof![
        Just(""),
        Just("SAW_MVB Fatal (0x1 0x2)"),
        Just("changed from 0x0 (None) to 0x2 (Node Reboot)"),
    ];
    (at, code, words, 0..12_u8).prop_map(|(at, code, words, kind)| match kind {
        0 => Event::Reset { at },
        1 => Event::Boot {
            at,
            id: format!("boot at {at}"),
        },
        2 => Event::DriverReload { at },
        3 => Event::ResetFailed {
            at,
            why: "no".into(),
        },
        _ => xid(code, at, words),
    })
}

fn lives() -> impl Strategy<Value = Vec<Second>> {
    let second = |n: u64| {
        let sample = proptest::option::weighted(0.8, samples());
        let events = proptest::collection::vec(events(n), 0..4);
        (sample, events).prop_map(|(sample, events)| Second { sample, events })
    };
    (1..40_u64).prop_flat_map(move |length| (0..length).map(second).collect::<Vec<_>>())
}

fn live(life: &[Second], change: impl Fn(&[Event]) -> Vec<Event>) -> Vec<GpuState> {
    let mut state = GpuState::default();
    let mut states = Vec::new();
    let mut now = MORNING + Span::from_secs(20);
    for second in life {
        now = now + Span::from_secs(1);
        let events = change(&second.events);
        let seen = Observation {
            sample: second.sample.as_ref(),
            events: &events,
        };
        state = crate::verdict::health(&state, &seen, now, Rules::built_in());
        states.push(state.clone());
    }
    states
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn the_same_observations_give_the_same_state(life in lives()) {
        prop_assert_eq!(live(&life, <[Event]>::to_vec), live(&life, <[Event]>::to_vec));
    }

    #[test]
    fn neither_order_nor_repetition_of_what_is_told_together_matters(life in lives()) {
        let reversed = |events: &[Event]| events.iter().rev().cloned().collect::<Vec<_>>();
        let twice = |events: &[Event]| [events, events].concat();
        let plain = live(&life, <[Event]>::to_vec);
        prop_assert_eq!(&plain, &live(&life, reversed));
        prop_assert_eq!(&plain, &live(&life, twice));
    }

    #[test]
    fn an_event_that_is_told_again_later_changes_nothing(life in lives(), rotate in 0..50_usize) {
        // All that was told, again, in another order, when nothing else happens any more.
        let told = live(&life, <[Event]>::to_vec);
        let before = told.last().expect("a life of a second at least");
        let xids = life.iter().flat_map(|second| &second.events);
        let mut xids: Vec<Event> = xids.filter(|e| matches!(e, Event::Xid(_))).cloned().collect();
        if !xids.is_empty() {
            let by = rotate % xids.len();
            xids.rotate_left(by);
        }
        let now = MORNING + Span::from_secs(20 + life.len() as u64);
        let mut after = before.clone();
        for event in &xids {
            let seen = Observation { sample: None, events: std::slice::from_ref(event) };
            after.observe(&seen, now, Rules::built_in());
        }
        prop_assert_eq!(before, &after);
    }

    #[test]
    fn no_gpu_is_healthy_while_an_action_on_it_stands(life in lives()) {
        for state in live(&life, <[Event]>::to_vec) {
            let is_healthy = state.verdict() == Verdict::Healthy;
            prop_assert!(!is_healthy || state.action().is_harmless());
            prop_assert_eq!(is_healthy, state.reasons().is_empty());
            for finding in state.findings() {
                prop_assert!(!finding.evidence.is_empty());
            }
        }
    }

    #[test]
    fn an_action_goes_only_after_something_was_done_and_the_driver_wants_nothing(life in lives()) {
        let states = live(&life, <[Event]>::to_vec);
        for (second, pair) in life[1..].iter().zip(states.windows(2)) {
            let gone = pair[0].standing.iter().filter(|(key, _)| !pair[1].standing.contains_key(*key));
            for (key, standing) in gone.filter(|(_, s)| s.until == crate::verdict::rules::Until::Done) {
                prop_assert!(standing.action != Action::Rma, "{} ended by itself", key);
                let said = pair[1].recovery.expect("the driver was asked");
                prop_assert!(said.wants_nothing, "{}", key);
                let done = standing.done.is_some() || !second.events.is_empty()
                    || pair[1].acts.values().any(|at| *at > standing.last);
                prop_assert!(done, "{} went though nothing was done", key);
            }
        }
    }

    #[test]
    fn a_state_survives_being_written_down(life in lives()) {
        for state in live(&life, <[Event]>::to_vec) {
            let text = serde_json::to_string(&state).unwrap();
            prop_assert_eq!(serde_json::from_str::<GpuState>(&text).unwrap(), state);
        }
    }

    #[test]
    fn whatever_stood_before_a_gpu_comes_back(life in lives()) {
        let mut state = live(&life, <[Event]>::to_vec).pop().expect("a second at least");
        let now = MORNING + Span::from_secs(100);
        let well = GpuSample { energy_mj: Reading::Value(MilliJoules(9)), ..idle() };
        let mut then = now;
        let events = [
            Event::Boot { at: now, id: "the last".into() },
            Event::Acknowledge { word: word(now, Span::from_hours(1000)), reason: None },
        ];
        state.observe(&Observation { sample: None, events: &events }, now, Rules::built_in());
        for _ in 0..50 {
            then = then + Span::from_mins(30);
            let seen = Observation { sample: Some(&well), events: &[] };
            state.observe(&seen, then, Rules::built_in());
        }
        prop_assert_eq!(state.verdict(), Verdict::Healthy);
        prop_assert!(state.findings().is_empty());
    }
}

#[test]
fn a_storm_of_anything_stays_small() {
    let mut gpu = Gpu::new();
    for n in 0..20_000_u32 {
        gpu.now = gpu.now + Span::from_millis(700);
        let event = match xid(n % 5000, gpu.now, &"x".repeat(500)) {
            Event::Xid(xid) => Event::Xid(Xid {
                tenant: format!("tenant-{n}").parse().ok(),
                ..xid
            }),
            other => other,
        };
        gpu.tell(&[event]);
    }
    let length = serde_json::to_string(&gpu.state).unwrap().len();
    assert!(length < 200_000, "{length} bytes");
    assert_eq!(gpu.state.xids().count(), 256);
}
