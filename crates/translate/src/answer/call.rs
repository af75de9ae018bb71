//! A call on its way to a client: under the client's name for the tool, and with the input that its tool takes.

use quire_dialect::Dialect;

use crate::answer::Frame;
use crate::answer::unwrap::Unwrap;
use crate::answer::wire::string_body;
use crate::request::CallInput;

/// An open call.
#[derive(Debug)]
pub(crate) struct OpenCall {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) namespace: Option<String>,
    /// Whether the client takes free text for it.
    pub(crate) free: bool,
    mode: Mode,
    /// All that was told of its input.
    pub(crate) told: String,
    /// Whether a call without input must say `{}`.
    says_empty: bool,
}

#[derive(Debug)]
enum Mode {
    AsIs,
    /// A function that stands for a tool with free text.
    Unwrap(Unwrap),
    /// Free text for a client that knows functions alone.
    Wrap,
}

impl OpenCall {
    /// A call of the tool that the upstream knows as `name`.
    pub(crate) fn new(client: Dialect, frame: &Frame, id: &str, name: &str, free: bool) -> Self {
        let tool = frame.tools.get(name);
        let takes_free = client != Dialect::Messages;
        let wants_free = tool.is_some_and(|tool| tool.free);
        let mode = match (free, takes_free) {
            (true, false) => Mode::Wrap,
            (false, true) if wants_free => Mode::Unwrap(Unwrap::default()),
            (true, true) | (false, _) => Mode::AsIs,
        };
        let free = takes_free && (free || wants_free);
        let mut told = String::new();
        if matches!(mode, Mode::Wrap) {
            told.push_str("{\"input\":\"");
        }
        Self {
            id: id.to_owned(),
            name: tool.map_or(name, |tool| &tool.name).to_owned(),
            namespace: tool.and_then(|tool| tool.namespace.clone()),
            free,
            mode,
            told,
            says_empty: !free && takes_free,
        }
    }

    /// A call that is there whole.
    pub(crate) fn whole(
        client: Dialect,
        frame: &Frame,
        id: &str,
        name: &str,
        input: &CallInput,
    ) -> Self {
        let (text, free) = match input {
            CallInput::Json(text) => (text, false),
            CallInput::Free(text) => (text, true),
        };
        let mut call = Self::new(client, frame, id, name, free);
        call.push(text);
        call.finish();
        call
    }

    /// What must be told before any input.
    pub(crate) fn begin(&self) -> &str {
        &self.told
    }

    /// More input; what of it is to be told.
    pub(crate) fn push(&mut self, more: &str) -> String {
        let piece = match &mut self.mode {
            Mode::AsIs => more.to_owned(),
            Mode::Unwrap(unwrap) => unwrap.push(more),
            Mode::Wrap => {
                let mut body = Vec::new();
                string_body(&mut body, more);
                String::from_utf8_lossy(&body).into_owned()
            }
        };
        self.told.push_str(&piece);
        piece
    }

    /// The input has ended; what is to be told yet.
    pub(crate) fn finish(&mut self) -> String {
        let piece = match &mut self.mode {
            Mode::AsIs if self.says_empty && self.told.trim().is_empty() => "{}".to_owned(),
            Mode::AsIs => String::new(),
            Mode::Unwrap(unwrap) => unwrap.finish(),
            Mode::Wrap => "\"}".to_owned(),
        };
        self.told.push_str(&piece);
        piece
    }
}
