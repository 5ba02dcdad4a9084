//! Words of a line that are kept as evidence.

/// How much of a line is kept. The driver's longest are some 300 characters; evidence is stored and
/// shown for every incident.
const LONGEST: usize = 512;

/// Text fit to be stored and shown. The name of a process is its owner's choice: without this it
/// could bring line ends and terminal controls into an operator's screen.
pub(super) fn plain(text: &str) -> String {
    let shown = |c: char| if c.is_control() { ' ' } else { c };
    let shown: String = text.trim().chars().map(shown).take(LONGEST).collect();
    shown.trim().to_owned()
}

/// A decimal number without a sign.
pub(super) fn decimal(text: &str) -> Option<u32> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| plain)
}

/// A number written `0x…`.
pub(super) fn hexadecimal(text: &str) -> Option<u32> {
    let digits = text.strip_prefix("0x")?;
    let plain = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    u32::from_str_radix(digits, 16).ok().filter(|_| plain)
}
