//! What the context is made of: a fold of the records that puts a size to each kind of content.
//! Sizes are bytes; what the provider counted of the last request says how many tokens they are.

use std::collections::HashMap;

use quire_protocol::{
    CallId, Compaction, CompactionStep, Content, Event, Item, MessageId, Prefix, ToolInput,
};

/// What an image comes to, in bytes of text.
const IMAGE: u64 = 6_000;
/// Bytes of a token, in tenths, where nothing was counted yet.
const USUAL: u64 = 35;
/// Requests of fewer bytes say nothing of the size of tokens.
const FEW: u64 = 1_000;
/// Compactions that can be taken back.
const UNDOABLE: usize = 10;

/// A kind of content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Instructions,
    Tools,
    Messages,
    Answers,
    Calls,
    Results,
    Notices,
    Memory,
}

impl Kind {
    /// All of them, in the order in which they are shown.
    pub(crate) const ALL: [Self; 8] = [
        Self::Instructions,
        Self::Tools,
        Self::Messages,
        Self::Answers,
        Self::Calls,
        Self::Results,
        Self::Notices,
        Self::Memory,
    ];

    /// Its name for a person.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Instructions => "instructions",
            Self::Tools => "tools",
            Self::Messages => "your messages",
            Self::Answers => "answers and thinking",
            Self::Calls => "tool calls",
            Self::Results => "tool results",
            Self::Notices => "notices",
            Self::Memory => "ledger and summary",
        }
    }
}

/// An item of the context.
#[derive(Clone, Copy, Debug)]
struct Piece {
    kind: Kind,
    bytes: u64,
    call: Option<CallId>,
}

/// What the context is made of.
#[derive(Debug, Default)]
pub(crate) struct Makeup {
    opening: [u64; 2],
    pieces: Vec<Piece>,
    letters: HashMap<MessageId, u64>,
    /// What was before each compaction, and how many pieces there were right after it.
    before: Vec<(Vec<Piece>, usize)>,
    /// Whether the open request is for the work itself.
    works: bool,
    /// Bytes of the last request, and the tokens that they are.
    counted: Option<(u64, u64)>,
}

impl Makeup {
    /// Takes an event in.
    pub(crate) fn record(&mut self, event: &Event) {
        match event {
            Event::PrefixSet { prefix, .. } => self.opening = opening(prefix),
            Event::MessageAccepted {
                message, content, ..
            } => {
                self.letters.insert(message.clone(), of_content(content));
            }
            Event::MessageDelivered { message } => {
                let bytes = self.letters.remove(message).unwrap_or_default();
                self.push(Kind::Messages, bytes, None);
            }
            Event::Noticed { text } => self.push(Kind::Notices, text.len() as u64, None),
            Event::ModelCalled {
                purpose, estimate, ..
            } => {
                self.works = purpose.is_work();
                if self.works && *estimate > 0 {
                    self.counted = Some((self.bytes(), *estimate));
                }
            }
            Event::ModelReplied { items, usage, .. } if self.works => {
                if let (Some((_, tokens)), true) = (&mut self.counted, usage.prompt() > 0) {
                    *tokens = usage.prompt();
                }
                self.pieces.extend(items.iter().map(piece));
            }
            Event::ToolEnded { call, outcome } => {
                self.push(Kind::Results, of_content(&outcome.content), Some(*call));
            }
            Event::Compaction(CompactionStep::Done { compaction }) => self.compacted(compaction),
            Event::Compaction(CompactionStep::Undone) => self.restored(),
            _ => {}
        }
    }

    /// Tokens of each kind, as far as can be estimated.
    pub(crate) fn tokens(&self) -> Vec<(Kind, u64)> {
        let counted = self.counted.filter(|(bytes, _)| *bytes >= FEW);
        let (bytes, tokens) = counted.unwrap_or((USUAL, 10));
        let of = |kind| u128::from(self.of(kind)) * u128::from(tokens) / u128::from(bytes.max(1));
        let tokens = |kind| u64::try_from(of(kind)).unwrap_or(u64::MAX);
        Kind::ALL.map(|kind| (kind, tokens(kind))).to_vec()
    }

    fn of(&self, kind: Kind) -> u64 {
        match kind {
            Kind::Instructions => self.opening[0],
            Kind::Tools => self.opening[1],
            _ => {
                let same = self.pieces.iter().filter(|piece| piece.kind == kind);
                same.map(|piece| piece.bytes).sum()
            }
        }
    }

    fn bytes(&self) -> u64 {
        Kind::ALL.into_iter().map(|kind| self.of(kind)).sum()
    }

    fn push(&mut self, kind: Kind, bytes: u64, call: Option<CallId>) {
        self.pieces.push(Piece { kind, bytes, call });
    }

    fn compacted(&mut self, compaction: &Compaction) {
        let all = self.pieces.len();
        let place = |number: u32| usize::try_from(number).map_or(all, |place| place.min(all));
        let (from, to) = (
            place(compaction.replaced.from),
            place(compaction.replaced.to),
        );
        let mut after = self.pieces[..from].to_vec();
        after.extend(compaction.head.iter().map(piece));
        after.extend(&self.pieces[to.max(from)..]);
        for piece in &mut after {
            if piece
                .call
                .is_some_and(|call| compaction.cleared.contains(&call))
            {
                piece.bytes = piece.bytes.min(100);
            }
        }
        after.extend(compaction.tail.iter().map(piece));
        let since = after.len();
        if self.before.len() == UNDOABLE {
            self.before.remove(0);
        }
        self.before
            .push((std::mem::replace(&mut self.pieces, after), since));
    }

    fn restored(&mut self) {
        if let Some((mut pieces, since)) = self.before.pop() {
            pieces.extend(self.pieces.iter().skip(since));
            self.pieces = pieces;
        }
    }
}

/// Instructions and tools.
fn opening(prefix: &Prefix) -> [u64; 2] {
    let tools = prefix.tools.iter().map(|tool| {
        let input = match &tool.input {
            ToolInput::Json(schema) => schema.to_string().len(),
            ToolInput::Text { grammar } => grammar.len(),
        };
        (tool.name.len() + tool.description.len() + input) as u64
    });
    [prefix.instructions.len() as u64, tools.sum()]
}

fn piece(item: &Item) -> Piece {
    let text = |kind, bytes: usize| (kind, bytes as u64, None);
    let (kind, bytes, call) = match item {
        Item::User { content, .. } => (Kind::Messages, of_content(content), None),
        Item::ToolResult { call, content, .. } => (Kind::Results, of_content(content), Some(*call)),
        Item::Notice { text: said } => text(Kind::Notices, said.len()),
        Item::Ledger { text: said } => text(Kind::Memory, said.len()),
        Item::Assistant { text: said, .. } => text(Kind::Answers, said.len()),
        Item::Summary { text: said, opaque } => {
            let block = opaque.as_ref().map_or(0, |opaque| opaque.json.len() / 2);
            text(Kind::Memory, said.len().max(block))
        }
        Item::Thinking { text: said, opaque } => {
            let block = opaque.as_ref().map_or(0, |opaque| opaque.json.len() / 2);
            text(Kind::Answers, said.len().max(block))
        }
        Item::ToolCall(call) => text(Kind::Calls, call.name.len() + call.arguments.len()),
        Item::Foreign { opaque } => text(Kind::Answers, opaque.json.len() / 2),
    };
    Piece { kind, bytes, call }
}

fn of_content(content: &[Content]) -> u64 {
    let bytes = |part: &Content| part.as_text().map_or(IMAGE, |text| text.len() as u64);
    content.iter().map(bytes).sum()
}
