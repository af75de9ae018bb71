//! An answer of a model: as events while it streams, and whole.

mod call;
mod chat;
mod collect;
mod error;
mod frame;
mod line;
mod messages;
mod meter;
mod note;
mod reader;
mod responses;
mod sealed;
mod stop;
#[cfg(test)]
mod tests;
mod unwrap;
mod usage;
mod validate;
mod wire;
mod writer;

pub use collect::Collector;
pub use error::{error_body, read_error, socket_error, stream_error};
pub use frame::{ClientTool, Frame, UsageChunk, response_echo};
pub use meter::Meter;
pub use reader::{Reader, read_whole};
pub use validate::{Fault, Validator};
pub use writer::{KEEP_ALIVE, Writer, sign_of_life, write_whole};

use quire_protocol::Usage;
use serde_json::Value;

use crate::refusal::Refusal;
use crate::request::{Own, Part};

/// One thing that happens while a model answers.
///
/// Invariant: `Begin` comes first; blocks follow one another, each opened, filled and closed before the next
/// (a reader puts in order what an API interleaves); `Finish` or `Failed` comes last, once.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The answer begins.
    Begin(Begin),
    /// A block begins.
    Open(Block),
    /// The open block grows.
    Grow(Delta),
    /// The open block ends. Fields that are known only now.
    Close(Own),
    /// The answer ends.
    Finish(Finish),
    /// It broke off.
    Failed(Refusal),
    /// Nothing happened, and the connection lives.
    Ping,
}

/// How an answer begins.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Begin {
    /// The upstream's id of it.
    pub id: String,
    /// The model that answers, as the upstream names it.
    pub model: String,
    /// What is known of the usage by now.
    pub tally: Tally,
    /// The rest of the fields of the whole answer, as far as they are known.
    pub own: Own,
}

/// A block as it begins.
#[derive(Clone, Debug, PartialEq)]
pub enum Block {
    /// Words.
    Text(Own),
    /// Words by which the model refuses.
    Refusal(Own),
    /// Thinking.
    Thinking(Own),
    /// A call of a tool.
    Call {
        /// What the result will quote.
        id: String,
        /// The tool.
        name: String,
        /// Whether its input is free text rather than JSON.
        free: bool,
        /// The item's own id, caller, namespace.
        own: Own,
    },
    /// A compaction.
    Compaction(Own),
    /// A block or item that only its API knows. Whole, unless the API says more at its end: then `Close` has it
    /// whole under `whole`.
    Other(Value),
}

/// How the open block grows.
#[derive(Clone, Debug, PartialEq)]
pub enum Delta {
    /// More words: of text, refusal, thinking, or a compaction.
    Text(String),
    /// More of a call's input: JSON text or free text.
    Input(String),
    /// The seal of thinking or of a compaction, whole.
    Seal(String),
    /// A citation or annotation.
    Note(Value),
    /// A part of thinking ends and another begins (Responses' summary parts).
    Part,
    /// Something that only its API knows, whole.
    Other(Value),
}

/// How an answer ends.
#[derive(Clone, Debug, PartialEq)]
pub struct Finish {
    /// Why.
    pub stop: Stop,
    /// What was used.
    pub tally: Tally,
    /// The rest of the fields that are known only now.
    pub own: Own,
}

/// Why an answer ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The model was done.
    End,
    /// It called tools.
    Tools,
    /// The limit of the answer.
    MaxTokens,
    /// The model's window is full.
    WindowFull,
    /// One of the texts that end it.
    Sequence(Option<String>),
    /// It refused, or was made to; details by the API.
    Refusal(Option<Value>),
    /// A filter cut it.
    Filtered,
    /// A long turn is to be gone on with.
    Pause,
    /// A compaction was all that was asked for.
    Compaction,
    /// Another reason, by its name.
    Other(String),
}

/// What an answer used.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tally {
    /// All of it: every pass, compactions too.
    pub usage: Usage,
    /// The passes, each of which is charged by itself; empty where there was one, which is `usage`.
    pub passes: Vec<Usage>,
    /// Whether the upstream counted the answer's tokens; if not, `usage` is what is known.
    pub counted: bool,
    /// The service tier it reports.
    pub service_tier: Option<String>,
    /// Where it was computed.
    pub region: Option<String>,
    /// How fast: `standard`, `fast`.
    pub speed: Option<String>,
    /// The rest of `usage` (server tools and the like), in the API's own words.
    pub own: Own,
}

/// A whole answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// How it began, with the fields of the whole answer.
    pub begin: Begin,
    /// What the model said, thought and called.
    pub parts: Vec<Part>,
    /// How it ended.
    pub finish: Finish,
}
