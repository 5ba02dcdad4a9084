//! Parsers for what is typed: words of closed lists, where an error and the shell's completion both name
//! the whole list, and quantities with their units.

use clap::builder::{PossibleValuesParser, TypedValueParser};
use leasehold_common::class::{Class, Side};
use leasehold_common::ids::NodeName;
use leasehold_common::lease::LeaseState;
use leasehold_common::mig::MigProfile;
use leasehold_common::node::{NodeState, Verdict};
use leasehold_common::time::{Span, Timestamp};
use leasehold_common::topology::{Locality, Prefix};

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
    /// `healthy` … `lost`.
    verdict: Verdict,
}

/// When something ends: after a length of time, or at an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// After so long.
    After(Span),
    /// Then.
    At(Timestamp),
}

/// `24h`, or `2026-12-01T22:00:00Z`.
pub(super) fn end(text: &str) -> Result<End, String> {
    let length = text.parse().map(End::After);
    length.or_else(|_| text.parse().map(End::At)).map_err(|_| {
        "a length of time such as 24h, or an instant such as 2026-12-01T22:00:00Z".into()
    })
}

/// `h001/3`, or `h001:3`.
pub(super) fn gpu(text: &str) -> Result<(NodeName, u32), String> {
    let (node, slot) = text
        .rsplit_once(['/', ':'])
        .ok_or("a node and a number, such as h001/3")?;
    let node = node.parse().map_err(|e| format!("{e}"))?;
    let slot = slot
        .parse()
        .map_err(|_| format!("{slot:?} is no number of a GPU, such as 3"))?;
    Ok((node, slot))
}

/// How many nodes: `16`, or `12..16` for 16 and 12 at least.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// How many are wanted.
    pub wanted: u32,
    /// The fewest that will do; absent where all are needed.
    pub at_least: Option<u32>,
}

/// A power budget in watts; absent for no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watts(pub Option<u64>);

/// A count; how many there may be, the scheduler knows.
pub(super) fn number(text: &str) -> Result<u32, String> {
    text.parse()
        .map_err(|_| format!("{text:?} is no count: a whole number, 1 or more"))
}

/// A count of nodes, or a range of them.
pub(super) fn count(text: &str) -> Result<Count, String> {
    match text.split_once("..") {
        None => Ok(Count {
            wanted: number(text)?,
            at_least: None,
        }),
        Some((least, wanted)) => {
            let (least, wanted) = (number(least)?, number(wanted)?);
            if least > wanted {
                return Err(format!(
                    "MIN..N with MIN up to N: {least} is more than {wanted}"
                ));
            }
            Ok(Count {
                wanted,
                at_least: Some(least),
            })
        }
    }
}

/// Slices of one profile: `1g.18gb:3`.
pub(super) fn slices(text: &str) -> Result<(MigProfile, u32), String> {
    let (profile, count) = text
        .split_once(':')
        .ok_or_else(|| format!("{text:?} is not PROFILE:N, such as 1g.18gb:3"))?;
    let profile = profile.parse::<MigProfile>().map_err(|e| e.to_string())?;
    Ok((profile, number(count)?))
}

/// A place; `cell` and `/` are the whole cell.
pub(super) fn prefix(text: &str) -> Result<Prefix, String> {
    match text {
        "cell" => Ok(Prefix::cell()),
        text => text.parse().map_err(|e| format!("{e}, or cell")),
    }
}

/// `420kW`, `1.2MW`, `9000`, `unlimited`.
pub(super) fn watts(text: &str) -> Result<Watts, String> {
    let allowed = "whole watts, a power such as 420kW or 1.2MW, or unlimited";
    if text == "unlimited" {
        return Ok(Watts(None));
    }
    let units = [("GW", 9), ("MW", 6), ("kW", 3), ("W", 0), ("", 0)];
    let (digits, places) = units
        .iter()
        .find_map(|(unit, places)| Some((text.strip_suffix(unit)?, *places)))
        .expect("every text ends with nothing");
    scaled(digits.trim_end(), places)
        .map(|watts| Watts(Some(watts)))
        .ok_or_else(|| allowed.to_owned())
}

