//! Keys: reading one, reading a whole scope in pages, and committing.

use super::client::{Endpoints, Repeat};
use super::errors::Fault;
use crate::limits;
use crate::model::{Committed, Entry, Guard, Listing, Revision, StoreError, Txn};
use crate::scope::Scope;
use etcd_client::{Client, Compare, CompareOp, GetOptions, KeyValue, KvClient, PutOptions, TxnOp};

/// Keys asked for at once. 5,000 would be twice as fast over a million keys; 1,000 keeps a page of
/// lease records with their bitmaps (up to 21 KiB each) around 20 MiB.
const PAGE: i64 = 1000;

/// The largest answer taken, in bytes. gRPC's own limit of 4 MiB is below one page of lease records;
/// this is above a page of the largest values there may be in practice, and below what would hurt.
pub(super) const ANSWER_MAX: usize = 256 << 20;

/// How often a listing starts over because its revision was compacted under it. Each compaction
/// leaves ten minutes of history in the packaged settings, so even one is rare.
const RESTARTS: usize = 3;

fn kv(client: &Client) -> KvClient {
    client.kv_client().max_decoding_message_size(ANSWER_MAX)
}

/// One key.
pub(super) async fn get(endpoints: &Endpoints, key: &str) -> Result<Option<Entry>, StoreError> {
    let kvs = fetch(endpoints, key).await.map_err(|f| f.of_a_read(key))?;
    Ok(kvs.into_iter().next().map(entry))
}

/// One key as etcd has it, with the etcd lease it hangs on.
pub(super) async fn fetch(endpoints: &Endpoints, key: &str) -> Result<Vec<KeyValue>, Fault> {
    endpoints
        .call(Repeat::Safe, |client| async move {
            let mut answer = kv(&client).get(key, None).await?;
            Ok(answer.take_kvs())
        })
        .await
}

/// All keys of a scope at one revision: that of the first page.
pub(super) async fn list(endpoints: &Endpoints, scope: &Scope) -> Result<Listing, StoreError> {
    let mut restarts = 0;
    loop {
        match list_once(endpoints, scope).await {
            Ok(listing) => return Ok(listing),
            Err(Fault::Compacted(_)) if restarts < RESTARTS => restarts += 1,
            Err(fault) => return Err(fault.of_a_read(scope.as_str())),
        }
    }
}

async fn list_once(endpoints: &Endpoints, scope: &Scope) -> Result<Listing, Fault> {
    let (first, end) = range(scope);
    let mut listing = Listing {
        revision: Revision(0),
        entries: Vec::new(),
    };
    let mut from = first;
    loop {
        let page = page(endpoints, &from, &end, listing.revision).await?;
        listing.revision = page.revision;
        if let Some(last) = page.kvs.last() {
            from = last.key().to_vec();
            // The smallest key after it.
            from.push(0);
        }
        listing.entries.extend(page.kvs.into_iter().map(entry));
        if !page.more {
            return Ok(listing);
        }
    }
}

struct Page {
    revision: Revision,
    kvs: Vec<KeyValue>,
    more: bool,
}

/// One page; at the newest revision where `at` is 0.
async fn page(endpoints: &Endpoints, from: &[u8], end: &[u8], at: Revision) -> Result<Page, Fault> {
    let options = GetOptions::new()
        .with_range(end)
        .with_limit(PAGE)
        .with_revision(at.0);
    let mut answer = endpoints
        .call(Repeat::Safe, |client| {
            let options = options.clone();
            async move { kv(&client).get(from, Some(options)).await }
        })
        .await?;
    let newest = answer
        .header()
        .map_or(0, etcd_client::ResponseHeader::revision);
    Ok(Page {
        revision: if at.0 == 0 { Revision(newest) } else { at },
        kvs: answer.take_kvs(),
        more: answer.more(),
    })
}

