//! The key space of a cell: `/leasehold/v1/<cell>/…`, built and parsed.

use crate::ids::{CellName, LeaseId, MaintenanceId, NodeName, Seq};
use crate::topology::Prefix;
use std::fmt;

/// A key of the store, without its cell. Numbers are padded to twenty digits, so that keys sort as
/// numbers do.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// `ledger/head`: [`crate::ledger::LedgerHead`].
    Head,
    /// `log/<seq>`: [`crate::ledger::CommitRecord`].
    Log(Seq),
    /// `leases/<id>`: [`crate::lease::LeaseRecord`].
    Lease(LeaseId),
    /// `accounts/<name>`: [`crate::account::Account`].
    Account(crate::ids::AccountName),
    /// `policy/<n>`: [`crate::policy::PolicyRecord`].
    Policy(u64),
    /// `power/<prefix>`: [`crate::power::PowerRecord`]; `power/` is the whole cell.
    Power(Prefix),
    /// `maintenance/<id>`: [`crate::maintenance::MaintenanceRecord`].
    Maintenance(MaintenanceId),
    /// `fleet/<node>`: [`crate::node::FleetRecord`].
    Fleet(NodeName),
    /// `grants/<node>`: [`crate::grant::GrantsRecord`].
    Grants(NodeName),
    /// `nodes/<node>`: [`crate::node::NodeReport`].
    Node(NodeName),
    /// `health/<node>`: [`crate::node::HealthReport`].
    Health(NodeName),
    /// `acks/<node>`: [`crate::grant::AckRecord`].
    Acks(NodeName),
    /// `live/<node>`: [`crate::node::LiveRecord`].
    Live(NodeName),
}

/// One folder of the key space, for ranges and watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Folder {
    /// Everything of the cell.
    All,
    /// `ledger/`
    Ledger,
    /// `log/`
    Log,
    /// `leases/`
    Leases,
    /// `accounts/`
    Accounts,
    /// `policy/`
    Policy,
    /// `power/`
    Power,
    /// `maintenance/`
    Maintenance,
    /// `fleet/`
    Fleet,
    /// `grants/`
    Grants,
    /// `nodes/`
    Nodes,
    /// `health/`
    Health,
    /// `acks/`
    Acks,
    /// `live/`
    Live,
    /// `election/`
    Election,
}

/// The key space of one cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeySpace {
    prefix: String,
}

impl KeySpace {
    /// Of this cell.
    pub fn new(cell: &CellName) -> Self {
        Self {
            prefix: format!("/leasehold/v1/{cell}/"),
        }
    }

    /// The full key.
    pub fn key(&self, key: &Key) -> String {
        format!("{}{key}", self.prefix)
    }

    /// The prefix of all keys of a folder.
    pub fn folder(&self, folder: Folder) -> String {
        format!("{}{}", self.prefix, folder.as_str())
    }

    /// The key that a full key is; absent for one of another cell or another version.
    pub fn parse(&self, full: &str) -> Option<Key> {
        full.strip_prefix(&self.prefix).and_then(Key::parse)
    }
}

impl Folder {
    /// Its part of a key.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::All => "",
            Self::Ledger => "ledger/",
            Self::Log => "log/",
            Self::Leases => "leases/",
            Self::Accounts => "accounts/",
            Self::Policy => "policy/",
            Self::Power => "power/",
            Self::Maintenance => "maintenance/",
            Self::Fleet => "fleet/",
            Self::Grants => "grants/",
            Self::Nodes => "nodes/",
            Self::Health => "health/",
            Self::Acks => "acks/",
            Self::Live => "live/",
            Self::Election => "election/",
        }
    }
}

