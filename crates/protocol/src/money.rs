//! Exact money: whole picodollars, never floats.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Sub};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// US dollars in units of 10⁻¹² dollar: $0.0025 per million tokens is 2,500 of them per token.
/// Range about ±9.2 million dollars. On the wire a decimal string: `"0.0425"`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Money(i64);

const PICOS_PER_DOLLAR: i64 = 1_000_000_000_000;

/// A text that is no amount of money.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an amount in dollars: write it like 2.50")]
pub struct MoneyError(String);

impl Money {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// From picodollars.
    #[must_use]
    pub const fn from_picos(picos: i64) -> Self {
        Self(picos)
    }

    /// In picodollars.
    #[must_use]
    pub const fn picos(self) -> i64 {
        self.0
    }

    /// `count` times this amount; saturates at the range's end.
    #[must_use]
    pub fn times(self, count: u64) -> Self {
        Self(
            self.0
                .saturating_mul(i64::try_from(count).unwrap_or(i64::MAX)),
        )
    }

    /// This amount times `numerator / denominator`, rounded half up to a picodollar.
    #[must_use]
    pub fn scaled(self, numerator: u32, denominator: u32) -> Self {
        let product = i128::from(self.0) * i128::from(numerator);
        let divisor = i128::from(denominator.max(1));
        let rounded = (product * 2 + divisor).div_euclid(divisor * 2);
        Self(i64::try_from(rounded).unwrap_or(i64::MAX))
    }

    /// For a person: at least cents, at most `places` decimals, rounded half up.
    #[must_use]
    pub fn rounded(self, places: u32) -> String {
        let step = 10_i64.pow(12 - places.clamp(2, 12));
        let rounded = Self((self.0 + step / 2).div_euclid(step) * step);
        let text = rounded.to_string();
        match text.split_once('.') {
            Some((whole, decimals)) => format!("{whole}.{decimals:0<2}"),
            None => format!("{text}.00"),
        }
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let (whole, picos) = (
            self.0.unsigned_abs() / PICOS_PER_DOLLAR.unsigned_abs(),
            self.0.unsigned_abs() % PICOS_PER_DOLLAR.unsigned_abs(),
        );
        if picos == 0 {
            return write!(f, "{sign}{whole}");
        }
        let decimals = format!("{picos:012}");
        write!(f, "{sign}{whole}.{}", decimals.trim_end_matches('0'))
    }
}

impl FromStr for Money {
    type Err = MoneyError;

    fn from_str(text: &str) -> Result<Self, MoneyError> {
        let error = || MoneyError(text.to_owned());
        let (negative, digits) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (whole, decimals) = digits.split_once('.').unwrap_or((digits, ""));
        let plain = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
        if (whole.is_empty() && decimals.is_empty())
            || !plain(whole)
            || !plain(decimals)
            || decimals.len() > 12
        {
            return Err(error());
        }
        let picos = format!("{whole}{decimals:0<12}")
            .parse::<i64>()
            .map_err(|_| error())?;
        Ok(Self(if negative { -picos } else { picos }))
    }
}

impl Serialize for Money {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Money {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl Add for Money {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Sub for Money {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl AddAssign for Money {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sum for Money {
    fn sum<I: Iterator<Item = Self>>(iter: I) -> Self {
        iter.fold(Self::ZERO, Add::add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_back() {
        for (text, picos) in [
            ("0", 0),
            ("5", 5_000_000_000_000),
            ("0.000000000001", 1),
            ("-1.25", -1_250_000_000_000),
            ("37.5", 37_500_000_000_000),
        ] {
            let money: Money = text.parse().unwrap();
            assert_eq!(money.picos(), picos);
            assert_eq!(money.to_string(), text);
        }
        for bad in [
            "",
            ".",
            "1e3",
            "$5",
            "1.2.3",
            "0.0000000000001",
            "--1",
            "99999999999",
        ] {
            assert!(bad.parse::<Money>().is_err(), "{bad}");
        }
    }

    #[test]
    fn scaling_and_rounding() {
        let money: Money = "0.0425".parse().unwrap();
        assert_eq!(money.scaled(11, 10).to_string(), "0.04675");
        assert_eq!(money.rounded(2), "0.04");
        assert_eq!(money.rounded(4), "0.0425");
        assert_eq!(Money::from_picos(1).scaled(1, 2).picos(), 1);
        assert_eq!("3".parse::<Money>().unwrap().rounded(4), "3.00");
        assert_eq!(
            Money::from_picos(5_000_000).times(1_000_000).rounded(2),
            "5.00"
        );
    }
}
