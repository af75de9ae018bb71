//! What opens a request: the dialect, the model and everything that stays fixed in a session.

use std::fmt;

use quire_protocol::Prefix;
use serde_json::Value;

/// The language a provider speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// Anthropic's Messages.
    Messages,
    /// OpenAI's Responses.
    Responses,
    /// OpenAI's Chat Completions, spoken by most other servers.
    Chat,
}

impl Dialect {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Messages, Self::Responses, Self::Chat];

    /// Its name, as in [`quire_protocol::Opaque::origin`].
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Messages => "messages",
            Self::Responses => "responses",
            Self::Chat => "chat",
        }
    }

    /// What follows the base URL. Anthropic's base URL has no `/v1`, OpenAI's includes it.
    #[must_use]
    pub const fn path(self) -> &'static str {
        match self {
            Self::Messages => "/v1/messages",
            Self::Responses => "/responses",
            Self::Chat => "/chat/completions",
        }
    }

    /// What follows the base URL for a compaction on demand; nothing where there is no such thing.
    #[must_use]
    pub const fn compaction_path(self) -> Option<&'static str> {
        match self {
            Self::Messages => Some("/v1/messages"),
            Self::Responses => Some("/responses/compact"),
            Self::Chat => None,
        }
    }

    /// The smallest prompt, in tokens, at which a provider can be had to compact by itself; nothing
    /// where none can.
    #[must_use]
    pub const fn compacts_from(self) -> Option<u64> {
        match self {
            Self::Messages => Some(50_000),
            Self::Responses => Some(0),
            Self::Chat => None,
        }
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What opens a request and stays the same through a session: it stands before the items.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    /// The language.
    pub dialect: Dialect,
    /// The model, as the provider names it.
    pub model: &'a str,
    /// System prompt and tools.
    pub prefix: &'a Prefix,
    /// Words behind the system prompt, in a block of their own that no cache mark covers; empty for
    /// none. Messages alone: the other dialects take them as [`Options::words`].
    pub words: &'a str,
    /// How to ask for prompt caching.
    pub cache: Caching,
    /// The version of the Messages API; other dialects ignore it.
    pub api_version: ApiVersion,
    /// What this server can do beyond the common ground.
    pub features: Features,
    /// Whether the model takes images; one that does not is told where they would be.
    pub takes_images: bool,
    /// Whether what the provider compacted is sent back as its own block, or in words, where it has
    /// any.
    pub takes_compactions: bool,
}

impl<'a> Head<'a> {
    /// A head with defaults that any server of the dialect should take.
    #[must_use]
    pub fn new(dialect: Dialect, model: &'a str, prefix: &'a Prefix) -> Self {
        Self {
            dialect,
            model,
            prefix,
            words: "",
            cache: Caching::Automatic,
            api_version: ApiVersion::V20261021,
            features: Features::default(),
            takes_images: true,
            takes_compactions: true,
        }
    }
}

/// What may change from request to request of a session: it stands behind the items, so that all
/// bytes before it stay as they are.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options<'a> {
    /// Most tokens of one answer. Messages requires a number: 8,192 when absent.
    pub max_output_tokens: Option<u32>,
    /// Whether and how to think. Chat ignores it.
    pub thinking: Thinking,
    /// How hard to think, in the provider's own word; absent for the provider's default.
    pub effort: Option<&'a str>,
    /// Words of the harness behind the last item, which the next request does not repeat; empty for
    /// none. Not for Messages, whose automatic cache mark would come to stand on them and never be
    /// found again.
    pub words: &'a str,
    /// The JSON schema that the answer must fit.
    pub output_schema: Option<&'a Value>,
    /// Groups requests that share a prompt cache; empty for none. Messages has no such thing.
    pub cache_key: &'a str,
    /// What the provider does about a long context. Chat has no such thing.
    pub compaction: Compaction<'a>,
    /// What the provider leaves out of a long context. Messages alone.
    pub clearing: Clearing,
    /// Where the answer must be computed, such as `us`. Messages alone.
    pub region: Option<&'a str>,
}

impl Options<'_> {
    /// The values of `anthropic-beta` that these options need.
    #[must_use]
    pub fn betas(&self, dialect: Dialect) -> Vec<&'static str> {
        if dialect != Dialect::Messages {
            return Vec::new();
        }
        match self.compaction {
            Compaction::Now { .. } => vec![COMPACTION_BETAS[1]],
            Compaction::From(_) => vec![CONTEXT_BETA, COMPACTION_BETAS[0]],
            Compaction::Never if self.clearing != Clearing::default() => vec![CONTEXT_BETA],
            Compaction::Never => Vec::new(),
        }
    }
}

const CONTEXT_BETA: &str = "context-management-2025-06-27";

/// The values of `anthropic-beta` that a context with a compaction block in it needs: of the kind that
/// comes by itself, and of the kind that comes on demand.
pub const COMPACTION_BETAS: [&str; 2] = ["compact-2026-01-12", "compact-2026-09-04"];

/// What the provider does about a long context.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compaction<'a> {
    /// Nothing.
    #[default]
    Never,
    /// It compacts in the middle of a request whose prompt has so many tokens.
    From(u64),
    /// This request is for a compaction and nothing else.
    Now {
        /// What it should dwell on; may be empty.
        focus: &'a str,
    },
}

/// What the provider leaves out of a long context by itself, by its own measure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Clearing {
    /// Old results of tools.
    pub tool_uses: bool,
    /// Old thinking.
    pub thinking: bool,
}

/// Whether and how the model is asked to think.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Thinking {
    /// Say nothing: the model's default.
    #[default]
    Unset,
    /// The model decides how much. On Responses: ask for summaries of the reasoning.
    Adaptive,
    /// At most so many tokens, for older Messages models; kept below the output limit.
    Budget(u32),
    /// Not at all.
    Disabled,
}

/// How to ask for prompt caching.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Caching {
    /// Mark the prefix, and let the provider mark the end of each request by itself.
    #[default]
    Automatic,
    /// Mark the prefix only, for servers without the automatic marker.
    PrefixOnly,
    /// Send nothing about caching.
    Off,
}

/// A version of the Messages API.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ApiVersion {
    /// The first one, which most compatible servers speak.
    V20230601,
    /// The current one.
    #[default]
    V20261021,
}

impl ApiVersion {
    /// The value of the `anthropic-version` header.
    #[must_use]
    pub const fn header(self) -> &'static str {
        match self {
            Self::V20230601 => "2023-06-01",
            Self::V20261021 => "2026-10-21",
        }
    }

    /// The version of a request that bears this header. Where it bears none, or one that is not known, no rule of a
    /// newer version holds.
    #[must_use]
    pub fn of(header: Option<&str>) -> Self {
        match header.map(str::trim) {
            Some(text) if text == Self::V20261021.header() => Self::V20261021,
            Some(_) | None => Self::V20230601,
        }
    }
}

/// What a server can do beyond the common ground of its dialect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Features {
    /// Responses: free-text tools with a grammar. Without it they become functions with one
    /// string argument, `input`.
    pub custom_tools: bool,
    /// Responses: readable summaries of the reasoning (some accounts may not ask for them).
    pub reasoning_summaries: bool,
    /// Chat: takes `prompt_cache_key`.
    pub cache_key: bool,
    /// Chat: which field limits the answer.
    pub output_limit: OutputLimit,
}

/// Chat's field for the most tokens of an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OutputLimit {
    /// `max_tokens`, which every server knows but OpenAI's newer models.
    #[default]
    MaxTokens,
    /// `max_completion_tokens`.
    MaxCompletionTokens,
}
