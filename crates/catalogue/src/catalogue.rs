//! What is known of a model by its name: sizes, prices, effort levels, thinking, tools. The data
//! are in `models.rs`; what a person sets goes over it; an unknown model gets sane values.

use quire_dialect::Dialect;
use quire_protocol::{
    Content, ContextLimits, CostSplit, Effort, EffortChoice, Money, Settings, Usage,
};

use crate::models::{self, Row};
use crate::price::{Billing, Prices};

/// Which set of tools a model was trained on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ToolDialect {
    /// Exact-replace edits and `bash`.
    ClaudeLike,
    /// `apply_patch` and `shell`.
    GptLike,
}

/// How a model is asked to think.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThinkingKind {
    /// It decides by itself, guided by the effort.
    Adaptive,
    /// It wants a number of tokens.
    Budget,
    /// It is not asked.
    Unset,
}

/// Whether a model takes images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Images {
    /// It does.
    Taken,
    /// It does not.
    Refused,
}

impl From<bool> for Images {
    /// From whether it takes them.
    fn from(taken: bool) -> Self {
        if taken { Self::Taken } else { Self::Refused }
    }
}

/// What is known of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelFacts {
    /// Tokens of prompt and answer together.
    pub window: u64,
    /// The most tokens it may produce in one answer.
    pub max_output: u32,
    /// What it costs.
    pub prices: Prices,
    /// The effort levels it takes, lowest first; empty where it takes none.
    pub efforts: Vec<Effort>,
    /// How it is asked to think.
    pub thinking: ThinkingKind,
    /// Which tools it knows best.
    pub family: ToolDialect,
    /// Whether it takes images.
    pub images: Images,
    /// The value of `anthropic-beta` without which its window is smaller.
    pub window_beta: Option<&'static str>,
    /// Whether its vendor's own server can be told where to compute.
    pub placeable: bool,
    /// Whether it is known by name; if not, all of this is a guess.
    pub known: bool,
}

/// What a person puts behind a model's name for a window of a million tokens.
const LONG: &str = "[1m]";
/// What it stands for.
const LONG_WINDOW: u64 = 1_000_000;
/// What a Claude model whose own window is smaller needs for it.
const LONG_BETA: &str = "context-1m-2025-08-07";

/// A model's name as it is sent, and whether a long window is wanted: `[1m]` behind it says so.
#[must_use]
pub fn without_window(model: &str) -> (&str, bool) {
    match model.strip_suffix(LONG) {
        Some(name) => (name, true),
        None => (model, false),
    }
}

impl ModelFacts {
    /// What a request's tokens cost; `None` where no price is known.
    #[must_use]
    pub fn cost(&self, usage: &Usage, billing: Billing<'_>) -> Option<Money> {
        self.prices.cost(usage, billing)
    }

    /// The same by the kinds of tokens.
    #[must_use]
    pub fn split(&self, usage: &Usage, billing: Billing<'_>) -> Option<CostSplit> {
        self.prices.split(usage, billing)
    }

    /// Fails, with the reason, where these settings have a budget that nobody can price.
    pub fn keeps_budget(&self, settings: &Settings) -> Result<(), String> {
        if settings.limits.budget.is_some() && !self.prices.is_known() {
            return Err(format!(
                "a budget cannot be kept: no price is known for {}. Give it prices under \
                 [models.NAME] in the config, or take the budget off with --budget-usd none",
                settings.model
            ));
        }
        Ok(())
    }

    /// What a person should know before a session with these settings begins with these words: what
    /// becomes of an effort. Fails with the reason why it cannot begin at all.
    pub fn review(
        &self,
        dialect: Dialect,
        settings: &Settings,
        said: &[Content],
    ) -> Result<Option<String>, String> {
        self.keeps_budget(settings)?;
        let model = &settings.model;
        if self.images == Images::Refused && said.iter().any(|part| part.as_text().is_none()) {
            return Err(format!(
                "{model} takes no images, as the settings say: leave them out, or take another model"
            ));
        }
        Ok(self.effort_note(settings.effort, dialect))
    }

    /// Fits settings to this model: how large the context may grow, and who decides how hard to think,
    /// where somebody is to (`dialect`). What a session was recorded with stays while its model's window does.
    pub fn fit(&self, settings: &mut Settings, context: ContextLimits, dialect: Option<Dialect>) {
        let recorded = (settings.context.window, settings.context.answer);
        if recorded != (context.window, context.answer) {
            settings.context = context;
        }
        settings.effort_choice =
            dialect.map_or(EffortChoice::Fixed, |dialect| self.effort_choice(dialect));
    }

