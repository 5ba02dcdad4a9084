//! A scenario gives the same node to every reader, and a file that grows is followed.

#![expect(clippy::unwrap_used, reason = "what a test builds on must not fail")]

use leasehold_common::time::{Span, Timestamp};
use leasehold_common::units::MilliWatts;
use leasehold_gpu_sim::state::{self, StateError, StateFile};
use leasehold_gpu_sim::{Change, Followed, NodeSpec, Replay, Scenario, Slot};

const FIRST: Slot = Slot(0);

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_unix_ms(1_800_000_000_000) + Span::from_secs(seconds)
}

fn loaded_at_zero() -> Scenario {
    let node = NodeSpec::new("h001".parse().unwrap(), "h200".parse().unwrap());
    Scenario {
        loaded_at: Some(at(0)),
        ..Scenario::new(node)
    }
}

fn load(permille: u32) -> Change {
    Change::SetLoad {
        gpu: FIRST,
        permille,
    }
}

fn xid(xid: u32) -> Change {
    Change::RaiseXid { gpu: FIRST, xid }
}

fn xids(replay: &Replay) -> Vec<u64> {
    replay
        .node()
        .events_after(0)
        .map(|event| event.kind.data())
        .collect()
}

#[test]
fn two_processes_see_one_node() {
    let scenario = loaded_at_zero()
        .then_at(at(10), load(1000))
        .then_at(at(100), load(300));
    let early = {
        let mut replay = Replay::new(scenario.clone(), at(1)).unwrap();
        (2..200).for_each(|second| replay.advance_to(at(second)));
        replay
    };
    let late = Replay::new(scenario, at(199)).unwrap();
    let energy = |replay: &Replay| replay.node().gpu(FIRST).unwrap().energy().unwrap();
    assert_eq!(energy(&early), energy(&late));
    assert!(energy(&late).0 > 90 * 600_000);
}

#[test]
fn a_change_waits_for_its_instant() {
    let mut replay = Replay::new(loaded_at_zero().then_at(at(60), xid(79)), at(1)).unwrap();
    replay.advance_to(at(59));
    assert_eq!(xids(&replay), [0; 0]);
    replay.advance_to(at(60));
    assert_eq!(xids(&replay), [79]);
}

#[test]
fn a_file_that_grows_continues_the_node() {
    let scenario = loaded_at_zero().then(load(1000)).then(xid(13));
    let mut replay = Replay::new(scenario.clone(), at(100)).unwrap();
    let limit = MilliWatts::from_watts(500);
    replay
        .node_mut()
        .apply(&Change::SetPowerLimit { gpu: FIRST, limit })
        .unwrap();

    let followed = replay.follow(scenario.then(xid(79)), at(200)).unwrap();
    assert_eq!(
        (followed, xids(&replay)),
        (Followed::Continued, vec![13, 79])
    );
    let gpu = replay.node().gpu(FIRST).unwrap();
    assert_eq!(
        gpu.power_limits().unwrap().enforced,
        limit,
        "set through a face, and kept"
    );
}

#[test]
fn a_file_with_another_past_is_another_node() {
    let mut replay = Replay::new(loaded_at_zero().then(xid(13)), at(100)).unwrap();
    let followed = replay
        .follow(loaded_at_zero().then(xid(48)), at(101))
        .unwrap();
    assert_eq!((followed, xids(&replay)), (Followed::Anew, vec![48]));
}

#[test]
fn a_change_that_cannot_be_applied_is_named_and_passed_over() {
    let nonsense = Change::LoseGpu { gpu: Slot(9) };
    let scenario = loaded_at_zero().then(nonsense).then(xid(13));
    let mut replay = Replay::new(scenario, at(1)).unwrap();
    let refused = replay.take_refused();
    assert_eq!(refused.len(), 1);
    assert_eq!(refused[0].to_string(), "change 0 cannot be applied");
    assert_eq!(xids(&replay), [13]);
    assert!(replay.take_refused().is_empty());
}

#[test]
fn a_clock_set_back_is_no_time_at_all() {
    let mut replay = Replay::new(loaded_at_zero(), at(100)).unwrap();
    let before = replay.node().gpu(FIRST).unwrap().energy();
    replay.advance_to(at(50));
    assert_eq!(replay.node().gpu(FIRST).unwrap().energy(), before);
}

#[test]
fn a_state_file_is_read_when_it_has_changed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.json");
    let mut file = StateFile::new(path.clone());
    assert!(
        matches!(file.poll(), Err(StateError::Io { .. })),
        "it is not there yet"
    );

    let scenario = loaded_at_zero().then(load(5)).then_at(at(3), xid(79));
    state::write(&path, &scenario).unwrap();
    assert_eq!(file.poll().unwrap(), Some(scenario.clone()));
    assert_eq!(file.poll().unwrap(), None);

    // As long as before, and within the same instant of a coarse clock.
    let other = loaded_at_zero().then(load(6)).then_at(at(3), xid(79));
    state::write(&path, &other).unwrap();
    assert_eq!(file.poll().unwrap(), Some(other));
}

#[test]
fn a_malformed_file_says_where() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.json");
    std::fs::write(
        &path,
        r#"{ "node": { "name": "h001", "sku": "h200", "gpus": 9 } }"#,
    )
    .unwrap();
    let error = StateFile::new(path).poll().unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(
        cause.contains("unknown field `gpus`") && cause.contains("line 1"),
        "{cause}"
    );
}
