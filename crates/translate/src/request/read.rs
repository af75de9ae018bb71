//! JSON as a client wrote it: fields are taken out by name, what is left stays as [`Own`], and what has the
//! wrong shape is refused in the words of the vendor.

use quire_dialect::Dialect;
use serde_json::{Number, Value};

use super::Own;
use crate::refusal::{Reason, Refusal};

/// Where a value stands in a body.
#[derive(Clone, Copy)]
pub(super) struct Path<'p> {
    pub(super) dialect: Dialect,
    up: Option<&'p Path<'p>>,
    step: Step<'p>,
}

#[derive(Clone, Copy)]
enum Step<'p> {
    Root,
    Key(&'p str),
    At(usize),
}

/// What a field should have been.
#[derive(Clone, Copy)]
pub(super) enum Shape {
    Text,
    List,
    Object,
    Count,
    Number,
    Flag,
    TextOrList,
}

impl<'p> Path<'p> {
    pub(super) fn root(dialect: Dialect) -> Self {
        Self {
            dialect,
            up: None,
            step: Step::Root,
        }
    }

    pub(super) fn key<'q>(&'q self, key: &'q str) -> Path<'q> {
        Path {
            dialect: self.dialect,
            up: Some(self),
            step: Step::Key(key),
        }
    }

    pub(super) fn at<'q>(&'q self, index: usize) -> Path<'q>
    where
        'p: 'q,
    {
        Path {
            dialect: self.dialect,
            up: Some(self),
            step: Step::At(index),
        }
    }

    /// `messages.0.content` at Anthropic, `messages[0].content` at OpenAI.
    pub(super) fn words(&self) -> String {
        let mut words = self.up.map(Self::words).unwrap_or_default();
        match self.step {
            Step::Root => {}
            Step::At(index) if self.dialect != Dialect::Messages => {
                words = format!("{words}[{index}]");
            }
            Step::At(index) => words = format!("{words}.{index}"),
            Step::Key(key) => {
                if !words.is_empty() {
                    words.push('.');
                }
                words.push_str(key);
            }
        }
        words
    }

    fn refuse(&self, anthropic: &str, openai: String, code: &str) -> Refusal {
        let words = self.words();
        if self.dialect == Dialect::Messages {
            let message = if words.is_empty() {
                anthropic.to_owned()
            } else {
                format!("{words}: {anthropic}")
            };
            let refusal = Refusal::new(Reason::Invalid, message);
            return if words.is_empty() {
                refusal
            } else {
                refusal.about(words)
            };
        }
        let refusal = Refusal::new(Reason::Invalid, openai).coded(code);
        if words.is_empty() {
            refusal
        } else {
            refusal.about(words)
        }
    }

    pub(super) fn missing(&self) -> Refusal {
        self.refuse(
            "Field required",
            format!("Missing required parameter: '{}'.", self.words()),
            "missing_required_parameter",
        )
    }

    pub(super) fn wrong(&self, wanted: Shape, got: &Value) -> Refusal {
        let (anthropic, openai) = match wanted {
            Shape::Text => ("Input should be a valid string", "a string"),
            Shape::List => ("Input should be a valid list", "an array"),
            Shape::Object => ("Input should be a valid dictionary", "an object"),
            Shape::Count => ("Input should be a valid integer", "an integer"),
            Shape::Number => ("Input should be a valid number", "a number"),
            Shape::Flag => ("Input should be a valid boolean", "a boolean"),
            Shape::TextOrList => (
                "Input should be a valid string or a valid list",
                "one of a string or array",
            ),
        };
        let got = match got {
            Value::Null => "null",
            Value::Bool(_) => "a boolean",
            Value::Number(number) if number.is_f64() => "a decimal",
            Value::Number(_) => "an integer",
            Value::String(_) => "a string",
            Value::Array(_) => "an array",
            Value::Object(_) => "an object",
        };
        let openai = format!(
            "Invalid type for '{}': expected {openai}, but got {got} instead.",
            self.words()
        );
        self.refuse(anthropic, openai, "invalid_type")
    }

    fn below(&self, got: &Value) -> Refusal {
        let openai = format!(
            "Invalid '{}': integer below minimum value. Expected a value >= 0, but got {got} instead.",
            self.words()
        );
        let anthropic = "Input should be greater than or equal to 0";
        self.refuse(anthropic, openai, "integer_below_min_value")
    }

    pub(super) fn unknown(&self, got: &str, known: &[&str]) -> Refusal {
        let quoted: Vec<_> = known.iter().map(|name| format!("'{name}'")).collect();
        let list = |last: &str, of_two: &str| match quoted.as_slice() {
            [] => String::new(),
            [one] => one.clone(),
            [one, two] => format!("{one}{of_two}{two}"),
            [rest @ .., end] => format!("{}{last}{end}", rest.join(", ")),
        };
        self.refuse(
            &format!("Input should be {}", list(" or ", " or ")),
            format!(
                "Invalid value: '{got}'. Supported values are: {}.",
                list(", and ", " and ")
            ),
            "invalid_value",
        )
    }

    pub(super) fn text(&self, value: Value) -> Result<String, Refusal> {
        match value {
            Value::String(text) => Ok(text),
            other => Err(self.wrong(Shape::Text, &other)),
        }
    }

    pub(super) fn list(&self, value: Value) -> Result<Vec<Value>, Refusal> {
        match value {
            Value::Array(list) => Ok(list),
            other => Err(self.wrong(Shape::List, &other)),
        }
    }
}

