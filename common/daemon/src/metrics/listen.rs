//! `[metrics]`: where a daemon listens for whoever scrapes it.

use crate::settings::Findings;
use serde::Deserialize;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

/// Where to listen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// On a port of this host alone.
    Loopback(SocketAddr),
    /// On a Unix socket; who may connect is a matter of its mode and its folder.
    Unix(PathBuf),
}

/// Text that is no such address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "is {given:?}: {why}; allowed are \"off\", a loopback address with its port such as \"127.0.0.1:9470\", \
     and \"unix:\" with a full path"
)]
pub struct InvalidAddress {
    /// The text as given, cut to 120 characters.
    given: String,
    why: &'static str,
}

impl FromStr for Address {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        let wrong = |why| InvalidAddress {
            given: text.chars().take(120).collect(),
            why,
        };
        if let Some(path) = text.strip_prefix("unix:") {
            let path = PathBuf::from(path);
            return match path.is_absolute() && path.file_name().is_some() {
                true => Ok(Self::Unix(path)),
                false => Err(wrong("the path does not begin at /")),
            };
        }
        let address: SocketAddr = text
            .parse()
            .map_err(|_| wrong("it is no address with a port"))?;
        if !address.ip().is_loopback() {
            return Err(wrong(
                "others on the network would reach it, and there is no login",
            ));
        }
        Ok(Self::Loopback(address))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Loopback(address) => write!(f, "http://{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// The table as it may be written.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MetricsFragment {
    /// Where to listen, or `off`.
    pub listen: Option<String>,
    /// Whether what names tenants is shown as well.
    pub tenants: Option<bool>,
}

/// Where a daemon shows its metrics, and which.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetricsSettings {
    /// Where it listens; absent for nowhere.
    pub listen: Option<Address>,
    /// Whether `/metrics/tenants` is there.
    pub tenants: bool,
}

impl MetricsFragment {
    /// The settings; what is wrong with them stands in the findings.
    pub fn settle(self, key: &str, findings: &mut Findings) -> Option<MetricsSettings> {
        let listen = match self.listen.as_deref() {
            None | Some("off") => None,
            Some(text) => match text.parse() {
                Ok(address) => Some(address),
                Err(e) => {
                    findings.wrong(&format!("{key}.listen"), e);
                    return None;
                }
            },
        };
        Some(MetricsSettings {
            listen,
            tenants: self.tenants.unwrap_or(false),
        })
    }
}
