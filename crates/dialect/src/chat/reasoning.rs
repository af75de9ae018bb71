//! The fields in which chat servers show reasoning, kept so that each server gets back its own.

use serde_json::{Map, Value};

use crate::json::Object;

/// What was shown so far.
#[derive(Debug, Default)]
pub(crate) struct Reasoning {
    /// `reasoning_content`, as DeepSeek, vLLM and llama.cpp call it.
    content: String,
    /// `reasoning`, as OpenRouter and Ollama call it.
    plain: String,
    /// `reasoning_details`, beside it.
    details: Vec<Map<String, Value>>,
    shown: String,
}

impl Reasoning {
    /// Takes what one chunk brings and returns what of it is worth showing. Servers that fill
    /// several fields say the same in each.
    pub(crate) fn add(
        &mut self,
        content: &str,
        plain: &str,
        details: Vec<Map<String, Value>>,
    ) -> String {
        if content.is_empty() && plain.is_empty() && details.is_empty() {
            return String::new();
        }
        self.content.push_str(content);
        self.plain.push_str(plain);
        let mut more = [content, plain]
            .into_iter()
            .find(|text| !text.is_empty())
            .unwrap_or_default()
            .to_owned();
        let from_details = more.is_empty();
        for detail in details {
            if from_details {
                more.push_str(words(&detail));
            }
            self.detail(detail);
        }
        self.shown.push_str(&more);
        more
    }

    /// Fragments of one detail share its type and index; their strings are joined.
    fn detail(&mut self, detail: Map<String, Value>) {
        let same = |known: &&mut Map<String, Value>| {
            known.get("type") == detail.get("type") && known.get("index") == detail.get("index")
        };
        let Some(known) = self.details.last_mut().filter(same) else {
            self.details.push(detail);
            return;
        };
        for (key, value) in detail {
            let is_text = matches!(key.as_str(), "text" | "summary" | "data");
            match (known.get_mut(&key), value) {
                (Some(Value::String(known)), Value::String(more)) if is_text => {
                    known.push_str(&more);
                }
                (_, Value::Null) => {}
                (_, value) => {
                    known.insert(key, value);
                }
            }
        }
    }

    /// The readable text, and the fields as they are to be echoed.
    pub(crate) fn settle(self) -> (String, Option<String>) {
        let mut out = Vec::new();
        let mut object = Object::open(&mut out);
        for (key, text) in [
            ("reasoning_content", &self.content),
            ("reasoning", &self.plain),
        ] {
            if !text.is_empty() {
                object.member(key, text);
            }
        }
        if !self.details.is_empty() {
            object.member("reasoning_details", &self.details);
        }
        object.close();
        let json = (out.len() > 2).then(|| String::from_utf8(out).expect("JSON is UTF-8"));
        (self.shown, json)
    }
}

fn words(detail: &Map<String, Value>) -> &str {
    ["text", "summary"]
        .into_iter()
        .find_map(|key| detail.get(key).and_then(Value::as_str))
        .unwrap_or_default()
}
