//! The wire form: events as lines and the result after them. Documented in `docs/guide/events.md`.

use quire_protocol::{Money, Record, SessionId, Usage};
use serde::Serialize;
use serde_json::Value;

/// The last line of `--json`.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename = "result")]
pub(crate) struct ResultLine<'a> {
    /// The session; null when none could be started.
    pub(crate) session: Option<&'a SessionId>,
    /// How it ended: [`crate::Outcome::name`].
    pub(crate) outcome: &'static str,
    /// The process's exit code.
    pub(crate) exit_code: u8,
    /// What the model said last.
    pub(crate) answer: Option<&'a str>,
    /// The answer as JSON, when a schema was asked for and it fits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) output: Option<&'a Value>,
    /// Why it ended so, in words, when there is more to say than `outcome`.
    pub(crate) detail: Option<&'a str>,
    /// Tokens that this run used.
    pub(crate) usage: Usage,
    /// What they cost, as a decimal string; null when a price is not known.
    pub(crate) cost_usd: Option<Money>,
    /// Requests to the model.
    pub(crate) requests: u32,
    /// Turns.
    pub(crate) turns: u32,
    /// From the first event to the last.
    pub(crate) duration_ms: u64,
}

/// A value as one line of JSON, newline included.
pub(crate) fn line(value: &impl Serialize) -> String {
    let mut text = serde_json::to_string(value).expect("records and results are plain data");
    text.push('\n');
    text
}

/// Records as JSON Lines, in the form of `--json`.
pub fn jsonl(records: &[Record]) -> String {
    records.iter().map(line).collect()
}
