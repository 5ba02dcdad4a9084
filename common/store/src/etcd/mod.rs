//! The store over etcd, 3 or 5 members or a single one.
//!
//! ```text
//!   settings ─► client: one per endpoint, sticky, rotated on failure; a deadline on every call
//!                 ▲        ▲         ▲         errors: may it have been applied?
//!                kv      watch     keeper      version: which servers to warn about
//! ```
//!
//! This folder is the only place that knows etcd-client, and owns everything that it leaves to its
//! user: deadlines, failover, streams that end, pages, compaction.

mod client;
mod errors;
mod keeper;
mod kv;
mod settings;
mod version;
mod watch;

pub use settings::{EtcdSettings, Login, TlsSettings};

use crate::model::{
    Committed, Entry, Guard, Keeper, Listing, Revision, Store, StoreError, Txn, Watch,
};
use crate::scope::Scope;
use async_trait::async_trait;
use client::{Endpoints, Repeat};
use errors::Fault;
use leasehold_common::time::Span;
use std::sync::Arc;
use version::Answer;

/// A key that is never written: reading it shows that there is a leader and that the login is good.
const PROBE: &str = "/leasehold/probe";

/// A store over etcd.
#[derive(Debug)]
pub struct EtcdStore {
    endpoints: Arc<Endpoints>,
    /// As the endpoint that answered first has it; absent where it may not be asked for.
    version: Option<String>,
    tls: bool,
    login: bool,
}

impl EtcdStore {
    /// Connects, and makes one call to see that the store answers.
    ///
    /// # Errors
    /// [`StoreError::Settings`] for settings that cannot work, [`StoreError::Denied`] where the
    /// login is refused, [`StoreError::Unavailable`] where no endpoint answers in time.
    pub async fn connect(settings: EtcdSettings) -> Result<Self, StoreError> {
        let options = settings.options()?;
        let endpoints = Endpoints::new(&settings.endpoints, options, settings.call_timeout);
        match kv::fetch(&endpoints, PROBE).await {
            // A user who may not read the probe has still been let in.
            Ok(_) => {}
            Err(Fault::Denied(detail)) if detail.contains("permission denied") => {}
            Err(Fault::Denied(detail)) => {
                let key = "the whole store".to_owned();
                return Err(StoreError::Denied { key, detail });
            }
            Err(Fault::Invalid(detail)) => {
                let what = "endpoints and tls".to_owned();
                return Err(StoreError::Settings { what, detail });
            }
            Err(fault) => return Err(fault.of_a_read(PROBE)),
        }
        let version = match status(&endpoints, None).await {
            Answer::Says(version) => Some(version),
            Answer::NotAllowed | Answer::Silent(_) => None,
        };
        Ok(Self {
            endpoints: Arc::new(endpoints),
            version,
            tls: settings.tls.is_some(),
            login: settings.login.is_some(),
        })
    }
}

#[async_trait]
impl Store for EtcdStore {
    async fn get(&self, key: &str) -> Result<Option<Entry>, StoreError> {
        kv::get(&self.endpoints, key).await
    }

    async fn list(&self, prefix: &str) -> Result<Listing, StoreError> {
        kv::list(&self.endpoints, &Scope::of(prefix)).await
    }

    async fn commit(&self, txn: Txn) -> Result<Committed, StoreError> {
        kv::commit(&self.endpoints, &txn).await
    }

    async fn watch(&self, prefix: &str, after: Revision) -> Result<Watch, StoreError> {
        watch::watch(Arc::clone(&self.endpoints), prefix, after).await
    }

    async fn keep(
        &self,
        key: &str,
        value: Vec<u8>,
        ttl: Span,
        guards: Vec<Guard>,
        put_back: bool,
    ) -> Result<Box<dyn Keeper>, StoreError> {
        let endpoints = Arc::clone(&self.endpoints);
        keeper::keep(endpoints, key, value, ttl, guards, put_back).await
    }

    fn describe(&self) -> String {
        let version = self.version.as_deref().unwrap_or("of unknown version");
        format!("etcd {version} at {}", self.endpoints.current_url())
    }

    async fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        for (index, url) in self.endpoints.urls().enumerate() {
            let answer = status(&self.endpoints, Some(index)).await;
            warnings.extend(version::warning(url, &answer));
        }
        if !self.tls {
            warnings.push("no TLS to etcd: whoever sees the network can read and write".to_owned());
            if self.login {
                warnings.push("the etcd password is sent in the clear".to_owned());
            }
        }
        warnings
    }
}

/// Asks one endpoint for its version, or whichever is current.
async fn status(endpoints: &Endpoints, index: Option<usize>) -> Answer {
    let ask = |client: etcd_client::Client| async move {
        let status = client.maintenance_client().status().await?;
        Ok(status.version().to_owned())
    };
    let answer = match index {
        Some(index) => endpoints.call_one(index, ask).await,
        None => endpoints.call(Repeat::Safe, ask).await,
    };
    match answer {
        Ok(version) => Answer::Says(version),
        Err(Fault::Denied(_)) => Answer::NotAllowed,
        Err(fault) => Answer::Silent(fault.of_a_read(PROBE).to_string()),
    }
}
