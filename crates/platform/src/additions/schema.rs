//! An answer that must fit a JSON schema, of a model that cannot be held to one: checked, and asked for again with
//! what is wrong.

use quire_translate::{Answer, Delivery, Format, Own, Part, Request, Role, Turn};
use serde_json::Value;

/// A schema that answers are held to.
pub(crate) struct Held {
    schema: Value,
    validator: jsonschema::Validator,
    tries: u32,
}

/// What is wrong with an answer at most, in letters.
const COMPLAINT: usize = 2_000;

/// Whether a request's answer must fit a schema.
pub(crate) fn has_one(request: &Request) -> bool {
    matches!(request.format, Some(Format::JsonSchema { .. }))
}

/// The schema that a request's answer must fit, and takes it out of the request: the model is told of it in words.
pub(crate) fn schema_of(request: &mut Request, tries: u32) -> Result<Option<Held>, String> {
    let Some(Format::JsonSchema { schema, .. }) = &request.format else {
        return Ok(None);
    };
    let schema = schema.clone();
    let validator = jsonschema::validator_for(&schema)
        .map_err(|error| format!("The schema cannot be used: {error}"))?;
    request.format = None;
    let at = request
        .turns
        .iter()
        .take_while(|turn| matches!(turn.role, Role::System | Role::Developer))
        .count();
    let words = format!(
        "Answer with one JSON value and nothing else: no fences, no words around it. It must fit this JSON schema:\n{schema}"
    );
    request.turns.insert(at, say(Role::System, words));
    Ok(Some(Held {
        schema,
        validator,
        tries: tries.max(1),
    }))
}

fn say(role: Role, text: String) -> Turn {
    Turn {
        role,
        parts: vec![Part::Text {
            text,
            own: Own::new(),
        }],
        own: Own::new(),
    }
}

impl Held {
    /// How often the model may be asked.
    pub(crate) fn tries(&self) -> u32 {
        self.tries
    }

    /// Puts an answer's text right, or says what is wrong with it. An answer that calls tools is not held.
    pub(crate) fn check(&self, answer: &mut Answer) -> Result<(), String> {
        if answer
            .parts
            .iter()
            .any(|part| matches!(part, Part::Call { .. } | Part::Refusal { .. }))
        {
            return Ok(());
        }
        let said: String = answer
            .parts
            .iter()
            .filter_map(|part| match part {
                Part::Text { text, .. } => Some(text.as_str()),
                _ => None,
            })
            .collect();
        let text = json_within(&said);
        let value: Value = serde_json::from_str(text)
            .map_err(|error| format!("It is not valid JSON: {error}."))?;
        let wrong: Vec<String> = self
            .validator
            .iter_errors(&value)
            .take(10)
            .map(|error| format!("At `{}`: {error}.", error.instance_path()))
            .collect();
        if !wrong.is_empty() {
            return Err(wrong.join("\n").chars().take(COMPLAINT).collect());
        }
        let text = text.to_owned();
        if text != said {
            answer
                .parts
                .retain(|part| !matches!(part, Part::Text { .. }));
            answer.parts.push(Part::Text {
                text,
                own: Own::new(),
            });
        }
        Ok(())
    }

    /// The same request, after an answer with something wrong.
    pub(crate) fn again(&self, request: &Request, answer: &Answer, wrong: &str) -> Request {
        let mut next = request.clone();
        next.delivery = Delivery::Whole;
        next.turns.push(Turn {
            role: Role::Assistant,
            parts: answer
                .parts
                .iter()
                .filter(|part| matches!(part, Part::Text { .. }))
                .cloned()
                .collect(),
            own: Own::new(),
        });
        let words = format!(
            "That does not fit the schema.\n{wrong}\nAnswer again with the whole JSON value and nothing else. The schema:\n{}",
            self.schema
        );
        next.turns.push(say(Role::User, words));
        next
    }
}

/// The JSON in a text that may have fences or words around it.
fn json_within(text: &str) -> &str {
    let text = text.trim();
    if serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok() {
        return text;
    }
    if let Some(start) = text.find("```") {
        let inner = &text[start + 3..];
        let inner = inner.strip_prefix("json").unwrap_or(inner);
        if let Some(end) = inner.find("```") {
            return inner[..end].trim();
        }
    }
    let start = text.find(['{', '[']);
    let end = text.rfind(['}', ']']);
    match (start, end) {
        (Some(start), Some(end)) if start < end => &text[start..=end],
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use quire_dialect::Dialect;
    use quire_translate::{Begin, Finish, Stop, Tally, decode_request};

    use super::*;

    fn held() -> (Request, Held) {
        let body = r#"{"model":"m","messages":[{"role":"user","content":"age?"}],"response_format":{"type":"json_schema",
            "json_schema":{"name":"age","schema":{"type":"object","properties":{"age":{"type":"integer"}},"required":["age"]}}}}"#;
        let mut request = decode_request(Dialect::Chat, body.as_bytes()).unwrap();
        let held = schema_of(&mut request, 3).unwrap().unwrap();
        (request, held)
    }

    fn answer(text: &str) -> Answer {
        Answer {
            begin: Begin::default(),
            parts: vec![Part::Text {
                text: text.to_owned(),
                own: Own::new(),
            }],
            finish: Finish {
                stop: Stop::End,
                tally: Tally::default(),
                own: Own::new(),
            },
        }
    }

    #[test]
    fn an_answer_fits_or_is_asked_for_again() {
        let (request, held) = held();
        assert!(request.format.is_none());
        assert!(
            matches!(&request.turns[0].parts[0], Part::Text { text, .. } if text.contains("\"age\""))
        );
        for (said, became) in [
            ("{\"age\": 7}", "{\"age\": 7}"),
            ("```json\n{\"age\": 7}\n```", "{\"age\": 7}"),
            ("Sure! {\"age\": 7} Anything else?", "{\"age\": 7}"),
        ] {
            let mut answer = answer(said);
            held.check(&mut answer).unwrap();
            assert!(
                matches!(&answer.parts[..], [Part::Text { text, .. }] if text == became),
                "{said}"
            );
        }
        for (said, wrong) in [
            ("seven", "not valid JSON"),
            ("{\"age\": \"7\"}", "/age"),
            ("{}", "required"),
        ] {
            let mut answer = answer(said);
            let told = held.check(&mut answer).unwrap_err();
            assert!(told.contains(wrong), "{said}: {told}");
            let next = held.again(&request, &answer, &told);
            assert_eq!(next.turns.len(), request.turns.len() + 2);
        }
    }
}
