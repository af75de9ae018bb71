//! The guard against going round in circles: the same calls with the same results in a row.

use std::sync::Arc;

use quire_protocol::{Content, Event, StopReason, ToolCall, ToolStatus};

use crate::calls::Settled;
use crate::draft::Draft;

/// How long a call may be in a text for a person, in characters.
const LABEL_CHARS: usize = 80;

/// How often in a row the last step was the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// The step that is coming to its end.
    current: Option<Circle>,
    /// The last whole step.
    last: Option<Circle>,
    /// How often in a row it was the same.
    count: u32,
    /// The count at the last notice to the model.
    noticed_at: u32,
}

/// Calls and their results, as a hash, with the first of them in words.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Circle {
    signature: Signature,
    label: Arc<str>,
}

impl Progress {
    /// A call of the step and its result, in the order of the calls.
    pub(crate) fn add(&mut self, settled: &Settled) {
        let step = self.current.get_or_insert_with(|| Circle {
            signature: Signature::default(),
            label: Arc::clone(&settled.label),
        });
        step.signature.number(settled.signature);
        step.signature.number(match settled.outcome.status {
            ToolStatus::Done => 0,
            ToolStatus::Failed => 1,
            ToolStatus::Denied => 2,
            ToolStatus::Cancelled => 3,
            ToolStatus::Lost => 4,
        });
        for content in &settled.outcome.content {
            match content {
                Content::Text { text } => step.signature.text(text),
                Content::Image { media_type, data } => {
                    step.signature.text(media_type);
                    step.signature.text(data);
                }
            }
        }
    }

    /// Every call of the step has its result.
    pub(crate) fn step_done(&mut self) {
        let Some(step) = self.current.take() else {
            return;
        };
        let same = self
            .last
            .as_ref()
            .is_some_and(|last| last.signature == step.signature);
        self.count = if same { self.count + 1 } else { 1 };
        self.noticed_at = if same { self.noticed_at } else { 0 };
        self.last = Some(step);
    }

    pub(crate) fn noticed(&mut self) {
        self.noticed_at = self.count;
    }

    /// A person spoke, or a turn began.
    pub(crate) fn reset(&mut self) {
        *self = Self::default();
    }

    fn label(&self) -> &str {
        self.last.as_ref().map_or("", |last| &last.label)
    }
}

impl Draft {
    /// Fewer than two repeats cannot be told from work, so a lower limit counts as two.
    fn repeats(&self) -> u32 {
        self.state.limits().repeats.max(2)
    }

    /// The end of a turn that goes round in circles; a steer that waits may lead out of them.
    pub(crate) fn stuck(&self) -> Option<(StopReason, String)> {
        let progress = &self.state.progress;
        if progress.count < self.repeats() || self.state.mail.has_steers() {
            return None;
        }
        let detail = format!(
            "the model made the same call with the same result {} times in a row: {}. \
             Say what it should do instead",
            progress.count,
            progress.label()
        );
        Some((StopReason::NoProgress, detail))
    }

    /// Tells the model, once, when it is half way to being stopped, unless a person speaks now.
    pub(crate) fn warn_of_repeats(&mut self) {
        let progress = &self.state.progress;
        let half = self.repeats().div_ceil(2).max(2);
        let told = progress.noticed_at == half || self.state.mail.has_steers();
        if progress.count != half || told {
            return;
        }
        let text = format!(
            "You made the same call {half} times in a row and got the same result: {}. \
             Do something else, or say what keeps you from going on.",
            progress.label()
        );
        self.record(Event::Noticed { text });
    }
}

/// A call in words, short enough for a person.
pub(crate) fn label(call: &ToolCall) -> Arc<str> {
    let arguments = call.arguments.trim();
    let mut short: String = arguments.chars().take(LABEL_CHARS).collect();
    if short.len() < arguments.len() {
        short.push('…');
    }
    format!("{} {short}", call.name).trim_end().into()
}

/// A hash of what a call asks for.
pub(crate) fn call_signature(call: &ToolCall) -> u64 {
    let mut signature = Signature::default();
    signature.text(&call.name);
    signature.text(&call.arguments);
    signature.0
}

/// FNV-1a in 64 bits; texts are preceded by their length, so that no two lists of texts run
/// together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Signature(u64);

impl Default for Signature {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Signature {
    fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.bytes(text.as_bytes());
    }

    fn number(&mut self, number: u64) {
        self.bytes(&number.to_le_bytes());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
}
