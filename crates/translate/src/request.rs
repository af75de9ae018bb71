//! A request for a model, in the words that the three APIs share.

mod agree;
mod chat;
#[cfg(test)]
mod checks;
mod coding;
mod complete;
mod losses;
mod messages;
mod names;
mod offer;
mod opaque;
mod openai;
mod pairs;
mod plan;
mod read;
mod responses;
mod settings;
mod target;
mod version;
mod write;

pub use coding::{decode_request, encode_request};
pub use complete::check_complete;
pub use names::{Named, Names};
pub use pairs::{no_call, no_result, waits};
pub use target::{Abilities, Dropped, Encoded, Target};
pub use version::{check_version, not_permitted};

use quire_dialect::Dialect;
use serde_json::{Map, Number, Value};

/// Fields of a node that only the API it came in has words for, by their names there, in their order.
pub type Own = Map<String, Value>;

/// One request for a model.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// The API it came in; its [`Own`] fields mean something there alone.
    pub from: Dialect,
    /// The model, as the client named it.
    pub model: String,
    /// How the answer is wanted.
    pub delivery: Delivery,
    /// The conversation, instructions first. Those are turns of [`Role::System`] or [`Role::Developer`],
    /// wherever they stood.
    pub turns: Vec<Turn>,
    /// The tools, in their order.
    pub tools: Vec<Tool>,
    /// Which of them the model may or must call.
    pub choice: Option<Choice>,
    /// Whether it may call several at once; the API's default when absent.
    pub parallel: Option<bool>,
    /// The most tokens of the answer, thinking included.
    pub max_output: Option<u64>,
    /// What draws the tokens.
    pub sampling: Sampling,
    /// How it is to think; the model's default when absent.
    pub thinking: Option<Thinking>,
    /// How hard, by the name it was given: `none`, `minimal`, `low`, `medium`, `high`, `xhigh`, `max`.
    pub effort: Option<String>,
    /// The shape of the answer's text; free when absent.
    pub format: Option<Format>,
    /// How long-winded: `low`, `medium`, `high`.
    pub verbosity: Option<String>,
    /// Who the end user is, for the vendor's watch on abuse (`metadata.user_id`, `safety_identifier`, `user`).
    pub end_user: Option<String>,
    /// What groups requests that share a prefix (`prompt_cache_key`).
    pub cache_key: Option<String>,
    /// `auto`, `default`, `flex`, `priority`, `standard_only`, …, by the name it was given.
    pub service_tier: Option<String>,
    /// Where it must be computed (`inference_geo`).
    pub region: Option<String>,
    /// What is to be left out of a long context, in order.
    pub edits: Vec<Edit>,
    /// The rest.
    pub own: Own,
}

/// How an answer is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// All at once.
    Whole,
    /// As events.
    Streamed,
}

/// Words of one speaker.
#[derive(Clone, Debug, PartialEq)]
pub struct Turn {
    /// Whose they are.
    pub role: Role,
    /// What was said, in order.
    pub parts: Vec<Part>,
    /// The rest (ids, phases, the shape it was written in).
    pub own: Own,
}

/// A speaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Who runs the model (`system`, `instructions`).
    System,
    /// Who runs it, in OpenAI's newer word.
    Developer,
    /// Who talks to it; tool results too.
    User,
    /// The model.
    Assistant,
}

/// A piece of what was said.
#[derive(Clone, Debug, PartialEq)]
pub enum Part {
    /// Words.
    Text {
        /// They.
        text: String,
        /// Cache marks, citations, annotations.
        own: Own,
    },
    /// Words by which the model refused.
    Refusal {
        /// They.
        text: String,
        /// The rest.
        own: Own,
    },
    /// A picture.
    Image {
        /// Where it is.
        source: Source,
        /// Detail, cache marks.
        own: Own,
    },
    /// A file to read: PDF or text.
    Document {
        /// Where it is.
        source: Source,
        /// Its name.
        name: Option<String>,
        /// Context, citations, cache marks.
        own: Own,
    },
    /// What the model thought.
    Thinking {
        /// As far as it is shown.
        text: String,
        /// The vendor's proof or cipher of it; see [`crate::Seal`].
        seal: Option<String>,
        /// Ids, the shape (a redacted block, several summary parts).
        own: Own,
    },
    /// The model called a tool.
    Call {
        /// What the result quotes (`tool_use.id`, `call_id`).
        id: String,
        /// The tool.
        name: String,
        /// What it was given.
        input: CallInput,
        /// The item's own id, caller, namespace, cache marks.
        own: Own,
    },
    /// What a tool answered. Stands in turns of [`Role::User`].
    Result {
        /// The call's id.
        id: String,
        /// [`Part::Text`], [`Part::Image`], [`Part::Document`], or others of the API's own.
        content: Vec<Part>,
        /// Whether the tool failed; `None` where the API cannot say.
        failed: Option<bool>,
        /// Whether it answers a call of [`CallInput::Free`].
        free: bool,
        /// The rest.
        own: Own,
    },
    /// What a compaction left of everything before it.
    Compaction {
        /// In words, where they can be read.
        text: Option<String>,
        /// The vendor's cipher of it.
        seal: Option<String>,
        /// The rest.
        own: Own,
    },
    /// A block or item that only the API it came in knows, whole.
    Other(Value),
}

