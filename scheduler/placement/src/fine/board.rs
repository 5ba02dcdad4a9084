//! One kind of request's scores of all nodes, kept in a tournament.
//!
//! The nodes of each model are a binary tournament of their own: leaves are scores, each inner place
//! holds the better of its two, the root the best of all. A changed node replays its own matches
//! only, up to the first whose result stays. The leaves stand in order of rank, and a tie goes to
//! the left, so that the smallest rank wins among equals.

/// The score of a node without room. No score of one with room is as low.
pub(super) const NO_ROOM: i32 = i32::MIN;

/// A tournament among nodes.
#[derive(Debug, Clone)]
pub(super) struct Tournament {
    /// Place 1 is the root, the children of `n` are `2n` and `2n + 1`, the second half are leaves.
    places: Vec<i32>,
}

impl Tournament {
    /// Of these leaves.
    pub(super) fn new(leaves: impl ExactSizeIterator<Item = i32>) -> Self {
        let width = leaves.len().next_power_of_two();
        let mut places = vec![NO_ROOM; 2 * width];
        for (place, score) in places[width..].iter_mut().zip(leaves) {
            *place = score;
        }
        for at in (1..width).rev() {
            places[at] = places[2 * at].max(places[2 * at + 1]);
        }
        Self { places }
    }

    /// Gives a leaf a new score.
    pub(super) fn set(&mut self, leaf: usize, score: i32) {
        let mut at = self.places.len() / 2 + leaf;
        if self.places[at] == score {
            return;
        }
        self.places[at] = score;
        while at > 1 {
            at /= 2;
            let better = self.places[2 * at].max(self.places[2 * at + 1]);
            if self.places[at] == better {
                return;
            }
            self.places[at] = better;
        }
    }

    /// The best score, and the first leaf that has it; absent where no node has room.
    pub(super) fn best(&self) -> Option<(i32, usize)> {
        let best = self.places[1];
        if best == NO_ROOM {
            return None;
        }
        let width = self.places.len() / 2;
        let mut at = 1;
        while at < width {
            at *= 2;
            at += usize::from(self.places[at] != best);
        }
        Some((best, at - width))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_the_best_wins() {
        let mut tournament = Tournament::new([3, 9, NO_ROOM, 9, 1].into_iter());
        assert_eq!(tournament.best(), Some((9, 1)));
        tournament.set(1, 2);
        assert_eq!(tournament.best(), Some((9, 3)));
        tournament.set(3, NO_ROOM);
        assert_eq!(tournament.best(), Some((3, 0)));
        tournament.set(4, 3);
        assert_eq!(tournament.best(), Some((3, 0)));
        for leaf in 0..5 {
            tournament.set(leaf, NO_ROOM);
        }
        assert_eq!(tournament.best(), None);
    }

    #[test]
    fn one_node_and_none_are_tournaments_too() {
        assert_eq!(Tournament::new([5].into_iter()).best(), Some((5, 0)));
        assert_eq!(Tournament::new([].into_iter()).best(), None);
    }
}
