//! Request bodies that grow with the context. This half is common to all dialects: it pairs calls
//! with results and puts items into an order that every provider takes; the dialects write them.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use quire_protocol::{CallId, Content, Item, Opaque, ToolCall, ToolStatus};

use crate::ids::WireIds;
use crate::tools::TextTools;
use crate::{Compaction, Dialect, Head, Options, chat, json, messages, responses};

/// Builds a request body that grows with the context: bytes once written never change.
///
/// Invariant: whatever is pushed later, and whatever the options are, [`Encoder::body`] without its
/// tail stays an exact prefix of every later body. A body is fit to be sent when every call pushed
/// has its result.
///
/// The tools stand in the head, for no dialect takes them anywhere else in its common form: tools
/// that come later change the bytes from the end of the old tools on, and those of the items only in
/// where they stand. The providers' caches start anew then.
#[derive(Debug)]
pub struct Encoder {
    writer: Box<dyn Writer>,
    dialect: Dialect,
    text_tools: TextTools,
    takes_images: bool,
    takes_compactions: bool,
    ids: WireIds,
    open: Vec<OpenCall>,
    /// Whether a result was written since the first of `open` was.
    answering: bool,
    /// Words for the model that came while calls were open.
    deferred: Vec<Item>,
    head: Bytes,
    /// The head of a request for a compaction, where that is another one.
    compaction_head: Option<Bytes>,
    sealed: Vec<Bytes>,
    sealed_len: usize,
    fresh: Vec<u8>,
    items: usize,
}

/// Stands for an image where the model takes none.
const UNSEEN: &str = "(An image is here, which this model cannot see.)";

/// Content as the model can take it.
fn shown(content: &[Content], takes_images: bool) -> Cow<'_, [Content]> {
    let is_image = |part: &Content| matches!(part, Content::Image { .. });
    if takes_images || !content.iter().any(is_image) {
        return Cow::Borrowed(content);
    }
    let part = |part: &Content| match part {
        Content::Text { .. } => part.clone(),
        Content::Image { .. } => Content::text(UNSEEN),
    };
    Cow::Owned(content.iter().map(part).collect())
}

/// The mark of the harness's own words.
const NOTICE: &str = "system-notice";

fn marked(mark: &str, text: &str) -> String {
    format!("<{mark}>\n{}\n</{mark}>", text.trim_end())
}

/// Words of the harness as the content of a message.
pub(crate) fn notice(text: &str) -> Content {
    Content::text(marked(NOTICE, text))
}

/// A call that has no result yet.
#[derive(Debug)]
struct OpenCall {
    call: CallId,
    id: String,
    text_tool: bool,
}

/// A result on its way to a [`Writer`].
pub(crate) struct Answer<'a> {
    /// The id its call was sent under.
    pub(crate) id: &'a str,
    /// Whether the tool takes free text.
    pub(crate) text_tool: bool,
    /// How it went.
    pub(crate) status: ToolStatus,
    /// What the model is shown.
    pub(crate) content: &'a [Content],
}

impl Answer<'_> {
    /// Whether the model is told that it failed.
    pub(crate) fn is_error(&self) -> bool {
        self.status != ToolStatus::Done
    }
}

