//! Where a daemon's log lines go: to the journal, with their fields, where systemd has connected
//! our stderr to it; to stderr otherwise.
//!
//! Fields arrive in the journal as `LEASEHOLD_<FIELD>`, so that `journalctl LEASEHOLD_LEASE_ID=17`
//! finds everything about a lease.

use std::io::IsTerminal as _;
use std::os::fd::AsFd as _;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};
use tracing_subscriber::{EnvFilter, Registry};

/// Logging cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum LoggingError {
    /// The filter does not parse.
    #[error(
        "log filter {given:?} is not valid: error, warn, info, debug, trace, or a list such as \
         info,leasehold_store=debug"
    )]
    Filter {
        /// The text as given.
        given: String,
    },
    /// There is a logger already.
    #[error("logging has begun already")]
    Begun(#[source] TryInitError),
}

/// Checks a filter such as `info` or `info,leasehold_store=debug`.
///
/// # Errors
/// Text that is no filter.
pub fn check_filter(text: &str) -> Result<(), LoggingError> {
    filter(text).map(drop)
}

/// Begins to log. `$RUST_LOG` wins over the setting, for one run by hand.
///
/// # Errors
/// A filter that does not parse, or logging that has begun already.
pub fn init(level: &str) -> Result<(), LoggingError> {
    let filter = match std::env::var("RUST_LOG") {
        Ok(text) if !text.is_empty() => filter(&text)?,
        Ok(_) | Err(_) => filter(level)?,
    };
    let registry = Registry::default().with(filter);
    let journal = stderr_is_the_journal()
        .then(tracing_journald::layer)
        .and_then(Result::ok)
        .map(|layer| layer.with_field_prefix(Some("LEASEHOLD".into())));
    match journal {
        Some(journal) => registry.with(journal).try_init(),
        None => registry
            .with(
                tracing_subscriber::fmt::layer()
                    .with_writer(std::io::stderr)
                    .with_ansi(std::io::stderr().is_terminal()),
            )
            .try_init(),
    }
    .map_err(LoggingError::Begun)
}

fn filter(text: &str) -> Result<EnvFilter, LoggingError> {
    // An unknown level would be read as the name of a target, and silently log nothing.
    let is_level = |word: &str| {
        matches!(
            word.to_ascii_lowercase().as_str(),
            "off" | "error" | "warn" | "info" | "debug" | "trace"
        )
    };
    let bare_words_are_levels = text
        .split(',')
        .filter(|part| !part.contains(['=', '[']))
        .all(|part| is_level(part.trim()));
    EnvFilter::try_new(text)
        .ok()
        .filter(|_| bare_words_are_levels)
        .ok_or_else(|| LoggingError::Filter {
            given: text.to_owned(),
        })
}

/// `$JOURNAL_STREAM` names the device and inode of the journal's stream. It is inherited by
/// processes whose stderr goes elsewhere, so the names are compared (systemd.exec(5)).
fn stderr_is_the_journal() -> bool {
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else {
        return false;
    };
    nix::sys::stat::fstat(std::io::stderr().as_fd())
        .is_ok_and(|stat| stream == format!("{}:{}", stat.st_dev, stat.st_ino))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_checked_before_they_log_nothing() {
        for good in ["info", "WARN", "info,leasehold_store=debug", "off"] {
            assert!(check_filter(good).is_ok(), "{good}");
        }
        for bad in ["", "loud", "info,store", "a=b=c"] {
            assert!(check_filter(bad).is_err(), "{bad}");
        }
    }
}
