//! Go's legacy `math/rand`, draw for draw.
//!
//! The published results were made with it, so an arrival order for a seed can be had from the lists
//! alone, without a file of events. It is an additive lagged Fibonacci generator: each number is the
//! sum, modulo 2^64, of those 607 and 273 before it.
//!
//! Go starts it from a table of 607 numbers that were worked out by running a simply seeded generator
//! 7.8 × 10^12 steps. That table is not copied here: the recurrence is linear, so x^7800000000000
//! modulo its polynomial jumps there in 43 squarings, which takes milliseconds.

use std::sync::OnceLock;

const LENGTH: usize = 607;
const TAP: usize = 273;

/// The steps by which Go's authors let the generator run in.
const RUN_IN: u64 = 7_800_000_000_000;

/// `rand.New(rand.NewSource(seed))`.
#[derive(Debug, Clone)]
pub struct GoRandom {
    numbers: [u64; LENGTH],
    tap: usize,
    feed: usize,
}

impl GoRandom {
    /// Of this seed.
    pub fn new(seed: u64) -> Self {
        static RUN_IN_TABLE: OnceLock<[u64; LENGTH]> = OnceLock::new();
        let mut numbers = simply_seeded(seed, 40, 20);
        let table = RUN_IN_TABLE.get_or_init(run_in);
        numbers
            .iter_mut()
            .zip(table)
            .for_each(|(number, more)| *number ^= more);
        Self {
            numbers,
            tap: 0,
            feed: LENGTH - TAP,
        }
    }

    /// `Int63()`, which also is `Int()` on 64 bits: 63 bits.
    pub const fn int63(&mut self) -> u64 {
        self.tap = (self.tap + LENGTH - 1) % LENGTH;
        self.feed = (self.feed + LENGTH - 1) % LENGTH;
        let next = self.numbers[self.feed].wrapping_add(self.numbers[self.tap]);
        self.numbers[self.feed] = next;
        next & (u64::MAX >> 1)
    }

    /// `Intn(n)`, for 1 to 2^31 - 1: a number below `n`.
    pub fn below(&mut self, n: u32) -> u32 {
        let mut draw = || low_half(self.int63() >> 32);
        if n.is_power_of_two() {
            return draw() & (n - 1);
        }
        let most = (1_u32 << 31) - 1 - (1_u32 << 31) % n;
        loop {
            let drawn = draw();
            if drawn <= most {
                return drawn % n;
            }
        }
    }

    /// `Shuffle`.
    pub fn shuffle<T>(&mut self, things: &mut [T]) {
        for at in (1..things.len()).rev() {
            let n = u32::try_from(at + 1).expect("a list far shorter than 2^32");
            let other = usize::try_from(self.below_for_shuffle(n)).expect("a position");
            things.swap(at, other);
        }
    }

    /// `Perm(n)`.
    pub fn permutation(&mut self, n: u32) -> Vec<u32> {
        let mut order = Vec::new();
        for at in 0..n {
            let from = usize::try_from(self.below(at + 1)).expect("a position");
            order.push(at);
            let last = order.len() - 1;
            order[last] = order[from];
            order[from] = at;
        }
        order
    }

    /// What `Shuffle` draws with: Lemire's multiplication, unlike `Intn`.
    fn below_for_shuffle(&mut self, n: u32) -> u32 {
        loop {
            let product = u64::from(low_half(self.int63() >> 31)) * u64::from(n);
            let low = low_half(product);
            if low >= n || low >= n.wrapping_neg() % n {
                return low_half(product >> 32);
            }
        }
    }
}

/// The lower 32 bits.
fn low_half(number: u64) -> u32 {
    u32::try_from(number & u64::from(u32::MAX)).expect("32 bits")
}

/// 607 numbers from a multiplicative generator modulo 2^31 - 1, three draws each.
fn simply_seeded(seed: u64, first: u32, second: u32) -> [u64; LENGTH] {
    const MODULUS: u64 = (1 << 31) - 1;
    let mut draw = match seed % MODULUS {
        0 => 89_482_311,
        seed => seed,
    };
    let mut next = || {
        draw = draw * 48_271 % MODULUS;
        draw
    };
    for _ in 0..20 {
        next();
    }
    std::array::from_fn(|_| next() << first ^ next() << second ^ next())
}

/// Go's table: where a generator stands after [`RUN_IN`] steps from seed 1.
fn run_in() -> [u64; LENGTH] {
    let start = simply_seeded(1, 20, 10);
    // The oldest number stands below the feed, and time runs downwards from there.
    let place = |step: usize| (2 * LENGTH - TAP - 1 - step % LENGTH) % LENGTH;
    let mut series: Vec<u64> = (0..LENGTH).map(|step| start[place(step)]).collect();
    for step in LENGTH..2 * LENGTH {
        series.push(series[step - LENGTH].wrapping_add(series[step - TAP]));
    }
    let jump = power_of_x(RUN_IN);
    let mut table = [0; LENGTH];
    let run_in = usize::try_from(RUN_IN % LENGTH as u64).expect("below 607");
    for ahead in 0..LENGTH {
        let terms = jump.iter().zip(&series[ahead..]);
        let number = terms.fold(0_u64, |sum, (a, b)| sum.wrapping_add(a.wrapping_mul(*b)));
        table[place(run_in + ahead)] = number;
    }
    table
}

/// x^power modulo x^607 - x^334 - 1, coefficients modulo 2^64, lowest first.
fn power_of_x(power: u64) -> Vec<u64> {
    let mut value = vec![0_u64; LENGTH];
    value[0] = 1;
    for bit in (0..u64::BITS).rev() {
        let mut square = vec![0_u64; 2 * LENGTH];
        for (at, a) in value.iter().enumerate() {
            for (sum, b) in square[at..].iter_mut().zip(&value) {
                *sum = sum.wrapping_add(a.wrapping_mul(*b));
            }
        }
        if power >> bit & 1 == 1 {
            square.insert(0, 0);
        }
        for high in (LENGTH..square.len()).rev() {
            let carried = square[high];
            square[high - LENGTH] = square[high - LENGTH].wrapping_add(carried);
            square[high - TAP] = square[high - TAP].wrapping_add(carried);
        }
        square.truncate(LENGTH);
        value = square;
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first numbers of the table in Go's source, and what any Go program prints for seed 1.
    #[test]
    fn it_is_gos() {
        let table = run_in().map(u64::cast_signed);
        let known = [-4_181_792_142_133_755_926, -4_576_982_950_128_230_565];
        assert_eq!(table[..2], known);
        let mut random = GoRandom::new(1);
        let hundred: Vec<u32> = (0..6).map(|_| random.below(100)).collect();
        assert_eq!(hundred, [81, 87, 47, 59, 81, 18]);
    }

    #[test]
    fn a_permutation_has_every_number_once() {
        let mut order = GoRandom::new(42).permutation(500);
        order.sort_unstable();
        assert!(order.into_iter().eq(0..500));
    }
}
