//! Following what happens: every record once and in order, through a scheduler's death.

use leasehold_common::lease::LeaseState;
use leasehold_common::log::{EventName, LogRecord};
use leasehold_tests::{Cell, Process, program, wait_for};
use std::fs;
use std::path::Path;
use std::process::Command;

#[test]
fn a_follower_sees_every_record_once_and_in_order() {
    let mut cell = Cell::in_use(1, 1);
    let ctl = cell.ctl();
    let seen = cell.dir().join("events.jsonl");
    let mut command = Command::new(program("leasectl"));
    command.arg("--socket").arg(ctl.socket());
    command.args([
        "events", "--follow", "--since", "0", "--quiet", "-o", "jsonl",
    ]);
    let _follower = Process::start("leasectl events", &mut command, &seen);

    let first = ctl.create(&["--gpus", "2", "--for", "1h", "--wait"]);
    cell.schedulers[0].kill();
    cell.schedulers[0].begin();
    ctl.wait_to_lead();
    ctl.ok(&["leases", "end", "--now", &first.id.to_string()]);
    ctl.wait_for_state(first.id, LeaseState::Closed);

    let head = ctl.status().seq;
    let records = wait_for("the follower to have seen everything", || {
        let records = records(&seen);
        let last = records.last().map_or(0, |record| record.seq.0);
        if last >= head.0 {
            Ok(records)
        } else {
            Err(last)
        }
    });
    let numbers: Vec<u64> = records.iter().map(|record| record.seq.0).collect();
    let all: Vec<u64> = (1..=numbers.len() as u64).collect();
    assert_eq!(numbers, all);
    let elected = records
        .iter()
        .filter(|r| r.event_name == EventName::LeaderElected);
    assert_eq!(elected.count(), 2);

    let past = ctl.ok(&["events", "-o", "jsonl", "--since", &head.to_string()]);
    assert!(
        past.lines().count() <= 1,
        "without --follow it ends, after the record named: {past}"
    );
}

fn records(file: &Path) -> Vec<LogRecord> {
    let text = fs::read_to_string(file).unwrap_or_default();
    // The last line may be half there.
    text.lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect()
}
