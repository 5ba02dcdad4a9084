//! The two streams a command writes to, and the person it may ask.

use std::fmt;
use std::io::{self, Write};

/// Asks a question on the terminal and gives the line that was typed.
pub type Ask<'a> = dyn FnMut(&str) -> io::Result<String> + 'a;

/// Where a command writes, and whom it asks.
pub struct Console<'a> {
    /// What was asked for.
    pub out: &'a mut dyn Write,
    /// Everything else: progress, warnings, errors.
    pub err: &'a mut dyn Write,
    /// The person at the terminal; absent where there is none to ask.
    pub ask: Option<&'a mut Ask<'a>>,
}

impl Console<'_> {
    /// Asks for a line; nothing where there is nobody to ask.
    ///
    /// # Errors
    /// The terminal cannot be read.
    pub fn question(&mut self, question: &str) -> io::Result<Option<String>> {
        match &mut self.ask {
            Some(ask) => ask(question).map(|line| Some(line.trim().to_owned())),
            None => Ok(None),
        }
    }
}

impl fmt::Debug for Console<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Console")
            .field("can_ask", &self.ask.is_some())
            .finish_non_exhaustive()
    }
}
