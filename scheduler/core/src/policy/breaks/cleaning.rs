//! Passes of cleaning for which their hour has no room.

use super::{Break, Held, Passes, Standing};
use leasehold_common::ids::LeaseId;
use leasehold_common::policy::Policy;
use leasehold_placement::power::Hour;
use std::collections::{BTreeMap, BTreeSet};

/// Bookings of which nodes would have to be cleaned in an hour that has no room for as many, because
/// somebody has them next. Of those in one hour the ones that began first stay.
pub(super) fn cleaning(
    policy: &Policy,
    nodes: &[Standing<'_>],
    held: &[Held<'_>],
    passes: &Passes,
    broken: &mut Vec<Break>,
) {
    let known: BTreeSet<LeaseId> = held.iter().map(|booking| booking.lease).collect();
    for (place, rate) in &policy.sanitising_per_hour {
        let below = nodes.iter().filter(|node| place.holds(node.path));
        let below: BTreeMap<_, _> = below.map(|node| (node.index, node.name)).collect();
        let mut begun: BTreeMap<Hour, u32> = BTreeMap::new();
        // Nodes that leases have given up are cleaned too.
        for ((lease, node), pass) in passes {
            if !known.contains(lease) && below.contains_key(node) {
                *begun.entry(Hour::containing(*pass)).or_default() += 1;
            }
        }
        for booking in held {
            let mut late = None;
            for node in booking.nodes.iter() {
                let pass = passes.get(&(booking.lease, node));
                let Some((name, pass)) = below.get(&node).zip(pass) else {
                    continue;
                };
                let hour = Hour::containing(*pass);
                let count = begun.entry(hour).or_default();
                *count += 1;
                if *count > *rate {
                    late.get_or_insert((*name, hour, *count));
                }
            }
            broken.extend(late.map(|(name, hour, count)| Break {
                rule: format!("sanitising_per_hour.{place}"),
                lease: booking.lease,
                detail: format!(
                    "with {name} of it {count} nodes below {place} must be cleaned in the hour \
                     from {}, {rate} may be",
                    hour.begins()
                ),
            }));
        }
    }
}
