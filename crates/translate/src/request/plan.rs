//! A request's turns as the target gets them: foreign seals left out, ids and names by its rules, and, in another
//! API than the client's, the turns put into the order that it wants.

use std::borrow::Cow;

use quire_dialect::Dialect;
use serde_json::Value;

use super::losses::{self, Losses, refused, unable};
use super::names::{self, Names};
use super::offer::{self, Offer};
use super::read::mark;
use super::{CallInput, Edit, Own, Part, Request, Role, Source, Target, Turn};
use crate::refusal::Refusal;

/// A request on its way to a target.
pub(super) struct Plan<'a> {
    pub(super) request: &'a Request,
    pub(super) target: &'a Target<'a>,
    /// Whether client and target speak the same API.
    pub(super) same: bool,
    pub(super) names: Names,
    pub(super) losses: Losses,
    pub(super) offers: Vec<Offer<'a>>,
    pub(super) edits: Vec<&'a Edit>,
}

/// Turns that become one of the target's.
pub(super) struct Group<'a> {
    pub(super) role: Role,
    pub(super) pieces: Vec<Piece<'a>>,
    /// The fields of the turn, where the target knows them.
    pub(super) own: Option<&'a Own>,
}

/// A part as the target gets it. `own` is there where the target knows the fields.
pub(super) enum Piece<'a> {
    Text {
        text: Cow<'a, str>,
        own: Option<&'a Own>,
    },
    Refusal {
        text: &'a str,
        own: Option<&'a Own>,
    },
    Image {
        source: &'a Source,
        detail: Option<&'a Value>,
        own: Option<&'a Own>,
    },
    Document {
        source: &'a Source,
        name: Option<&'a str>,
        own: Option<&'a Own>,
    },
    Thinking {
        text: &'a str,
        seal: Option<Cow<'a, str>>,
        own: Option<&'a Own>,
    },
    Call {
        id: Cow<'a, str>,
        name: Cow<'a, str>,
        input: Cow<'a, CallInput>,
        own: Option<&'a Own>,
    },
    Result {
        id: Cow<'a, str>,
        content: Vec<Piece<'a>>,
        failed: Option<bool>,
        free: bool,
        own: Option<&'a Own>,
    },
    Compaction {
        text: Option<&'a str>,
        seal: Option<Cow<'a, str>>,
        own: Option<&'a Own>,
    },
    Other(&'a Value),
    /// A block or item of the target's own, whole, out of a seal.
    Item(Value),
}

/// How the text begins that Claude Code puts in front of its instructions for its vendor's books.
const BILLING: &str = "x-anthropic-billing-header:";

impl<'a> Plan<'a> {
    pub(super) fn new(request: &'a Request, target: &'a Target<'a>) -> Result<Self, Refusal> {
        let losses = Losses::default();
        let same = request.from == target.dialect;
        if !same {
            losses::body(request, target, &losses)?;
        }
        Ok(Self {
            request,
            target,
            same,
            names: Names::of(&request.tools, request.from, target),
            offers: offer::offers(request, target, &losses)?,
            edits: offer::edits(request, target, &losses),
            losses,
        })
    }

