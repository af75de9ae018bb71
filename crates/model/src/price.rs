//! Prices as data: dated rows with thresholds and multipliers, and the sum they make.

use quire_protocol::{Money, Usage};

use crate::Day;

/// A factor as a fraction, so that money stays exact.
pub type Factor = (u32, u32);

/// What a model's tokens cost from a day on, in requests above a size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PriceRow {
    /// The first day it is in force.
    pub from: Day,
    /// It holds for requests whose whole prompt is strictly larger than this many tokens; the
    /// whole request is then charged by it.
    pub above: u64,
    /// One input token.
    pub input: Money,
    /// One output token.
    pub output: Money,
    /// An input token read from the cache, as a multiple of `input`.
    pub cache_read: Factor,
    /// An input token written to the short-lived cache, as a multiple of `input`.
    pub cache_write_5m: Factor,
    /// An input token written to the long-lived cache, as a multiple of `input`.
    pub cache_write_1h: Factor,
}

/// What a model costs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prices {
    /// The rows; empty where no price is known. Order does not matter.
    pub rows: Vec<PriceRow>,
    /// What inference in one place only (`us`) multiplies everything by.
    pub regional: Option<Factor>,
    /// What the fast mode multiplies everything by.
    pub fast: Option<Factor>,
}

/// How a request was served, as its answer reports it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Billing<'a> {
    /// The day; the newest prices hold where it is not known.
    pub day: Option<Day>,
    /// Where it ran: `global`, `us`.
    pub geo: Option<&'a str>,
    /// How fast: `standard`, `fast`.
    pub speed: Option<&'a str>,
}

impl PriceRow {
    /// A row from the first day on for requests of any size, without a cache discount.
    #[must_use]
    pub const fn flat(input: Money, output: Money) -> Self {
        Self {
            from: Day(0),
            above: 0,
            input,
            output,
            cache_read: (1, 1),
            cache_write_5m: (1, 1),
            cache_write_1h: (1, 1),
        }
    }

    fn cost(&self, usage: &Usage) -> Money {
        let read = self.input.scaled(self.cache_read.0, self.cache_read.1);
        let short = self
            .input
            .scaled(self.cache_write_5m.0, self.cache_write_5m.1);
        let long = self
            .input
            .scaled(self.cache_write_1h.0, self.cache_write_1h.1);
        self.input.times(usage.input)
            + read.times(usage.cache_read)
            + short.times(usage.cache_write_5m)
            + long.times(usage.cache_write_1h)
            + self.output.times(usage.output)
    }
}

impl Prices {
    /// What one request's tokens cost; `None` where no price is known for how it was served.
    #[must_use]
    pub fn cost(&self, usage: &Usage, billing: Billing<'_>) -> Option<Money> {
        let day = billing.day.unwrap_or(Day(u32::MAX));
        let prompt = usage.prompt();
        let in_force = self
            .rows
            .iter()
            .filter(|row| row.from <= day)
            .map(|row| row.from)
            .max()?;
        let row = self
            .rows
            .iter()
            .filter(|row| row.from == in_force && (row.above == 0 || prompt > row.above))
            .max_by_key(|row| row.above)?;
        let mut cost = row.cost(usage);
        if billing.geo.is_some_and(|geo| geo == "us") {
            let (up, down) = self.regional.unwrap_or((1, 1));
            cost = cost.scaled(up, down);
        }
        if billing.speed.is_some_and(|speed| speed == "fast") {
            let (up, down) = self.fast?;
            cost = cost.scaled(up, down);
        }
        Some(cost)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Catalogue;

    fn usage(input: u64, read: u64, short: u64, long: u64, output: u64) -> Usage {
        Usage {
            input,
            cache_read: read,
            cache_write_5m: short,
            cache_write_1h: long,
            output,
            thinking: 0,
        }
    }

    #[test]
    fn costs() {
        let launch = Some(Day::new(2026, 2, 10));
        let today = Some(Day::new(2026, 11, 1));
        let million = usage(1_000_000, 0, 0, 0, 0);
        for (model, usage, day, geo, speed, cost) in [
            ("claude-opus-5", million, today, None, None, Some("5")),
            (
                "claude-opus-5",
                usage(0, 1_000_000, 0, 0, 0),
                today,
                None,
                None,
                Some("0.5"),
            ),
            (
                "claude-opus-5",
                usage(0, 0, 1_000_000, 0, 0),
                today,
                None,
                None,
                Some("6.25"),
            ),
            (
                "claude-opus-5",
                usage(0, 0, 0, 1_000_000, 0),
                today,
                None,
                None,
                Some("10"),
            ),
            (
                "claude-opus-5",
                usage(0, 0, 0, 0, 1_000_000),
                today,
                None,
                None,
                Some("25"),
            ),
            (
                "claude-opus-5",
                million,
                today,
                Some("us"),
                None,
                Some("5.5"),
            ),
            (
                "claude-opus-5",
                million,
                today,
                Some("us"),
                Some("fast"),
                Some("11"),
            ),
            (
                "claude-opus-5",
                usage(1, 1, 1, 1, 1),
                today,
                None,
                None,
                Some("0.00004675"),
            ),
            (
                "claude-fable-5-1",
                usage(0, 1_000_000, 0, 0, 0),
                today,
                None,
                None,
                Some("0.25"),
            ),
            // The launch price of 4.6: all of a request is dearer strictly above 200,000.
            (
                "claude-opus-4-6",
                usage(200_000, 0, 0, 0, 0),
                launch,
                None,
                None,
                Some("1"),
            ),
            (
                "claude-opus-4-6",
                usage(200_001, 0, 0, 0, 0),
                launch,
                None,
                None,
                Some("2.00001"),
            ),
            (
                "claude-opus-4-6",
                usage(1, 200_000, 0, 0, 4),
                launch,
                None,
                None,
                Some("0.20016"),
            ),
            (
                "claude-opus-4-6",
                usage(200_001, 0, 0, 0, 0),
                today,
                None,
                None,
                Some("1.000005"),
            ),
            (
                "claude-opus-4-6",
                usage(200_001, 0, 0, 0, 0),
                None,
                None,
                None,
                Some("1.000005"),
            ),
            (
                "claude-sonnet-5-5",
                million,
                today,
                None,
                Some("fast"),
                None,
            ),
            ("claude-haiku-5-5", million, today, None, None, None),
            ("llama-4-scout", million, today, None, None, None),
        ] {
            let facts = Catalogue::builtin().facts("anthropic", model);
            let found = facts.cost(&usage, Billing { day, geo, speed });
            assert_eq!(
                found.map(|cost| cost.to_string()).as_deref(),
                cost,
                "{model} {usage:?}"
            );
        }
    }
}
