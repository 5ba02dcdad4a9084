//! The one thing that must never be: a GPU in two leases at a time.

use leasehold_common::api::LeaseView;
use leasehold_common::ids::GpuUuid;
use std::collections::BTreeMap;

/// Checks that no GPU is in two leases whose times overlap, and that each lease that has nodes has
/// as many GPUs as it says. A lease that is over holds nothing any more.
///
/// # Panics
/// When that is not so.
pub fn assert_no_gpu_is_held_twice(leases: &[LeaseView]) {
    let mut holders: BTreeMap<&GpuUuid, Vec<&LeaseView>> = BTreeMap::new();
    for lease in leases.iter().filter(|lease| lease.state.holds_hardware()) {
        let gpus: Vec<&GpuUuid> = lease.gpus.values().flatten().collect();
        assert_eq!(gpus.len() as u64, lease.gpu_count, "lease {}", lease.id);
        for gpu in gpus {
            let others = holders.entry(gpu).or_default();
            if let Some(other) = others.iter().find(|other| overlap(other, lease)) {
                panic!("{gpu} is in lease {} and in lease {}", other.id, lease.id);
            }
            others.push(lease);
        }
    }
}

/// Whether there is an instant at which both hold what they hold. An open end is after everything.
fn overlap(one: &LeaseView, other: &LeaseView) -> bool {
    let begins_before_end = |one: &LeaseView, other: &LeaseView| {
        other
            .end
            .is_none_or(|end| one.start.is_none_or(|start| start < end))
    };
    begins_before_end(one, other) && begins_before_end(other, one)
}
