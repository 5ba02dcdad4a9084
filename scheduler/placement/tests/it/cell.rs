//! The cell refuses what must not be, and forgets what is over.

use crate::fleet::{POLICY, Twice, asks, hour};
use leasehold_common::class::Class;
use leasehold_common::ids::{LeaseId, NodeIndex};
use leasehold_common::lease::{GpuSlots, Shape};
use leasehold_common::policy::{Granularity, Isolation};
use leasehold_placement::{BookError, Booking, Policy};

const N0: NodeIndex = NodeIndex(0);

fn booking(lease: u64, account: &str, slots: u16) -> Booking {
    let request = asks(Shape::gpus(1));
    Booking {
        lease: LeaseId(lease),
        account: account.parse().unwrap(),
        class: request.class,
        from: hour(0),
        to: Some(hour(2)),
        nodes: [N0].into_iter().collect(),
        gpus: [(N0, GpuSlots(slots))].into(),
        host: None,
        gpu_cap_watts: None,
    }
}

#[test]
fn a_gpu_is_never_in_two_leases_and_a_node_never_in_two_hands() {
    let mut cell = Twice::hgx(1, 2).cell;
    cell.book(booking(1, "acme", 0b11)).unwrap();
    let refused = cell.book(booking(2, "acme", 0b110)).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "gpus 1 of node 0 would be in lease 2 and lease 1 at one time"
    );
    let refused = cell.book(booking(2, "globex", 0b1000)).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "node 0 would serve lease 2 of globex and lease 1 of acme at one time"
    );
    let refused = cell.book(booking(1, "acme", 0b1000)).unwrap_err();
    assert_eq!(refused, BookError::AlreadyBooked { lease: LeaseId(1) });
    cell.book(booking(2, "acme", 0b1100)).unwrap();
    assert_eq!(cell.held_gpus(N0, hour(1)), GpuSlots::first(4));
    assert_eq!(cell.free_gpus(N0, hour(2)), GpuSlots::first(8));
    cell.check();
}

#[test]
fn a_booking_that_contradicts_the_cell_is_refused() {
    let mut cell = Twice::hgx(1, 1).cell;
    let mut elsewhere = booking(1, "acme", 1);
    elsewhere.nodes = [NodeIndex(7)].into_iter().collect();
    elsewhere.gpus.clear();
    for (bad, says) in [
        (elsewhere, "lease 1 names node 7, which is not in the cell"),
        (
            booking(1, "acme", 0x100),
            "lease 1 names gpus 8 of node 0, which has 0-7",
        ),
        (
            Booking {
                to: Some(hour(0)),
                ..booking(1, "acme", 1)
            },
            "lease 1 would run from 1970-01-01T00:00:00.000Z to 1970-01-01T00:00:00.000Z, and the \
             end must be later",
        ),
    ] {
        assert_eq!(cell.book(bad).unwrap_err().to_string(), says);
    }
    assert_eq!(cell.bookings().count(), 0);
}

#[test]
fn a_lease_that_has_ended_keeps_its_gpus_until_they_are_back() {
    let mut cell = Twice::hgx(1, 1).cell;
    cell.book(booking(1, "acme", 0b11)).unwrap();
    cell.end(LeaseId(1), hour(1));
    assert_eq!(cell.held_gpus(N0, hour(99)), GpuSlots::first(2));
    assert_eq!(
        cell.set_end(LeaseId(1), Some(hour(3))),
        Err(BookError::Ended { lease: LeaseId(1) })
    );
    cell.release_node(LeaseId(1), N0);
    assert_eq!(cell.held_gpus(N0, hour(1)), GpuSlots::NONE);
    assert!(cell.booking(LeaseId(1)).is_none());
    cell.check();
}

#[test]
fn an_end_moves_back_only_where_the_hardware_is_free() {
    let mut cell = Twice::hgx(1, 1).cell;
    cell.book(booking(1, "acme", 0b11)).unwrap();
    cell.book(Booking {
        from: hour(4),
        to: None,
        ..booking(2, "globex", 0b1)
    })
    .unwrap();
    cell.set_end(LeaseId(1), Some(hour(4))).unwrap();
    assert!(cell.set_end(LeaseId(1), Some(hour(5))).is_err());
    cell.set_end(LeaseId(1), Some(hour(1))).unwrap();
    assert_eq!(cell.booking(LeaseId(1)).unwrap().booking.to, Some(hour(1)));
    cell.check();
}

