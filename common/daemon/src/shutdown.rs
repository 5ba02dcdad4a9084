//! SIGTERM and SIGINT as a cancellation token.

use std::io;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// The signals that ask a daemon to stop, caught from [`Signals::install`] on.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Catches the signals. To be called before there is anything that a signal must not cut.
    ///
    /// # Errors
    /// The system does not allow it.
    pub fn install() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Waits for the first of them and says its name.
    pub async fn wait(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }

    /// Cancels the token at the first of them, and returns; returns as well where the token was
    /// cancelled by somebody else. To be spawned among the daemon's other tasks.
    pub async fn cancel(mut self, token: CancellationToken) {
        tokio::select! {
            name = self.wait() => {
                tracing::info!(signal = name, "stopping");
                token.cancel();
            }
            () = token.cancelled() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::signal::{Signal as Posix, raise};

    #[tokio::test]
    async fn a_signal_cancels_the_token() {
        let signals = Signals::install().unwrap();
        let token = CancellationToken::new();
        raise(Posix::SIGTERM).unwrap();
        signals.cancel(token.clone()).await;
        assert!(token.is_cancelled());
    }

    #[tokio::test]
    async fn a_cancelled_token_ends_the_wait() {
        let token = CancellationToken::new();
        token.cancel();
        Signals::install().unwrap().cancel(token).await;
    }
}
