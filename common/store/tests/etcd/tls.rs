//! TLS with client certificates.

use crate::support::certificates::Certificates;
use crate::support::etcd_server::{EtcdServer, Wish};
use crate::support::{next_changes, put, value};
use leasehold_store::etcd::{EtcdSettings, EtcdStore, TlsSettings};
use leasehold_store::{Store, StoreError};

async fn server_with(certificates: &Certificates) -> Option<EtcdServer> {
    let file = |name: &str| certificates.file(name).display().to_string();
    EtcdServer::start_as(Wish {
        https: true,
        arguments: vec![
            "--cert-file".into(),
            file("server.pem"),
            "--key-file".into(),
            file("server.key"),
            "--trusted-ca-file".into(),
            file("ca.pem"),
            "--client-cert-auth".into(),
        ],
        ..Wish::default()
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_with_a_certificate_is_let_in_and_one_without_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let Some(certificates) = Certificates::make(dir.path()) else {
        eprintln!("not told: there is no `openssl` to make certificates with");
        return;
    };
    let Some(server) = server_with(&certificates).await else {
        return;
    };
    let with = |cert: Option<&str>, key: Option<&str>| EtcdSettings {
        tls: Some(TlsSettings {
            ca: certificates.file("ca.pem"),
            cert: cert.map(|name| certificates.file(name)),
            key: key.map(|name| certificates.file(name)),
            domain: None,
        }),
        ..server.settings()
    };

    let good = with(Some("client.pem"), Some("client.key"));
    let store = EtcdStore::connect(good.clone()).await.unwrap();
    let from = put(&store, "/c/a", "safe").await.revision;
    assert_eq!(value(&store, "/c/a").await.as_deref(), Some("safe"));
    let mut watch = store.watch("/c/", from).await.unwrap();
    put(&store, "/c/a", "and watched").await;
    assert_eq!(next_changes(&mut watch).await.len(), 1);
    let warnings = store.warnings().await;
    let plain = warnings.iter().any(|warning| warning.contains("no TLS"));
    assert!(!plain, "{warnings:?}");

    let without = EtcdStore::connect(with(None, None)).await.unwrap_err();
    assert!(
        matches!(without, StoreError::Unavailable { .. }),
        "{without}"
    );

    let half = EtcdStore::connect(with(Some("client.pem"), None)).await;
    let half = half.unwrap_err().to_string();
    assert!(half.contains("tls.key: missing"), "{half}");

    let mut elsewhere = good;
    if let Some(tls) = &mut elsewhere.tls {
        tls.domain = Some("another.host".into());
    }
    let wrong_name = EtcdStore::connect(elsewhere).await.unwrap_err();
    assert!(
        matches!(wrong_name, StoreError::Unavailable { .. }),
        "{wrong_name}"
    );
}
