//! Output items of the Responses dialect: as reported whole, and as drafts that deltas fill.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::decoder::{DecodeError, Items, Text, lenient, owned, parse, text};

/// What a delta grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Text,
    Refusal,
    Thinking,
    SummaryPart,
    Arguments,
    Input,
}

impl Target {
    /// By the type of the event, if it is one of those.
    pub(crate) fn of(kind: &str) -> Option<Self> {
        Some(match kind {
            "response.output_text.delta" => Self::Text,
            "response.refusal.delta" => Self::Refusal,
            "response.reasoning_summary_text.delta" | "response.reasoning_text.delta" => {
                Self::Thinking
            }
            "response.reasoning_summary_part.added" => Self::SummaryPart,
            "response.function_call_arguments.delta" => Self::Arguments,
            "response.custom_tool_call_input.delta" => Self::Input,
            _ => return None,
        })
    }

    fn kind(self) -> &'static str {
        match self {
            Self::Text | Self::Refusal => "message",
            Self::Thinking | Self::SummaryPart => "reasoning",
            Self::Arguments => "function_call",
            Self::Input => "custom_tool_call",
        }
    }
}

/// An item before it is done.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    kind: String,
    id: String,
    pub(crate) name: String,
    pub(crate) text: String,
    pub(crate) refused: bool,
}

#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(rename = "type", borrow)]
    kind: Option<Text<'a>>,
    #[serde(borrow)]
    id: Option<Text<'a>>,
    #[serde(borrow)]
    call_id: Option<Text<'a>>,
    #[serde(borrow)]
    name: Option<Text<'a>>,
}

impl Draft {
    /// What the item says of itself at its start.
    pub(crate) fn read(raw: &RawValue) -> Result<Self, DecodeError> {
        let wire: Wire<'_> = parse("output item", raw.get().as_bytes())?;
        let id = owned(wire.call_id.as_ref()).or_else(|| owned(wire.id.as_ref()));
        Ok(Self {
            kind: text(wire.kind.as_ref()).to_owned(),
            id: id.unwrap_or_default(),
            name: text(wire.name.as_ref()).to_owned(),
            ..Self::default()
        })
    }

    /// The item that a delta without one belongs to.
    pub(crate) fn implied(target: Target) -> Self {
        Self {
            kind: target.kind().to_owned(),
            ..Self::default()
        }
    }

    /// Whether such a delta can belong to it.
    pub(crate) fn takes(&self, target: Target) -> bool {
        self.kind == target.kind()
    }

    /// Whether it is a call of one of our tools.
    pub(crate) fn is_call(&self) -> bool {
        matches!(self.kind.as_str(), "function_call" | "custom_tool_call")
    }

    /// Appends what it amounts to, and says whether it is a refusal.
    pub(crate) fn settle(self, items: &mut Items<'_>) -> bool {
        match self.kind.as_str() {
            "message" => items.assistant(self.text, None),
            "reasoning" => items.thinking(self.text, None),
            "function_call" => items.function(self.id, self.name, self.text),
            "custom_tool_call" => items.call(self.id, self.name, self.text),
            _ => {}
        }
        self.refused
    }
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    phase: Option<Text<'a>>,
    #[serde(borrow, default)]
    content: Vec<Part<'a>>,
}

#[derive(Deserialize)]
struct Part<'a> {
    #[serde(borrow)]
    text: Option<Text<'a>>,
    #[serde(borrow)]
    refusal: Option<Text<'a>>,
    annotations: Option<Vec<serde::de::IgnoredAny>>,
}

#[derive(Deserialize)]
struct Reasoning<'a> {
    #[serde(borrow)]
    summary: Option<Vec<Part<'a>>>,
    #[serde(borrow)]
    content: Option<Vec<Part<'a>>>,
}

#[derive(Deserialize)]
struct Call<'a> {
    #[serde(borrow)]
    arguments: Option<Text<'a>>,
    #[serde(borrow)]
    input: Option<Text<'a>>,
}

/// Appends what a whole item amounts to, and says whether it is a refusal.
pub(crate) fn settle(raw: &RawValue, items: &mut Items<'_>) -> Result<bool, DecodeError> {
    let json = raw.get();
    let draft = Draft::read(raw)?;
    match draft.kind.as_str() {
        "message" => return settle_message(json, items),
        "reasoning" => {
            let reasoning: Reasoning<'_> = parse("reasoning", json.as_bytes())?;
            let summary = join(reasoning.summary.as_deref().unwrap_or_default());
            let shown = if summary.is_empty() {
                join(reasoning.content.as_deref().unwrap_or_default())
            } else {
                summary
            };
            items.thinking(shown, Some(json.to_owned()));
        }
        "function_call" => {
            let call: Call<'_> = parse("function call", json.as_bytes())?;
            let arguments = text(call.arguments.as_ref()).to_owned();
            items.function(draft.id, draft.name, arguments);
        }
        "custom_tool_call" => {
            let call: Call<'_> = parse("custom tool call", json.as_bytes())?;
            items.call(draft.id, draft.name, text(call.input.as_ref()).to_owned());
        }
        // One that holds nothing would not be taken back.
        "compaction" if !is_compaction(raw) => {}
        "compaction" => items.summary(String::new(), json.to_owned()),
        _ => items.foreign(json.to_owned()),
    }
    Ok(false)
}

/// Appends the output of a compaction. All of it is sent back as it is, words that were kept
/// included; without a compaction among them it stands for nothing.
pub(crate) fn settle_compaction(output: &[Box<RawValue>], items: &mut Items<'_>) {
    if output.iter().any(|raw| is_compaction(raw)) {
        for raw in output {
            items.summary(words(raw), raw.get().to_owned());
        }
    }
}

/// Whether it is a compaction that holds something.
fn is_compaction(raw: &RawValue) -> bool {
    #[derive(Deserialize)]
    struct Compaction<'a> {
        #[serde(rename = "type", borrow)]
        kind: Text<'a>,
        #[serde(borrow)]
        encrypted_content: Text<'a>,
    }
    lenient::<Compaction<'_>>(Some(raw))
        .is_some_and(|item| item.kind.0 == "compaction" && !item.encrypted_content.0.is_empty())
}

/// The words of a message, where it is one.
fn words(raw: &RawValue) -> String {
    let message = lenient::<Message<'_>>(Some(raw));
    message.map_or_else(String::new, |message| join(&message.content))
}

/// The whole form of a message is kept where its plain text would lose something.
fn settle_message(json: &str, items: &mut Items<'_>) -> Result<bool, DecodeError> {
    let message: Message<'_> = parse("message", json.as_bytes())?;
    let mut words = String::new();
    let mut refused = false;
    let mut plain = message.phase.is_none();
    for part in &message.content {
        words.push_str(text(part.text.as_ref()));
        if let Some(refusal) = &part.refusal {
            words.push_str(&refusal.0);
            refused = true;
        }
        plain &= part.annotations.as_ref().is_none_or(Vec::is_empty);
    }
    let keep = !plain || refused;
    items.assistant(words, keep.then(|| json.to_owned()));
    Ok(refused)
}

fn join(parts: &[Part<'_>]) -> String {
    let texts: Vec<&str> = parts.iter().map(|part| text(part.text.as_ref())).collect();
    texts.join("\n\n")
}