/// What a tool is called with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallInput {
    /// The text of a JSON object, as it was written.
    Json(String),
    /// Free text (OpenAI's custom tools).
    Free(String),
}

/// Where bytes are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Here.
    Base64 {
        /// What they are: `image/png`.
        media_type: String,
        /// They.
        data: String,
    },
    /// Plain text, here.
    Text(String),
    /// At an address.
    Url(String),
    /// Uploaded before.
    File(String),
}

/// A tool.
#[derive(Clone, Debug, PartialEq)]
pub struct Tool {
    /// What it is.
    pub kind: ToolKind,
    /// Cache marks, deferred loading, callers, and so on.
    pub own: Own,
}

/// What a tool is.
#[derive(Clone, Debug, PartialEq)]
pub enum ToolKind {
    /// Called with a JSON object.
    Function {
        /// Its name.
        name: String,
        /// What it is for.
        description: Option<String>,
        /// The schema of its input.
        schema: Value,
        /// Whether the input must fit the schema.
        strict: Option<bool>,
    },
    /// Called with free text.
    Custom {
        /// Its name.
        name: String,
        /// What it is for.
        description: Option<String>,
        /// The grammar of its input; any text when absent.
        grammar: Option<Value>,
    },
    /// Tools under a common name (Responses).
    Namespace {
        /// It.
        name: String,
        /// What they are for.
        description: Option<String>,
        /// They.
        tools: Vec<Tool>,
    },
    /// One that the vendor runs or whose shape the vendor fixed (`web_search_20250305`, `web_search`, `bash_20250124`),
    /// whole.
    Vendor(Value),
}

/// Which tools the model may or must call.
#[derive(Clone, Debug, PartialEq)]
pub enum Choice {
    /// As it likes.
    Auto,
    /// At least one.
    Any,
    /// None.
    None,
    /// This one.
    Tool {
        /// Its name.
        name: String,
        /// Whether it takes free text.
        free: bool,
    },
    /// As it likes, or at least one, but only of these.
    Allowed {
        /// Whether it must call one.
        must: bool,
        /// These.
        tools: Vec<Pick>,
    },
    /// Something that only the API it came in can say, whole.
    Other(Value),
}

/// A tool by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pick {
    /// Its name.
    pub name: String,
    /// Whether it takes free text.
    pub free: bool,
}

/// What draws the tokens.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sampling {
    /// Randomness.
    pub temperature: Option<Number>,
    /// Nucleus.
    pub top_p: Option<Number>,
    /// How many candidates.
    pub top_k: Option<Number>,
    /// Texts that end the answer.
    pub stop: Vec<String>,
}

/// How a model is to think.
#[derive(Clone, Debug, PartialEq)]
pub struct Thinking {
    /// `adaptive`, `enabled`, `disabled`, `between_tools`.
    pub kind: String,
    /// The most tokens of it, for `enabled`.
    pub budget: Option<u64>,
    /// How it is shown: `summarized`, `omitted`, `auto`, `concise`, `detailed`.
    pub display: Option<String>,
    /// The rest.
    pub own: Own,
}

/// The shape of an answer's text.
#[derive(Clone, Debug, PartialEq)]
pub enum Format {
    /// Any JSON object.
    JsonObject,
    /// JSON by a schema.
    JsonSchema {
        /// Its name, where the API wants one.
        name: Option<String>,
        /// What it is for.
        description: Option<String>,
        /// It.
        schema: Value,
        /// Whether the answer must fit it.
        strict: Option<bool>,
    },
}

/// What is to be left out of a long context, or put in its place.
#[derive(Clone, Debug, PartialEq)]
pub enum Edit {
    /// A summary in place of everything before, from so many tokens on (`compact_20260112`, `compaction`).
    Compact {
        /// The threshold in tokens; the API's default when absent.
        threshold: Option<u64>,
        /// Whether the answer ends behind the compaction.
        pause: Option<bool>,
        /// What the summary is to look at.
        instructions: Option<String>,
        /// The rest.
        own: Own,
    },
    /// One that only the API it came in knows (`clear_tool_uses_20250919`, `clear_thinking_20251015`), whole.
    Other(Value),
}
