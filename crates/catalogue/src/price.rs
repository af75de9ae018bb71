//! Prices as data: dated rows with thresholds and multipliers, and the sum they make.

use quire_protocol::{CostSplit, Day, Money, Usage};

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
    /// What a request in a batch multiplies everything by.
    pub batch: Option<Factor>,
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
    /// The service tier: `standard`, `default`, `batch`; tiers with prices of their own.
    pub tier: Option<&'a str>,
}

/// Service tiers whose prices are not those of the rows, nor known.
const OTHER_TIERS: &[&str] = &["priority", "flex", "scale", "fast", "ultrafast"];

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

    fn split(&self, usage: &Usage) -> CostSplit {
        let read = self.input.scaled(self.cache_read.0, self.cache_read.1);
        let short = self
            .input
            .scaled(self.cache_write_5m.0, self.cache_write_5m.1);
        let long = self
            .input
            .scaled(self.cache_write_1h.0, self.cache_write_1h.1);
        CostSplit {
            input: self.input.times(usage.input),
            cache_read: read.times(usage.cache_read),
            cache_write_5m: short.times(usage.cache_write_5m),
            cache_write_1h: long.times(usage.cache_write_1h),
            output: self.output.times(usage.output),
        }
    }
}

impl Prices {
    /// One row for all requests, from dollars for a million tokens. A cache price that is not
    /// given is that of input.
    #[must_use]
    pub fn per_million(
        input: Money,
        output: Money,
        cache_read: Option<Money>,
        cache_write: Option<Money>,
    ) -> Self {
        let per_token = |million: Money| million.scaled(1, 1_000_000);
        let share = |part: Option<Money>| match part {
            Some(part) if input.picos() > 0 => ratio(part.picos(), input.picos()),
            _ => (1, 1),
        };
        let mut row = PriceRow::flat(per_token(input), per_token(output));
        row.cache_read = share(cache_read);
        row.cache_write_5m = share(cache_write);
        row.cache_write_1h = share(cache_write);
        Self {
            rows: vec![row],
            ..Self::default()
        }
    }

    /// Whether there is a price at all.
    #[must_use]
    pub fn is_known(&self) -> bool {
        !self.rows.is_empty()
    }

    /// Whether nothing costs anything, as on a server of one's own.
    #[must_use]
    pub fn are_zero(&self) -> bool {
        let is_zero = |row: &PriceRow| row.input == Money::ZERO && row.output == Money::ZERO;
        self.is_known() && self.rows.iter().all(is_zero)
    }

    /// What one request's tokens cost; `None` where no price is known for how it was served.
    #[must_use]
    pub fn cost(&self, usage: &Usage, billing: Billing<'_>) -> Option<Money> {
        self.split(usage, billing).map(|split| split.total())
    }

    /// The same by the kinds of tokens.
    #[must_use]
    pub fn split(&self, usage: &Usage, billing: Billing<'_>) -> Option<CostSplit> {
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
        let regional = billing.geo.filter(|geo| *geo == "us");
        let regional = regional.and(self.regional);
        let fast = match billing.speed {
            Some("fast") => Some(self.fast?),
            Some(_) | None => None,
        };
        let batch = match billing.tier {
            Some("batch") => Some(self.batch?),
            Some(tier) if OTHER_TIERS.contains(&tier) => return None,
            Some(_) | None => None,
        };
        let scaled = |cost: Money| {
            let factors = [regional, fast, batch].into_iter().flatten();
            factors.fold(cost, |cost, (up, down)| cost.scaled(up, down))
        };
        Some(row.split(usage).changed(scaled))
    }
}

