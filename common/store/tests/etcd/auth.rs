//! Users with passwords.

use crate::support::etcd_server::EtcdServer;
use crate::support::gateway::bytes;
use crate::support::{next_changes, put, put_of, value, what};
use leasehold_store::etcd::{EtcdSettings, EtcdStore, Login};
use leasehold_store::{Revision, Store, StoreError};
use std::path::Path;

/// A server with a root, and with an agent that may read and write `/c/live/n1` and nothing else.
async fn guarded_server() -> Option<EtcdServer> {
    let server = EtcdServer::start().await?;
    for (name, password) in [("root", "secret"), ("agent", "quiet")] {
        server.post(
            "/v3/auth/user/add",
            &format!(r#"{{"name":"{name}","password":"{password}"}}"#),
        );
        server.post("/v3/auth/role/add", &format!(r#"{{"name":"{name}"}}"#));
        server.post(
            "/v3/auth/user/grant",
            &format!(r#"{{"user":"{name}","role":"{name}"}}"#),
        );
    }
    let key = bytes("/c/live/n1");
    server.post(
        "/v3/auth/role/grant",
        &format!(r#"{{"name":"agent","perm":{{"permType":"READWRITE","key":"{key}"}}}}"#),
    );
    server.post("/v3/auth/enable", "{}");
    Some(server)
}

fn login(server: &EtcdServer, dir: &Path, user: &str, password: &str) -> EtcdSettings {
    let password_file = dir.join(user);
    std::fs::write(&password_file, format!("{password}\n")).unwrap();
    EtcdSettings {
        login: Some(Login {
            user: user.into(),
            password_file,
        }),
        ..server.settings()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_gets_at_its_own_key_and_at_nothing_else() {
    let Some(server) = guarded_server().await else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let settings = login(&server, dir.path(), "agent", "quiet");
    let store = EtcdStore::connect(settings).await.unwrap();

    let from = put(&store, "/c/live/n1", "alive").await.revision;
    assert_eq!(value(&store, "/c/live/n1").await.as_deref(), Some("alive"));
    assert_eq!(store.list("/c/live/n1").await.unwrap().entries.len(), 1);
    let mut watch = store.watch("/c/live/n1", from).await.unwrap();
    put(&store, "/c/live/n1", "still").await;
    assert_eq!(what(&next_changes(&mut watch).await[0]).0, "/c/live/n1");

    let denied = |error: StoreError, on: &str| match error {
        StoreError::Denied { key, .. } => assert_eq!(key, on),
        other => panic!("wanted a denial, got {other}"),
    };
    denied(store.get("/c/live/n2").await.unwrap_err(), "/c/live/n2");
    denied(store.list("/c/live/").await.unwrap_err(), "/c/live/");
    let other = store.commit(put_of("/c/live/n2", "x")).await;
    denied(other.unwrap_err(), "/c/live/n2");
    let folder = store.watch("/c/live/", Revision(0)).await;
    denied(folder.unwrap_err(), "/c/live/");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_password_and_none_are_denied_at_once() {
    let Some(server) = guarded_server().await else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    for settings in [
        login(&server, dir.path(), "agent", "loud"),
        login(&server, dir.path(), "nobody", "quiet"),
        server.settings(),
    ] {
        let error = EtcdStore::connect(settings).await.unwrap_err();
        assert!(matches!(error, StoreError::Denied { .. }), "{error}");
    }
}
