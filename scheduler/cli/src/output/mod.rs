//! How what was found is written: tables and names from types of the control API, JSON from the
//! scheduler's own words.

pub mod json;
pub mod table;
pub mod time;

use crate::args::Format;
use crate::client::Answer;
use crate::failure::Failure;
use serde::de::DeserializeOwned;

/// Something that can be shown to people and named for scripts.
pub trait Show: DeserializeOwned {
    /// What a table cannot be made without besides the value.
    type With;

    /// As a table or a page of text; more of it where `wide`.
    fn text(&self, with: &Self::With, wide: bool, headings: bool) -> String;

    /// Its name or number, or those of its items, one a line.
    fn names(&self) -> Vec<String>;
}

/// An answer in the format asked for, ending with a line break unless it is empty.
///
/// # Errors
/// An answer of another form than expected.
pub fn rendered<T: Show>(
    answer: &Answer,
    format: Format,
    headings: bool,
    with: &T::With,
) -> Result<String, Failure> {
    Ok(match format {
        Format::Table => answer.read::<T>()?.text(with, false, headings),
        Format::Wide => answer.read::<T>()?.text(with, true, headings),
        Format::Json => json::indented(answer.text()?) + "\n",
        Format::Jsonl => json::lines(answer.text()?)
            .into_iter()
            .map(|line| line.into_owned() + "\n")
            .collect(),
        Format::Name => answer
            .read::<T>()?
            .names()
            .into_iter()
            .map(|name| name + "\n")
            .collect(),
    })
}