/// An object that is being taken apart.
pub(super) struct Fields<'p> {
    pub(super) path: Path<'p>,
    map: Own,
    marks: Vec<(&'static str, Value)>,
}

impl<'p> Fields<'p> {
    pub(super) fn new(value: Value, path: Path<'p>) -> Result<Self, Refusal> {
        match value {
            Value::Object(map) => Ok(Self {
                path,
                map,
                marks: Vec::new(),
            }),
            other => Err(path.wrong(Shape::Object, &other)),
        }
    }

    /// A field that stays where it is.
    pub(super) fn peek(&self, key: &str) -> Option<&Value> {
        self.map.get(key)
    }

    pub(super) fn peek_text(&self, key: &str) -> Option<&str> {
        self.map.get(key).and_then(Value::as_str)
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.map.get(key).is_some_and(|value| !value.is_null())
    }

    /// The whole object again.
    pub(super) fn whole(self) -> Value {
        Value::Object(self.map)
    }

    /// The field, unless it is absent or null: then it stays, so that it goes out again as it came.
    pub(super) fn take(&mut self, key: &str) -> Option<Value> {
        if !self.has(key) {
            return None;
        }
        self.map.shift_remove(key)
    }

    pub(super) fn need(&mut self, key: &str) -> Result<Value, Refusal> {
        self.take(key).ok_or_else(|| self.path.key(key).missing())
    }

    pub(super) fn text(&mut self, key: &str) -> Result<Option<String>, Refusal> {
        self.take(key)
            .map(|value| self.path.key(key).text(value))
            .transpose()
    }

    pub(super) fn need_text(&mut self, key: &str) -> Result<String, Refusal> {
        let value = self.need(key)?;
        self.path.key(key).text(value)
    }

    /// A list, unless it is empty: an empty one stays as it is.
    pub(super) fn filled(&mut self, key: &str) -> Result<Vec<Value>, Refusal> {
        if self
            .map
            .get(key)
            .and_then(Value::as_array)
            .is_some_and(Vec::is_empty)
        {
            return Ok(Vec::new());
        }
        self.take(key)
            .map_or(Ok(Vec::new()), |value| self.path.key(key).list(value))
    }

