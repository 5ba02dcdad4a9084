//! Settings: fragments → inputs → settings.
//!
//! ```text
//!   scheduler.toml ┐
//!   scheduler.toml.d/*.toml ┤ fragments: each key alone, with its origin
//!   LEASEHOLD_SCHEDULER_LIVENESS__GRACE=30s ┤            │ the last one given wins
//!   --set liveness.grace=30s ┘                           ▼
//!                                         input: one value of the daemon's fragment type
//!                                                        │ defaults, bounds, what must be set
//!                                                        ▼
//!                                                     settings
//! ```
//!
//! The fragment type is a plain serde struct of optional fields, `deny_unknown_fields` and
//! `default` on every table. Because every field may be absent, each key can be tried on its own:
//! that is how all mistakes are found at once, and how each of them is known by its file and key,
//! its variable or its flag.
//!
//! Not here: the meaning of any key, and defaults. Those belong to the daemon that has the setting.

mod findings;
mod layers;
mod leaf;

pub use findings::{Finding, Findings, Origin, SettingsError};
pub use layers::Layers;
