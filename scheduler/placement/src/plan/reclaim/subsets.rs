//! Subsets of a few things, told apart by bits.

/// The most leases of which every set is tried.
pub(super) const FEW: usize = 12;

/// The smallest sets of `n` things that suffice: those that do and have none in them that does.
/// `n` is at most [`FEW`], and whatever suffices does so with more.
pub(super) fn smallest(n: usize, mut suffices: impl FnMut(u16) -> bool) -> Vec<u16> {
    let mut enough = vec![false; 1 << n];
    let mut found: Vec<u16> = Vec::new();
    // A set comes after those that are in it, because its number is larger.
    for set in 0..1_u16 << n {
        let one_less = (0..n)
            .filter(|at| set >> at & 1 == 1)
            .map(|at| set & !(1 << at));
        let has_enough = one_less.into_iter().any(|less| enough[usize::from(less)]);
        if !has_enough && suffices(set) {
            found.push(set);
        }
        enough[usize::from(set)] = has_enough || found.last() == Some(&set);
    }
    found
}

/// What a set picks out of things in their order.
pub(super) fn picked<T>(things: &[T], set: u16) -> impl Iterator<Item = &T> {
    let things = things.iter().enumerate();
    things
        .filter(move |(at, _)| set >> at & 1 == 1)
        .map(|(_, thing)| thing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_with_a_sufficient_one_in_them_are_not_tried() {
        let mut tried = Vec::new();
        let found = smallest(3, |set| {
            tried.push(set);
            set & 0b011 != 0
        });
        assert_eq!(found, [0b001, 0b010]);
        assert_eq!(tried, [0, 0b001, 0b010, 0b100]);
        assert_eq!(picked(&['a', 'b', 'c'], 0b101).collect::<String>(), "ac");
    }
}
