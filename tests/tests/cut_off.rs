//! A node that hears from nobody: its leases end when they were promised to end, not before and not
//! after, whatever else is dead.

use leasehold_common::ids::LeaseId;
use leasehold_common::lease::LeaseState;
use leasehold_common::time::{Span, Timestamp};
use leasehold_tests::{Agent, Cell, wait_until};
use std::time::{SystemTime, UNIX_EPOCH};

#[test]
fn a_lease_ends_on_time_with_nobody_to_say_so() {
    let mut cell = Cell::in_use(1, 2);
    let ctl = cell.ctl();
    let lease = ctl.create(&["--nodes", "2", "--for", "8s", "--wait"]);
    let end = lease.end.expect("it has an end");

    // Everything dies but one agent; the other one's is dead for longer than the lease lasts.
    cell.schedulers[0].kill();
    cell.etcd.kill();
    cell.agents[1].kill();

    let served = |agent: &Agent, id: LeaseId| agent.environment(id).is_some();
    wait_until("the lease to end at the agent that runs", || {
        let still = served(&cell.agents[0], lease.id);
        assert!(still || now() >= end, "it was ended early");
        !still
    });
    assert!(now() < end + Span::from_secs(4), "it was ended late");
    assert!(
        served(&cell.agents[1], lease.id),
        "nobody was there to end it"
    );

    cell.agents[1].begin();
    wait_until("the lease to end at the agent that was dead", || {
        !served(&cell.agents[1], lease.id)
    });

    cell.etcd.restart();
    cell.schedulers[0].begin();
    ctl.wait_to_lead();
    let closed = ctl.wait_for_state(lease.id, LeaseState::Closed);
    assert_eq!((closed.nodes_returned, closed.end), (2, Some(end)));
    wait_until("the GPUs to be free", || ctl.status().gpus_free == 16);
    ctl.verify_to_the_head(&[cell.schedulers[0].log_file()]);
}

fn now() -> Timestamp {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("it is after 1970");
    Timestamp::from_unix_ms(
        i64::try_from(since.as_millis()).expect("it is before the year 292 million"),
    )
}