    /// Who is to decide how hard to think at each step. A model that thinks adaptively does so itself;
    /// where a budget of tokens is sent, a change costs the provider's cache of what was said.
    #[must_use]
    pub fn effort_choice(&self, dialect: Dialect) -> EffortChoice {
        match self.thinking {
            ThinkingKind::Adaptive => EffortChoice::Fixed,
            ThinkingKind::Budget if dialect == Dialect::Messages => EffortChoice::ByTurn,
            ThinkingKind::Budget | ThinkingKind::Unset if self.efforts.is_empty() => {
                EffortChoice::Fixed
            }
            ThinkingKind::Budget | ThinkingKind::Unset => EffortChoice::ByStep,
        }
    }
}

/// What a person sets about a model; what is `None` stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Override {
    /// Which model: `provider/name`, or a name with any provider; a `*` at the end stands for any
    /// rest.
    pub model: String,
    /// Tokens of prompt and answer together.
    pub window: Option<u64>,
    /// The most tokens it may produce in one answer.
    pub max_output: Option<u32>,
    /// What it costs.
    pub prices: Option<Prices>,
    /// The effort levels it takes.
    pub efforts: Option<Vec<Effort>>,
    /// How it is asked to think.
    pub thinking: Option<ThinkingKind>,
    /// Which tools it knows best.
    pub family: Option<ToolDialect>,
    /// Whether it takes images.
    pub images: Option<Images>,
}

/// What is known of models.
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    overrides: Vec<Override>,
}

impl Catalogue {
    /// What comes with this version. Costs nothing to make.
    #[must_use]
    pub fn builtin() -> Self {
        Self::default()
    }

    /// Puts settings over it; a later one wins over an earlier one.
    #[must_use]
    pub fn with_overrides(mut self, overrides: impl IntoIterator<Item = Override>) -> Self {
        self.overrides.extend(overrides);
        self
    }

    /// What is known of a provider's model; sane guesses for one that is not known. A name that ends
    /// in `[1m]` is that of a model with a window of a million tokens.
    #[must_use]
    pub fn facts(&self, provider: &str, model: &str) -> ModelFacts {
        let (sent, is_long) = without_window(model);
        let name = plain_name(sent);
        let known = models::ROWS.iter().find(|row| row.name == name);
        let mut facts = known.map_or_else(|| guess(&name), facts_of);
        for given in self.given(provider, sent) {
            given.put_over(&mut facts);
        }
        if is_long {
            let needs_beta = facts.window < LONG_WINDOW && name.starts_with("claude");
            facts.window_beta = needs_beta.then_some(LONG_BETA);
            facts.window = facts.window.max(LONG_WINDOW);
            for given in self.given(provider, model) {
                given.put_over(&mut facts);
            }
        }
        facts
    }

    /// What a person set about a provider's model, a later one over an earlier one.
    pub(crate) fn given(&self, provider: &str, model: &str) -> impl Iterator<Item = &Override> {
        let covers = move |given: &&Override| given.covers(provider, model);
        self.overrides.iter().filter(covers)
    }
}

impl Override {
    fn covers(&self, provider: &str, model: &str) -> bool {
        let fits = |name: &str| match self.model.strip_suffix('*') {
            Some(start) => name.starts_with(start),
            None => name == self.model,
        };
        fits(model) || fits(&format!("{provider}/{model}"))
    }

    fn put_over(&self, facts: &mut ModelFacts) {
        fn put<T: Clone>(given: Option<&T>, place: &mut T) {
            if let Some(given) = given {
                *place = given.clone();
            }
        }
        facts.known = true;
        put(self.window.as_ref(), &mut facts.window);
        put(self.max_output.as_ref(), &mut facts.max_output);
        put(self.prices.as_ref(), &mut facts.prices);
        put(self.efforts.as_ref(), &mut facts.efforts);
        put(self.thinking.as_ref(), &mut facts.thinking);
        put(self.family.as_ref(), &mut facts.family);
        put(self.images.as_ref(), &mut facts.images);
        facts.efforts.sort_unstable();
    }
}

fn facts_of(row: &Row) -> ModelFacts {
    let family = family(row.name);
    ModelFacts {
        window: row.window,
        max_output: row.max_output,
        prices: Prices {
            rows: row.prices.to_vec(),
            regional: (family == ToolDialect::ClaudeLike).then_some(models::REGIONAL),
            fast: row.fast,
            batch: (family == ToolDialect::ClaudeLike).then_some(models::BATCH),
        },
        efforts: row.efforts.to_vec(),
        thinking: row.thinking,
        family,
        images: Images::Taken,
        window_beta: None,
        placeable: is_placeable(row.name),
        known: true,
    }
}

