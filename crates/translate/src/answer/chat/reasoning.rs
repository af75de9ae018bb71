//! The fields in which chat servers show reasoning, and the proofs that some send with it.

use serde_json::{Map, Value};

/// One run of reasoning.
#[derive(Debug, Default)]
pub(crate) struct Reasoning {
    /// `reasoning_details`, fragments of one detail joined.
    details: Vec<Map<String, Value>>,
}

impl Reasoning {
    /// Takes what a chunk brings, and returns what of it is to be shown. Servers that fill several fields say the same
    /// in each.
    pub(crate) fn add(&mut self, shown: &str, details: Vec<Map<String, Value>>) -> String {
        let mut text = shown.to_owned();
        for detail in details {
            if shown.is_empty() {
                text.push_str(words(&detail));
            }
            self.join(detail);
        }
        text
    }

    /// The details as they must go back; nothing where there were none.
    pub(crate) fn seal(&self) -> Option<String> {
        if self.details.is_empty() {
            return None;
        }
        serde_json::to_string(&self.details).ok()
    }

    /// Fragments of one detail share its type and index; their strings are joined.
    fn join(&mut self, detail: Map<String, Value>) {
        let same = |known: &&mut Map<String, Value>| {
            known.get("type") == detail.get("type") && known.get("index") == detail.get("index")
        };
        let Some(known) = self.details.last_mut().filter(same) else {
            return self.details.push(detail);
        };
        for (key, value) in detail {
            match (known.get_mut(&key), &value) {
                (Some(Value::String(text)), Value::String(more)) if grows(&key) => {
                    text.push_str(more);
                }
                (_, Value::Null) => {}
                _ => {
                    known.insert(key, value);
                }
            }
        }
    }
}

/// Members of a detail that come in fragments.
fn grows(key: &str) -> bool {
    matches!(key, "text" | "summary" | "data" | "signature")
}

/// The words of a detail, where it has any.
fn words(detail: &Map<String, Value>) -> &str {
    ["text", "summary"]
        .iter()
        .find_map(|key| detail.get(*key)?.as_str())
        .unwrap_or_default()
}
