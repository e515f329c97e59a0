//! Randomness as a function of (seed, event, purpose), so that any event can be made without those before it.

/// The increment of SplitMix64.
const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

/// The finalizer of SplitMix64 (Steele, Lea, Flood 2014).
fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

/// Maps 64 random bits to `0..n`.
pub(crate) fn below(bits: u64, n: u64) -> u64 {
    ((u128::from(bits) * u128::from(n)) >> 64) as u64
}

/// A seed, from which every event draws.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seed(u64);

impl Seed {
    pub(crate) fn new(seed: u64) -> Self {
        Self(mix(seed.wrapping_add(GOLDEN)))
    }

    /// The draws of one event for one purpose; each purpose has a number of its own, so that a column does not depend
    /// on which others are made.
    pub(crate) fn draw(self, event: u64, purpose: Purpose) -> Draw {
        let event = mix(self.0 ^ event.wrapping_mul(GOLDEN));
        Draw(event.wrapping_add((purpose as u64).wrapping_mul(0xD1B5_4A32_D192_ED03)))
    }
}

/// What a draw is for.
#[derive(Debug, Clone, Copy)]
#[repr(u64)]
pub(crate) enum Purpose {
    Name = 1,
    Email,
    CreditCard,
    City,
    State,
    Extra,
    Description,
    InitialBid,
    Reserve,
    Expires,
    Seller,
    Category,
    Auction,
    Bidder,
    Price,
    Channel,
    HotUrl,
    ChannelUrl,
}

/// A short sequence of random numbers: SplitMix64.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Draw(u64);

impl Draw {
    pub(crate) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN);
        mix(self.0)
    }

    pub(crate) fn below(&mut self, n: u64) -> u64 {
        below(self.bits(), n)
    }

    /// True in all but one of `ratio` cases.
    pub(crate) fn hot(&mut self, ratio: u64) -> bool {
        self.below(ratio) > 0
    }

    /// Appends so many letters, each of the 26 alike: eight at a time, from 16 random bits each.
    pub(crate) fn letters(&mut self, len: usize, out: &mut Vec<u8>) {
        let end = out.len() + len;
        while out.len() < end {
            out.extend_from_slice(&self.eight_letters().to_le_bytes());
        }
        out.truncate(end);
    }

    fn eight_letters(&mut self) -> u64 {
        const LANES: u64 = 0x0000_FFFF_0000_FFFF;
        const LETTER: u64 = 0x0000_001F_0000_001F;
        // Two lanes of 32 bits hold 16 random bits each; times 26 and shifted they are 0..26.
        let pair = |bits: u64| ((bits & LANES) * 26) >> 16 & LETTER;
        let (x, y) = (self.bits(), self.bits());
        let letters = pair(x) | pair(x >> 16) << 8 | pair(y) << 16 | pair(y >> 16) << 24;
        letters + 0x6161_6161_6161_6161
    }

    /// Appends a word of 3 to `max - 1` characters; about every 13th is `special`, the others letters.
    pub(crate) fn word(&mut self, max: u64, special: u8, out: &mut Vec<u8>) {
        let len = 3 + self.below(max - 3);
        let mut bits = 0;
        for i in 0..len {
            bits = if i % 2 == 0 { self.bits() } else { bits >> 32 };
            let (letter, dice) = (bits & 0xFFFF, bits >> 16 & 0xFFFF);
            out.push(if (dice * 13) >> 16 == 0 { special } else { b'a' + ((letter * 26) >> 16) as u8 });
        }
    }

    /// Appends words as [`Draw::word`] with spaces, without spaces at its ends.
    pub(crate) fn phrase(&mut self, max: u64, out: &mut Vec<u8>) {
        let start = out.len();
        self.word(max, b' ', out);
        let trimmed = out[start..].trim_ascii();
        let (len, skip) = (trimmed.len(), trimmed.as_ptr() as usize - out[start..].as_ptr() as usize);
        out.copy_within(start + skip..start + skip + len, start);
        out.truncate(start + len);
    }
}

/// Prices: `round(100 * 10^(6u))`, u uniform in `[0, 1)`.
///
/// From tables of powers that need only multiplication and square roots, which IEEE 754 rounds exactly: the same seed
/// gives the same prices on every machine, which the library's `pow` does not promise.
#[derive(Debug)]
pub(crate) struct Prices {
    high: Vec<f64>,
    low: Vec<f64>,
}

impl Prices {
    const BITS: u32 = 12;

    pub(crate) fn new() -> Self {
        // roots[i] = 10^(6 / 2^(i+1))
        let roots: Vec<f64> = std::iter::successors(Some(1e6_f64.sqrt()), |r| Some(r.sqrt()))
            .take(2 * Self::BITS as usize)
            .collect();
        let table = |roots: &[f64]| -> Vec<f64> {
            let power = |n: usize| {
                let factors = roots.iter().enumerate().filter(|(i, _)| n >> (roots.len() - 1 - i) & 1 == 1);
                factors.map(|(_, root)| root).product()
            };
            (0..1 << Self::BITS).map(power).collect()
        };
        let (high, low) = roots.split_at(Self::BITS as usize);
        Self { high: table(high), low: table(low) }
    }

    pub(crate) fn price(&self, bits: u64) -> i64 {
        let rest_bits = 64 - 2 * Self::BITS;
        let high = (bits >> (64 - Self::BITS)) as usize;
        let low = (bits >> rest_bits) as usize & ((1 << Self::BITS) - 1);
        // What is left of u is below 2^-24: 10^(6x) is 1 + 6x ln 10 to 13 digits.
        let rest = (bits & ((1 << rest_bits) - 1)) as f64 / 2f64.powi(64);
        let power = self.high[high] * self.low[low] * (1.0 + 6.0 * std::f64::consts::LN_10 * rest);
        (power * 100.0).round() as i64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_are_the_power_that_the_rule_says() {
        let prices = Prices::new();
        for bits in [0, 1, 1 << 40, 1 << 63, u64::MAX, 0x0123_4567_89AB_CDEF] {
            let exact = 100.0 * 10f64.powf(6.0 * (bits as f64 / 2f64.powi(64)));
            assert!((prices.price(bits) as f64 - exact).abs() <= 0.5 + exact * 1e-10, "{bits}");
        }
    }

    #[test]
    fn letters_are_uniform() {
        let mut out = vec![];
        Seed::new(1).draw(0, Purpose::Extra).letters(260_000, &mut out);
        for letter in b'a'..=b'z' {
            let n = out.iter().filter(|l| **l == letter).count();
            assert!((9_500..10_500).contains(&n), "{} {n}", letter as char);
        }
    }

    #[test]
    fn phrase_has_no_space_at_its_ends() {
        for event in 0..2000 {
            let mut out = b"before".to_vec();
            Seed::new(3).draw(event, Purpose::Description).phrase(20, &mut out);
            let phrase = &out[6..];
            assert_eq!(phrase, phrase.trim_ascii());
            assert!(phrase.len() < 20);
        }
    }
}
