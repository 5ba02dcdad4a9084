//! A key that lives as long as its keeper: an etcd lease, renewed.
//!
//! A renewal is a call like any other, with its own stream, deadline and rotation: a stream that
//! stays open for hours would need an owner of its own, and one renewal every few seconds is not
//! worth one. After each renewal the key is read, because an etcd lease that lives says nothing about
//! the key: old versions delete live keys (etcd#15247), and anybody may delete one by hand.

use super::client::{Endpoints, Repeat, dice, pause};
use super::errors::Fault;
use super::kv;
use crate::limits;
use crate::model::{Committed, Guard, Keeper, Revision, StoreError, Txn};
use async_trait::async_trait;
use etcd_client::{Compare, CompareOp, PutOptions, TxnOp};
use leasehold_common::time::Span;
use std::sync::{Arc, Mutex as StdMutex};
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// Puts the key and starts to keep it.
pub(super) async fn keep(
    endpoints: Arc<Endpoints>,
    key: &str,
    value: Vec<u8>,
    ttl: Span,
    guards: Vec<Guard>,
    put_back: bool,
) -> Result<Box<dyn Keeper>, StoreError> {
    let first = Txn {
        guards,
        puts: vec![(key.to_owned(), value.clone())],
        deletes: Vec::new(),
    };
    limits::check(&first)?;
    let asked = Instant::now();
    let lease = grant(&endpoints, ttl).await.map_err(|f| f.of_a_read(key))?;
    let request = kv::request(&first, Some(lease));
    let put = kv::apply(&endpoints, Repeat::OnlyIfUnapplied, request).await;
    let put_at = match put {
        Ok(Some(committed)) => committed.revision,
        refused => {
            // Whatever became of the put, without its etcd lease the key goes too.
            let _ = revoke(&endpoints, lease).await;
            return Err(match refused {
                Ok(_) => StoreError::GuardFailed,
                Err(fault) => fault.of_a_write(key),
            });
        }
    };
    let kept = Arc::new(Kept {
        endpoints,
        key: key.to_owned(),
        ttl,
        put_back,
        held: Mutex::new(Held { lease, value }),
        confirmed: StdMutex::new(asked),
    });
    let renewals = tokio::spawn(Arc::clone(&kept).renew_until_lost());
    Ok(Box::new(EtcdKeeper {
        kept,
        put_at,
        renewals,
    }))
}

/// Ends the renewals when dropped; the key then has its TTL left.
#[derive(Debug)]
struct EtcdKeeper {
    kept: Arc<Kept>,
    put_at: Revision,
    renewals: JoinHandle<()>,
}

#[derive(Debug)]
struct Kept {
    endpoints: Arc<Endpoints>,
    key: String,
    ttl: Span,
    put_back: bool,
    /// Held while the key is being put, so that a new value and a put-back do not cross.
    held: Mutex<Held>,
    /// When the last question was asked that the store answered with "it lives". The moment of the
    /// question, not of the answer: the TTL runs from when the server read it.
    confirmed: StdMutex<Instant>,
}

#[derive(Debug)]
struct Held {
    lease: i64,
    value: Vec<u8>,
}

/// What one renewal found.
enum Found {
    /// The key is there and hangs on our etcd lease.
    Alive,
    /// The key is gone, or its etcd lease is.
    Vanished,
    /// The key hangs on somebody else's etcd lease, or on none.
    Taken,
}

impl Kept {
    async fn renew_until_lost(self: Arc<Self>) {
        let mut failures = 0;
        loop {
            let wait = if failures == 0 {
                renewal_after(self.ttl, dice())
            } else {
                pause(failures, dice())
            };
            tokio::time::sleep(wait).await;
            let asked = Instant::now();
            let lease = self.held.lock().await.lease;
            let mut outcome = self.renew(lease).await;
            let mut held = self.held.lock().await;
            if held.lease != lease {
                // A new value has put the key back meanwhile, so what was found is about the past.
                continue;
            }
            if self.put_back && matches!(outcome, Ok(Found::Vanished)) {
                outcome = self.put_again(&mut held).await;
            }
            drop(held);
            match outcome {
                Ok(Found::Alive) => {
                    failures = 0;
                    *self.confirmed.lock().expect("never held over a panic") = asked;
                }
                Ok(Found::Vanished) => {
                    tracing::warn!(key = %self.key, "kept key has vanished");
                    return;
                }
                Ok(Found::Taken) => {
                    tracing::warn!(key = %self.key, "kept key was taken over by somebody else");
                    return;
                }
                Err(fault) => {
                    failures += 1;
                    tracing::debug!(key = %self.key, ?fault, failures, "renewal failed");
                }
            }
        }
    }

