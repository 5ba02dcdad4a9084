//! The contract: each story over etcd and over the embedded store.

mod election;
mod keeper;
mod list;
mod txn;
mod watch;

use crate::support::etcd_server::EtcdServer;
use leasehold_store::Store;
use leasehold_store::embedded::EmbeddedStore;
use std::sync::Arc;
use tempfile::TempDir;

/// A store with what it stands on, which ends with it.
struct Stand<T> {
    store: Arc<dyn Store>,
    _on: T,
}

async fn on_etcd() -> Option<Stand<EtcdServer>> {
    let server = EtcdServer::start().await?;
    let store = Arc::new(server.store().await);
    Some(Stand { store, _on: server })
}

async fn on_embedded() -> Stand<TempDir> {
    let dir = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(&dir.path().join("store.redb")).await;
    Stand {
        store: Arc::new(store.unwrap()),
        _on: dir,
    }
}

macro_rules! contract {
    ($($noun:ident { $($story:ident,)+ })+) => {
        mod over_etcd {
            $(mod $noun {
                $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $story() {
                    if let Some(stand) = crate::both::on_etcd().await {
                        crate::both::$noun::$story(std::sync::Arc::clone(&stand.store)).await;
                    }
                })+
            })+
        }
        mod over_embedded {
            $(mod $noun {
                $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $story() {
                    let stand = crate::both::on_embedded().await;
                    crate::both::$noun::$story(std::sync::Arc::clone(&stand.store)).await;
                })+
            })+
        }
    };
}

contract! {
    txn {
        a_transaction_is_applied_whole_when_its_guards_hold,
        a_guard_that_fails_changes_nothing,
        of_many_that_race_for_a_key_one_wins,
        the_largest_transaction_is_applied,
        one_operation_too_many_is_refused_before_it_is_sent,
    }
    list {
        more_than_a_page_is_listed_at_one_revision,
        a_prefix_is_a_folder_or_one_key,
    }
    watch {
        changes_come_in_order_and_once,
        a_watch_from_the_past_begins_there,
        a_transaction_is_one_message,
        a_watch_sees_its_own_keys_only,
    }
    keeper {
        a_kept_key_outlives_its_ttl_and_not_its_keeper,
        a_released_key_goes_at_once,
        a_key_that_vanishes_is_put_back,
        a_key_that_vanishes_is_lost_where_it_is_not_to_be_put_back,
        a_kept_value_can_be_changed,
        a_new_keeper_takes_a_key_over,
        a_guard_keeps_a_second_keeper_out,
    }
    election {
        of_two_candidates_one_leads_and_the_other_follows,
        a_leader_that_resigned_is_fenced,
        a_leader_whose_key_is_deleted_is_lost,
        a_leader_that_vanishes_is_replaced,
    }
}
