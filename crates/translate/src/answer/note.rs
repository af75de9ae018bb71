//! Citations of one API in another's words, as far as it has any.

use quire_dialect::Dialect;
use serde_json::{Value, json};

/// A citation or annotation for a client of `client`; absent where that API cannot say it.
pub(crate) fn told(client: Dialect, from: Dialect, note: &Value) -> Option<Value> {
    match (from, client) {
        _ if from == client => Some(note.clone()),
        // The one nests what the other lays flat.
        (Dialect::Responses, Dialect::Chat) if is_url(note) => {
            let mut inner = note.as_object()?.clone();
            inner.shift_remove("type");
            Some(json!({ "type": "url_citation", "url_citation": inner }))
        }
        (Dialect::Chat, Dialect::Responses) if is_url(note) => {
            let mut flat = note.get("url_citation")?.as_object()?.clone();
            flat.insert("type".into(), "url_citation".into());
            Some(Value::Object(flat))
        }
        // Messages' citations hold what only its server can make, and no place in the text.
        (Dialect::Responses | Dialect::Chat | Dialect::Messages, _) => None,
    }
}

fn is_url(note: &Value) -> bool {
    note.get("type").is_some_and(|kind| kind == "url_citation")
}