    /// Renews the etcd lease and looks whether the key hangs on it.
    async fn renew(&self, lease: i64) -> Result<Found, Fault> {
        // Two of these still fit between a late renewal and the end of the TTL.
        let deadline = (self.ttl.std() / 5).min(self.endpoints.call_timeout());
        let renewed = self
            .endpoints
            .call_within(deadline, Repeat::Safe, |client| async move {
                // Waits for the first answer, and takes one without a TTL for the error it is.
                client.lease_client().keep_alive(lease).await.map(drop)
            })
            .await;
        match renewed {
            Ok(()) => {}
            Err(Fault::LeaseGone) => return Ok(Found::Vanished),
            Err(fault) => return Err(fault),
        }
        let kvs = kv::fetch(&self.endpoints, &self.key).await?;
        Ok(match kvs.first().map(etcd_client::KeyValue::lease) {
            Some(on) if on == lease => Found::Alive,
            Some(_) => Found::Taken,
            None => Found::Vanished,
        })
    }

    /// Puts the key again under a new etcd lease, unless somebody else has put it.
    async fn put_again(&self, held: &mut Held) -> Result<Found, Fault> {
        let lease = grant(&self.endpoints, self.ttl).await?;
        // From here on it is ours, whatever becomes of the put: the next renewal looks at it.
        held.lease = lease;
        let request = kv::request(&self.absent(&held.value), Some(lease));
        let put = kv::apply(&self.endpoints, Repeat::OnlyIfUnapplied, request).await?;
        Ok(match put {
            Some(Committed { .. }) => {
                tracing::warn!(key = %self.key, "kept key had vanished and was put back");
                Found::Alive
            }
            None => Found::Taken,
        })
    }

    fn absent(&self, value: &[u8]) -> Txn {
        Txn {
            guards: vec![Guard::Absent {
                key: self.key.clone(),
            }],
            puts: vec![(self.key.clone(), value.to_vec())],
            deletes: Vec::new(),
        }
    }
}

#[async_trait]
impl Keeper for EtcdKeeper {
    fn unconfirmed_for(&self) -> Duration {
        let confirmed = self.kept.confirmed.lock();
        confirmed.expect("never held over a panic").elapsed()
    }

    fn put_at(&self) -> Revision {
        self.put_at
    }

    async fn set(&self, value: Vec<u8>) -> Result<(), StoreError> {
        let kept = &self.kept;
        let mut held = kept.held.lock().await;
        limits::check(&kept.absent(&value))?;
        let options = PutOptions::new().with_lease(held.lease);
        // Ours only as long as it hangs on our etcd lease: a lost leader must not put itself back.
        let ours = Compare::lease(kept.key.as_str(), CompareOp::Equal, held.lease);
        let request = etcd_client::Txn::new().when([ours]).and_then([TxnOp::put(
            kept.key.as_str(),
            value.as_slice(),
            Some(options),
        )]);
        // Putting the same value twice is no different from putting it once.
        let put = kv::apply(&kept.endpoints, Repeat::Safe, request)
            .await
            .map_err(|fault| fault.of_a_write(&kept.key))?;
        if put.is_none() && !kept.put_back {
            return Err(StoreError::GuardFailed);
        }
        held.value = value;
        if put.is_some() {
            return Ok(());
        }
        match kept.put_again(&mut held).await {
            Ok(Found::Alive) => Ok(()),
            Ok(Found::Vanished | Found::Taken) => Err(StoreError::GuardFailed),
            Err(fault) => Err(fault.of_a_write(&kept.key)),
        }
    }

    async fn release(&self) -> Result<(), StoreError> {
        self.renewals.abort();
        let lease = self.kept.held.lock().await.lease;
        revoke(&self.kept.endpoints, lease)
            .await
            .map_err(|fault| fault.of_a_write(&self.kept.key))
    }
}

impl Drop for EtcdKeeper {
    fn drop(&mut self) {
        self.renewals.abort();
    }
}

/// A new etcd lease, in whole seconds; etcd makes it two at least. Granting one too many does no
/// harm: it runs out by itself.
async fn grant(endpoints: &Endpoints, ttl: Span) -> Result<i64, Fault> {
    let seconds = i64::try_from(ttl.millis().div_ceil(1000)).unwrap_or(i64::MAX);
    endpoints
        .call(Repeat::Safe, |client| async move {
            let granted = client.lease_client().grant(seconds, None).await?;
            Ok(granted.id())
        })
        .await
}

/// Ends an etcd lease, and with it its keys. One that is gone already is as good.
async fn revoke(endpoints: &Endpoints, lease: i64) -> Result<(), Fault> {
    let revoked = endpoints
        .call(Repeat::Safe, |client| async move {
            client.lease_client().revoke(lease).await.map(drop)
        })
        .await;
    match revoked {
        Err(Fault::LeaseGone) => Ok(()),
        other => other,
    }
}

/// A third of the TTL, and up to a fifth of that more or less, so that a fleet that registered
/// together does not renew together for ever.
fn renewal_after(ttl: Span, dice: u64) -> Duration {
    let third = (ttl.millis() / 3).max(5);
    let spread = third * 2 / 5;
    Duration::from_millis(third - spread / 2 + dice % (spread + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn renewals_come_at_a_third_of_the_ttl_and_spread() {
        let after = |dice| renewal_after(Span::from_secs(30), dice);
        assert_eq!(after(0), Duration::from_secs(8));
        assert_eq!(after(4000), Duration::from_secs(12));
        for dice in [1, 77, 3999, u64::MAX] {
            assert!((8..=12).contains(&after(dice).as_secs()));
        }
    }
}
