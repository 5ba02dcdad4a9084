//! The power book against arrays with one number for each minute, which cannot be wrong.

mod oracle;
mod properties;
mod stories;
