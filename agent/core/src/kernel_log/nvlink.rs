//! XIDs 144 to 150: errors of `NVLink` 5 and later.

use super::severity::Severity;
use super::text::{decimal, hexadecimal, plain};
use std::ops::RangeInclusive;

/// The XIDs whose text is of this form.
pub(super) const NVLINK_XIDS: RangeInclusive<u32> = 144..=150;

/// More words than the driver prints (six) are not kept.
const MOST_WORDS: usize = 16;

/// An error of a link, as far as its text says.
///
/// `RLW_SRC_TRACK Nonfatal XC1 i0 Link 12 (0x040988e2 0x00000008 0x00000000 …)`; before R575 it ends
/// in `XC 1 i 0 Link 12 [0x0000000a]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NvlinkError {
    /// The unit that reports it, such as `RLW_SRC_TRACK` or `MSE Degraded`.
    pub unit: String,
    /// What the line says; the error's status decides with the unit whether a reset is due.
    pub severity: Severity,
    /// The link. Nothing where it concerns all of them (`Link -1`).
    pub link: Option<u32>,
    /// The words in brackets, in their order: interrupt information, error status, debug data.
    pub words: Vec<u32>,
}

impl NvlinkError {
    /// Reads the text of such an XID. The last word of severity counts: what comes before may be
    /// the name of a process.
    pub(super) fn read(text: &str) -> Option<Self> {
        let (at, word, severity) = words(text)
            .filter_map(|(at, word)| Some((at, word, Severity::read(word)?)))
            .last()?;
        let (before, after) = (&text[..at], &text[at + word.len()..]);
        let unit = before.rsplit(", ").next().map(plain)?;
        if unit.is_empty() {
            return None;
        }
        let after_link = words(after).skip_while(|(_, word)| *word != "Link").nth(1);
        let link = after_link.and_then(|(_, word)| decimal(word));
        let group = after
            .rfind(['(', '['])
            .map_or("", |open| &after[open + 1..]);
        let group = group.split([')', ']']).next().unwrap_or_default();
        let words = words(group)
            .map_while(|(_, word)| hexadecimal(word))
            .take(MOST_WORDS)
            .collect();
        Some(Self {
            unit,
            severity,
            link,
            words,
        })
    }

    /// What interrupted: the first word.
    pub fn interrupt_info(&self) -> Option<u32> {
        self.words.first().copied()
    }

    /// Which errors: the second word, the one that NVIDIA's sheet decodes.
    pub fn error_status(&self) -> Option<u32> {
        self.words.get(1).copied()
    }
}

/// Words between spaces, each with where it begins.
fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.split_whitespace()
        .map(|word| (word.as_ptr().addr() - text.as_ptr().addr(), word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> NvlinkError {
        NvlinkError::read(text).unwrap()
    }

    #[test]
    fn unit_severity_link_and_words_are_read() {
        let error = read(
            "RLW_SRC_TRACK Nonfatal XC1 i0 Link 12 (0x040988e2 0x00000008 0x00000000 0x00000000 0x00000000 0x00000000)",
        );
        assert_eq!(
            (error.unit.as_str(), error.severity),
            ("RLW_SRC_TRACK", Severity::NonFatal)
        );
        assert_eq!((error.link, error.words.len()), (Some(12), 6));
        assert_eq!(error.interrupt_info(), Some(0x0409_88e2));
        assert_eq!(error.error_status(), Some(8));
    }

    #[test]
    fn every_form_of_it_is_read() {
        let event = read("NETIR_LINK_EVT  Fatal   XC0 i0 Link 09 (0x025525c6 0x00000000)");
        assert_eq!(
            (event.unit.as_str(), event.severity),
            ("NETIR_LINK_EVT", Severity::Fatal)
        );
        let before_r575 = read("NETIR_LINK_EVT Fatal XC 1 i 2 Link 01 [0x0000000a]");
        assert_eq!((before_r575.link, before_r575.words), (Some(1), vec![10]));
        let all_links = read("MSE Degraded Fatal XC0 i0 Link -1 (0x00000000 0x00000001)");
        assert_eq!(
            (all_links.unit.as_str(), all_links.link),
            ("MSE Degraded", None)
        );
        assert_eq!(all_links.error_status(), Some(1));
        let bare = read("NVLPW_CTRL Fatal XC0 i0 Link 05");
        assert_eq!((bare.link, bare.error_status()), (Some(5), None));
        let cut = read("TLW_CTRL Nonfatal XC0 i0 Link 0 (0x00000001 0x0000");
        assert_eq!(cut.words, [1, 0], "as far as it goes");
    }

    #[test]
    fn a_process_cannot_have_its_name_taken_for_a_unit() {
        let error = read(
            "RLW_CTRL Fatal XC0 i0 Link 1 (0x1 0x2), TREX Nonfatal XC0 i0 Link 3 (0x5 0x80000000)",
        );
        assert_eq!(
            (error.unit.as_str(), error.severity),
            ("TREX", Severity::NonFatal)
        );
        assert_eq!(error.words, [5, 0x8000_0000]);
    }

    #[test]
    fn other_text_is_nothing() {
        for text in [
            "",
            "Fatal",
            "driver-specific detail",
            "Fatal XC0 Link 1 (0x1)",
            "NonfatalX 1",
        ] {
            assert_eq!(NvlinkError::read(text), None, "{text:?}");
        }
    }
}