/// The first key of a scope, and the first one after it; no end where it is a single key.
fn range(scope: &Scope) -> (Vec<u8>, Vec<u8>) {
    match scope {
        Scope::Key(key) => (key.clone().into_bytes(), Vec::new()),
        // etcd writes "from the first key" and "to the last key" as a zero byte.
        Scope::Below(prefix) if prefix.is_empty() => (vec![0], vec![0]),
        Scope::Below(prefix) => {
            let mut end = prefix.clone().into_bytes();
            // A folder ends in `/`, and `0` is the character after it.
            if let Some(last) = end.last_mut() {
                *last += 1;
            }
            (prefix.clone().into_bytes(), end)
        }
    }
}

/// Applies a transaction. Sent again only where it is certain that it was not applied.
pub(super) async fn commit(endpoints: &Endpoints, txn: &Txn) -> Result<Committed, StoreError> {
    limits::check(txn)?;
    let request = request(txn, None);
    apply(endpoints, Repeat::OnlyIfUnapplied, request)
        .await
        .map_err(|fault| fault.of_a_write(first_key(txn)))?
        .ok_or(StoreError::GuardFailed)
}

/// Sends a transaction; `None` where a guard did not hold.
pub(super) async fn apply(
    endpoints: &Endpoints,
    repeat: Repeat,
    request: etcd_client::Txn,
) -> Result<Option<Committed>, Fault> {
    let answer = endpoints
        .call(repeat, |client| {
            let request = request.clone();
            async move { kv(&client).txn(request).await }
        })
        .await?;
    let revision = answer
        .header()
        .map_or(0, etcd_client::ResponseHeader::revision);
    Ok(answer.succeeded().then_some(Committed {
        revision: Revision(revision),
    }))
}

/// A transaction in etcd's words. Puts hang on the etcd lease, where one is given.
pub(super) fn request(txn: &Txn, lease: Option<i64>) -> etcd_client::Txn {
    let options = lease.map(|id| PutOptions::new().with_lease(id));
    let put = |(key, value): &(String, Vec<u8>)| {
        TxnOp::put(key.as_str(), value.as_slice(), options.clone())
    };
    let delete = |key: &String| TxnOp::delete(key.as_str(), None);
    let operations: Vec<TxnOp> = txn
        .puts
        .iter()
        .map(put)
        .chain(txn.deletes.iter().map(delete))
        .collect();
    etcd_client::Txn::new()
        .when(txn.guards.iter().map(compare).collect::<Vec<_>>())
        .and_then(operations)
}

fn compare(guard: &Guard) -> Compare {
    let key = guard.key();
    match guard {
        // A key that does not exist was created at 0.
        Guard::Absent { .. } => Compare::create_revision(key, CompareOp::Equal, 0),
        Guard::CreatedAt { revision, .. } => {
            Compare::create_revision(key, CompareOp::Equal, revision.0)
        }
        Guard::ModifiedAt { revision, .. } => {
            Compare::mod_revision(key, CompareOp::Equal, revision.0)
        }
    }
}

/// The key that an error names: etcd itself does not say which one it refused.
fn first_key(txn: &Txn) -> &str {
    let put = txn.puts.first().map(|(key, _)| key.as_str());
    let delete = txn.deletes.first().map(String::as_str);
    put.or(delete).unwrap_or("")
}

/// An entry as the store's users see it. All keys are written by this crate, from text.
pub(super) fn entry(kv: KeyValue) -> Entry {
    let (created, modified) = (kv.create_revision(), kv.mod_revision());
    let (key, value) = kv.into_key_value();
    Entry {
        key: String::from_utf8_lossy(&key).into_owned(),
        value,
        created: Revision(created),
        modified: Revision(modified),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_ends_before_the_next_sibling() {
        let (from, end) = range(&Scope::of("/c/live/"));
        let within = |key: &[u8]| from.as_slice() <= key && key < end.as_slice();
        assert!(within(b"/c/live/n1") && within(b"/c/live/\xff"));
        assert!(!within(b"/c/live0") && !within(b"/c/leases/1"));
        assert_eq!(range(&Scope::of("/c/live/n1")).1, b"");
    }
}
