//! What clients can ask for, and where it is served.

use serde::Deserialize;

/// What clients can ask for by a name.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// Where it is served.
    pub routes: Vec<Route>,
    /// What lists of models show of it.
    #[serde(default)]
    pub display_name: Option<String>,
}

/// A place where a model is served.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// The upstream.
    pub upstream: String,
    /// The model's name there; the name that was asked for when absent.
    #[serde(default)]
    pub model: Option<String>,
    /// Its share among routes of the same rank.
    #[serde(default = "one")]
    pub weight: u32,
    /// Lower ranks are tried first; higher ones when those fail.
    #[serde(default)]
    pub rank: u32,
    /// What the platform adds to what the model has.
    #[serde(default)]
    pub add: Additions,
}

/// What the platform adds to what a model has.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Additions {
    /// How effort reaches a model that has no such setting.
    pub effort: Option<EffortBy>,
    /// Whether the effort is chosen by signs of the request where the client asks for adaptive thinking and the
    /// model has none.
    pub adaptive_thinking: bool,
    /// How tools reach a model that cannot call them.
    pub tools: Option<ToolsBy>,
    /// Whether a JSON schema is held by checking and asking again, and how often at most.
    pub schema_tries: Option<u32>,
    /// Whether an answer that the upstream cuts at its limit is gone on with up to the client's.
    pub continue_output: bool,
    /// A summary in place of a long context.
    pub compaction: Option<Compaction>,
}

impl Additions {
    /// Whether there is none, so that requests can pass as they are.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// How effort reaches a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EffortBy {
    /// By the name it has in the upstream's API, fitted to the levels that the model has.
    Name,
    /// By a number of thinking tokens.
    Budget,
    /// By words behind the instructions and a limit of the answer.
    Words,
}

/// How tools reach a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ToolsBy {
    /// As the API has it.
    Name,
    /// Described in words; calls are read from the answer's text.
    Words,
}

/// A summary in place of a long context.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Compaction {
    /// The model that writes it, by a name that clients could ask for; the same model when absent.
    #[serde(default)]
    pub model: Option<String>,
    /// From so many tokens of prompt on, where the client does not say.
    #[serde(default = "threshold")]
    pub threshold: u64,
    /// Tokens of the newest turns that stay as they are.
    #[serde(default = "kept")]
    pub keep: u64,
}

/// Whether a name with or without `*` at its end covers another.
#[must_use]
pub fn pattern_covers(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => pattern == name,
    }
}

const fn one() -> u32 {
    1
}

const fn threshold() -> u64 {
    150_000
}

const fn kept() -> u64 {
    20_000
}