/// A model that is not in the table: its vendor's newest manners if the name tells the vendor,
/// otherwise nothing that a compatible server might not know.
fn guess(name: &str) -> ModelFacts {
    let family = family(name);
    let (window, thinking, efforts) = if name.starts_with("claude") {
        (200_000, ThinkingKind::Adaptive, models::ALL_EFFORTS)
    } else if family == ToolDialect::GptLike && !name.starts_with("gpt-oss") {
        let reasons = !name.starts_with("gpt-4") && !name.starts_with("gpt-3");
        if reasons {
            (200_000, ThinkingKind::Adaptive, models::TO_XHIGH)
        } else {
            (128_000, ThinkingKind::Unset, models::NO_EFFORTS)
        }
    } else {
        (128_000, ThinkingKind::Unset, models::NO_EFFORTS)
    };
    ModelFacts {
        window,
        max_output: 32_000,
        prices: Prices::default(),
        efforts: efforts.to_vec(),
        thinking,
        family,
        images: Images::Taken,
        window_beta: None,
        placeable: is_placeable(name),
        known: false,
    }
}

fn is_placeable(name: &str) -> bool {
    name.starts_with("claude") && !models::PLACELESS.contains(&name)
}

fn family(name: &str) -> ToolDialect {
    let mut start = name.bytes();
    let o_series = start.next() == Some(b'o') && start.next().is_some_and(|b| b.is_ascii_digit());
    if name.starts_with("gpt") || name.contains("codex") || o_series {
        ToolDialect::GptLike
    } else {
        ToolDialect::ClaudeLike
    }
}

/// The name as the table has it: without a vendor's folder, a variant or a date.
fn plain_name(model: &str) -> String {
    let name = model
        .rsplit('/')
        .next()
        .unwrap_or(model)
        .to_ascii_lowercase();
    let name = name.split([':', '@', '[']).next().unwrap_or(&name);
    let name = name.strip_suffix("-latest").unwrap_or(name);
    let name = without_date(name);
    if name.starts_with("claude") {
        name.replace('.', "-")
    } else {
        name.to_owned()
    }
}

