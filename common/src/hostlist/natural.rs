//! The order people expect: digits compare as numbers, everything else as text.

use std::cmp::Ordering;

/// Compares two names so that `h9` comes before `h10`. Numbers of equal value are ordered by their
/// padding (`1` before `01`), but only where nothing else tells the names apart, so that padding
/// does not tear a rack asunder.
pub fn natural_order(a: &str, b: &str) -> Ordering {
    let (mut left, mut right) = (a.as_bytes(), b.as_bytes());
    loop {
        match (left.first(), right.first()) {
            (Some(l), Some(r)) if l.is_ascii_digit() && r.is_ascii_digit() => {
                let (left_number, left_rest) = split_number(left);
                let (right_number, right_rest) = split_number(right);
                match compare_numbers(left_number, right_number) {
                    Ordering::Equal => (left, right) = (left_rest, right_rest),
                    unequal => return unequal,
                }
            }
            (Some(l), Some(r)) if l == r => (left, right) = (&left[1..], &right[1..]),
            (None, None) => break,
            (l, r) => return l.cmp(&r),
        }
    }
    a.len().cmp(&b.len()).then_with(|| b.cmp(a))
}

fn split_number(text: &[u8]) -> (&[u8], &[u8]) {
    text.split_at(text.iter().take_while(|c| c.is_ascii_digit()).count())
}

/// Compares digits by value without ever parsing them, because a name may hold more digits than an
/// integer does.
pub(super) fn compare_numbers(a: &[u8], b: &[u8]) -> Ordering {
    let (a, b) = (significant(a), significant(b));
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

fn significant(digits: &[u8]) -> &[u8] {
    &digits[digits.iter().take_while(|c| **c == b'0').count()..]
}
