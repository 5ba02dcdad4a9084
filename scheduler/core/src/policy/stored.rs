//! Every policy there was, by number.

use leasehold_common::lease::Digest;
use leasehold_common::policy::{Policy, PolicyRecord};
use std::collections::BTreeMap;

/// The stored policies, and the one that decides.
#[derive(Debug)]
pub(crate) struct Policies {
    /// Number 0: what decides where none is stored.
    built_in: Policy,
    stored: BTreeMap<u64, PolicyRecord>,
    /// Of the one that decides; kept because every decision names it.
    digest: Digest,
}

impl Policies {
    /// None is stored yet.
    pub fn new(built_in: Policy) -> Self {
        let digest = built_in.digest();
        Self {
            built_in,
            stored: BTreeMap::new(),
            digest,
        }
    }

    /// Enters one.
    pub fn insert(&mut self, record: PolicyRecord) {
        self.stored.insert(record.number, record);
        self.digest = self.current().digest();
    }

    /// The number of the one that decides; 0 is built in.
    pub fn number(&self) -> u64 {
        self.stored
            .last_key_value()
            .map_or(0, |(number, _)| *number)
    }

    /// The one that decides.
    pub fn current(&self) -> &Policy {
        let newest = self.stored.last_key_value();
        newest.map_or(&self.built_in, |(_, record)| &record.policy)
    }

    /// What decisions name it by.
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// The rules of that number.
    pub fn get(&self, number: u64) -> Option<&Policy> {
        match number {
            0 => Some(&self.built_in),
            number => self.record(number).map(|record| &record.policy),
        }
    }

    /// A stored one; absent for the built-in one.
    pub fn record(&self, number: u64) -> Option<&PolicyRecord> {
        self.stored.get(&number)
    }

    /// Every number, the newest first, the built-in one last.
    pub fn numbers(&self) -> impl Iterator<Item = u64> + '_ {
        self.stored.keys().rev().copied().chain([0])
    }
}
