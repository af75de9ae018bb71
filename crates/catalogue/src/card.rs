//! What is known of a model, in lines for a person, each with where it comes from.

use quire_dialect::Dialect;
use quire_protocol::{Day, Money, Usage};

use crate::catalogue::{Catalogue, Images, ModelFacts, Override, ThinkingKind, ToolDialect};
use crate::effort::EffortLine;
use crate::models;
use crate::price::{Billing, Factor, PriceRow};

/// Where a line comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It comes with this version.
    Builtin,
    /// A person set it.
    Config,
    /// It is guessed from the model's name.
    Guess,
}

impl Origin {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Builtin => "built-in",
            Self::Config => "config",
            Self::Guess => "guess",
        }
    }
}

/// A line about a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CardLine {
    /// What it is about; empty where it goes on with the line before.
    pub about: String,
    /// What is known.
    pub value: String,
    /// Where it comes from.
    pub origin: Origin,
}

impl Catalogue {
    /// The models that are known by name, each as `provider/name` of its vendor.
    pub fn known(&self) -> impl Iterator<Item = String> {
        models::ROWS.iter().map(|row| {
            let vendor = if row.name.starts_with("claude") {
                "anthropic"
            } else {
                "openai"
            };
            format!("{vendor}/{}", row.name)
        })
    }

    /// The model that is meant by the bare name of a known one; any other name as it is.
    #[must_use]
    pub fn meant(&self, name: String) -> String {
        let is_it = |known: &String| known.split_once('/').is_some_and(|(_, bare)| bare == name);
        self.known().find(is_it).unwrap_or(name)
    }

    /// What the tokens of one request to a model (`provider/name`) cost on a day, at list prices.
    #[must_use]
    pub fn price(&self, model: &str, day: Day, usage: &Usage) -> Option<Money> {
        let (provider, name) = model.split_once('/').unwrap_or(("", model));
        let billing = Billing {
            day: Some(day),
            ..Billing::default()
        };
        self.facts(provider, name).cost(usage, billing)
    }

    /// A model on one line: how it is to be called here, window, largest answer, dollars for a million tokens of input and of output
    /// by the newest prices for prompts of any size, and the efforts it takes.
    #[must_use]
    pub fn line(&self, shown: String, model: &str) -> [String; 6] {
        let (provider, name) = model.split_once('/').unwrap_or(("", model));
        let facts = self.facts(provider, name);
        let rows = facts.prices.rows.iter().filter(|row| row.above == 0);
        let newest = rows.max_by_key(|row| row.from);
        let million = |token: fn(&PriceRow) -> Money| {
            newest.map_or("?".to_owned(), |row| {
                token(row).times(1_000_000).to_string()
            })
        };
        let efforts: Vec<&str> = facts.efforts.iter().map(|effort| effort.name()).collect();
        [
            shown,
            facts.window.to_string(),
            facts.max_output.to_string(),
            million(|row| row.input),
            million(|row| row.output),
            efforts.join(" "),
        ]
    }

    /// All that is known of a provider's model that speaks a dialect.
    #[must_use]
    pub fn card(&self, provider: &str, model: &str, dialect: Dialect) -> Vec<CardLine> {
        let facts = self.facts(provider, model);
        let base = if Self::builtin().facts(provider, model).known {
            Origin::Builtin
        } else {
            Origin::Guess
        };
        let origin = |is_set: fn(&Override) -> bool| {
            let mut given = self.given(provider, model);
            if given.any(is_set) {
                Origin::Config
            } else {
                base
            }
        };
        let mut lines = Vec::new();
        let mut tell = |about: &str, value: String, origin: Origin| {
            lines.push(CardLine {
                about: about.to_owned(),
                value,
                origin,
            });
        };
        let window = origin(|given| given.window.is_some());
        tell("window", format!("{} tokens", facts.window), window);
        let answer = origin(|given| given.max_output.is_some());
        tell(
            "largest answer",
            format!("{} tokens", facts.max_output),
            answer,
        );
        let prices = origin(|given| given.prices.is_some());
        for (index, price) in priced(&facts).into_iter().enumerate() {
            tell(if index == 0 { "prices" } else { "" }, price, prices);
        }
        let thinking = origin(|given| given.thinking.is_some());
        tell(
            "thinking",
            thinking_words(facts.thinking).to_owned(),
            thinking,
        );
        let efforts = origin(|given| given.efforts.is_some() || given.thinking.is_some());
        for line in facts.efforts_described(dialect) {
            let about = format!("effort {}", line.level.name());
            tell(&about, effort_told(line), efforts);
        }
        let tools = match facts.family {
            ToolDialect::ClaudeLike => "those of Claude models: exact-replace edits and bash",
            ToolDialect::GptLike => "those of GPT models: apply_patch and shell",
        };
        let family = origin(|given| given.family.is_some());
        tell("tools", tools.to_owned(), family);
        let images = origin(|given| given.images.is_some());
        let taken = match facts.images {
            Images::Taken => "taken",
            Images::Refused => "refused",
        };
        tell("images", taken.to_owned(), images);
        for (index, way) in compacted_by(dialect).into_iter().enumerate() {
            let about = if index == 0 { "compaction" } else { "" };
            tell(about, way, Origin::Builtin);
        }
        lines
    }
}

