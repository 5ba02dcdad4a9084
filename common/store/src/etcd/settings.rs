//! How etcd is reached: endpoints, certificates, password, deadlines.

use crate::model::StoreError;
use etcd_client::{Certificate, ConnectOptions, Identity, TlsOptions};
use leasehold_common::time::Span;
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// An HTTP/2 ping goes out when a stream has been quiet for this long. etcd closes connections that
/// ping more often than every 5 s; 6 s is the least it puts up with.
const PING_EVERY: Span = Span::from_secs(6);
/// A ping that is not answered within this closes the connection. Longer, and a frozen server is
/// noticed late; shorter, and a busy one is taken for frozen.
const PING_ANSWER_WITHIN: Span = Span::from_secs(4);

/// Where etcd is and how to reach it. Files are read when connecting, so that a renewed certificate
/// is taken up by a restart and never by a reload.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EtcdSettings {
    /// Client URLs of the members, `https://host:2379`; all of one scheme.
    pub endpoints: Vec<String>,
    /// Certificates; required where the endpoints are `https`.
    #[serde(default)]
    pub tls: Option<TlsSettings>,
    /// A user with a password; absent where a certificate's common name is the user, or where etcd
    /// asks for neither.
    #[serde(default)]
    pub login: Option<Login>,
    /// How long a connection may take to come about.
    #[serde(default = "default_connect_timeout")]
    pub connect_timeout: Span,
    /// How long one call may take at one endpoint. A call that is safe to repeat is tried at the
    /// others too and takes at most twice this.
    #[serde(default = "default_call_timeout")]
    pub call_timeout: Span,
}

/// Certificates, as files in PEM.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsSettings {
    /// The authority that signed the servers' certificates.
    pub ca: PathBuf,
    /// This client's certificate; given together with `key` or not at all.
    #[serde(default)]
    pub cert: Option<PathBuf>,
    /// This client's private key.
    #[serde(default)]
    pub key: Option<PathBuf>,
    /// The name in the servers' certificates, where it differs from the host of the endpoint.
    #[serde(default)]
    pub domain: Option<String>,
}

/// A user of etcd that logs in with a password.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Login {
    /// The user's name.
    pub user: String,
    /// A file with the password: a password in the settings would be shown by everything that
    /// shows settings. A newline at its end is not part of it.
    pub password_file: PathBuf,
}

fn default_connect_timeout() -> Span {
    Span::from_secs(2)
}

fn default_call_timeout() -> Span {
    Span::from_secs(5)
}

impl EtcdSettings {
    /// Without TLS and login, with the usual deadlines.
    pub fn plain(endpoints: Vec<String>) -> Self {
        Self {
            endpoints,
            tls: None,
            login: None,
            connect_timeout: default_connect_timeout(),
            call_timeout: default_call_timeout(),
        }
    }

    /// Checks the settings and reads their files.
    pub(super) fn options(&self) -> Result<ConnectOptions, StoreError> {
        self.check_endpoints()?;
        let mut options = ConnectOptions::default()
            .with_connect_timeout(self.connect_timeout.std())
            .with_keep_alive(PING_EVERY.std(), PING_ANSWER_WITHIN.std())
            // etcd takes a ping on a connection without a stream for an attack.
            .with_keep_alive_while_idle(false)
            // A member without a leader then fails its streams instead of going silent.
            .with_require_leader(true);
        if let Some(tls) = &self.tls {
            options = options.with_tls(tls.options()?);
        }
        if let Some(login) = &self.login {
            let password = read_text(&login.password_file, "the password")?;
            let password = password.strip_suffix('\n').unwrap_or(&password);
            // Tokens live five minutes.
            options = options
                .with_user(&login.user, password)
                .with_auto_token_refresh(true);
        }
        Ok(options)
    }

