//! Pieces of wire text: members that stay raw until they are needed, and JSON put together by hand.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::request::Own;

/// A member that is there and not null, of whatever shape.
pub(crate) type Raw<'a> = Option<&'a RawValue>;

/// A string, borrowed where it holds no escapes.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// A whole JSON object of the expected shape. (Serde would read a struct from an array too.)
pub(crate) fn object<'a, T: Deserialize<'a>>(json: &'a [u8]) -> Option<T> {
    if !json.trim_ascii_start().starts_with(b"{") {
        return None;
    }
    serde_json::from_slice(json).ok()
}

/// A member, where it has the expected shape.
pub(crate) fn known<'a, T: Deserialize<'a>>(raw: Raw<'a>) -> Option<T> {
    serde_json::from_str(raw?.get()).ok()
}

/// A member that is an object of the expected shape.
pub(crate) fn within<'a, T: Deserialize<'a>>(raw: Raw<'a>) -> Option<T> {
    object(raw?.get().as_bytes())
}

/// A text that is not empty.
pub(crate) fn text(raw: Raw<'_>) -> Option<Cow<'_, str>> {
    known::<Text<'_>>(raw)
        .map(|text| text.0)
        .filter(|text| !text.is_empty())
}

/// The same, owned.
pub(crate) fn owned(raw: Raw<'_>) -> Option<String> {
    text(raw).map(Cow::into_owned)
}

/// Takes a text out of an object, where there is one that is not empty. What has another shape goes too.
pub(crate) fn take_text(object: &mut Own, key: &str) -> Option<String> {
    match object.shift_remove(key) {
        Some(Value::String(text)) if !text.is_empty() => Some(text),
        _ => None,
    }
}

/// Takes members away that are said elsewhere.
pub(crate) fn drop_keys(object: &mut Own, keys: &[&str]) {
    object.retain(|key, _| !keys.contains(&key.as_str()));
}

/// Appends any value as compact JSON.
pub(crate) fn value<T: Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) {
    serde_json::to_writer(out, value).expect("strings and JSON values always serialise");
}

/// Appends a text as the inside of a JSON string, without the quotes.
pub(crate) fn string_body(out: &mut Vec<u8>, text: &str) {
    let start = out.len();
    value(out, text);
    out.pop();
    out.remove(start);
}

/// Puts members of `from` into `into`, over what stands there.
pub(crate) fn extend(into: &mut Own, from: &Own) {
    for (key, value) in from {
        into.insert(key.clone(), value.clone());
    }
}

/// An object literal, as `serde_json::json!` has values.
macro_rules! own {
    ($($members:tt)*) => {
        match serde_json::json!({ $($members)* }) {
            serde_json::Value::Object(object) => object,
            _ => $crate::request::Own::new(),
        }
    };
}
pub(crate) use own;