#[test]
fn a_node_with_a_lease_on_it_is_not_forgotten() {
    let mut cell = Twice::hgx(1, 1).cell;
    cell.book(booking(1, "acme", 0b11)).unwrap();
    let refused = cell.remove_node(N0).unwrap_err();
    assert_eq!(refused.to_string(), "node 0 is booked for lease 1");
    cell.unbook(LeaseId(1));
    cell.remove_node(N0).unwrap();
    assert!(cell.is_empty());
    cell.check();
}

fn apart(granularity: Granularity) -> Policy {
    let isolation = Isolation {
        granularity,
        ..Isolation::default()
    };
    Policy {
        isolation: ["h200", "gb200"]
            .map(|sku| (sku.parse().unwrap(), isolation))
            .into(),
        ..POLICY
    }
}

fn internal(lease: u64, slots: u16) -> Booking {
    Booking {
        class: Class::InternalBatch,
        ..booking(lease, "research", slots)
    }
}

#[test]
fn both_sides_have_gpus_of_one_node_where_policy_keeps_gpus_apart() {
    let mut cell = Twice::hgx(1, 1).cell;
    cell.adopt(&apart(Granularity::Gpu));
    cell.book(booking(1, "acme", 0b11)).unwrap();
    cell.book(internal(2, 0b1100)).unwrap();
    let refused = cell.book(booking(3, "globex", 0b1_0000)).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "node 0 would serve lease 3 of globex and lease 1 of acme at one time"
    );
    let refused = cell.book(internal(3, 0b110)).unwrap_err();
    assert!(matches!(refused, BookError::Taken { .. }), "{refused}");
    cell.check();
}

#[test]
fn a_domain_serves_one_side_where_policy_keeps_domains_apart() {
    let mut cell = Twice::nvl(2, 3).cell;
    cell.adopt(&apart(Granularity::Domain));
    let on = |node: u32, booking: Booking| Booking {
        nodes: [NodeIndex(node)].into_iter().collect(),
        gpus: [].into(),
        ..booking
    };
    cell.book(on(0, booking(1, "acme", 1))).unwrap();
    cell.book(on(1, booking(2, "globex", 1))).unwrap();
    let refused = cell.book(on(2, internal(3, 1))).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "node 2 would serve lease 3 of the internal side, and lease 1 of the other side has another \
         node of its domain at that time"
    );
    cell.book(on(3, internal(3, 1))).unwrap();
    let after = Booking {
        from: hour(2),
        to: Some(hour(3)),
        ..on(2, internal(4, 1))
    };
    cell.book(after).unwrap();
    let refused = cell.set_end(LeaseId(2), Some(hour(3))).unwrap_err();
    assert!(matches!(refused, BookError::OtherSide { .. }), "{refused}");
    let maintenance = Booking {
        gpu_cap_watts: Some(0),
        ..on(2, internal(5, 1))
    };
    cell.book(maintenance).unwrap();
    cell.check();
}

#[test]
fn what_an_earlier_policy_allowed_stays_and_is_booked_again() {
    let mut cell = Twice::hgx(1, 1).cell;
    cell.adopt(&apart(Granularity::Gpu));
    cell.book(booking(1, "acme", 0b11)).unwrap();
    cell.book(internal(2, 0b1100)).unwrap();
    cell.adopt(&POLICY);
    cell.set_end(LeaseId(2), Some(hour(1))).unwrap();
    let refused = cell.set_end(LeaseId(2), Some(hour(2))).unwrap_err();
    assert!(
        matches!(refused, BookError::OtherAccount { .. }),
        "{refused}"
    );

    let mut new_leader = Twice::hgx(1, 1).cell;
    new_leader.adopt(&POLICY);
    for booked in cell.bookings() {
        new_leader.book_again(booked.booking.clone()).unwrap();
    }
    assert_eq!(new_leader, cell);
    let refused = new_leader.book(internal(3, 0b1_0000)).unwrap_err();
    assert!(
        matches!(refused, BookError::OtherAccount { .. }),
        "{refused}"
    );
    let refused = new_leader.book_again(booking(3, "globex", 0b1_0000));
    assert!(refused.is_err(), "no policy lets two tenants be there");
}
