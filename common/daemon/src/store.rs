//! Which store, and how it is reached: the `[store]` table of both daemons.

use crate::settings::Findings;
use leasehold_store::embedded::EmbeddedStore;
use leasehold_store::etcd::{EtcdSettings, EtcdStore, Login, TlsSettings};
use leasehold_store::{Store, StoreError};
use serde::Deserialize;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The `[store]` table as given.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StoreFragment {
    /// `etcd` or `embedded`.
    pub kind: Option<StoreKind>,
    /// URLs of etcd's members.
    pub endpoints: Option<Vec<String>>,
    /// The embedded store's file.
    pub path: Option<PathBuf>,
    /// TLS towards etcd.
    pub tls: TlsFragment,
    /// Login with a password.
    pub login: LoginFragment,
}

/// Which store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StoreKind {
    /// An etcd cluster.
    Etcd,
    /// A file of this process alone.
    Embedded,
}

/// The `[store.tls]` table as given.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TlsFragment {
    /// The authority that signed the servers' certificates.
    pub ca: Option<PathBuf>,
    /// Our certificate.
    pub cert: Option<PathBuf>,
    /// Its key.
    pub key: Option<PathBuf>,
}

/// The `[store.login]` table as given.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LoginFragment {
    /// The etcd user.
    pub user: Option<String>,
    /// A file that holds its password.
    pub password_file: Option<PathBuf>,
}

/// A store, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreSettings {
    /// An etcd cluster.
    Etcd(EtcdSettings),
    /// A file of this process alone.
    Embedded {
        /// The file.
        path: PathBuf,
    },
}

/// Opens the store.
///
/// # Errors
/// Settings that cannot work, such as a certificate that is not there; a database file that cannot
/// be used; an etcd that does not answer.
pub async fn open(settings: &StoreSettings) -> Result<Arc<dyn Store>, StoreError> {
    Ok(match settings {
        StoreSettings::Etcd(etcd) => Arc::new(EtcdStore::connect(etcd.clone()).await?),
        StoreSettings::Embedded { path } => Arc::new(EmbeddedStore::open(path).await?),
    })
}

impl StoreFragment {
    /// Checks the table, which stands at `table` in the daemon's settings. `embedded_at` is where the
    /// embedded store is kept unless a path is given.
    pub fn settle(
        self,
        table: &str,
        embedded_at: &Path,
        findings: &mut Findings,
    ) -> Option<StoreSettings> {
        let key = |name: &str| format!("{table}.{name}");
        match findings.required(&key("kind"), self.kind)? {
            StoreKind::Embedded => {
                let of_etcd = [
                    ("endpoints", self.endpoints.is_some()),
                    ("tls", self.tls != TlsFragment::default()),
                    ("login", self.login != LoginFragment::default()),
                ];
                for (name, _) in of_etcd.into_iter().filter(|(_, given)| *given) {
                    findings.wrong(&key(name), "is set, but kind is \"embedded\"");
                }
                let path = self.path.unwrap_or_else(|| embedded_at.to_owned());
                Some(StoreSettings::Embedded { path })
            }
            StoreKind::Etcd => {
                if self.path.is_some() {
                    findings.wrong(&key("path"), "is set, but kind is \"etcd\"");
                }
                let tls = self.tls.settle(&key("tls"), findings);
                let login = self.login.settle(&key("login"), findings);
                let endpoints = findings.required(&key("endpoints"), self.endpoints)?;
                check_endpoints(&key("endpoints"), &endpoints, tls.is_some(), findings);
                let plain = EtcdSettings::plain(endpoints);
                Some(StoreSettings::Etcd(EtcdSettings {
                    tls,
                    login,
                    ..plain
                }))
            }
        }
    }
}

/// Certificates beside a plain URL would be taken for protection, and a URL with TLS and no
/// authority would trust nobody: both are mistakes, and so is a list of mixed URLs.
fn check_endpoints(key: &str, endpoints: &[String], tls: bool, findings: &mut Findings) {
    let scheme = if tls { "https://" } else { "http://" };
    let because = if tls {
        "the tls table is set"
    } else {
        "no tls table is set"
    };
    if endpoints.is_empty() {
        findings.wrong(key, "is empty, at least one URL is needed");
    }
    for endpoint in endpoints {
        let host = endpoint.strip_prefix(scheme);
        if host.is_none_or(|host| host.is_empty() || host.contains(char::is_whitespace)) {
            findings.wrong(
                key,
                format!("{endpoint:?} is no URL {scheme}HOST:PORT, and {because}"),
            );
        }
    }
}

impl TlsFragment {
    fn settle(self, table: &str, findings: &mut Findings) -> Option<TlsSettings> {
        if self == Self::default() {
            return None;
        }
        if self.cert.is_some() != self.key.is_some() {
            findings.required(&format!("{table}.cert"), self.cert.as_ref());
            findings.required(&format!("{table}.key"), self.key.as_ref());
        }
        Some(TlsSettings {
            ca: findings.required(&format!("{table}.ca"), self.ca)?,
            cert: self.cert,
            key: self.key,
            domain: None,
        })
    }
}

impl LoginFragment {
    fn settle(self, table: &str, findings: &mut Findings) -> Option<Login> {
        if self == Self::default() {
            return None;
        }
        let user = findings.required(&format!("{table}.user"), self.user);
        let password_file =
            findings.required(&format!("{table}.password_file"), self.password_file);
        Some(Login {
            user: user?,
            password_file: password_file?,
        })
    }
}

impl fmt::Display for StoreSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Etcd(etcd) => write!(f, "etcd at {}", etcd.endpoints.join(", ")),
            Self::Embedded { path } => write!(f, "the embedded store {}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Layers;

    #[derive(Debug, Default, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    struct Fragment {
        store: StoreFragment,
    }

    fn settle(assignments: &[&str]) -> Result<StoreSettings, String> {
        let layers = assignments
            .iter()
            .fold(Layers::new("scheduler"), |layers, a| layers.set(a));
        let (input, mut findings) = layers.read::<Fragment>();
        let settled =
            input
                .store
                .settle("store", Path::new("/var/lib/x/store.redb"), &mut findings);
        findings.finish(settled).map_err(|e| e.to_string())
    }

    #[test]
    fn an_embedded_store_needs_nothing_else() {
        let path = PathBuf::from("/var/lib/x/store.redb");
        assert_eq!(
            settle(&["store.kind=embedded"]),
            Ok(StoreSettings::Embedded { path })
        );
    }

    #[test]
    fn every_mistake_in_the_table_is_told() {
        let told = settle(&[
            "store.kind=etcd",
            "store.endpoints=https://a:2379,b:2379",
            "store.path=/x",
            "store.login.user=me",
        ])
        .unwrap_err();
        for part in [
            "4 mistakes",
            "store.path: is set, but kind is \"etcd\"",
            "store.login.password_file: must be set and is not",
            "\"https://a:2379\" is no URL http://HOST:PORT, and no tls table is set",
            "\"b:2379\" is no URL",
        ] {
            assert!(told.contains(part), "{part} in {told}");
        }
        let told = settle(&["store.kind=paper"]).unwrap_err();
        assert!(
            told.contains("unknown variant `paper`, expected `etcd` or `embedded`"),
            "{told}"
        );
        assert!(told.starts_with("1 mistake in"), "{told}");
        let told = settle(&[
            "store.kind=etcd",
            "store.endpoints=https://a:1",
            "store.tls.cert=c",
        ]);
        let told = told.unwrap_err();
        assert!(told.contains("store.tls.key: must be set"), "{told}");
    }
}