/// What is sent for an effort, and whether another level is sent so too.
fn effort_told(line: EffortLine) -> String {
    match line.mapped_to {
        Some(_) => format!("{}: this model has no `{}`", line.sent, line.level.name()),
        None => match line.same_as {
            Some(lower) => format!("{}: the same as `{}`", line.sent, lower.name()),
            None => line.sent,
        },
    }
}

/// Who compacts the context, and how a provider that speaks this can be had to.
fn compacted_by(dialect: Dialect) -> Vec<String> {
    let asked = dialect.compaction_path().map(|_| {
        "context.compaction = provider: by the provider when asked, if its server can".to_owned()
    });
    let by_itself = dialect.compacts_from().map(|least| {
        let from = match least {
            0 => String::new(),
            least => format!(" from {least} tokens on"),
        };
        format!(
            "context.compaction = provider-threshold: by the provider by itself{from}, if its server can"
        )
    });
    let whose = match asked.as_ref().or(by_itself.as_ref()) {
        Some(_) => "by Quire, unless set otherwise:",
        None => "by Quire: what this provider speaks has no way to leave it to the provider",
    };
    let ways = asked.into_iter().chain(by_itself);
    [whose.to_owned()].into_iter().chain(ways).collect()
}

fn thinking_words(thinking: ThinkingKind) -> &'static str {
    match thinking {
        ThinkingKind::Adaptive => "adaptive: it decides by itself, guided by the effort",
        ThinkingKind::Budget => "a number of tokens, by the effort",
        ThinkingKind::Unset => "not asked for",
    }
}

/// The price rows, oldest first, and what they are multiplied by.
fn priced(facts: &ModelFacts) -> Vec<String> {
    let prices = &facts.prices;
    if !prices.is_known() {
        return vec!["not known: cost is shown as unknown, and no budget can be kept".to_owned()];
    }
    let mut rows: Vec<&PriceRow> = prices.rows.iter().collect();
    rows.sort_by_key(|row| (row.from, row.above));
    let mut lines: Vec<String> = rows.into_iter().map(price_row).collect();
    let factor = |name: &str, factor: Option<Factor>| {
        factor.map(|(up, down)| format!("{name}: all of it times {}", fraction(up, down)))
    };
    lines.extend(factor("inference in one region only", prices.regional));
    lines.extend(factor("fast mode", prices.fast));
    lines
}

fn price_row(row: &PriceRow) -> String {
    let million = |share: Factor| {
        let price = row.input.scaled(share.0, share.1).times(1_000_000);
        dollars(price)
    };
    let since = match row.from {
        Day(0) => String::new(),
        from => format!("from {from} on, "),
    };
    let above = match row.above {
        0 => String::new(),
        above => format!("where the prompt has more than {above} tokens, "),
    };
    format!(
        "{since}{above}per million: input {}, output {}, cache read {}, written for 5 min {}, for 1 h {}",
        million((1, 1)),
        dollars(row.output.times(1_000_000)),
        million(row.cache_read),
        million(row.cache_write_5m),
        million(row.cache_write_1h),
    )
}

fn dollars(money: Money) -> String {
    format!("${money}")
}

