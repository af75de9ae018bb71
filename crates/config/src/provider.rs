//! Providers and models that a person describes: where to send a request, with which key.

use std::collections::BTreeMap;
use std::fmt;

use quire_protocol::{Effort, Money};

use crate::source::{Source, Sourced};

/// How a provider speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// Anthropic Messages.
    Messages,
    /// OpenAI Responses.
    Responses,
    /// OpenAI Chat Completions.
    Chat,
}

impl Dialect {
    /// Its name in a file.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Messages => "messages",
            Self::Responses => "responses",
            Self::Chat => "chat",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        [Self::Messages, Self::Responses, Self::Chat]
            .into_iter()
            .find(|dialect| dialect.name() == name)
    }
}

/// A version of the Messages API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApiVersion {
    /// The first one.
    V20230601,
    /// The current one.
    V20261021,
}

impl ApiVersion {
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        match name {
            "2023-06-01" => Some(Self::V20230601),
            "2026-10-21" => Some(Self::V20261021),
            _ => None,
        }
    }
}

/// How a model is asked to think.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Thinking {
    /// It decides by itself, guided by the effort.
    Adaptive,
    /// It is given a number of tokens.
    Budget,
    /// It is not asked.
    Unset,
}

impl Thinking {
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        match name {
            "adaptive" => Some(Self::Adaptive),
            "budget" => Some(Self::Budget),
            "none" => Some(Self::Unset),
            _ => None,
        }
    }
}

/// Whose models a model is like in the tools it knows best.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ToolFamily {
    /// Claude's: exact-replace edits and `bash`.
    Claude,
    /// GPT's: `apply_patch` and `shell`.
    Gpt,
}

impl ToolFamily {
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        match name {
            "claude" => Some(Self::Claude),
            "gpt" => Some(Self::Gpt),
            _ => None,
        }
    }
}

/// What a provider may leave out of a long context by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clear {
    /// Old results of tools.
    ToolUses,
    /// Old thinking.
    Thinking,
}

impl Clear {
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        match name {
            "tool_uses" => Some(Self::ToolUses),
            "thinking" => Some(Self::Thinking),
            _ => None,
        }
    }
}

/// A text that is never shown: `Debug` hides it and there is no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text, to be put into a request and nowhere else.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// A place that serves models.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provider {
    /// How it speaks.
    pub dialect: Dialect,
    /// Where it is; without a trailing slash.
    pub base_url: Sourced<String>,
    /// The environment variable that holds its key; empty for a provider that needs none.
    pub key_env: String,
    /// The key, from that variable or else from the file. Absent when neither has one.
    pub key: Option<Sourced<Secret>>,
    /// The version of the Messages API, where it is said.
    pub api_version: Option<ApiVersion>,
    /// Whether it takes all that the vendor's own server takes. Absent: judged by its host.
    pub vendor_features: Option<bool>,
    /// The regions that it computes in and nowhere else, such as `us`. Empty where its address comes
    /// from the environment, for which nobody has said so.
    pub regions: Vec<String>,
    /// What it is asked to leave out of a long context; Messages alone.
    pub clear: Vec<Clear>,
    /// Headers sent with each request.
    pub headers: BTreeMap<String, Secret>,
    /// Where it was described.
    pub source: Source,
}

/// A model under a name of the person's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelEntry {
    /// The provider, by name.
    pub provider: String,
    /// What the provider calls the model.
    pub name: String,
    /// Its context window in tokens.
    pub window: Option<u32>,
    /// The most tokens of one answer.
    pub max_output: Option<u32>,
    /// What its tokens cost.
    pub prices: Option<TokenPrices>,
    /// The effort levels it takes; empty for none.
    pub efforts: Option<Vec<Effort>>,
    /// How it is asked to think.
    pub thinking: Option<Thinking>,
    /// Which tools it knows best.
    pub tools: Option<ToolFamily>,
    /// Whether it takes images.
    pub images: Option<bool>,
    /// Where it was described.
    pub source: Source,
}

/// Dollars for a million tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenPrices {
    /// Input.
    pub input: Money,
    /// Output.
    pub output: Money,
    /// Input read from a cache; like `input` where it is absent.
    pub cache_read: Option<Money>,
    /// Input written to a cache; like `input` where it is absent.
    pub cache_write: Option<Money>,
}

