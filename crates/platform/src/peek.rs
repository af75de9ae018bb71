//! What routing needs to know of a body, read without building it up.

use std::borrow::Cow;
use std::ops::Range;

use quire_dialect::{ApiVersion, Dialect};
use quire_translate::{Reason, Refusal, not_permitted};
use serde::Deserialize;
use serde_json::value::RawValue;

/// What routing needs to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Peek {
    /// The model that is asked for.
    pub(crate) model: String,
    /// Where its name stands in the body, quotes included.
    pub(crate) model_at: Range<usize>,
    /// Whether the answer is to be streamed.
    pub(crate) stream: bool,
    /// The most tokens of the answer, if it says so.
    pub(crate) max_output: Option<u64>,
    /// Where it must be computed.
    pub(crate) region: Option<String>,
    /// What only this server can resolve (`previous_response_id`, `conversation`, `background`).
    pub(crate) stateful: bool,
    /// Whether the answer is to be kept (`store`), if it says so.
    pub(crate) store: Option<bool>,
    /// The first field that says how the model draws, which one version of Messages takes and the next does not.
    draws: Option<&'static str>,
}

#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(borrow)]
    model: Option<&'a RawValue>,
    stream: Option<bool>,
    max_tokens: Option<u64>,
    max_output_tokens: Option<u64>,
    max_completion_tokens: Option<u64>,
    #[serde(borrow)]
    inference_geo: Option<Cow<'a, str>>,
    #[serde(borrow)]
    previous_response_id: Option<&'a RawValue>,
    #[serde(borrow)]
    conversation: Option<&'a RawValue>,
    background: Option<bool>,
    store: Option<bool>,
    #[serde(borrow)]
    temperature: Option<&'a RawValue>,
    #[serde(borrow)]
    top_p: Option<&'a RawValue>,
    #[serde(borrow)]
    top_k: Option<&'a RawValue>,
}

impl Peek {
    /// Looks into a body.
    pub(crate) fn into(body: &[u8]) -> Result<Self, Refusal> {
        let wire: Wire<'_> = object(body)?;
        let missing = || Refusal::new(Reason::Invalid, "model: Field required").about("model");
        let raw = wire.model.ok_or_else(missing)?.get();
        let model: String = serde_json::from_str(raw).map_err(|_| {
            Refusal::new(Reason::Invalid, "model: Input should be a valid string").about("model")
        })?;
        let start = raw.as_ptr().addr() - body.as_ptr().addr();
        let set = |value: Option<&RawValue>| value.is_some_and(|value| value.get() != "null");
        let draws = [
            ("temperature", wire.temperature),
            ("top_p", wire.top_p),
            ("top_k", wire.top_k),
        ];
        Ok(Self {
            model,
            model_at: start..start + raw.len(),
            stream: wire.stream.unwrap_or(false),
            max_output: wire
                .max_tokens
                .or(wire.max_output_tokens)
                .or(wire.max_completion_tokens),
            region: wire.inference_geo.map(Cow::into_owned),
            stateful: set(wire.previous_response_id)
                || set(wire.conversation)
                || wire.background == Some(true),
            store: wire.store,
            draws: draws
                .into_iter()
                .find_map(|(name, value)| set(value).then_some(name)),
        })
    }

    /// Refuses what the version of Messages that a request names does not take any more, as far as it shows here: of
    /// blocks that went nothing is known without reading all of them.
    pub(crate) fn check_version(&self, api: Dialect, version: ApiVersion) -> Result<(), Refusal> {
        match self.draws {
            Some(field) if api == Dialect::Messages && version == ApiVersion::V20261021 => {
                Err(not_permitted(field.to_owned()))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// The body with another model's name.
    pub(crate) fn renamed(&self, body: &[u8], model: &str) -> Vec<u8> {
        let name = serde_json::to_string(model).unwrap_or_default();
        let mut renamed = Vec::with_capacity(body.len() + name.len());
        renamed.extend_from_slice(&body[..self.model_at.start]);
        renamed.extend_from_slice(name.as_bytes());
        renamed.extend_from_slice(&body[self.model_at.end..]);
        renamed
    }
}

/// Reads a body that must be a JSON object.
pub(crate) fn object<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Refusal> {
    let refuse = |message: String| Err(Refusal::new(Reason::Invalid, message));
    match body.iter().find(|byte| !byte.is_ascii_whitespace()) {
        None => return refuse("The request has no body: send a JSON object.".to_owned()),
        Some(b'{') => {}
        // What reads an object takes a list of its fields' values too.
        Some(_) => return refuse("The request's body must be a JSON object.".to_owned()),
    }
    match serde_json::from_slice(body) {
        Ok(read) => Ok(read),
        Err(error) if error.is_data() => refuse(format!(
            "The request's body is not as it should be: {error}"
        )),
        Err(error) => refuse(format!("The request's body is not valid JSON: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_found_and_can_be_another() {
        let body = br#"{"messages":[{"model":"no"}], "model" : "claude-\u006fpus" ,"stream":true,"max_tokens":7}"#;
        let peek = Peek::into(body).unwrap();
        assert_eq!(
            (peek.model.as_str(), peek.stream, peek.max_output),
            ("claude-opus", true, Some(7))
        );
        let renamed = peek.renamed(body, "qu\"en");
        let value: serde_json::Value = serde_json::from_slice(&renamed).unwrap();
        assert_eq!(value["model"], "qu\"en");
        assert_eq!(value["messages"][0]["model"], "no");
        assert_eq!(
            renamed.len(),
            body.len() - r#""claude-\u006fpus""#.len() + r#""qu\"en""#.len()
        );
    }

    #[test]
    fn what_is_wrong_is_told() {
        for (body, told) in [
            ("", "has no body"),
            ("{", "not valid JSON"),
            ("[]", "body must be a JSON object."),
            (r#" ["m", true]"#, "body must be a JSON object."),
            ("null", "body must be a JSON object."),
            ("{}", "model: Field required"),
            (r#"{"model":7}"#, "valid string"),
            (r#"{"model":"m","stream":"yes"}"#, "not as it should be"),
        ] {
            let refusal = Peek::into(body.as_bytes()).unwrap_err();
            assert!(refusal.message.contains(told), "{body}: {refusal}");
        }
    }
}