    /// The fields of a node, where the target knows them.
    pub(super) fn own<'o>(&self, own: &'o Own) -> Option<&'o Own> {
        self.same.then_some(own)
    }

    /// A field of the body that both of OpenAI's APIs have.
    pub(super) fn shared(&self, key: &str) -> Option<&'a Value> {
        let openai =
            self.request.from != Dialect::Messages && self.target.dialect != Dialect::Messages;
        self.request.own.get(key).filter(|_| openai && !self.same)
    }

    /// The turns as the target gets them.
    pub(super) fn groups(&self) -> Result<Vec<Group<'a>>, Refusal> {
        let mut groups: Vec<Group<'a>> = Vec::with_capacity(self.request.turns.len());
        let mut open = 0_usize;
        let mut leading = true;
        for turn in &self.request.turns {
            let pieces = self.pieces(turn)?;
            let summary = turn.parts.iter().rev().find_map(|part| self.summary(part));
            if summary.is_some() || turn.parts.iter().any(|part| self.replaces(part)) {
                groups.retain(|group| is_system(group.role));
                open = 0;
            }
            if self.same {
                groups.extend(summary.map(|summary| Group {
                    role: Role::User,
                    pieces: vec![summary],
                    own: None,
                }));
                // A turn of which nothing is left is no turn.
                if !pieces.is_empty() || turn.parts.is_empty() {
                    groups.push(Group {
                        role: turn.role,
                        pieces,
                        own: Some(&turn.own),
                    });
                }
                continue;
            }
            if turn
                .own
                .get("function_call")
                .is_some_and(|call| !call.is_null())
            {
                return Err(refused(
                    "messages.function_call",
                    "Send it in `tool_calls`.",
                ));
            }
            self.losses.note_own("messages", &turn.own);
            if let Some(summary) = summary {
                leading = false;
                self.join(Role::User, vec![summary], leading, &mut open, &mut groups);
            }
            leading &= is_system(turn.role) || pieces.is_empty();
            self.join(turn.role, pieces, leading, &mut open, &mut groups);
        }
        if !self.same {
            self.settle(&mut groups);
        }
        Ok(groups)
    }

    /// Adds a turn in another API than the client's.
    fn join(
        &self,
        role: Role,
        pieces: Vec<Piece<'a>>,
        leading: bool,
        open: &mut usize,
        groups: &mut Vec<Group<'a>>,
    ) {
        if pieces.is_empty() {
            return;
        }
        let (role, pieces) = if is_system(role) && !leading && !self.takes_system(*open) {
            (Role::User, as_user(pieces))
        } else {
            (role, pieces)
        };
        for piece in &pieces {
            match piece {
                Piece::Call { .. } => *open += 1,
                Piece::Result { .. } => *open = open.saturating_sub(1),
                Piece::Text { .. }
                | Piece::Refusal { .. }
                | Piece::Image { .. }
                | Piece::Document { .. }
                | Piece::Thinking { .. }
                | Piece::Compaction { .. }
                | Piece::Other(_)
                | Piece::Item(_) => {}
            }
        }
        let joins = self.target.dialect != Dialect::Responses && !is_system(role);
        match groups.last_mut() {
            Some(last) if joins && last.role == role => last.pieces.extend(pieces),
            Some(_) | None => groups.push(Group {
                role,
                pieces,
                own: None,
            }),
        }
    }

    /// Whether words of the system may stand here.
    fn takes_system(&self, open: usize) -> bool {
        match self.target.dialect {
            Dialect::Messages => self.target.can.system_turns && open == 0,
            Dialect::Chat => open == 0,
            Dialect::Responses => true,
        }
    }

    /// Results come first in a turn, and Messages wants somebody to speak.
    fn settle(&self, groups: &mut [Group<'a>]) {
        if self.target.dialect == Dialect::Responses {
            return;
        }
        for group in groups.iter_mut().filter(|group| group.role == Role::User) {
            group
                .pieces
                .sort_by_key(|piece| !matches!(piece, Piece::Result { .. }));
        }
        if self.target.dialect == Dialect::Messages
            && groups.iter().all(|group| is_system(group.role))
            && let Some(last) = groups.last_mut()
        {
            last.role = Role::User;
        }
    }

    fn pieces(&self, turn: &'a Turn) -> Result<Vec<Piece<'a>>, Refusal> {
        let mut pieces = Vec::with_capacity(turn.parts.len());
        for part in &turn.parts {
            if let Some(piece) = self.piece(part, is_item(&turn.own))? {
                pieces.push(piece);
            }
        }
        Ok(pieces)
    }

    fn piece(&self, part: &'a Part, item: bool) -> Result<Option<Piece<'a>>, Refusal> {
        Ok(Some(match part {
            Part::Text { text, own } => {
                if !self.same && self.leaves_out(text) {
                    return Ok(None);
                }
                self.text(text, own)
            }
            Part::Refusal { text, own } if self.target.dialect == Dialect::Messages => {
                self.text(text, own)
            }
            Part::Refusal { text, own } => Piece::Refusal {
                text,
                own: self.noted(own),
            },
            Part::Image { source, own } => self.image(source, own)?,
            Part::Document { source, name, own } => self.document(source, name.as_deref(), own)?,
            Part::Thinking { text, seal, own } => {
                return Ok(self.thinking(text, seal.as_deref(), own));
            }
            Part::Call {
                id,
                name,
                input,
                own,
            } => self.call(id, name, input, own),
            Part::Result {
                id,
                content,
                failed,
                free,
                own,
            } => {
                if *failed == Some(true) && self.target.dialect != Dialect::Messages {
                    let why = "the API behind this model has no mark for a failed call: its text has to say so";
                    self.losses.note("messages.is_error", why);
                }
                let mut inner = Vec::with_capacity(content.len());
                for part in content {
                    inner.extend(self.piece(part, false)?);
                }
                Piece::Result {
                    id: self.id(id),
                    content: inner,
                    failed: *failed,
                    free: *free && !names::wraps(self.target),
                    own: self.noted(own),
                }
            }
            Part::Compaction { text, seal, own } => {
                return Ok(self.compaction(text.as_deref(), seal.as_deref(), own));
            }
            Part::Other(value) if self.same => Piece::Other(value),
            Part::Other(value) => return self.other(value, item),
        }))
    }

    fn text(&self, text: &'a str, own: &'a Own) -> Piece<'a> {
        Piece::Text {
            text: Cow::Borrowed(text),
            own: self.noted(own),
        }
    }

    /// The fields of a part, where the target knows them; else they are told of.
    fn noted(&self, own: &'a Own) -> Option<&'a Own> {
        if !self.same {
            self.losses.note_own("messages.content", own);
        }
        self.own(own)
    }

    fn leaves_out(&self, text: &str) -> bool {
        match self.target.dialect {
            Dialect::Messages => text.trim().is_empty(),
            Dialect::Responses | Dialect::Chat => text.starts_with(BILLING),
        }
    }

    fn image(&self, source: &'a Source, own: &'a Own) -> Result<Piece<'a>, Refusal> {
        if !self.target.can.images {
            return Err(unable(
                "image",
                "This model does not take pictures; leave them out.",
            ));
        }
        self.reachable(source, "image")?;
        if self.target.dialect == Dialect::Chat && matches!(source, Source::File(_)) && !self.same {
            return Err(refused(
                "image.file_id",
                "Send the picture's bytes or its address instead.",
            ));
        }
        Ok(Piece::Image {
            source,
            detail: own.get(mark::DETAIL),
            own: self.noted(own),
        })
    }

    fn document(
        &self,
        source: &'a Source,
        name: Option<&'a str>,
        own: &'a Own,
    ) -> Result<Piece<'a>, Refusal> {
        if let (false, Source::Text(text)) = (self.target.can.documents, source) {
            return Ok(self.text(text, own));
        }
        if !self.target.can.documents {
            return Err(unable(
                "document",
                "This model does not take files; send their text instead.",
            ));
        }
        self.reachable(source, "document")?;
        if self.target.dialect == Dialect::Chat && matches!(source, Source::Url(_)) && !self.same {
            return Err(refused("document.url", "Send the file's bytes instead."));
        }
        Ok(Piece::Document {
            source,
            name,
            own: self.noted(own),
        })
    }

    /// A file is where it was uploaded: OpenAI's two APIs share theirs.
    fn reachable(&self, source: &Source, place: &str) -> Result<(), Refusal> {
        let vendors =
            [self.request.from, self.target.dialect].map(|dialect| dialect == Dialect::Messages);
        if matches!(source, Source::File(_)) && vendors[0] != vendors[1] {
            let field = format!("{place}.file_id");
            let instead = "The file lies with another vendor; send its bytes instead.";
            return Err(refused(&field, instead));
        }
        Ok(())
    }

    fn call(&self, id: &'a str, name: &'a str, input: &'a CallInput, own: &'a Own) -> Piece<'a> {
        let namespace = own.get("namespace").and_then(Value::as_str);
        let namespace = namespace.filter(|_| self.request.from == Dialect::Responses);
        let from = self.request.from;
        let name = self.names.upstream(namespace, name, from, self.target);
        let input = match input {
            CallInput::Free(_) if names::wraps(self.target) => {
                Cow::Owned(CallInput::Json(names::text_of(input).into_owned()))
            }
            CallInput::Free(_) | CallInput::Json(_) => Cow::Borrowed(input),
        };
        Piece::Call {
            id: self.id(id),
            name: Cow::Owned(name.into_owned()),
            input,
            own: self.noted(own),
        }
    }

    /// The id of a call by the target's rules; the client's own API has taken it.
    fn id(&self, id: &'a str) -> Cow<'a, str> {
        if self.same {
            return Cow::Borrowed(id);
        }
        match (self.request.from, names::id_back(id)) {
            (Dialect::Messages, Cow::Owned(id)) => {
                Cow::Owned(names::id_for(self.target.dialect, &id).into_owned())
            }
            (Dialect::Messages | Dialect::Responses | Dialect::Chat, _) => {
                names::id_for(self.target.dialect, id)
            }
        }
    }

    /// A block or item that the target's API does not have.
    fn other(&self, value: &'a Value, item: bool) -> Result<Option<Piece<'a>>, Refusal> {
        let kind = value.get("type").and_then(Value::as_str).unwrap_or("item");
        if let Some(text) = words_of(value, kind) {
            return Ok(Some(Piece::Text {
                text: Cow::Owned(text),
                own: None,
            }));
        }
        match kind {
            "additional_tools" if item => Ok(None),
            "item" if value.get("role").is_some() => Err(refused(
                "messages.function",
                "Send the function's result in a message of the role `tool`.",
            )),
            "item_reference" => Err(refused("item_reference", "Send the item itself instead.")),
            "compaction_trigger" => Err(refused(
                "compaction_trigger",
                "Ask for a summary in a message, or take a model that OpenAI serves.",
            )),
            "input_audio" => Err(unable(
                "input_audio",
                "This model does not hear; send text instead.",
            )),
            _other => {
                let why = "only the API that the request came in has such a part";
                self.losses.note(format!("messages.{kind}"), why);
                Ok(None)
            }
        }
    }
}

pub(super) fn is_system(role: Role) -> bool {
    matches!(role, Role::System | Role::Developer)
}

/// Whether the turn is an item of Responses that is no message.
pub(super) fn is_item(own: &Own) -> bool {
    own.get(mark::AT).and_then(Value::as_str) == Some("item")
}

/// Words of the system as words of the user, marked as what they are.
fn as_user(pieces: Vec<Piece<'_>>) -> Vec<Piece<'_>> {
    let wrap = |piece| match piece {
        Piece::Text { text, own } => Piece::Text {
            text: Cow::Owned(format!("<system>\n{text}\n</system>")),
            own,
        },
        other => other,
    };
    pieces.into_iter().map(wrap).collect()
}

/// The words of a block that is nothing but words in a shape of its own.
pub(super) fn words_of(value: &Value, kind: &str) -> Option<String> {
    let text = |key: &str| value.get(key).and_then(Value::as_str);
    let content = match kind {
        "search_result" => value.get("content")?,
        "document" => value.get("source")?.get("content")?,
        _other => return None,
    };
    let mut lines: Vec<&str> = ["title", "source"].into_iter().filter_map(text).collect();
    match content {
        Value::String(text) => lines.push(text),
        Value::Array(blocks) => {
            lines.extend(
                blocks
                    .iter()
                    .filter_map(|block| block.get("text")?.as_str()),
            );
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => return None,
    }
    Some(lines.join("\n"))
}