/// A provider as a file describes it, before keys are looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Described {
    pub(crate) dialect: Option<Dialect>,
    pub(crate) base_url: Option<Sourced<String>>,
    pub(crate) key_env: Option<String>,
    pub(crate) key: Option<Sourced<Secret>>,
    pub(crate) api_version: Option<ApiVersion>,
    pub(crate) vendor_features: Option<bool>,
    pub(crate) regions: Vec<String>,
    pub(crate) clear: Vec<Clear>,
    pub(crate) headers: BTreeMap<String, Secret>,
    pub(crate) source: Source,
}

/// A provider that is there without being described.
pub(crate) struct BuiltIn {
    pub(crate) name: &'static str,
    pub(crate) dialect: Dialect,
    pub(crate) base_url: &'static str,
    pub(crate) url_env: &'static str,
    pub(crate) key_env: &'static str,
}

/// The providers that are there without being described.
pub(crate) const BUILT_IN: &[BuiltIn] = &[
    BuiltIn {
        name: "anthropic",
        dialect: Dialect::Messages,
        base_url: "https://api.anthropic.com",
        url_env: "ANTHROPIC_BASE_URL",
        key_env: "ANTHROPIC_API_KEY",
    },
    BuiltIn {
        name: "openai",
        dialect: Dialect::Responses,
        base_url: "https://api.openai.com/v1",
        url_env: "OPENAI_BASE_URL",
        key_env: "OPENAI_API_KEY",
    },
    BuiltIn {
        name: "chat",
        dialect: Dialect::Chat,
        base_url: "https://api.openai.com/v1",
        url_env: "OPENAI_BASE_URL",
        key_env: "OPENAI_API_KEY",
    },
];

/// All providers: the built-in ones, changed by what the file says of them, and the file's own.
pub(crate) fn resolve(
    described: &BTreeMap<String, Described>,
    variable: &dyn Fn(&str) -> Option<String>,
) -> BTreeMap<String, Provider> {
    let mut providers = BTreeMap::new();
    for built_in in BUILT_IN {
        let described = described.get(built_in.name);
        providers.insert(
            built_in.name.to_owned(),
            merge(built_in, described, variable),
        );
    }
    for (name, described) in described {
        if let (false, Some(dialect), Some(base_url)) = (
            providers.contains_key(name),
            described.dialect,
            described.base_url.clone(),
        ) {
            let key_env = described.key_env.clone().unwrap_or_default();
            providers.insert(
                name.clone(),
                Provider {
                    dialect,
                    base_url: trimmed(base_url),
                    key: key(&key_env, described.key.as_ref(), variable),
                    key_env,
                    api_version: described.api_version,
                    vendor_features: described.vendor_features,
                    regions: described.regions.clone(),
                    clear: described.clear.clone(),
                    headers: described.headers.clone(),
                    source: described.source.clone(),
                },
            );
        }
    }
    providers
}

fn merge(
    built_in: &BuiltIn,
    described: Option<&Described>,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Provider {
    let key_env = described
        .and_then(|described| described.key_env.clone())
        .unwrap_or_else(|| built_in.key_env.to_owned());
    let from_environment = variable(built_in.url_env).map(|url| Sourced {
        value: url,
        source: Source::Environment(built_in.url_env.to_owned()),
    });
    let base_url = from_environment
        .or_else(|| described.and_then(|described| described.base_url.clone()))
        .unwrap_or_else(|| Sourced {
            value: built_in.base_url.to_owned(),
            source: Source::Default,
        });
    let regions = match base_url.source {
        Source::Environment(_) => Vec::new(),
        _ => described.map(|d| d.regions.clone()).unwrap_or_default(),
    };
    Provider {
        dialect: described
            .and_then(|described| described.dialect)
            .unwrap_or(built_in.dialect),
        base_url: trimmed(base_url),
        key: key(&key_env, described.and_then(|d| d.key.as_ref()), variable),
        key_env,
        api_version: described.and_then(|described| described.api_version),
        vendor_features: described.and_then(|described| described.vendor_features),
        regions,
        clear: described.map(|d| d.clear.clone()).unwrap_or_default(),
        headers: described.map(|d| d.headers.clone()).unwrap_or_default(),
        source: described.map_or(Source::Default, |described| described.source.clone()),
    }
}

fn trimmed(mut url: Sourced<String>) -> Sourced<String> {
    url.value.truncate(url.value.trim_end_matches('/').len());
    url
}

fn key(
    key_env: &str,
    in_file: Option<&Sourced<Secret>>,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Option<Sourced<Secret>> {
    let from_environment = variable(key_env).map(|text| Sourced {
        value: Secret::new(text.trim()),
        source: Source::Environment(key_env.to_owned()),
    });
    from_environment.or_else(|| in_file.cloned())
}