    fn check_endpoints(&self) -> Result<(), StoreError> {
        if self.endpoints.is_empty() {
            return Err(refuse("endpoints", "none given, at least one is needed"));
        }
        for endpoint in &self.endpoints {
            let what = format!("endpoint {endpoint:?}");
            if endpoint.starts_with("https://") {
                if self.tls.is_none() {
                    return Err(refuse(&what, "https needs `tls.ca`"));
                }
            } else if !endpoint.starts_with("http://") {
                return Err(refuse(&what, "must begin with https:// or http://"));
            } else if self.tls.is_some() {
                return Err(refuse(&what, "certificates are given, so it must be https"));
            }
        }
        for (name, span) in [
            ("connect_timeout", self.connect_timeout),
            ("call_timeout", self.call_timeout),
        ] {
            if span == Span::ZERO {
                return Err(refuse(name, "0s, must be longer"));
            }
        }
        Ok(())
    }
}

impl TlsSettings {
    fn options(&self) -> Result<TlsOptions, StoreError> {
        let ca = read_pem(&self.ca, "CERTIFICATE")?;
        let mut options = TlsOptions::new().ca_certificate(Certificate::from_pem(ca));
        match (&self.cert, &self.key) {
            (Some(cert), Some(key)) => {
                let cert = read_pem(cert, "CERTIFICATE")?;
                let key = read_pem(key, "PRIVATE KEY")?;
                options = options.identity(Identity::from_pem(cert, key));
            }
            (None, None) => {}
            (Some(_), None) => return Err(refuse("tls.key", "missing, `tls.cert` is given")),
            (None, Some(_)) => return Err(refuse("tls.cert", "missing, `tls.key` is given")),
        }
        if let Some(domain) = &self.domain {
            options = options.domain_name(domain);
        }
        Ok(options)
    }
}

fn refuse(what: &str, detail: &str) -> StoreError {
    StoreError::Settings {
        what: what.to_owned(),
        detail: detail.to_owned(),
    }
}

/// rustls reports a file that is no PEM when the first connection fails, and does not say which.
fn read_pem(path: &Path, block: &str) -> Result<String, StoreError> {
    let text = read_text(path, "PEM")?;
    if text.contains(&format!("{block}-----")) {
        return Ok(text);
    }
    let what = path.display().to_string();
    Err(refuse(&what, &format!("no PEM block `{block}` in it")))
}

fn read_text(path: &Path, content: &str) -> Result<String, StoreError> {
    std::fs::read_to_string(path).map_err(|error| {
        let what = path.display().to_string();
        refuse(&what, &format!("cannot read {content}: {error}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(settings: &EtcdSettings) -> String {
        settings.options().unwrap_err().to_string()
    }

    #[test]
    fn settings_that_cannot_work_name_the_field_or_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let mut settings = EtcdSettings::plain(vec![]);
        assert!(refusal(&settings).contains("endpoints: none given"));

        settings.endpoints = vec!["db1:2379".into()];
        assert!(refusal(&settings).contains("\"db1:2379\": must begin with https://"));

        settings.endpoints = vec!["https://db1:2379".into()];
        assert!(refusal(&settings).contains("https needs `tls.ca`"));

        let ca = dir.path().join("ca.pem");
        settings.tls = Some(TlsSettings {
            ca: ca.clone(),
            cert: None,
            key: None,
            domain: None,
        });
        let missing = refusal(&settings);
        assert!(missing.contains("ca.pem: cannot read PEM"), "{missing}");

        std::fs::write(&ca, "hello").unwrap();
        let no_pem = refusal(&settings);
        assert!(no_pem.contains("ca.pem: no PEM block"), "{no_pem}");

        settings.tls = None;
        settings.endpoints = vec!["http://db1:2379".into()];
        settings.call_timeout = Span::ZERO;
        assert!(refusal(&settings).contains("call_timeout: 0s"));
    }

    #[test]
    fn unknown_settings_are_refused() {
        let text = r#"{"endpoints":["http://a:1"],"call_timeout":"3s","retries":4}"#;
        let error = serde_json::from_str::<EtcdSettings>(text).unwrap_err();
        assert!(error.to_string().contains("unknown field `retries`"));
    }
}