/// `2026-12-02T06:00:00Z=420kW`.
pub(super) fn later_watts(text: &str) -> Result<(Timestamp, Watts), String> {
    let (at, power) = text
        .split_once('=')
        .ok_or("an instant and a power such as 2026-12-02T06:00:00Z=420kW")?;
    let at = at.parse().map_err(|e| format!("{e}"))?;
    Ok((at, watts(power)?))
}

/// `32` or `0.5` hardware threads, in thousandths.
pub(super) fn cpus(text: &str) -> Result<u64, String> {
    scaled(text, 3).ok_or_else(|| "a number of hardware threads such as 32 or 0.5".to_owned())
}

/// `512GiB`, `1.5TiB`, `900MiB`, in MiB.
pub(super) fn mebibytes(text: &str) -> Result<u64, String> {
    let allowed = || "a size such as 512GiB, 1.5TiB or 900MiB".to_owned();
    let units = [("TiB", 1 << 20), ("GiB", 1 << 10), ("MiB", 1)];
    let (digits, mebibytes) = units
        .iter()
        .find_map(|(unit, size)| Some((text.strip_suffix(unit)?, *size)))
        .ok_or_else(allowed)?;
    let thousandths = scaled(digits.trim_end(), 3).ok_or_else(allowed)?;
    let whole = thousandths.checked_mul(mebibytes).ok_or_else(allowed)?;
    Ok(whole / 1000)
}

/// A decimal number with at most `places` decimals, times ten to the `places`: no float, so that
/// `0.1` is what it says.
fn scaled(text: &str, places: u32) -> Option<u64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let given = u32::try_from(part.len()).ok()?;
    if whole.is_empty() || !digits(whole) || !digits(part) || given > places {
        return None;
    }
    let part: u64 = if part.is_empty() {
        0
    } else {
        part.parse().ok()?
    };
    let whole = whole.parse::<u64>().ok()?;
    let whole = whole.checked_mul(10_u64.checked_pow(places)?)?;
    whole.checked_add(part * 10_u64.pow(places - given))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn power_is_read_as_people_write_it() {
        let read = |text| watts(text).ok().map(|watts| watts.0);
        assert_eq!(read("420kW"), Some(Some(420_000)));
        assert_eq!(read("1.2MW"), Some(Some(1_200_000)));
        assert_eq!(read("1.25 GW"), Some(Some(1_250_000_000)));
        assert_eq!(read("9000"), Some(Some(9_000)));
        assert_eq!(read("700W"), Some(Some(700)));
        assert_eq!(read("unlimited"), Some(None));
        for bad in [
            "",
            "kW",
            "-5kW",
            "1.2345kW",
            "0.5W",
            "1e6",
            "420kw",
            "99999999999GW",
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
        let (at, power) = later_watts("2026-12-02T06:00:00Z=420kW").unwrap();
        assert_eq!(
            (at.to_string().as_str(), power.0),
            ("2026-12-02T06:00:00.000Z", Some(420_000))
        );
    }

    #[test]
    fn counts_sizes_and_places_are_read_as_people_write_them() {
        assert_eq!(count("16").unwrap().at_least, None);
        assert_eq!(count("12..16").unwrap().at_least, Some(12));
        assert!(count("16..12").unwrap_err().contains("16 is more than 12"));
        assert!(count("many").is_err());
        assert_eq!(cpus("0.5"), Ok(500));
        assert_eq!(mebibytes("1.5TiB"), Ok(3 << 19));
        assert!(mebibytes("512").is_err());
        assert_eq!(end("90m"), Ok(End::After(Span::from_mins(90))));
        let at = "2026-12-01T22:00:00Z";
        assert_eq!(end(at), Ok(End::At(at.parse().unwrap())));
        assert!(end("soon").unwrap_err().contains("24h"));
        assert_eq!(gpu("h-1/3"), Ok(("h-1".parse().unwrap(), 3)));
        assert!(gpu("h001").is_err() && gpu("h001/x").is_err());
        assert_eq!(prefix("cell"), Ok(Prefix::cell()));
        assert_eq!(prefix("/"), Ok(Prefix::cell()));
        assert!(prefix("a//b").is_err());
    }
}