/// A fraction in lowest terms. One that does not fit is rounded to a millionth.
fn ratio(part: i64, whole: i64) -> Factor {
    let (part, whole) = (part.unsigned_abs(), whole.unsigned_abs());
    let divisor = gcd(part, whole).max(1);
    if let (Ok(part), Ok(whole)) = (
        u32::try_from(part / divisor),
        u32::try_from(whole / divisor),
    ) {
        return (part, whole);
    }
    let millionths = u128::from(part) * 1_000_000 / u128::from(whole.max(1));
    (u32::try_from(millionths).unwrap_or(u32::MAX), 1_000_000)
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Catalogue;

    /// Bills worked by hand: model; input, cache read, short write, long write, output; day; where;
    /// how fast; service tier; dollars. `-` is for what is not reported, or not known.
    const TABLE: &str = "
        claude-opus-5     1000000 0 0 0 0          today  -      -        -        5
        claude-opus-5     0 1000000 0 0 0          today  -      -        -        0.5
        claude-opus-5     0 0 1000000 0 0          today  global standard standard 6.25
        claude-opus-5     0 0 0 1000000 0          today  -      -        -        10
        claude-opus-5     0 0 0 0 1000000          today  -      -        -        25
        claude-opus-5     0 0 0 0 0                today  -      -        -        0
        claude-opus-5     1 1 1 1 1                today  -      -        -        0.00004675

        // Mixes of the cache; one model reads it at a fortieth of its input price.
        claude-opus-5-5   1000 2000 3000 4000 5000 today  -      -        -        0.1518
        claude-opus-5-5   0 0 0 0 128000           today  -      -        -        2.56
        claude-sonnet-5-5 12345 678 90 12 3456     today  -      -        -        0.0596586
        claude-fable-5-1  1 1 1 1 1                today  -      -        -        0.00009275
        claude-fable-5-1  0 1000000 0 0 0          today  -      -        -        0.25
        claude-haiku-4-5  0 1 0 0 0                today  -      -        -        0.0000001
        gpt-5             1000 500 100 10 200      today  -      -        default  0.00345
        gpt-5             0 1000000 0 0 0          today  -      -        -        0.125
        gpt-4.1           0 1000 0 0 0             today  -      -        -        0.0005

        // The edge of a tier is the whole prompt, read and written parts included, and it is strict.
        claude-sonnet-4-5 200000 0 0 0 0           today  -      -        -        0.6
        claude-sonnet-4-5 200001 0 0 0 0           today  -      -        -        1.200006
        claude-sonnet-4-5 100000 99999 1 0 1000    today  -      -        -        0.34500345
        claude-sonnet-4-5 100000 99999 1 1 1000    today  -      -        -        0.6825189
        claude-sonnet-4-5 200000 0 0 0 64000       today  -      -        -        1.56

        // A tier that was there for five weeks: whole requests, and by the day.
        claude-opus-4-6   200000 0 0 0 0           launch -      -        -        1
        claude-opus-4-6   200001 0 0 0 0           launch -      -        -        2.00001
        claude-opus-4-6   1 200000 0 0 4           launch -      -        -        0.20016
        claude-opus-4-6   200001 0 0 0 0           last   -      -        -        2.00001
        claude-opus-4-6   200001 0 0 0 0           flat   -      -        -        1.000005
        claude-opus-4-6   200001 0 0 0 0           -      -      -        -        1.000005
        claude-opus-4-6   1 999999 0 0 0           today  -      -        -        0.5000045
        claude-opus-4-6   1 0 0 0 0                before -      -        -        -

        // Factors: where, how fast, in a batch; each on everything, in any order.
        claude-opus-5     1000000 0 0 0 0          today  us     -        -        5.5
        claude-opus-5     1000000 0 0 0 0          today  us     fast     -        11
        claude-opus-5     1000 0 0 0 100           today  us     fast     -        0.0165
        claude-opus-5     1000000 0 0 0 0          today  us     -        batch    2.75
        claude-haiku-4-5  0 0 1 0 0                today  us     -        -        0.000001375
        claude-opus-4-6   1000 0 0 0 1000          launch -      fast     -        0.18
        claude-opus-4-6   200001 0 0 0 1000        launch -      fast     -        12.22506
        claude-opus-4-6   200001 0 0 0 0           launch us     -        -        2.200011
        claude-sonnet-5-5 12345 678 90 12 3456     today  -      -        batch    0.0298293
        claude-sonnet-4-5 200001 0 0 0 0           today  -      -        batch    0.600003

        // What is not known is not nothing.
        claude-sonnet-5-5 1000000 0 0 0 0          today  -      fast     -        -
        claude-haiku-5-5  1000000 0 0 0 0          today  -      -        -        -
        claude-haiku-5-5  0 0 0 0 0                today  -      -        -        -
        claude-opus-5     1000000 0 0 0 0          today  -      -        priority -
        gpt-5             1000000 0 0 0 0          today  -      -        flex     -
        gpt-5             1000000 0 0 0 0          today  -      -        batch    -
        llama-4-scout     1000000 0 0 0 0          today  -      -        -        -
    ";

    #[test]
    fn bills_match_to_the_last_digit() {
        let lines = TABLE.lines().map(str::trim);
        for line in lines.filter(|line| !line.is_empty() && !line.starts_with("//")) {
            let words: Vec<&str> = line.split_whitespace().collect();
            assert_eq!(words.len(), 11, "{line}");
            let count = |at: usize| words[at].parse::<u64>().unwrap();
            let word = |at: usize| Some(words[at]).filter(|word| *word != "-");
            let usage = Usage {
                input: count(1),
                cache_read: count(2),
                cache_write_5m: count(3),
                cache_write_1h: count(4),
                output: count(5),
                thinking: 0,
            };
            let billing = Billing {
                day: word(6).map(|day| match day {
                    "before" => Day::new(2026, 1, 1),
                    "launch" => Day::new(2026, 2, 10),
                    "last" => Day::new(2026, 3, 12),
                    "flat" => Day::new(2026, 3, 13),
                    _ => Day::new(2026, 11, 1),
                }),
                geo: word(7),
                speed: word(8),
                tier: word(9),
            };
            let facts = Catalogue::builtin().facts("anthropic", words[0]);
            let cost = facts.cost(&usage, billing).map(|cost| cost.to_string());
            assert_eq!(cost.as_deref(), word(10), "{line}");
        }
    }

    #[test]
    fn prices_of_a_person() {
        let dollars = |text: &str| text.parse::<Money>().unwrap();
        let prices = Prices::per_million(
            dollars("3"),
            dollars("15"),
            Some(dollars("0.3")),
            Some(dollars("3.75")),
        );
        let row = prices.rows[0];
        assert_eq!((row.cache_read, row.cache_write_5m), ((1, 10), (5, 4)));
        let usage = Usage {
            input: 1_000_000,
            cache_read: 1_000_000,
            cache_write_5m: 1_000_000,
            output: 1_000_000,
            ..Usage::default()
        };
        let cost = prices.cost(&usage, Billing::default());
        assert_eq!(cost, Some(dollars("22.05")));
    }
}
