//! What the kernel's words after some XIDs say.

use super::rules::{Decode, Rules};

/// What an error of NVLink 5 comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum LinkFault {
    /// It is counted.
    Ignored,
    /// The driver's recovery action decides.
    Unclear,
    /// It takes a reset.
    Fatal,
}

/// Decodes XIDs 144 to 150: the unit is named in the words, the error status is their second
/// hexadecimal word.
pub(super) fn link_fault(code: u32, words: &str, rules: &Rules) -> LinkFault {
    let upper = words.to_ascii_uppercase();
    let unit = rules
        .nvlink5
        .iter()
        .filter(|decode| decode.xid == code && upper.contains(&decode.unit))
        .max_by_key(|decode| decode.unit.len());
    match (unit, hex_words(words).nth(1)) {
        (Some(unit), Some(status)) => unit.read(status),
        (Some(_) | None, _) => LinkFault::Unclear,
    }
}

impl Decode {
    fn read(&self, status: u32) -> LinkFault {
        let one = |value: u32| {
            if self.fatal.contains(&value) {
                LinkFault::Fatal
            } else if self.ignore.contains(&value) {
                LinkFault::Ignored
            } else {
                LinkFault::Unclear
            }
        };
        if !self.bits {
            return one(status);
        }
        (0..32)
            .map(|bit| status & (1 << bit))
            .filter(|bit| *bit != 0)
            .map(one)
            .max()
            .unwrap_or(LinkFault::Unclear)
    }
}

/// What XID 154 says that the driver wants now: `… changed from 0x0 (None) to 0x1 (GPU Reset)`.
pub(super) fn recovery_action(words: &str) -> Option<u32> {
    let (_, after) = words.rsplit_once(" to ")?;
    hex_words(after).next()
}

fn hex_words(words: &str) -> impl Iterator<Item = u32> {
    words
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter_map(|word| word.strip_prefix("0x").or_else(|| word.strip_prefix("0X")))
        .filter_map(|digits| u32::from_str_radix(digits, 16).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(code: u32, words: &str) -> LinkFault {
        link_fault(code, words, Rules::built_in())
    }

    #[test]
    fn the_unit_and_the_second_word_decide() {
        for (code, words, wanted) in [
            (
                144,
                "SAW_MVB Fatal XC0 i0 Link 02 (0x004505c6 0x00000002 0x0)",
                LinkFault::Fatal,
            ),
            (
                144,
                "SAW_MVB Nonfatal XC0 i0 Link 02 (0x1 0x1 0x0)",
                LinkFault::Ignored,
            ),
            (144, "SAW_MVB XC0 (0x1 0x00000011)", LinkFault::Fatal),
            (145, "RLW_REMAP Nonfatal (0x1 0x4)", LinkFault::Unclear),
            (145, "RLW_REMAP (0x1 0x80000000)", LinkFault::Ignored),
            (145, "RLW_TAGSTATE (0x1 0x20000)", LinkFault::Fatal),
            (146, "TLW_RX_PIPE1 (0x1 0x4)", LinkFault::Fatal),
            (147, "TREX (0x1 0x1)", LinkFault::Ignored),
            (149, "NETIR_INT (0x1 0x0)", LinkFault::Fatal),
            (149, "NETIR_BER_EVENT (0x1 0x3)", LinkFault::Ignored),
            (149, "NETIR_MFDE_EVENT (0x1 0x5)", LinkFault::Fatal),
            (149, "NETIR_LINK_DOWN (0x1 0x0)", LinkFault::Unclear),
            (150, "MSE_WATCHDOG (0x1 0x0)", LinkFault::Fatal),
            (
                150,
                "of a unit that is not known (0x1 0x0)",
                LinkFault::Unclear,
            ),
            (150, "MSE_WATCHDOG", LinkFault::Unclear),
            (144, "", LinkFault::Unclear),
        ] {
            assert_eq!(decoded(code, words), wanted, "{code} {words}");
        }
    }

    #[test]
    fn the_new_recovery_action_is_read_and_the_old_is_not() {
        let words = "GPU recovery action changed from 0x0 (None) to 0x1 (GPU Reset Required)";
        assert_eq!(recovery_action(words), Some(1));
        assert_eq!(
            recovery_action("changed from 0x2 (Node Reboot) to 0x0 (None)"),
            Some(0)
        );
        assert_eq!(recovery_action("to whom it may concern"), None);
        assert_eq!(recovery_action(""), None);
    }
}
