//! Stories of verdicts.