impl Key {
    /// From a key without its cell, such as `leases/00000000000000000017`.
    pub fn parse(tail: &str) -> Option<Self> {
        let (folder, name) = tail.split_once('/')?;
        match folder {
            "ledger" => (name == "head").then_some(Self::Head),
            "log" => padded(name).map(Seq).map(Self::Log),
            "leases" => padded(name).map(LeaseId).map(Self::Lease),
            "accounts" => name.parse().ok().map(Self::Account),
            "policy" => padded(name).map(Self::Policy),
            "power" => name.parse().ok().map(Self::Power),
            "maintenance" => padded(name).map(MaintenanceId).map(Self::Maintenance),
            "fleet" => name.parse().ok().map(Self::Fleet),
            "grants" => name.parse().ok().map(Self::Grants),
            "nodes" => name.parse().ok().map(Self::Node),
            "health" => name.parse().ok().map(Self::Health),
            "acks" => name.parse().ok().map(Self::Acks),
            "live" => name.parse().ok().map(Self::Live),
            _ => None,
        }
    }
}

fn padded(digits: &str) -> Option<u64> {
    (digits.len() == 20 && digits.bytes().all(|b| b.is_ascii_digit()))
        .then(|| digits.parse().ok())
        .flatten()
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Head => f.write_str("ledger/head"),
            Self::Log(seq) => write!(f, "log/{:020}", seq.0),
            Self::Lease(id) => write!(f, "leases/{:020}", id.0),
            Self::Account(name) => write!(f, "accounts/{name}"),
            Self::Policy(n) => write!(f, "policy/{n:020}"),
            Self::Power(prefix) => write!(f, "power/{}", prefix.as_str()),
            Self::Maintenance(id) => write!(f, "maintenance/{:020}", id.0),
            Self::Fleet(node) => write!(f, "fleet/{node}"),
            Self::Grants(node) => write!(f, "grants/{node}"),
            Self::Node(node) => write!(f, "nodes/{node}"),
            Self::Health(node) => write!(f, "health/{node}"),
            Self::Acks(node) => write!(f, "acks/{node}"),
            Self::Live(node) => write!(f, "live/{node}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_key() -> impl Strategy<Value = Key> {
        let node = "[a-z][a-z0-9.-]{0,20}";
        prop_oneof![
            Just(Key::Head),
            any::<u64>().prop_map(|n| Key::Log(Seq(n))),
            any::<u64>().prop_map(|n| Key::Lease(LeaseId(n))),
            any::<u64>().prop_map(Key::Policy),
            any::<u64>().prop_map(|n| Key::Maintenance(MaintenanceId(n))),
            "[a-z][a-z0-9-]{0,20}".prop_map(|n| Key::Account(n.parse().unwrap())),
            "([a-z]{1,4}(/[a-z]{1,4}){0,3})?".prop_map(|p| Key::Power(p.parse().unwrap())),
            node.prop_map(|n| Key::Fleet(n.parse().unwrap())),
            node.prop_map(|n| Key::Grants(n.parse().unwrap())),
            node.prop_map(|n| Key::Node(n.parse().unwrap())),
            node.prop_map(|n| Key::Health(n.parse().unwrap())),
            node.prop_map(|n| Key::Acks(n.parse().unwrap())),
            node.prop_map(|n| Key::Live(n.parse().unwrap())),
        ]
    }

    proptest! {
        #[test]
        fn what_is_built_is_parsed(key in any_key()) {
            let space = KeySpace::new(&"c1".parse().unwrap());
            prop_assert_eq!(space.parse(&space.key(&key)), Some(key));
        }

        #[test]
        fn numbers_sort_as_numbers(a: u64, b: u64) {
            let text = |n| Key::Log(Seq(n)).to_string();
            prop_assert_eq!(a.cmp(&b), text(a).cmp(&text(b)));
        }
    }

    #[test]
    fn a_key_of_another_cell_is_not_ours() {
        let space = KeySpace::new(&"c1".parse().unwrap());
        assert_eq!(space.parse("/leasehold/v1/c10/ledger/head"), None);
        assert_eq!(space.parse("/leasehold/v2/c1/ledger/head"), None);
        assert_eq!(space.parse("/leasehold/v1/c1/leases/17"), None);
    }
}