    pub(super) fn need_list(&mut self, key: &str) -> Result<Vec<Value>, Refusal> {
        let value = self.need(key)?;
        self.path.key(key).list(value)
    }

    pub(super) fn count(&mut self, key: &str) -> Result<Option<u64>, Refusal> {
        let Some(value) = self.take(key) else {
            return Ok(None);
        };
        match value.as_u64() {
            Some(count) => Ok(Some(count)),
            None if value.is_i64() => Err(self.path.key(key).below(&value)),
            None => Err(self.path.key(key).wrong(Shape::Count, &value)),
        }
    }

    pub(super) fn number(&mut self, key: &str) -> Result<Option<Number>, Refusal> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::Number(number)) => Ok(Some(number)),
            Some(other) => Err(self.path.key(key).wrong(Shape::Number, &other)),
        }
    }

    pub(super) fn flag(&mut self, key: &str) -> Result<Option<bool>, Refusal> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(flag)),
            Some(other) => Err(self.path.key(key).wrong(Shape::Flag, &other)),
        }
    }

    /// Puts a value back under a key, in its place at the end.
    pub(super) fn put(&mut self, key: &str, value: Value) {
        self.map.insert(key.to_owned(), value);
    }

    /// Notes how the object was written.
    pub(super) fn mark(&mut self, key: &'static str, value: impl Into<Value>) {
        self.marks.push((key, value.into()));
    }

    /// What is left. A key that looks like a [`mark`] of ours is set apart from one.
    pub(super) fn rest(self) -> Own {
        let marks = self.marks.into_iter();
        let marks = marks.map(|(key, value)| (key.to_owned(), value));
        if !self.map.keys().any(|key| key.starts_with(mark::SIGN)) {
            let mut rest = self.map;
            rest.extend(marks);
            return rest;
        }
        let apart = |(key, value): (String, Value)| {
            if key.starts_with(mark::SIGN) {
                (format!("{}{key}", mark::SIGN), value)
            } else {
                (key, value)
            }
        };
        self.map.into_iter().map(apart).chain(marks).collect()
    }

    /// The same, and an object that was empty from the start stays too.
    pub(super) fn keep_as(self, key: &str, untouched: bool, outer: &mut Fields<'_>) {
        let rest = self.rest();
        if untouched || !rest.is_empty() {
            outer.put(key, Value::Object(rest));
        }
    }

    /// What is left of an object within an object, where something is.
    pub(super) fn rest_into(self, key: &str, outer: &mut Fields<'_>) {
        let rest = self.rest();
        if !rest.is_empty() {
            outer.put(key, Value::Object(rest));
        }
    }
}

/// How a node was written, where one meaning has several shapes: keys of [`Own`] that no API has. A client's own
/// key that begins so is kept with the sign twice.
pub(super) mod mark {
    /// How all of them begin.
    pub(in crate::request) const SIGN: char = '$';
    /// The content was a text rather than a list.
    pub(in crate::request) const TEXT: &str = "$text";
    /// Where it stood: `system`, `instructions`, `input`, `item`, `message`.
    pub(in crate::request) const AT: &str = "$at";
    /// The type it had, where it is not the usual one for its place.
    pub(in crate::request) const TYPE: &str = "$type";
    /// The `additional_tools` item a tool came in, counted from 0.
    pub(in crate::request) const ITEM: &str = "$item";
    /// The field the end user stood in, where it is the older one.
    pub(in crate::request) const END_USER: &str = "$end_user";
    /// The field the limit stood in, where it is the older one.
    pub(in crate::request) const LIMIT: &str = "$limit";
    /// The field the format stood in, where it is the older one.
    pub(in crate::request) const FORMAT: &str = "$format";
    /// There was no such list at all.
    pub(in crate::request) const NO_INPUT: &str = "$no_input";
    /// How closely a picture is looked at, which both of OpenAI's APIs say.
    pub(in crate::request) const DETAIL: &str = "$detail";
}
