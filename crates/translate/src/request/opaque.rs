//! Thinking and compactions: opaque texts that go back to the vendor whose they are.

use std::borrow::Cow;

use quire_dialect::Dialect;
use serde_json::Value;

use super::plan::{Piece, Plan};
use super::read::mark;
use super::{Own, Part};
use crate::seal::MARK;

/// What came out of a seal.
enum Unsealed<'a> {
    /// The target's own text.
    Text(Cow<'a, str>),
    /// A whole block or item of an API.
    Block(Dialect, Value),
    /// Nothing that the target knows.
    Foreign,
}

/// How a summary begins where it is words of the user.
const SUMMARY: &str = "Summary of the conversation so far:\n\n";

impl<'a> Plan<'a> {
    /// The seal as the target wrote it, if it did.
    fn unsealed(&self, seal: &'a str) -> Unsealed<'a> {
        match self.target.sealer.and_then(|sealer| sealer.open(seal)) {
            Some(seal) if seal.text.starts_with('{') => match serde_json::from_str(&seal.text) {
                Ok(block) => Unsealed::Block(seal.from, block),
                Err(_) => Unsealed::Foreign,
            },
            Some(seal) if seal.from == self.target.dialect => Unsealed::Text(seal.text.into()),
            None if self.same && !seal.starts_with(MARK) => Unsealed::Text(seal.into()),
            Some(_) | None => Unsealed::Foreign,
        }
    }

    /// Thinking goes back to the vendor whose it is, and to nobody else.
    pub(super) fn thinking(
        &self,
        text: &'a str,
        seal: Option<&'a str>,
        own: &'a Own,
    ) -> Option<Piece<'a>> {
        let chat = self.target.dialect == Dialect::Chat;
        let shown = self.same || !chat || self.target.can.reasoning_content;
        let kept = match seal.map(|seal| self.unsealed(seal)) {
            None if self.same => Some(None),
            Some(Unsealed::Text(text)) if text.is_empty() && !self.same => chat.then_some(None),
            Some(Unsealed::Text(text)) => Some(Some(text)),
            Some(Unsealed::Block(from, block)) if from == self.target.dialect => {
                return Some(Piece::Item(block));
            }
            None | Some(Unsealed::Block(..) | Unsealed::Foreign) => None,
        };
        let Some(seal) = kept.filter(|_| shown) else {
            let why = "the thinking of another vendor's model cannot be shown to this one";
            self.losses.note("messages.thinking", why);
            return None;
        };
        // A proof stands beside its own words or beside none.
        let text = if own.contains_key(mark::TYPE) && !self.same {
            ""
        } else {
            text
        };
        Some(Piece::Thinking {
            text,
            seal,
            own: self.own(own),
        })
    }

    /// A compaction as the target wrote it.
    pub(super) fn compaction(
        &self,
        text: Option<&'a str>,
        seal: Option<&'a str>,
        own: &'a Own,
    ) -> Option<Piece<'a>> {
        let kept = match seal.map(|seal| self.unsealed(seal)) {
            Some(Unsealed::Block(from, block)) if from == self.target.dialect => {
                return Some(Piece::Item(block));
            }
            Some(Unsealed::Text(seal)) => self.same.then_some(Some(seal)),
            None => self.same.then_some(None),
            Some(Unsealed::Block(..) | Unsealed::Foreign) => None,
        };
        Some(Piece::Compaction {
            text,
            seal: kept?,
            own: Some(own),
        })
    }

    /// A compaction of another vendor's in words, where they can be read.
    pub(super) fn summary(&self, part: &'a Part) -> Option<Piece<'a>> {
        let Part::Compaction { text, seal, own } = part else {
            return None;
        };
        if self
            .compaction(text.as_deref(), seal.as_deref(), own)
            .is_some()
        {
            return None;
        }
        let inner = match seal.as_deref().map(|seal| self.unsealed(seal)) {
            Some(Unsealed::Block(_, block)) => {
                let inner = block.get("content").and_then(Value::as_str);
                inner.map(str::to_owned)
            }
            Some(Unsealed::Text(_) | Unsealed::Foreign) | None => None,
        };
        let text = text.clone().or(inner).filter(|text| !text.is_empty());
        if text.is_none() {
            let why = "the summary is a cipher of another vendor's";
            self.losses.note("messages.compaction", why);
        }
        Some(Piece::Text {
            text: Cow::Owned(format!("{SUMMARY}{}", text?)),
            own: None,
        })
    }

    /// Whether the part stands for everything before it, so that another API need not hear of that.
    pub(super) fn replaces(&self, part: &'a Part) -> bool {
        match part {
            Part::Compaction { text, seal, own } => {
                let kept = self.compaction(text.as_deref(), seal.as_deref(), own);
                kept.is_some() && !self.same
            }
            Part::Text { .. }
            | Part::Refusal { .. }
            | Part::Image { .. }
            | Part::Document { .. }
            | Part::Thinking { .. }
            | Part::Call { .. }
            | Part::Result { .. }
            | Part::Other(_) => false,
        }
    }
}
