//! Sets of host names as operators write them: `h[001-016,020]`, `r[1-2]n[01-18]`.
//!
//! A hostlist is a *set*: [`expand`] gives each name once, in natural order (`h9` before `h10`),
//! whatever the order it was written in. [`fold`] writes a set as shortly as whole products of
//! numeric fields allow, and `expand(fold(x))` is always `x`, sorted and without duplicates. Zero
//! padding belongs to the name: `h1` and `h01` are two hosts.
//!
//! The notation is that of Slurm and ClusterShell, less their set operators. Hostlists are for
//! people; records hold node indices.

mod expand;
mod fold;
mod natural;

pub use expand::expand;
pub use fold::fold;
pub use natural::natural_order;

/// The most names one hostlist may expand to: the nodes of eight of the largest cells. A slip such
/// as `h[1-9999999999]` has to become a message, not a gigabyte.
pub const EXPAND_MAX: usize = 1_000_000;

/// The longest name a hostlist may give, as long as a node's name may be.
pub const NAME_LEN_MAX: usize = 128;

/// Whether `c` may stand in a host name; everything else in a hostlist is notation or a mistake.
const fn is_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')
}

/// Text that is no hostlist. Positions count characters from 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HostlistError {
    /// A `[` without its `]`.
    #[error("the bracket opened at character {at} is not closed")]
    UnclosedBracket {
        /// Where the bracket opens.
        at: usize,
    },
    /// A `]` without its `[`.
    #[error("the bracket closed at character {at} was not opened")]
    UnopenedBracket {
        /// Where the bracket closes.
        at: usize,
    },
    /// Nothing where a number or a range belongs, as in `h[]`, `h[1,]` and `h[1-]`.
    #[error("empty range at character {at}: wanted a number such as 7 or a range such as 001-016")]
    EmptyRange {
        /// Where the number was expected.
        at: usize,
    },
    /// Nothing where a name belongs, as in `a,,b`.
    #[error("empty name at character {at}")]
    EmptyName {
        /// Where the name was expected.
        at: usize,
    },
    /// A range that ends before it begins.
    #[error("range {from}-{to} at character {at} runs backwards: write {to}-{from}")]
    Reversed {
        /// Where the range begins.
        at: usize,
        /// Its first number, as written.
        from: String,
        /// Its last number, as written.
        to: String,
    },
    /// A padded range whose ends differ in width, which tools read in different ways.
    #[error("range {from}-{to} at character {at} pads its ends differently: give both one width")]
    Padding {
        /// Where the range begins.
        at: usize,
        /// Its first number, as written.
        from: String,
        /// Its last number, as written.
        to: String,
    },
    /// A character that belongs to no name and to no range.
    #[error("character {found:?} at {at} is not allowed {place}")]
    IllegalCharacter {
        /// Where it stands.
        at: usize,
        /// The character.
        found: char,
        /// What is allowed there.
        place: &'static str,
    },
    /// A range end beyond what can be counted.
    #[error("number {number} at character {at} is too large for a range: up to 18 digits")]
    NumberTooLarge {
        /// Where the number begins.
        at: usize,
        /// The number, cut to 80 digits.
        number: String,
    },
    /// A name longer than [`NAME_LEN_MAX`].
    #[error("the name at character {at} is too long: up to {NAME_LEN_MAX} characters")]
    NameTooLong {
        /// Where the name begins.
        at: usize,
    },
    /// More names than [`EXPAND_MAX`].
    #[error("the list gives more than {EXPAND_MAX} names by character {at}")]
    TooMany {
        /// Where the name begins that exceeds the limit.
        at: usize,
    },
}

#[cfg(test)]
mod tests;