/// What a dialect does with the items, in an order it can send. All bytes go to `out`, at once or
/// with a later item; none is ever taken back.
pub(crate) trait Writer: fmt::Debug + Send + Sync {
    /// Words in the user's role.
    fn user(&mut self, out: &mut Vec<u8>, content: &[Content]);
    /// The model's words.
    fn assistant(&mut self, out: &mut Vec<u8>, text: &str);
    /// A block of this dialect, exactly as it came from the model.
    fn echo(&mut self, out: &mut Vec<u8>, json: &str);
    /// A call, under the id that its result will have too.
    fn call(&mut self, out: &mut Vec<u8>, id: &str, call: &ToolCall, text_tool: bool);
    /// The result of a call.
    fn result(&mut self, out: &mut Vec<u8>, answer: &Answer<'_>);
    /// Every call so far has its result.
    fn results_end(&mut self, _out: &mut Vec<u8>) {}
    /// What closes the items as they stand, and the options.
    fn tail(&self, out: &mut Vec<u8>, options: &Options<'_>);
}

impl Encoder {
    /// Starts a body.
    #[must_use]
    pub fn new(head: &Head<'_>) -> Self {
        let mut opening = Vec::with_capacity(4096);
        let writer: Box<dyn Writer> = match head.dialect {
            Dialect::Messages => Box::new(messages::encode::begin(head, &mut opening)),
            Dialect::Responses => Box::new(responses::encode::begin(head, &mut opening)),
            Dialect::Chat => Box::new(chat::encode::begin(head, &mut opening)),
        };
        let compaction_head = match head.dialect {
            Dialect::Responses => Some(responses::encode::compaction_head(head).into()),
            Dialect::Messages | Dialect::Chat => None,
        };
        Self {
            writer,
            dialect: head.dialect,
            text_tools: TextTools::of(head.prefix),
            takes_images: head.takes_images,
            takes_compactions: head.takes_compactions,
            ids: WireIds::default(),
            open: Vec::new(),
            answering: false,
            deferred: Vec::new(),
            head: opening.into(),
            compaction_head,
            sealed: Vec::new(),
            sealed_len: 0,
            fresh: Vec::new(),
            items: 0,
        }
    }

    /// Appends an item of the context.
    pub fn push(&mut self, item: &Item) {
        self.items += 1;
        match item {
            Item::User { .. } | Item::Notice { .. } | Item::Ledger { .. }
                if !self.open.is_empty() =>
            {
                self.deferred.push(item.clone());
            }
            Item::User { .. } | Item::Notice { .. } | Item::Ledger { .. } => self.write_user(item),
            Item::Summary { text, opaque } => {
                let taken = |opaque: &&Opaque| self.takes_compactions && self.own(opaque).is_some();
                match opaque.as_ref().filter(taken) {
                    Some(opaque) => self.write_echo(opaque),
                    None => self.write_marked("summary", text),
                }
            }
            Item::Assistant { text, opaque } => {
                self.end_step();
                match opaque.as_ref().and_then(|opaque| self.own(opaque)) {
                    Some(json) => self.writer.echo(&mut self.fresh, json),
                    None => self.writer.assistant(&mut self.fresh, text),
                }
            }
            Item::Thinking { opaque, .. } => {
                if let Some(opaque) = opaque {
                    self.write_echo(opaque);
                }
            }
            Item::Foreign { opaque } => self.write_echo(opaque),
            Item::ToolCall(call) => self.write_call(call),
            Item::ToolResult {
                call,
                status,
                content,
            } => self.write_result(*call, *status, content),
        }
    }

    /// How many items were pushed.
    #[must_use]
    pub fn items(&self) -> usize {
        self.items
    }

    /// The body as it stands, in segments whose concatenation is the JSON text. The clones are
    /// cheap and few: their number grows with the logarithm of the body's length.
    pub fn body(&mut self, options: &Options<'_>) -> Vec<Bytes> {
        self.seal();
        let mut body = Vec::with_capacity(self.sealed.len() + 2);
        let head = match (options.compaction, &self.compaction_head) {
            (Compaction::Now { .. }, Some(head)) => head,
            _ => &self.head,
        };
        body.push(head.clone());
        body.extend(self.sealed.iter().cloned());
        let mut tail = Vec::new();
        self.writer.tail(&mut tail, options);
        body.push(Bytes::from(tail));
        body
    }

    /// Moves what is new into the sealed segments. A segment that is not longer than what follows
    /// it is joined with it, so each byte is copied a few times in the life of a session and a
    /// long body still goes out in one write.
    fn seal(&mut self) {
        if self.fresh.is_empty() {
            return;
        }
        let mut segment = std::mem::take(&mut self.fresh);
        self.sealed_len += segment.len();
        while let Some(last) = self.sealed.pop_if(|last| last.len() <= segment.len()) {
            let mut joined = Vec::with_capacity(last.len() + segment.len());
            joined.extend_from_slice(&last);
            joined.append(&mut segment);
            segment = joined;
        }
        self.sealed.push(Bytes::from(segment));
    }

    /// Bytes of the body, as it stands, that every later body starts with, whatever its options.
    #[must_use]
    pub fn prefix_len(&self) -> usize {
        self.head.len() + self.sealed_len + self.fresh.len()
    }

    /// The block, if it is this dialect's own and can be embedded.
    fn own<'a>(&self, opaque: &'a Opaque) -> Option<&'a str> {
        let json = opaque.json.trim();
        (opaque.origin == self.dialect.name() && json::is_object(json)).then_some(json)
    }

    fn write_user(&mut self, item: &Item) {
        match item {
            Item::User { content, .. } => {
                let content = shown(content, self.takes_images);
                self.writer.user(&mut self.fresh, &content);
            }
            Item::Notice { text } => self.write_marked(NOTICE, text),
            Item::Ledger { text } => self.write_marked("ledger", text),
            _ => {}
        }
    }

    /// Words of the harness, marked as not a person's.
    fn write_marked(&mut self, mark: &str, text: &str) {
        if !text.trim().is_empty() {
            let content = [Content::text(marked(mark, text))];
            self.writer.user(&mut self.fresh, &content);
        }
    }

    fn write_echo(&mut self, opaque: &Opaque) {
        if let Some(json) = self.own(opaque) {
            self.end_step();
            self.writer.echo(&mut self.fresh, json);
        }
    }

    fn write_call(&mut self, call: &ToolCall) {
        self.end_step();
        let id = self.ids.assign(call);
        let text_tool = self.text_tools.contains(&call.name);
        self.writer.call(&mut self.fresh, &id, call, text_tool);
        self.open.push(OpenCall {
            call: call.call,
            id,
            text_tool,
        });
    }

    fn write_result(&mut self, call: CallId, status: ToolStatus, content: &[Content]) {
        let Some(at) = self.open.iter().position(|open| open.call == call) else {
            // Providers refuse a result without its call; its words are kept.
            self.deferred.push(Item::User {
                message: quire_protocol::MessageId::new(""),
                content: content.to_vec(),
            });
            return self.end_results();
        };
        let open = self.open.remove(at);
        self.answering = true;
        self.writer.result(
            &mut self.fresh,
            &Answer {
                id: &open.id,
                text_tool: open.text_tool,
                status,
                content: &shown(content, self.takes_images),
            },
        );
        self.end_results();
    }

    /// Once no call is open, writes what had to wait for that.
    fn end_results(&mut self) {
        if !self.open.is_empty() {
            return;
        }
        if std::mem::take(&mut self.answering) {
            self.writer.results_end(&mut self.fresh);
        }
        for item in std::mem::take(&mut self.deferred) {
            self.write_user(&item);
        }
    }

    /// The model speaks again: calls of the step before that were left without a result get one,
    /// for no provider takes a call without.
    fn end_step(&mut self) {
        if !self.answering {
            return;
        }
        while let Some(open) = self.open.first() {
            let call = open.call;
            let content = [Content::text("No result was recorded for this call.")];
            self.write_result(call, ToolStatus::Lost, &content);
        }
    }
}
