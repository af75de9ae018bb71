//! The catalogue's data: one row per model that is known by name. No logic.

use quire_protocol::{Day, Effort, Money};

use crate::catalogue::ThinkingKind;
use crate::price::{Factor, PriceRow};

/// A known model.
#[derive(Clone, Copy)]
pub(crate) struct Row {
    /// The provider's name without a date.
    pub(crate) name: &'static str,
    pub(crate) window: u64,
    pub(crate) max_output: u32,
    pub(crate) thinking: ThinkingKind,
    pub(crate) efforts: &'static [Effort],
    pub(crate) prices: &'static [PriceRow],
    pub(crate) fast: Option<Factor>,
}

use Effort::{High, Low, Max, Medium, Xhigh};

pub(crate) const NO_EFFORTS: &[Effort] = &[];
pub(crate) const TO_HIGH: &[Effort] = &[Low, Medium, High];
pub(crate) const TO_XHIGH: &[Effort] = &[Low, Medium, High, Xhigh];
pub(crate) const ALL_EFFORTS: &[Effort] = &[Low, Medium, High, Xhigh, Max];
const NO_XHIGH: &[Effort] = &[Low, Medium, High, Max];

/// Claude models that cannot be told where to compute.
pub(crate) const PLACELESS: &[&str] = &["claude-opus-4-5", "claude-sonnet-4-5", "claude-haiku-4-5"];

/// What inference in the United States only multiplies a Claude model's prices by.
pub(crate) const REGIONAL: Factor = (11, 10);

/// What a request in a batch multiplies a Claude model's prices by.
pub(crate) const BATCH: Factor = (1, 2);

/// Thousandths of a dollar per million tokens, as the price of one token.
const fn mills(thousandths: i64) -> Money {
    Money::from_picos(thousandths * 1_000)
}

/// A Claude row with the usual cache factors.
const fn claude(input: i64, output: i64) -> PriceRow {
    PriceRow {
        from: Day(0),
        above: 0,
        input: mills(input),
        output: mills(output),
        cache_read: (1, 10),
        cache_write_5m: (5, 4),
        cache_write_1h: (2, 1),
    }
}

/// An OpenAI row: writing the cache costs what input costs.
const fn gpt(input: i64, output: i64, cache_read: Factor) -> PriceRow {
    PriceRow {
        cache_read,
        ..PriceRow::flat(mills(input), mills(output))
    }
}

const fn since(from: Day, above: u64, row: PriceRow) -> PriceRow {
    PriceRow { from, above, ..row }
}

const UNPRICED: &[PriceRow] = &[];
const OPUS: &[PriceRow] = &[claude(5_000, 25_000)];
const OPUS_4_6: &[PriceRow] = &[
    since(Day::new(2026, 2, 5), 0, claude(5_000, 25_000)),
    since(Day::new(2026, 2, 5), 200_000, claude(10_000, 37_500)),
    since(Day::new(2026, 3, 13), 0, claude(5_000, 25_000)),
];
const OPUS_5_5: &[PriceRow] = &[claude(4_000, 20_000)];
const SONNET_5_5: &[PriceRow] = &[claude(2_000, 10_000)];
const FABLE_5_1: &[PriceRow] = &[PriceRow {
    cache_read: (1, 40),
    ..claude(10_000, 50_000)
}];
const SONNET_4_5: &[PriceRow] = &[
    claude(3_000, 15_000),
    since(Day(0), 200_000, claude(6_000, 22_500)),
];
const HAIKU_4_5: &[PriceRow] = &[claude(1_000, 5_000)];
const GPT_5: &[PriceRow] = &[gpt(1_250, 10_000, (1, 10))];
const GPT_5_MINI: &[PriceRow] = &[gpt(250, 2_000, (1, 10))];
const GPT_5_NANO: &[PriceRow] = &[gpt(50, 400, (1, 10))];
const GPT_5_2: &[PriceRow] = &[gpt(1_750, 14_000, (1, 10))];
const GPT_4_1: &[PriceRow] = &[gpt(2_000, 8_000, (1, 4))];
const GPT_4_1_MINI: &[PriceRow] = &[gpt(400, 1_600, (1, 4))];
const O4_MINI: &[PriceRow] = &[gpt(1_100, 4_400, (1, 4))];

const MILLION: u64 = 1_000_000;
const ADAPTIVE: ThinkingKind = ThinkingKind::Adaptive;
const BUDGET: ThinkingKind = ThinkingKind::Budget;
const UNSET: ThinkingKind = ThinkingKind::Unset;

const fn row(
    name: &'static str,
    size: (u64, u32),
    thinking: ThinkingKind,
    efforts: &'static [Effort],
    prices: &'static [PriceRow],
) -> Row {
    Row {
        name,
        window: size.0,
        max_output: size.1,
        thinking,
        efforts,
        prices,
        fast: None,
    }
}

const fn fast(factor: Factor, row: Row) -> Row {
    Row {
        fast: Some(factor),
        ..row
    }
}

const OLD_CLAUDE: (u64, u32) = (200_000, 64_000);
const CLAUDE: (u64, u32) = (MILLION, 64_000);
const NEW_CLAUDE: (u64, u32) = (MILLION, 128_000);
const GPT: (u64, u32) = (400_000, 128_000);

