//! Who may do what: roles by user and group.

use leasehold_daemon::socket::Peer;
use nix::unistd::{Gid, Group, Uid, User, geteuid, getgrouplist};
use std::collections::BTreeSet;
use std::ffi::CString;
use std::fmt;
use std::str::FromStr;

/// What a caller may do. Each role may do what those before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Reads everything, changes nothing.
    Viewer,
    /// Runs the cell: accounts, leases, nodes as they report themselves.
    Operator,
    /// Also says what the cell consists of, and recovers its ledger.
    Owner,
}

impl Role {
    /// The role in a word, as the log has it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Owner => "owner",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Users that a role is given to: `user:NAME`, `user:UID`, `group:NAME`, `group:GID`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RoleRule {
    /// One user, by name or number.
    User(String),
    /// The members of a group, by name or number.
    Group(String),
}

impl FromStr for RoleRule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("user", who)) if !who.is_empty() => Ok(Self::User(who.into())),
            Some(("group", who)) if !who.is_empty() => Ok(Self::Group(who.into())),
            _ => Err(format!(
                "{text:?} is not user:NAME, user:UID, group:NAME or group:GID"
            )),
        }
    }
}

/// The roles that are given. root and the user that the scheduler runs as are always owners: they
/// can read its memory and write its files as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Roles {
    /// Who reads.
    pub viewer: Vec<RoleRule>,
    /// Who runs the cell.
    pub operator: Vec<RoleRule>,
    /// Who owns it.
    pub owner: Vec<RoleRule>,
}

impl Roles {
    /// The highest role of a peer; absent where it has none. Names are looked up now, so that a user
    /// who was put in a group is let in without a restart. Blocks: the lookup may ask a directory
    /// service.
    pub fn of(&self, peer: &Peer) -> Option<Role> {
        if peer.uid == 0 || peer.uid == geteuid().as_raw() {
            return Some(Role::Owner);
        }
        let groups = groups_of(peer);
        [
            (Role::Owner, &self.owner),
            (Role::Operator, &self.operator),
            (Role::Viewer, &self.viewer),
        ]
        .into_iter()
        .find(|(_, rules)| rules.iter().any(|rule| rule.holds(peer.uid, &groups)))
        .map(|(role, _)| role)
    }
}

impl RoleRule {
    fn holds(&self, uid: u32, groups: &BTreeSet<u32>) -> bool {
        match self {
            Self::User(who) => number(who, |name| {
                let user = User::from_name(name).ok().flatten();
                user.map(|user| user.uid.as_raw())
            })
            .is_some_and(|named| named == uid),
            Self::Group(who) => number(who, |name| {
                let group = Group::from_name(name).ok().flatten();
                group.map(|group| group.gid.as_raw())
            })
            .is_some_and(|named| groups.contains(&named)),
        }
    }
}

fn number(who: &str, look_up: impl FnOnce(&str) -> Option<u32>) -> Option<u32> {
    who.parse().ok().or_else(|| look_up(who))
}

/// The groups of a peer. The kernel tells the primary one only; the supplementary ones are those
/// that the user has now, which need not be those that the process was started with.
fn groups_of(peer: &Peer) -> BTreeSet<u32> {
    let supplementary = User::from_uid(Uid::from_raw(peer.uid))
        .ok()
        .flatten()
        .and_then(|user| CString::new(user.name).ok())
        .and_then(|name| getgrouplist(&name, Gid::from_raw(peer.gid)).ok())
        .unwrap_or_default();
    supplementary
        .into_iter()
        .map(Gid::as_raw)
        .chain([peer.gid])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(uid: u32, gid: u32) -> Peer {
        let pid = None;
        Peer { uid, gid, pid }
    }

    fn rules(texts: &[&str]) -> Vec<RoleRule> {
        texts.iter().map(|t| t.parse().unwrap()).collect()
    }

    #[test]
    fn the_highest_role_counts_and_strangers_have_none() {
        let roles = Roles {
            viewer: rules(&["group:70001", "user:70011"]),
            operator: rules(&["group:70002"]),
            owner: rules(&["user:70013"]),
        };
        let strange = 70_099;
        assert_eq!(roles.of(&peer(70_010, strange)), None);
        assert_eq!(roles.of(&peer(70_010, 70_001)), Some(Role::Viewer));
        assert_eq!(roles.of(&peer(70_011, strange)), Some(Role::Viewer));
        assert_eq!(roles.of(&peer(70_011, 70_002)), Some(Role::Operator));
        assert_eq!(roles.of(&peer(70_013, 70_001)), Some(Role::Owner));
    }

    #[test]
    fn root_and_the_schedulers_own_user_are_owners() {
        let roles = Roles::default();
        assert_eq!(roles.of(&peer(0, 0)), Some(Role::Owner));
        let own = geteuid().as_raw();
        assert_eq!(roles.of(&peer(own, 70_001)), Some(Role::Owner));
    }

    #[test]
    fn names_are_looked_up() {
        let root = Group::from_gid(Gid::from_raw(0)).unwrap().unwrap();
        let roles = Roles {
            viewer: rules(&[&format!("group:{}", root.name), "group:no-such-group"]),
            ..Roles::default()
        };
        assert_eq!(roles.of(&peer(70_010, 0)), Some(Role::Viewer));
        assert_eq!(roles.of(&peer(70_010, 70_001)), None);
    }

    #[test]
    fn a_rule_says_what_is_allowed() {
        let refused = "leasehold".parse::<RoleRule>().unwrap_err();
        assert_eq!(
            refused,
            "\"leasehold\" is not user:NAME, user:UID, group:NAME or group:GID"
        );
        assert!("group:".parse::<RoleRule>().is_err());
    }
}
