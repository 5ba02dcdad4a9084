//! Killed in the middle of committing.

use crate::support::put;
use leasehold_store::Store;
use leasehold_store::embedded::EmbeddedStore;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

/// Set in the child: the database it is to write to.
const CHILD: &str = "LEASEHOLD_STORE_CRASH_CHILD";
const STORY: &str = "embedded::crash::what_was_acknowledged_survives_kill_9";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_kill_9() {
    if let Some(path) = std::env::var_os(CHILD) {
        write_for_ever(Path::new(&path)).await;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.redb");
    let mut known = Vec::new();
    for acknowledged in [1, 150, 400] {
        known.extend(killed_after(acknowledged, &path));
        let store = EmbeddedStore::open(&path).await.unwrap();
        for key in &known {
            let found = store.get(key).await.unwrap();
            assert!(found.is_some(), "{key} was acknowledged and is gone");
        }
    }
    assert!(known.len() >= 551);
}

/// Runs this test again as a child that writes, and kills it once it has acknowledged this many.
fn killed_after(acknowledged: usize, path: &Path) -> Vec<String> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([STORY, "--exact", "--nocapture"])
        .env(CHILD, path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut keys = lines
        .map(Result::unwrap)
        .filter_map(|line| line.strip_prefix("acknowledged ").map(str::to_owned));
    let mut known: Vec<String> = keys.by_ref().take(acknowledged).collect();
    child.kill().unwrap();
    child.wait().unwrap();
    // What it said and nobody had read yet was acknowledged as well.
    known.extend(keys);
    known
}

/// Writes new keys from several tasks at once and says of each when it was acknowledged.
async fn write_for_ever(path: &Path) {
    let store = Arc::new(EmbeddedStore::open(path).await.unwrap());
    let run = store.list("").await.unwrap().revision.0;
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..8 {
        let store = Arc::clone(&store);
        writers.spawn(async move {
            for i in 0.. {
                let key = format!("/c/{run}/{writer}/{i}");
                put(&*store, &key, "x").await;
                println!("acknowledged {key}");
            }
        });
    }
    writers.join_all().await;
}
