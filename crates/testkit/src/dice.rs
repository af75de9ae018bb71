//! A small random number generator whose whole state is its seed.

/// Dice that fall the same way for the same seed (SplitMix64).
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// Dice for a seed; neighbouring seeds are unrelated.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `sides`; 0 when there are no sides.
    pub fn roll(&mut self, sides: u32) -> u32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        u32::try_from(((mixed >> 32) * u64::from(sides)) >> 32).unwrap_or(0)
    }

    /// True in `percent` of 100 throws.
    pub fn chance(&mut self, percent: u32) -> bool {
        self.roll(100) < percent
    }

    /// One of several things; none of none.
    pub fn pick<'a, T>(&mut self, things: &'a [T]) -> Option<&'a T> {
        let count = u32::try_from(things.len()).unwrap_or(u32::MAX);
        things.get(usize::try_from(self.roll(count)).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_side_comes_up_and_none_beyond() {
        let mut dice = Dice::new(1);
        let mut seen = [0_u32; 6];
        for _ in 0..6_000 {
            seen[usize::try_from(dice.roll(6)).unwrap()] += 1;
        }
        assert!(
            seen.iter().all(|count| (800..1_200).contains(count)),
            "{seen:?}"
        );
        assert_eq!(dice.roll(0), 0);
        assert_eq!(dice.pick::<u8>(&[]), None);
    }
}
