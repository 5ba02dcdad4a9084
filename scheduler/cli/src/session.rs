//! What every command has at hand: the client, the streams, the global options and the time.

use crate::args::{Global, Write};
use crate::client::{Answer, Client};
use crate::console::Console;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Show, rendered};
use leasehold_common::ids::IdempotencyKey;
use leasehold_common::time::{Span, Timestamp};
use serde::Serialize;

/// How long to wait for an answer. A commit of the largest lease takes a second, an election ten;
/// beyond that an operator wants to know.
const ANSWER_TIMEOUT: Span = Span::from_secs(30);

/// What every command has at hand.
#[derive(Debug)]
pub struct Session<'a> {
    /// The scheduler.
    pub client: Client,
    /// The options.
    pub global: Global,
    /// The streams.
    pub console: Console<'a>,
    /// When the command was started.
    pub now: Timestamp,
}

impl<'a> Session<'a> {
    /// With these options, over these streams.
    pub fn new(global: Global, console: Console<'a>, now: Timestamp) -> Self {
        let timeout = global.timeout.unwrap_or(ANSWER_TIMEOUT);
        let client = Client::new(global.socket.clone(), timeout);
        Self {
            client,
            global,
            console,
            now,
        }
    }

    /// How long to wait for one answer, of the scheduler or of a program that is run.
    pub fn answer_timeout(&self) -> Span {
        self.global.timeout.unwrap_or(ANSWER_TIMEOUT)
    }

    /// The same for a command that waits: `--timeout` bounds the waiting there, and no answer is
    /// waited for longer than that.
    pub fn waiting(&mut self) -> Option<Span> {
        let each = self
            .global
            .timeout
            .unwrap_or(ANSWER_TIMEOUT)
            .min(ANSWER_TIMEOUT);
        self.client = Client::new(self.global.socket.clone(), each);
        self.global.timeout
    }

    /// Reads `path` and writes it.
    ///
    /// # Errors
    /// Those of the client.
    pub async fn show<T: Show>(&mut self, path: &str, with: &T::With) -> Result<Exit, Failure> {
        let answer = self.client.get(path).await?;
        self.write::<T>(&answer, with)
    }

    /// Writes an answer in the format asked for.
    ///
    /// # Errors
    /// An answer of another form; nobody reads.
    pub fn write<T: Show>(&mut self, answer: &Answer, with: &T::With) -> Result<Exit, Failure> {
        let headings = !self.global.no_headers;
        let text = rendered::<T>(answer, self.global.output, headings, with)?;
        self.console.out.write_all(text.as_bytes())?;
        Ok(Exit::Ok)
    }

    /// Sends a write under its name, or a new one. Where the answer is lost although it was sent
    /// twice, the failure names the key, so that the same write can be asked after.
    ///
    /// # Errors
    /// Those of the client.
    pub async fn post<B: Serialize>(
        &self,
        path: &str,
        body: &B,
        write: &Write,
    ) -> Result<Answer, Failure> {
        let key = write.request_id.clone().unwrap_or_else(new_key);
        self.client.post(path, body, &key).await.map_err(|error| {
            if error.is_doubtful() {
                Failure::Doubtful { key, source: error }
            } else {
                Failure::Client(error)
            }
        })
    }

    /// Tells people something that is not what was asked for; nothing with `--quiet`.
    ///
    /// # Errors
    /// Nobody reads.
    pub fn note(&mut self, text: &str) -> Result<(), Failure> {
        if !self.global.quiet {
            writeln!(self.console.err, "leasectl: {text}")?;
        }
        Ok(())
    }

    /// Asks yes or no on a terminal. With `--yes`, or where there is nobody to ask, it is `otherwise`.
    ///
    /// # Errors
    /// The answer was not yes.
    pub fn confirm(&mut self, what: &str, otherwise: Unasked) -> Result<(), Failure> {
        if self.global.yes {
            return Ok(());
        }
        match (self.console.question(&format!("{what} [y/N] "))?, otherwise) {
            (Some(line), _) if matches!(line.as_str(), "y" | "Y" | "yes") => Ok(()),
            (Some(_), _) => Err(Failure::NotConfirmed("the answer was not yes".to_owned())),
            (None, Unasked::GoOn) => Ok(()),
            (None, Unasked::Refuse) => Err(Failure::NotConfirmed(
                "there is no terminal to ask on; use --yes".to_owned(),
            )),
        }
    }
}

/// What holds where there is nobody to ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unasked {
    /// Scripts mean what they say.
    GoOn,
    /// Too much for a script to do by mistake: it must say `--yes`.
    Refuse,
}

/// A name for a write that nobody named.
fn new_key() -> IdempotencyKey {
    let key = uuid::Uuid::now_v7().to_string();
    key.parse()
        .expect("a UUID is 36 of 0-9, a-f and '-', beginning with one of them")
}
