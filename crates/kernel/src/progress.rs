//! The guard against going round in circles: the same steps with the same results in a row, one by
//! one or a few in turn.

use std::sync::Arc;

use quire_protocol::{Content, Event, StopReason, ToolCall, ToolStatus};

use crate::calls::Settled;
use crate::draft::Draft;

/// How long a call may be in a text for a person, in characters.
const LABEL_CHARS: usize = 80;

/// How a warning of a circle begins; no other notice begins so.
const WARNING: &str = "You made the same ";

/// A circle has at most so many steps.
const MOST_STEPS: usize = 3;

/// How often in a row the last steps were the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// The step that is coming to its end.
    current: Option<Trace>,
    /// The last whole steps, newest first.
    recent: [Option<Trace>; MOST_STEPS],
    /// For circles of one step, of two and so on: how many steps in a row were the same as the one a
    /// whole circle before them.
    same: [u32; MOST_STEPS],
    /// The times round at the last notice to the model.
    noticed_at: u32,
}

/// A circle that was gone round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Circle {
    /// How many steps it has.
    steps: u32,
    /// How often it was gone round.
    times: u32,
}

/// A step: its calls and their results, as a hash, with the first of the calls in words.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Trace {
    signature: Signature,
    label: Arc<str>,
}

impl Progress {
    /// A call of the step and its result, in the order of the calls.
    pub(crate) fn add(&mut self, settled: &Settled) {
        let step = self.current.get_or_insert_with(|| Trace {
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
        for (same, before) in self.same.iter_mut().zip(&self.recent) {
            let again = before
                .as_ref()
                .is_some_and(|before| before.signature == step.signature);
            *same = if again { *same + 1 } else { 0 };
        }
        self.recent.rotate_right(1);
        self.recent[0] = Some(step);
        if self.circle().times < self.noticed_at {
            self.noticed_at = 0;
        }
    }

    /// The circle that was gone round most often: of those alike the one of fewest steps.
    fn circle(&self) -> Circle {
        let mut most = Circle {
            steps: 1,
            times: u32::from(self.recent[0].is_some()),
        };
        for (steps, same) in (1..).zip(self.same) {
            let times = same / steps + 1;
            if times > most.times {
                most = Circle { steps, times };
            }
        }
        most
    }

    /// The model was told something, perhaps that it goes round in circles.
    pub(crate) fn noticed(&mut self, text: &str) {
        if text.starts_with(WARNING) {
            self.noticed_at = self.circle().times;
        }
    }

    /// A person spoke, or a turn began.
    pub(crate) fn reset(&mut self) {
        *self = Self::default();
    }

    /// The steps of a circle in words, in their order.
    fn labels(&self, circle: Circle) -> String {
        let steps = self.recent.iter().zip(0..circle.steps).rev();
        let labels: Vec<&str> = steps
            .filter_map(|(step, _)| step.as_ref())
            .map(|step| step.label.as_ref())
            .collect();
        labels.join("; ")
    }
}

impl Draft<'_> {
    /// Fewer than two repeats cannot be told from work, so a lower limit counts as two.
    fn repeats(&self) -> u32 {
        self.state.limits().repeats.max(2)
    }

    /// The end of a turn that goes round in circles; a steer that waits may lead out of them.
    pub(crate) fn stuck(&self) -> Option<(StopReason, String)> {
        let progress = &self.state.progress;
        let circle = progress.circle();
        if circle.times < self.repeats() || self.state.mail.has_steers() {
            return None;
        }
        let (times, labels) = (circle.times, progress.labels(circle));
        let detail = match circle.steps {
            1 => {
                format!("the model made the same call with the same result {times} times in a row")
            }
            steps => format!(
                "the model went through the same {steps} steps with the same results {times} times \
                 in a row"
            ),
        };
        let detail = format!("{detail}: {labels}. Say what it should do instead");
        Some((StopReason::NoProgress, detail))
    }

    /// Tells the model, once, when it is half way to being stopped, unless a person speaks now.
    pub(crate) fn warn_of_repeats(&mut self) {
        let progress = &self.state.progress;
        let circle = progress.circle();
        let half = self.repeats().div_ceil(2).max(2);
        let told = progress.noticed_at == half || self.state.mail.has_steers();
        if circle.times != half || told {
            return;
        }
        let labels = progress.labels(circle);
        let made = match circle.steps {
            1 => format!("{WARNING}call {half} times in a row and got the same result"),
            steps => {
                format!("{WARNING}{steps} steps {half} times in a row and got the same results")
            }
        };
        let text =
            format!("{made}: {labels}. Do something else, or say what keeps you from going on.");
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

/// A hash of a text.
pub(crate) fn text_signature(text: &str) -> u64 {
    let mut signature = Signature::default();
    signature.text(text);
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
