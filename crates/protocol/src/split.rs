//! What a request cost, by the kinds of its tokens.

use std::ops::{Add, AddAssign};

use crate::Money;

/// A cost by the kinds of tokens that [`crate::Usage`] counts. The parts are the whole: it is their sum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CostSplit {
    /// Of prompt tokens that were neither read from nor written to a cache.
    pub input: Money,
    /// Of prompt tokens read from a cache.
    pub cache_read: Money,
    /// Of prompt tokens written to a cache that lives about five minutes.
    pub cache_write_5m: Money,
    /// Of prompt tokens written to a cache that lives an hour or more.
    pub cache_write_1h: Money,
    /// Of tokens produced.
    pub output: Money,
}

impl CostSplit {
    /// From its parts, in the order of its fields.
    #[must_use]
    pub const fn from_parts(parts: [Money; 5]) -> Self {
        let [input, read, short, long, output] = parts;
        Self {
            input,
            cache_read: read,
            cache_write_5m: short,
            cache_write_1h: long,
            output,
        }
    }

    /// Its parts, in the order of its fields.
    #[must_use]
    pub const fn parts(&self) -> [Money; 5] {
        [
            self.input,
            self.cache_read,
            self.cache_write_5m,
            self.cache_write_1h,
            self.output,
        ]
    }

    /// The whole; it saturates at the range's end.
    #[must_use]
    pub fn total(&self) -> Money {
        self.parts().into_iter().sum()
    }

    /// The same split of what `change` makes of the whole, to the last picodollar: each part is what it adds to the
    /// changed sum of those before it.
    #[must_use]
    pub fn changed(&self, change: impl Fn(Money) -> Money) -> Self {
        let (mut sum, mut before) = (Money::ZERO, Money::ZERO);
        Self::from_parts(self.parts().map(|part| {
            sum += part;
            let after = change(sum);
            let part = after.picos().saturating_sub(before.picos());
            before = after;
            Money::from_picos(part)
        }))
    }
}

impl Add for CostSplit {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            input: self.input + other.input,
            cache_read: self.cache_read + other.cache_read,
            cache_write_5m: self.cache_write_5m + other.cache_write_5m,
            cache_write_1h: self.cache_write_1h + other.cache_write_1h,
            output: self.output + other.output,
        }
    }
}

impl AddAssign for CostSplit {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_whole_is_split_to_the_last_picodollar() {
        let split = CostSplit::from_parts([1, 1, 0, 1, 4].map(Money::from_picos));
        let halved = split.changed(|whole| whole.scaled(1, 2));
        assert_eq!(halved.total(), split.total().scaled(1, 2));
        let picos = halved.parts().map(Money::picos);
        assert_eq!(picos, [1, 0, 0, 1, 2]);
        let most = CostSplit::from_parts([i64::MAX; 5].map(Money::from_picos));
        assert_eq!(most.changed(|whole| whole).total(), most.total());
    }
}