/// Cuts a trailing `-20251101` or `-2025-11-01`.
fn without_date(name: &str) -> &str {
    let digits = |text: &str, count: usize| {
        text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit())
    };
    if let Some((rest, last)) = name.rsplit_once('-') {
        if digits(last, 8) {
            return rest;
        }
        if digits(last, 2)
            && let Some((rest, month)) = rest.rsplit_once('-')
            && let Some((rest, year)) = rest.rsplit_once('-')
            && digits(month, 2)
            && digits(year, 4)
        {
            return rest;
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use quire_protocol::{ApprovalMode, Limits, Phase, Policy, SandboxMode};

    use super::*;

    #[test]
    fn names() {
        for (given, plain) in [
            ("claude-opus-4-5-20251101", "claude-opus-4-5"),
            ("anthropic/claude-opus-4.6", "claude-opus-4-6"),
            ("claude-opus-5[1m]", "claude-opus-5"),
            ("gpt-5-2025-08-07", "gpt-5"),
            ("gpt-5.2", "gpt-5.2"),
            ("Qwen3-Coder:30b", "qwen3-coder"),
            ("claude-sonnet-4-5-latest", "claude-sonnet-4-5"),
            ("", ""),
        ] {
            assert_eq!(plain_name(given), plain);
        }
    }

    #[test]
    fn unknown_models_are_guessed() {
        let catalogue = Catalogue::builtin();
        for (model, family, thinking, top) in [
            ("hand", ToolDialect::ClaudeLike, ThinkingKind::Unset, None),
            (
                "claude-opus-9",
                ToolDialect::ClaudeLike,
                ThinkingKind::Adaptive,
                Some("max"),
            ),
            (
                "gpt-9-sol",
                ToolDialect::GptLike,
                ThinkingKind::Adaptive,
                Some("xhigh"),
            ),
            ("gpt-4o", ToolDialect::GptLike, ThinkingKind::Unset, None),
            (
                "openai/gpt-oss-120b",
                ToolDialect::GptLike,
                ThinkingKind::Unset,
                None,
            ),
            (
                "o5",
                ToolDialect::GptLike,
                ThinkingKind::Adaptive,
                Some("xhigh"),
            ),
            ("olmo-3", ToolDialect::ClaudeLike, ThinkingKind::Unset, None),
            (
                "my-codex",
                ToolDialect::GptLike,
                ThinkingKind::Adaptive,
                Some("xhigh"),
            ),
        ] {
            let facts = catalogue.facts("x", model);
            assert!(!facts.known, "{model}");
            assert_eq!(
                (facts.family, facts.thinking),
                (family, thinking),
                "{model}"
            );
            let level = facts.asked(Effort::Max, Dialect::Messages).level;
            assert_eq!(level.map(Effort::name), top, "{model}");
            assert_eq!(facts.cost(&Usage::default(), Billing::default()), None);
        }
    }

    #[test]
    fn a_session_begins_with_what_the_model_can_do() {
        let mut settings = Settings {
            model: "p/gpt-4.1".into(),
            effort: Effort::Low,
            workspace: "/w".into(),
            policy: Policy {
                sandbox: SandboxMode::ReadOnly,
                approvals: ApprovalMode::Never,
                rules: Vec::new(),
                domains: Vec::new(),
                writable: Vec::new(),
                environment: Vec::new(),
                phase: Phase::Work,
            },
            limits: Limits::default(),
            output_schema: None,
            context: ContextLimits::default(),
            effort_choice: EffortChoice::default(),
            region: None,
        };
        let image = Content::Image {
            media_type: "image/png".into(),
            data: String::new(),
        };
        let mut facts = Catalogue::builtin().facts("p", "gpt-4.1");
        let review = |facts: &ModelFacts, settings: &Settings, said: &[Content]| {
            facts.review(Dialect::Chat, settings, said)
        };
        let note = review(&facts, &settings, std::slice::from_ref(&image));
        assert!(note.unwrap().unwrap().contains("in words"));
        facts.images = Images::Refused;
        assert!(review(&facts, &settings, &[Content::text("hi")]).is_ok());
        let why = review(&facts, &settings, &[image]).unwrap_err();
        assert!(why.contains("takes no images"), "{why}");
        settings.limits.budget = Some(Money::ZERO);
        assert!(review(&facts, &settings, &[]).is_ok());
        facts.prices = Prices::default();
        let why = review(&facts, &settings, &[]).unwrap_err();
        assert!(why.contains("no price is known for p/gpt-4.1"), "{why}");
    }

    #[test]
    fn a_million_tokens_are_a_suffix_and_a_header_where_one_is_needed() {
        let given = |model: &str, window| Override {
            model: model.to_owned(),
            window: Some(window),
            ..Override::default()
        };
        let catalogue = Catalogue::builtin().with_overrides([
            given("lab/claude-mine", 300_000),
            given("lab/claude-yours[1m]", 900_000),
        ]);
        let beta = Some(LONG_BETA);
        for (model, window, window_beta) in [
            ("claude-sonnet-4-5", 200_000, None),
            ("claude-sonnet-4-5[1m]", 1_000_000, beta),
            ("claude-opus-4-6[1m]", 1_000_000, None),
            ("claude-opus-5-5[1m]", 1_000_000, None),
            ("claude-unheard-of[1m]", 1_000_000, beta),
            ("claude-mine[1m]", 1_000_000, beta),
            ("claude-yours[1m]", 900_000, beta),
            ("gpt-4.1[1m]", 1_047_576, None),
            ("local[1m]", 1_000_000, None),
        ] {
            let facts = catalogue.facts("lab", model);
            assert_eq!(
                (facts.window, facts.window_beta),
                (window, window_beta),
                "{model}"
            );
        }
    }

    #[test]
    fn a_later_override_wins() {
        let over = |model: &str, window| Override {
            model: model.to_owned(),
            window: Some(window),
            ..Override::default()
        };
        let catalogue = Catalogue::builtin().with_overrides([
            over("local/*", 1),
            over("local/qwen", 2),
            over("mistral", 3),
        ]);
        for (provider, model, window) in [
            ("local", "llama", 1),
            ("local", "qwen", 2),
            ("other", "mistral", 3),
            ("other", "qwen", 128_000),
        ] {
            assert_eq!(catalogue.facts(provider, model).window, window);
        }
        assert!(catalogue.facts("local", "llama").known);
    }

    #[test]
    fn rows_are_unique_and_sane() {
        for (at, row) in models::ROWS.iter().enumerate() {
            assert_eq!(plain_name(row.name), row.name);
            assert!(
                models::ROWS
                    .iter()
                    .skip(at + 1)
                    .all(|other| other.name != row.name)
            );
            assert!(u64::from(row.max_output) < row.window);
        }
    }
}
