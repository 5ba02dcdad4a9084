//! Times as people read them in a column. Always UTC, marked as such: operators of a fleet sit in
//! many places.

use leasehold_common::time::{Span, Timestamp};

/// `2026-11-22T09:14Z` for tables, one word and still RFC 3339 in style; the exact time is in the
/// JSON.
pub fn minute(at: Timestamp) -> String {
    cut(at, 16)
}

/// `2026-11-22T09:14:02Z`.
pub fn second(at: Timestamp) -> String {
    cut(at, 19)
}

fn cut(at: Timestamp, length: usize) -> String {
    at.to_string().chars().take(length).chain(['Z']).collect()
}

/// The two largest units of a length of time: `3d4h`, `12m5s`, `0s`.
pub fn rough(span: Span) -> String {
    let seconds = span.millis() / 1000;
    let unit = match seconds {
        0..3_600 => 1,
        3_600..86_400 => 60,
        _ => 3_600,
    };
    Span::from_secs(seconds / unit * unit).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_short_enough_for_a_column() {
        let at: Timestamp = "2026-11-22T09:14:02.345Z".parse().unwrap();
        assert_eq!(minute(at), "2026-11-22T09:14Z");
        assert_eq!(second(at), "2026-11-22T09:14:02Z");
        assert_eq!(rough(Span::from_millis(725_999)), "12m5s");
        assert_eq!(rough(Span::from_secs(7_265)), "2h1m");
        assert_eq!(rough(Span::from_hours(76)), "3d4h");
        assert_eq!(rough(Span::from_millis(12)), "0s");
    }
}
