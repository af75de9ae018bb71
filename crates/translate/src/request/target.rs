//! Where a request goes, what is understood there, and what became of the request on the way.

use quire_dialect::{ApiVersion, Dialect};

use super::names::Names;
use crate::seal::Sealer;

/// The upstream that a request is written for.
#[derive(Clone, Debug)]
pub struct Target<'a> {
    /// The API it speaks.
    pub dialect: Dialect,
    /// The model, as it names it.
    pub model: &'a str,
    /// Opens the seals that went out in the words of another API.
    pub sealer: Option<&'a Sealer>,
    /// What it understands.
    pub can: Abilities,
}

/// What an upstream understands of its own API.
#[expect(
    clippy::struct_excessive_bools,
    reason = "a list of independent abilities, each named where it is set"
)]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Abilities {
    /// The version of the Messages API; others have none.
    pub version: ApiVersion,
    /// The most tokens of an answer, where that is known.
    pub max_output: Option<u64>,
    /// Tools that are called with free text.
    pub custom_tools: bool,
    /// Tools under a common name.
    pub namespaces: bool,
    /// Output by a JSON schema.
    pub json_schema: bool,
    /// Pictures.
    pub images: bool,
    /// Files to read.
    pub documents: bool,
    /// Words of the system in the middle of a conversation (Messages).
    pub system_turns: bool,
    /// The role `developer` (Chat Completions).
    pub developer_role: bool,
    /// The limit of the answer by its newer name (Chat Completions).
    pub max_completion_tokens: bool,
    /// What the model thought, back in `reasoning_content` (Chat Completions; local servers).
    pub reasoning_content: bool,
    /// Ciphers of thinking that are kept by the client (Responses).
    pub encrypted_reasoning: bool,
    /// Compaction at a threshold.
    pub compaction: bool,
    /// The efforts it knows; all of its API's when absent, none when empty.
    pub efforts: Option<Vec<String>>,
    /// The kinds of thinking it knows (Messages); all when absent, none when empty.
    pub thinking: Option<Vec<String>>,
}

impl Default for Abilities {
    /// All of it, in the version of Messages that most clients speak.
    fn default() -> Self {
        Self {
            version: ApiVersion::V20230601,
            max_output: None,
            custom_tools: true,
            namespaces: true,
            json_schema: true,
            images: true,
            documents: true,
            system_turns: true,
            developer_role: true,
            max_completion_tokens: true,
            reasoning_content: false,
            encrypted_reasoning: true,
            compaction: true,
            efforts: None,
            thinking: None,
        }
    }
}

impl<'a> Target<'a> {
    /// An upstream that understands all of its API.
    #[must_use]
    pub fn new(dialect: Dialect, model: &'a str) -> Self {
        Self {
            dialect,
            model,
            sealer: None,
            can: Abilities::default(),
        }
    }
}

/// A request in the words of an upstream.
#[derive(Clone, Debug, PartialEq)]
pub struct Encoded {
    /// The body, as JSON.
    pub body: Vec<u8>,
    /// What the upstream's API has no words for, each once.
    pub dropped: Vec<Dropped>,
    /// What must stand in `anthropic-beta` besides what the client sent.
    pub betas: Vec<&'static str>,
    /// What the upstream's names of tools mean to the client.
    pub names: Names,
}

/// Something of a request that the upstream does not get.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dropped {
    /// Where it stood, in the client's words (`tools.web_search`, `messages.cache_control`).
    pub field: String,
    /// Why the request is served without it.
    pub why: &'static str,
}
