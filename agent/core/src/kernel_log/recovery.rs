//! XID 154: the driver says what it wants done with the GPU.

use super::text::{hexadecimal, plain};

/// A change of the driver's recovery action.
///
/// `GPU recovery action changed from 0x0 (None) to 0x1 (GPU Reset Required)`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecoveryChange {
    /// What it wanted before.
    pub from: DriverAction,
    /// What it wants now.
    pub to: DriverAction,
}

/// A recovery action as the log has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DriverAction {
    /// NVML's number of it, as in field 230 (`NVML_FI_DEV_GET_GPU_RECOVERY_ACTION`): 0 none, 1 reset
    /// the GPU, 2 reboot the node, 3 drain peer-to-peer, 4 drain and reset. Decide by this one.
    pub code: u32,
    /// The driver's words for it, empty where there are none. They differ between drivers for the
    /// same number: 2 is `Node Reboot Required` and `OS Reboot`.
    pub words: String,
}

impl RecoveryChange {
    /// Reads the text of an XID 154. The last change in it counts: what comes before may be the
    /// name of a process.
    pub(super) fn read(text: &str) -> Option<Self> {
        let start = text.rfind("changed from ")? + "changed from ".len();
        let (from, rest) = DriverAction::read(&text[start..])?;
        let (to, _) = DriverAction::read(rest.trim_start().strip_prefix("to ")?)?;
        Some(Self { from, to })
    }
}

impl DriverAction {
    fn read(text: &str) -> Option<(Self, &str)> {
        let text = text.trim_start();
        let end = text
            .find(|c: char| !c.is_ascii_alphanumeric())
            .unwrap_or(text.len());
        let code = hexadecimal(&text[..end])?;
        let rest = &text[end..];
        let (words, rest) = rest
            .trim_start()
            .strip_prefix('(')
            .and_then(|words| words.split_once(')'))
            .unwrap_or(("", rest));
        let words = plain(words);
        Some((Self { code, words }, rest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(text: &str) -> Option<(u32, String)> {
        RecoveryChange::read(text).map(|change| (change.to.code, change.to.words))
    }

    #[test]
    fn the_new_action_is_read_with_the_drivers_words() {
        let change = RecoveryChange::read(
            "GPU recovery action changed from 0x1 (GPU Reset Required) to 0x0 (None)",
        )
        .unwrap();
        assert_eq!(
            (change.from.code, change.from.words.as_str()),
            (1, "GPU Reset Required")
        );
        assert_eq!((change.to.code, change.to.words.as_str()), (0, "None"));
    }

    #[test]
    fn an_action_nobody_knows_is_read_too() {
        let text = "GPU recovery action changed from 0x0 (None) to 0x1f (Something New)";
        assert_eq!(to(text), Some((0x1f, "Something New".to_owned())));
    }

    #[test]
    fn a_process_cannot_have_its_name_taken_for_the_drivers_wish() {
        let text = "changed from 0x0 (None) to 0x0 (None), GPU recovery action changed from 0x0 (None) to 0x2 (OS Reboot)";
        assert_eq!(to(text), Some((2, "OS Reboot".to_owned())));
    }

    #[test]
    fn what_is_cut_off_is_read_as_far_as_it_is_certain() {
        assert_eq!(
            to("changed from 0x0 (None) to 0x2 (Node Re"),
            Some((2, String::new()))
        );
        assert_eq!(
            to("changed from 0x0 (None) to 0x2"),
            Some((2, String::new()))
        );
        for text in [
            "",
            "GPU recovery action changed",
            "changed from ",
            "changed from 0x0 (None)",
            "changed from 0x0 (None) to ",
            "changed from 0x0 (None) to 0x",
            "changed from 0x0 (None) to 2",
            "changed from 0x0 (None) to 0x1ffffffff (Too Large)",
            "changed from none to 0x1",
        ] {
            assert_eq!(to(text), None, "{text:?}");
        }
    }
}
