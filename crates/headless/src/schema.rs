//! The JSON schema of the final answer: checking an answer, and what to tell the model when it
//! does not fit.

use std::fmt::Write as _;

use serde_json::Value;

use crate::Error;

/// Errors that are told to the model.
const TOLD: usize = 10;

/// A schema that answers are checked against.
pub(crate) struct Schema(jsonschema::Validator);

/// An answer that fits.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fitting {
    /// The JSON text as the model wrote it, without a fence.
    pub(crate) text: String,
    /// The same, parsed.
    pub(crate) value: Value,
}

impl Schema {
    /// Compiles a schema. References to other documents are not followed.
    pub(crate) fn new(schema: &Value) -> Result<Self, Error> {
        jsonschema::validator_for(schema)
            .map(Self)
            .map_err(|error| Error::Schema(error.to_string()))
    }

    /// Checks an answer, given as its parts: the last part alone, or else all of them together.
    /// Fails with one line per error.
    pub(crate) fn check(&self, parts: &[String]) -> Result<Fitting, String> {
        let Some(last) = parts.last() else {
            return Err("the answer is empty".to_owned());
        };
        self.check_text(last).or_else(|error| match parts.len() {
            1 => Err(error),
            _ => self.check_text(&parts.concat()).map_err(|_| error),
        })
    }

    fn check_text(&self, answer: &str) -> Result<Fitting, String> {
        let text = unfenced(answer);
        let value: Value =
            serde_json::from_str(text).map_err(|error| format!("it is not JSON: {error}"))?;
        let mut errors: Vec<String> = self
            .0
            .iter_errors(&value)
            .take(TOLD + 1)
            .map(|error| match error.instance_path().as_str() {
                "" => error.to_string(),
                path => format!("at {path}: {error}"),
            })
            .collect();
        if errors.is_empty() {
            return Ok(Fitting {
                text: harmless(text),
                value,
            });
        }
        if errors.len() > TOLD {
            "and more".clone_into(&mut errors[TOLD]);
        }
        Err(errors.join("\n"))
    }
}

/// What the model is told when its answer does not fit.
pub(crate) fn repair(errors: &str) -> String {
    format!(
        "Your answer does not fit the JSON schema that was asked for:\n{errors}\n\
         Answer again with only the corrected JSON: no fence, no other words."
    )
}

/// An answer without a code fence around it.
fn unfenced(answer: &str) -> &str {
    let answer = answer.trim();
    let inner = answer.strip_prefix("```").and_then(|rest| {
        let (info, body) = rest.split_once('\n')?;
        let known = info.trim().chars().all(char::is_alphanumeric);
        known.then(|| body.strip_suffix("```"))?
    });
    inner.map_or(answer, str::trim)
}

/// JSON text whose strings hold no control character: C1 ones and DEL as JSON escapes.
fn harmless(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for char in json.chars() {
        if char.is_control() && !matches!(char, '\n' | '\t' | '\r') {
            let _ = write!(text, "\\u{:04x}", u32::from(char));
        } else {
            text.push(char);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use serde_json::json;

    use super::*;

    fn check(parts: &[&str]) -> Result<String, String> {
        let schema = Schema::new(&json!({
            "type": "object",
            "required": ["name", "size"],
            "properties": {"name": {"type": "string"}, "size": {"type": "integer"}},
        }))
        .unwrap();
        let parts: Vec<String> = parts.iter().map(|part| (*part).to_owned()).collect();
        schema.check(&parts).map(|fitting| fitting.text)
    }

    #[test]
    fn answers_that_fit() {
        let json = r#"{"name":"a","size":1}"#;
        for answer in [
            json.to_owned(),
            format!("  {json}\n"),
            format!("```json\n{json}\n```"),
            format!("```\n{json}\n```\n"),
        ] {
            assert_eq!(check(&[&answer]).as_deref(), Ok(json), "{answer}");
        }
        assert_eq!(check(&["Here it is:", json]).as_deref(), Ok(json));
        assert_eq!(
            check(&[r#"{"name":"a","#, r#""size":1}"#]).as_deref(),
            Ok(json)
        );
        assert_eq!(
            check(&["{\"name\":\"\u{9b}2J\u{7f}\",\"size\":1}"]).as_deref(),
            Ok(r#"{"name":"\u009b2J\u007f","size":1}"#)
        );
    }

    #[test]
    fn answers_that_do_not_fit_say_why() {
        let error = |parts: &[&str]| check(parts).unwrap_err();
        expect!["the answer is empty"].assert_eq(&error(&[]));
        expect!["it is not JSON: expected value at line 1 column 1"].assert_eq(&error(&["Sure!"]));
        expect![[r#"
            "size" is a required property
            at /name: 3 is not of type "string""#]]
        .assert_eq(&error(&[r#"{"name":3}"#]));
    }

    #[test]
    fn what_is_no_schema_is_refused() {
        assert!(Schema::new(&json!({"type": "nonsense"})).is_err());
        assert!(Schema::new(&json!({"$ref": "http://localhost/x.json"})).is_err());
    }
}
