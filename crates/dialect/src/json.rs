//! Writing JSON text by hand: bodies are put together from pieces whose order is a promise.

use serde::Serialize;

/// Appends `text` as a JSON string.
pub(crate) fn string(out: &mut Vec<u8>, text: &str) {
    value(out, text);
}

/// Appends `text` as the inside of a JSON string, without the quotes.
pub(crate) fn string_body(out: &mut Vec<u8>, text: &str) {
    let start = out.len();
    value(out, text);
    out.pop();
    out.remove(start);
}

/// Appends any value as compact JSON.
pub(crate) fn value<T: Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) {
    serde_json::to_writer(out, value).expect("strings and JSON values always serialise");
}

/// Appends raw text.
pub(crate) fn raw(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(text.as_bytes());
}

/// Writes the members of one object in the order they are asked for.
pub(crate) struct Object<'a> {
    out: &'a mut Vec<u8>,
    empty: bool,
}

impl<'a> Object<'a> {
    /// Opens an object.
    pub(crate) fn open(out: &'a mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, empty: true }
    }

    /// Goes on with an object that was opened before and has members.
    pub(crate) fn resume(out: &'a mut Vec<u8>) -> Self {
        Self { out, empty: false }
    }

    /// Writes a key, and returns where its value goes.
    pub(crate) fn key(&mut self, key: &str) -> &mut Vec<u8> {
        if !self.empty {
            self.out.push(b',');
        }
        self.empty = false;
        string(self.out, key);
        self.out.push(b':');
        self.out
    }

    /// Writes a member of any kind.
    pub(crate) fn member<T: Serialize + ?Sized>(&mut self, key: &str, content: &T) -> &mut Self {
        value(self.key(key), content);
        self
    }

    /// Writes a member that is JSON text already.
    pub(crate) fn member_raw(&mut self, key: &str, json: &str) -> &mut Self {
        raw(self.key(key), json);
        self
    }

    /// Closes the object.
    pub(crate) fn close(self) {
        self.out.push(b'}');
    }
}

/// Whether `text` is one JSON object, fit to be embedded as it is.
pub(crate) fn is_object(text: &str) -> bool {
    serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(text).is_ok()
}
