//! Calls of a chat stream: which of them a fragment continues, and when one is complete.

use std::borrow::Cow;

use serde::Deserialize;

use crate::answer::wire::{Raw, text, within};

/// A call in the making.
#[derive(Debug, Default)]
pub(crate) struct Call {
    index: Option<u64>,
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) free: bool,
    /// Input that came before the name.
    pub(crate) early: String,
    /// The key under which it stands in the line, once it does.
    pub(crate) key: Option<u64>,
    pub(crate) shape: Shape,
}

/// A fragment of a call.
#[derive(Debug)]
pub(crate) struct Fragment<'a> {
    pub(crate) index: Option<u64>,
    pub(crate) id: Cow<'a, str>,
    pub(crate) name: Cow<'a, str>,
    pub(crate) free: bool,
    pub(crate) input: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(default)]
    index: Option<u64>,
    #[serde(borrow, default)]
    id: Raw<'a>,
    #[serde(borrow, default)]
    function: Raw<'a>,
    #[serde(borrow, default)]
    custom: Raw<'a>,
}

#[derive(Deserialize)]
struct Function<'a> {
    #[serde(borrow, default)]
    name: Raw<'a>,
    #[serde(borrow, default)]
    arguments: Raw<'a>,
    #[serde(borrow, default)]
    input: Raw<'a>,
}

impl<'a> Fragment<'a> {
    /// As it is sent; absent when it is no object.
    pub(crate) fn read(raw: Raw<'a>) -> Option<Self> {
        let wire: Wire<'a> = within(raw)?;
        let free = wire.custom.is_some();
        let mut fragment = Self::function(wire.custom.or(wire.function));
        fragment.index = wire.index;
        fragment.free = free;
        fragment.id = text(wire.id).unwrap_or_default();
        Some(fragment)
    }

    /// The older form: one call, without an id.
    pub(crate) fn function(raw: Raw<'a>) -> Self {
        let function: Option<Function<'a>> = within(raw);
        let (name, input) =
            function.map_or((None, None), |it| (it.name, it.arguments.or(it.input)));
        // Some servers send an object instead of its text.
        let input = match input {
            Some(raw) if raw.get().starts_with('{') => Cow::Borrowed(raw.get()),
            input => text(input).unwrap_or_default(),
        };
        Self {
            index: Some(0),
            id: Cow::default(),
            name: text(name).unwrap_or_default(),
            free: false,
            input,
        }
    }

    /// The call that it continues, if it does not begin one. An id of its own together with a name begins a call even
    /// under an index that is taken: some servers number all calls 0.
    pub(crate) fn find(&self, calls: &[Call]) -> Option<usize> {
        let is_named = !self.name.is_empty();
        let at = match self.index {
            Some(_) => calls.iter().rposition(|call| call.index == self.index),
            None if !self.id.is_empty() => calls.iter().rposition(|call| call.id == self.id),
            None if is_named => None,
            None => calls.len().checked_sub(1),
        }?;
        let known = &calls[at].id;
        let begins = is_named && !self.id.is_empty() && !known.is_empty() && *known != self.id;
        (!begins).then_some(at)
    }

    /// The call that it begins.
    pub(crate) fn begin(&self) -> Call {
        Call {
            index: self.index,
            free: self.free,
            ..Call::default()
        }
    }
}

/// How far the JSON text of an object has come, without a parse.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Shape {
    depth: usize,
    in_string: bool,
    after_backslash: bool,
    pub(crate) is_whole: bool,
}

impl Shape {
    pub(crate) fn push(&mut self, text: &str) {
        for byte in text.bytes() {
            if self.in_string {
                match byte {
                    _ if self.after_backslash => self.after_backslash = false,
                    b'\\' => self.after_backslash = true,
                    b'"' => self.in_string = false,
                    _ => {}
                }
                continue;
            }
            match byte {
                b'"' => self.in_string = true,
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => {
                    self.depth = self.depth.saturating_sub(1);
                    self.is_whole |= self.depth == 0;
                }
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_whole_at_its_last_brace() {
        let text = r#"{"a":"}\"","b":[{}]}"#;
        let mut shape = Shape::default();
        for (at, character) in text.char_indices() {
            assert!(!shape.is_whole, "{at}");
            shape.push(&character.to_string());
        }
        assert!(shape.is_whole);
    }
}
