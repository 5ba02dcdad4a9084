//! Parsers for words of closed lists: an error and the shell's completion both name the whole list.
//! And for counts, which say what is allowed; how many there may be, the scheduler knows.

use clap::builder::{PossibleValuesParser, TypedValueParser};
use leasehold_common::class::{Class, Side};
use leasehold_common::lease::LeaseState;
use leasehold_common::node::NodeState;
use leasehold_common::topology::Locality;

macro_rules! word_parser {
    ($($(#[$doc:meta])* $name:ident: $word:ty,)+) => {
        $($(#[$doc])*
        pub(super) fn $name() -> impl TypedValueParser<Value = $word> {
            PossibleValuesParser::new(<$word>::ALL.iter().map(|word| word.as_str()))
                .try_map(|word| word.parse::<$word>())
        })+
    };
}

word_parser! {
    /// `internal`, `tenant`.
    side: Side,
    /// `internal-critical` … `spot`.
    class: Class,
    /// `requested` … `failed`.
    lease_state: LeaseState,
    /// `registering` … `retired`.
    node_state: NodeState,
    /// `domain` … `cell`.
    locality: Locality,
}

/// How much hardware is asked for.
pub(super) fn count(text: &str) -> Result<u32, String> {
    text.parse()
        .map_err(|_| format!("{text:?} is no count: a whole number, 1 or more"))
}