fn fraction(up: u32, down: u32) -> String {
    match down {
        1 => up.to_string(),
        _ => format!("{up}/{down}"),
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use quire_protocol::Effort;

    use super::*;

    fn check(catalogue: &Catalogue, name: &str, dialect: Dialect, expected: &Expect) {
        let lines = catalogue.card("anthropic", name, dialect);
        let lines = lines
            .iter()
            .map(|line| format!("{} | {} | {}\n", line.about, line.value, line.origin.name()));
        expected.assert_eq(&lines.collect::<String>());
    }

    #[test]
    fn what_is_known_and_from_where() {
        let builtin = Catalogue::builtin();
        check(
            &builtin,
            "claude-opus-4-6",
            Dialect::Messages,
            &expect![[r"
                window | 1000000 tokens | built-in
                largest answer | 128000 tokens | built-in
                prices | from 2026-02-05 on, per million: input $5, output $25, cache read $0.5, written for 5 min $6.25, for 1 h $10 | built-in
                 | from 2026-02-05 on, where the prompt has more than 200000 tokens, per million: input $10, output $37.5, cache read $1, written for 5 min $12.5, for 1 h $20 | built-in
                 | from 2026-03-13 on, per million: input $5, output $25, cache read $0.5, written for 5 min $6.25, for 1 h $10 | built-in
                 | inference in one region only: all of it times 11/10 | built-in
                 | fast mode: all of it times 6 | built-in
                thinking | adaptive: it decides by itself, guided by the effort | built-in
                effort low | output_config.effort = low, thinking adaptive | built-in
                effort medium | output_config.effort = medium, thinking adaptive | built-in
                effort high | output_config.effort = high, thinking adaptive | built-in
                effort xhigh | output_config.effort = high, thinking adaptive: this model has no `xhigh` | built-in
                effort max | output_config.effort = max, thinking adaptive | built-in
                tools | those of Claude models: exact-replace edits and bash | built-in
                images | taken | built-in
                compaction | by Quire, unless set otherwise: | built-in
                 | context.compaction = provider: by the provider when asked, if its server can | built-in
                 | context.compaction = provider-threshold: by the provider by itself from 50000 tokens on, if its server can | built-in
            "]],
        );
        check(
            &builtin,
            "claude-haiku-4-5",
            Dialect::Messages,
            &expect![[r"
                window | 200000 tokens | built-in
                largest answer | 64000 tokens | built-in
                prices | per million: input $1, output $5, cache read $0.1, written for 5 min $1.25, for 1 h $2 | built-in
                 | inference in one region only: all of it times 11/10 | built-in
                thinking | a number of tokens, by the effort | built-in
                effort low | thinking up to 2048 tokens | built-in
                effort medium | thinking up to 8192 tokens | built-in
                effort high | thinking up to 16384 tokens | built-in
                effort xhigh | thinking up to 32000 tokens | built-in
                effort max | thinking up to 32000 tokens: the same as `xhigh` | built-in
                tools | those of Claude models: exact-replace edits and bash | built-in
                images | taken | built-in
                compaction | by Quire, unless set otherwise: | built-in
                 | context.compaction = provider: by the provider when asked, if its server can | built-in
                 | context.compaction = provider-threshold: by the provider by itself from 50000 tokens on, if its server can | built-in
            "]],
        );
    }

    #[test]
    fn what_a_person_set_comes_from_the_config() {
        let set = Override {
            model: "anthropic/double".into(),
            window: Some(9_000),
            efforts: Some(vec![Effort::Low, Effort::High]),
            ..Override::default()
        };
        let set = Catalogue::builtin().with_overrides([set]);
        check(
            &set,
            "double",
            Dialect::Chat,
            &expect![[r"
                window | 9000 tokens | config
                largest answer | 32000 tokens | guess
                prices | not known: cost is shown as unknown, and no budget can be kept | guess
                thinking | not asked for | guess
                effort low | reasoning_effort = low | config
                effort medium | reasoning_effort = low: this model has no `medium` | config
                effort high | reasoning_effort = high | config
                effort xhigh | reasoning_effort = high: this model has no `xhigh` | config
                effort max | reasoning_effort = high: this model has no `max` | config
                tools | those of Claude models: exact-replace edits and bash | guess
                images | taken | guess
                compaction | by Quire: what this provider speaks has no way to leave it to the provider | built-in
            "]],
        );
    }

    #[test]
    fn a_model_on_one_line() {
        let catalogue = Catalogue::builtin();
        for (model, line) in [
            (
                "claude-opus-4-6",
                "x 1000000 128000 5 25 low medium high max",
            ),
            ("claude-sonnet-4-5", "x 200000 64000 3 15 "),
            ("gpt-5.5", "x 400000 128000 ? ? low medium high xhigh"),
        ] {
            assert_eq!(catalogue.line("x".into(), model).join(" "), line);
        }
    }

    #[test]
    fn every_model_that_is_listed_is_known() {
        let catalogue = Catalogue::builtin();
        for name in catalogue.known() {
            let (provider, model) = name.split_once('/').unwrap();
            assert!(catalogue.facts(provider, model).known, "{name}");
        }
    }
}
