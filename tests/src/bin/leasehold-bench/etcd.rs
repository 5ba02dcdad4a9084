//! A real etcd of one member, on loopback ports, that syncs to disk.

use crate::place::Place;
use anyhow::{Context as _, Result};
use leasehold_store::StoreError;
use leasehold_store::etcd::{EtcdSettings, EtcdStore};
use std::net::TcpListener;
use std::process::Command;

/// A server that runs, and a store over it.
#[derive(Debug)]
pub struct Etcd {
    /// Its client URL.
    pub url: String,
    /// A store over it.
    pub store: EtcdStore,
}

impl Etcd {
    /// Starts a server with the options an operator would leave as they are, and waits until it
    /// answers.
    pub async fn start(place: &Place) -> Result<Self> {
        // Held together, so that the two are not the same; given up just before etcd takes them.
        let ports = [free_port()?, free_port()?];
        let [client, peer] = ports
            .each_ref()
            .map(|held| held.local_addr().map(|at| format!("http://{at}")));
        let (client, peer) = (client?, peer?);
        let mut command = Command::new("etcd");
        command
            .args(["--name", "bench", "--log-level", "warn"])
            .arg("--data-dir")
            .arg(place.path("etcd"))
            .args(["--listen-client-urls", &client])
            .args(["--advertise-client-urls", &client])
            .args(["--listen-peer-urls", &peer])
            .args(["--initial-advertise-peer-urls", &peer])
            .args(["--initial-cluster", &format!("bench={peer}")]);
        drop(ports);
        place
            .start("etcd", command)
            .context("is etcd installed? Debian has it as etcd-server")?;
        let settings = EtcdSettings::plain(vec![client.clone()]);
        let connect = async || match EtcdStore::connect(settings.clone()).await {
            Ok(store) => Ok(Some(store)),
            Err(StoreError::Unavailable { .. } | StoreError::Unknown { .. }) => Ok(None),
            Err(e) => Err(e.into()),
        };
        let store = place.wait_for("etcd answers", connect).await?;
        Ok(Self { url: client, store })
    }
}

fn free_port() -> Result<TcpListener> {
    TcpListener::bind("127.0.0.1:0").context("find a free port")
}