/// All known models; the price of one that is not priced here is not known.
pub(crate) const ROWS: &[Row] = &[
    row(
        "claude-fable-5",
        NEW_CLAUDE,
        ADAPTIVE,
        ALL_EFFORTS,
        UNPRICED,
    ),
    row(
        "claude-fable-5-1",
        NEW_CLAUDE,
        ADAPTIVE,
        ALL_EFFORTS,
        FABLE_5_1,
    ),
    row(
        "claude-fable-5-2",
        NEW_CLAUDE,
        ADAPTIVE,
        ALL_EFFORTS,
        UNPRICED,
    ),
    row(
        "claude-mythos-5",
        NEW_CLAUDE,
        ADAPTIVE,
        ALL_EFFORTS,
        UNPRICED,
    ),
    row(
        "claude-mythos-5-1",
        NEW_CLAUDE,
        ADAPTIVE,
        ALL_EFFORTS,
        UNPRICED,
    ),
    row(
        "claude-mythos-5-2",
        NEW_CLAUDE,
        ADAPTIVE,
        ALL_EFFORTS,
        UNPRICED,
    ),
    row("claude-opus-4-5", OLD_CLAUDE, BUDGET, NO_EFFORTS, OPUS),
    fast(
        (6, 1),
        row("claude-opus-4-6", NEW_CLAUDE, ADAPTIVE, NO_XHIGH, OPUS_4_6),
    ),
    row("claude-opus-4-7", NEW_CLAUDE, ADAPTIVE, ALL_EFFORTS, OPUS),
    row("claude-opus-4-8", NEW_CLAUDE, ADAPTIVE, ALL_EFFORTS, OPUS),
    fast(
        (2, 1),
        row("claude-opus-5", NEW_CLAUDE, ADAPTIVE, ALL_EFFORTS, OPUS),
    ),
    row(
        "claude-opus-5-5",
        NEW_CLAUDE,
        ADAPTIVE,
        ALL_EFFORTS,
        OPUS_5_5,
    ),
    row(
        "claude-sonnet-4-5",
        OLD_CLAUDE,
        BUDGET,
        NO_EFFORTS,
        SONNET_4_5,
    ),
    row("claude-sonnet-4-6", CLAUDE, ADAPTIVE, NO_XHIGH, UNPRICED),
    row("claude-sonnet-5", CLAUDE, ADAPTIVE, ALL_EFFORTS, UNPRICED),
    row(
        "claude-sonnet-5-5",
        NEW_CLAUDE,
        ADAPTIVE,
        ALL_EFFORTS,
        SONNET_5_5,
    ),
    row(
        "claude-haiku-4-5",
        OLD_CLAUDE,
        BUDGET,
        NO_EFFORTS,
        HAIKU_4_5,
    ),
    row("claude-haiku-5-5", CLAUDE, ADAPTIVE, ALL_EFFORTS, UNPRICED),
    row("gpt-4.1", (1_047_576, 32_768), UNSET, NO_EFFORTS, GPT_4_1),
    row(
        "gpt-4.1-mini",
        (1_047_576, 32_768),
        UNSET,
        NO_EFFORTS,
        GPT_4_1_MINI,
    ),
    row("o3", (200_000, 100_000), ADAPTIVE, TO_HIGH, GPT_4_1),
    row("o4-mini", (200_000, 100_000), ADAPTIVE, TO_HIGH, O4_MINI),
    row("gpt-5", GPT, ADAPTIVE, TO_HIGH, GPT_5),
    row("gpt-5-codex", GPT, ADAPTIVE, TO_HIGH, GPT_5),
    row("gpt-5-mini", GPT, ADAPTIVE, TO_HIGH, GPT_5_MINI),
    row("gpt-5-nano", GPT, ADAPTIVE, TO_HIGH, GPT_5_NANO),
    row("gpt-5.1", GPT, ADAPTIVE, TO_HIGH, GPT_5),
    row("gpt-5.1-codex", GPT, ADAPTIVE, TO_HIGH, GPT_5),
    row("gpt-5.2", GPT, ADAPTIVE, TO_XHIGH, GPT_5_2),
    row("gpt-5.2-codex", GPT, ADAPTIVE, TO_XHIGH, GPT_5_2),
    row("gpt-5.4", GPT, ADAPTIVE, TO_XHIGH, UNPRICED),
    row("gpt-5.5", GPT, ADAPTIVE, TO_XHIGH, UNPRICED),
    row("gpt-5.6-sol", GPT, ADAPTIVE, TO_XHIGH, UNPRICED),
    row("gpt-5.6-terra", GPT, ADAPTIVE, TO_XHIGH, UNPRICED),
    row("gpt-5.6-luna", GPT, ADAPTIVE, TO_XHIGH, UNPRICED),
    row("gpt-6-sol", GPT, ADAPTIVE, ALL_EFFORTS, UNPRICED),
    row("gpt-6-astra", GPT, ADAPTIVE, ALL_EFFORTS, UNPRICED),
    row("gpt-6-luna", GPT, ADAPTIVE, ALL_EFFORTS, UNPRICED),
    row("gpt-6.1-sol", GPT, ADAPTIVE, ALL_EFFORTS, UNPRICED),
    row("gpt-6.1-terra", GPT, ADAPTIVE, ALL_EFFORTS, UNPRICED),
    row("gpt-6.2-sol", GPT, ADAPTIVE, ALL_EFFORTS, UNPRICED),
    row("gpt-6.2-astra", GPT, ADAPTIVE, ALL_EFFORTS, UNPRICED),
];
