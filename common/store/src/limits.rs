//! What one transaction may carry, checked before anything is sent: a refusal that comes from here
//! is certain to have changed nothing, and is the same over every store.

use crate::model::{Guard, StoreError, TXN_MAX_BYTES, TXN_MAX_OPS, Txn};
use std::collections::BTreeSet;

/// Refuses a transaction that etcd would refuse.
pub(crate) fn check(txn: &Txn) -> Result<(), StoreError> {
    let at_most = |what, size, allowed| {
        if size > allowed {
            return Err(StoreError::TooLarge {
                what,
                size,
                allowed,
            });
        }
        Ok(())
    };
    at_most(
        "operations",
        txn.puts.len() + txn.deletes.len(),
        TXN_MAX_OPS,
    )?;
    at_most("guards", txn.guards.len(), TXN_MAX_OPS)?;
    at_most("bytes", bytes(txn), TXN_MAX_BYTES)?;
    at_most("changes of one key", changes_of_one_key(txn), 1)
}

impl Guard {
    /// The key it looks at.
    pub(crate) fn key(&self) -> &str {
        match self {
            Self::Absent { key } | Self::CreatedAt { key, .. } | Self::ModifiedAt { key, .. } => {
                key
            }
        }
    }
}

fn bytes(txn: &Txn) -> usize {
    let puts = txn.puts.iter().map(|(key, value)| key.len() + value.len());
    let deletes = txn.deletes.iter().map(String::len);
    let guards = txn.guards.iter().map(|guard| guard.key().len());
    puts.chain(deletes).chain(guards).sum()
}

/// 2 where some key is changed more than once.
fn changes_of_one_key(txn: &Txn) -> usize {
    let mut seen = BTreeSet::new();
    let puts = txn.puts.iter().map(|(key, _)| key);
    let repeated = puts.chain(&txn.deletes).any(|key| !seen.insert(key));
    1 + usize::from(repeated)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn puts(n: usize, size: usize) -> Vec<(String, Vec<u8>)> {
        (0..n).map(|i| (format!("/k/{i}"), vec![0; size])).collect()
    }

    #[test]
    fn guards_are_counted_apart_from_changes() {
        let guard = |i| Guard::Absent {
            key: format!("/g/{i}"),
        };
        let full = Txn {
            guards: (0..128).map(guard).collect(),
            puts: puts(128, 1),
            deletes: vec![],
        };
        assert!(check(&full).is_ok());

        let mut one_more = full.clone();
        one_more.deletes.push("/d".into());
        let refused = check(&one_more).unwrap_err().to_string();
        assert_eq!(
            refused,
            "transaction too large: operations 129, allowed is 128"
        );

        let mut one_more = full;
        one_more.guards.push(guard(128));
        assert!(matches!(
            check(&one_more),
            Err(StoreError::TooLarge {
                what: "guards",
                size: 129,
                ..
            })
        ));
    }

    #[test]
    fn bytes_are_those_of_keys_and_values() {
        let txn = |size| Txn {
            puts: puts(1, size),
            ..Txn::default()
        };
        assert!(check(&txn(TXN_MAX_BYTES - 4)).is_ok());
        assert!(matches!(
            check(&txn(TXN_MAX_BYTES - 3)),
            Err(StoreError::TooLarge { what: "bytes", .. })
        ));
    }

    #[test]
    fn a_key_is_changed_once() {
        let txn = Txn {
            puts: puts(2, 1),
            deletes: vec!["/k/1".into()],
            ..Txn::default()
        };
        assert!(matches!(
            check(&txn),
            Err(StoreError::TooLarge {
                what: "changes of one key",
                ..
            })
        ));
    }
}
