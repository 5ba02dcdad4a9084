//! Bookings that are taken out for a while and put back as they were.

use super::beside::LOOSEST;
use super::booking::{Booked, Booking};
use super::passes::Begins;
use super::{BookError, Cell};
use leasehold_common::ids::LeaseId;

/// A booking as the cell had it, with the hours in which its hardware is made clean.
#[derive(Debug, Clone)]
pub struct Lifted {
    booked: Booked,
    begins: Begins,
}

impl Cell {
    /// What a lease has, to be put back once others of its bookings were tried; absent where it has
    /// nothing.
    pub fn as_booked(&self, lease: LeaseId) -> Option<Lifted> {
        let booked = self.bookings.get(&lease)?.clone();
        let nodes = booked.booking.nodes.iter();
        let begins = nodes
            .filter(|_| self.is_washing() && booked.booking.is_let())
            .filter_map(|node| Some((node, self.pass_of(lease, node)?)))
            .collect();
        Some(Lifted { booked, begins })
    }

    /// Takes a whole booking away; absent where there is none.
    pub fn lift(&mut self, lease: LeaseId) -> Option<Lifted> {
        let lifted = self.as_booked(lease)?;
        self.unbook(lease);
        Some(lifted)
    }

    /// Puts a booking back that was taken away, with the hours it had: what was booked and lifted since is
    /// no matter to it.
    ///
    /// # Errors
    /// As for [`Cell::book_again`].
    pub fn put_back(&mut self, lifted: Lifted) -> Result<(), BookError> {
        self.add(lifted.booked, Some(LOOSEST), &lifted.begins)
    }

    /// Books again what a lease has from now on. Nodes that it had before keep their hours.
    ///
    /// # Errors
    /// As for [`Cell::book_again`].
    pub fn book_instead(&mut self, booking: Booking, before: &Lifted) -> Result<(), BookError> {
        self.add_again(booking, &before.begins)
    }
}
