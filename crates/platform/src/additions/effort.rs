//! How hard a model is to think that has no setting for it, or none that the client's words fit.

use quire_catalogue::ModelFacts;
use quire_dialect::{Dialect, Thinking as Kind};
use quire_protocol::Effort;
use quire_translate::{Own, Part, Request, Role, Thinking, Turn};

use crate::config::{Additions, EffortBy};

/// Whether a request asks for an effort that has to be fitted.
pub(crate) fn is_fitted(request: &Request, add: &Additions) -> bool {
    add.effort.is_some()
        && (asked(request).is_some() || (add.adaptive_thinking && is_adaptive(request)))
}

fn is_adaptive(request: &Request) -> bool {
    let thinking = request.thinking.as_ref();
    thinking.is_some_and(|thinking| thinking.kind == "adaptive")
}

/// Fits a request's effort and thinking to a model.
pub(crate) fn fit(request: &mut Request, add: &Additions, facts: &ModelFacts, dialect: Dialect) {
    let asked = asked(request);
    let effort = if add.adaptive_thinking && is_adaptive(request) {
        Some(by_signs(request, asked.unwrap_or_default()))
    } else {
        asked
    };
    let (Some(by), Some(effort)) = (add.effort, effort) else {
        return;
    };
    let became = facts.asked(effort, dialect);
    match by {
        EffortBy::Name => request.effort = became.level.map(|level| level.name().to_owned()),
        EffortBy::Budget => {
            request.effort = None;
            request.thinking = match became.thinking {
                Kind::Budget(budget) => Some(thinking("enabled", Some(u64::from(budget)))),
                Kind::Adaptive => Some(thinking("adaptive", None)),
                Kind::Disabled => Some(thinking("disabled", None)),
                Kind::Unset => None,
            };
        }
        EffortBy::Words => {
            request.effort = None;
            request.thinking = None;
            if !became.words.is_empty() {
                let at = request
                    .turns
                    .iter()
                    .take_while(|turn| turn.role == Role::System)
                    .count();
                request.turns.insert(at, instruction(became.words));
            }
            if let Some(most) = became.max_output.map(u64::from) {
                request.max_output = Some(request.max_output.map_or(most, |asked| asked.min(most)));
            }
        }
    }
}

/// The effort that a request names. OpenAI's lowest two have no level of their own here.
fn asked(request: &Request) -> Option<Effort> {
    match request.effort.as_deref()? {
        "none" | "minimal" => Some(Effort::Low),
        name => name.parse().ok(),
    }
}

fn thinking(kind: &str, budget: Option<u64>) -> Thinking {
    Thinking {
        kind: kind.to_owned(),
        budget,
        display: None,
        own: Own::new(),
    }
}

fn instruction(words: &str) -> Turn {
    Turn {
        role: Role::System,
        parts: vec![Part::Text {
            text: words.to_owned(),
            own: Own::new(),
        }],
        own: Own::new(),
    }
}

/// Bytes of a tool's result that are much to read.
const LONG: usize = 8_192;

/// How hard to think at a step, by signs of the conversation: a new task as asked; a failure one more; a short
/// result that only has to be read one less.
fn by_signs(request: &Request, asked: Effort) -> Effort {
    let Some(last) = request.turns.last() else {
        return asked;
    };
    let mut results = 0;
    let mut bytes = 0;
    let mut failed = false;
    for part in &last.parts {
        match part {
            Part::Result {
                content,
                failed: told,
                ..
            } => {
                results += 1;
                let text = content.iter().filter_map(text_of);
                for text in text {
                    bytes += text.len();
                    failed |= looks_failed(text);
                }
                failed |= *told == Some(true);
            }
            // Somebody speaks: that is a task of its own.
            _ => return asked,
        }
    }
    let step = |up: bool| {
        let at = Effort::ALL
            .iter()
            .position(|effort| *effort == asked)
            .unwrap_or(0);
        let to = if up { at + 1 } else { at.saturating_sub(1) };
        Effort::ALL[to.min(Effort::ALL.len() - 1)]
    };
    match (results, failed, bytes) {
        (0, _, _) => asked,
        (_, true, _) => step(true),
        (_, false, bytes) if bytes > LONG => asked,
        _ => step(false),
    }
}

fn text_of(part: &Part) -> Option<&str> {
    match part {
        Part::Text { text, .. } => Some(text),
        _ => None,
    }
}

/// Words that stand in the output of what failed.
fn looks_failed(text: &str) -> bool {
    const SIGNS: &[&str] = &[
        "FAILED",
        "panicked at",
        "Traceback (most recent call last)",
        "error[",
        "error:",
        "exit code 1",
    ];
    SIGNS.iter().any(|sign| text.contains(sign))
}

#[cfg(test)]
mod tests {
    use quire_catalogue::Catalogue;
    use quire_translate::decode_request;
    use serde_json::{Value, json};

    use super::*;

    fn request(body: &Value) -> Request {
        decode_request(Dialect::Messages, body.to_string().as_bytes()).unwrap()
    }

    fn after(result: Option<(&str, bool)>) -> Request {
        let mut messages = vec![json!({"role": "user", "content": "do it"})];
        if let Some((text, failed)) = result {
            messages.push(json!({"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "bash", "input": {}}]}));
            messages.push(json!({"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "t", "content": text, "is_error": failed}]}));
        }
        request(
            &json!({"model": "m", "max_tokens": 10, "thinking": {"type": "adaptive"},
            "output_config": {"effort": "medium"}, "messages": messages}),
        )
    }

    #[test]
    fn signs_move_the_effort_by_one() {
        for (result, expected) in [
            (None, Effort::Medium),
            (Some(("ok", false)), Effort::Low),
            (Some(("", true)), Effort::High),
            (Some(("test a ... FAILED", false)), Effort::High),
        ] {
            assert_eq!(
                by_signs(&after(result), Effort::Medium),
                expected,
                "{result:?}"
            );
        }
        let long = "x".repeat(LONG + 1);
        assert_eq!(
            by_signs(&after(Some((&long, false))), Effort::Medium),
            Effort::Medium
        );
        assert_eq!(by_signs(&after(Some(("", true))), Effort::Max), Effort::Max);
    }

    #[test]
    fn an_effort_becomes_a_budget_or_words() {
        let facts = Catalogue::builtin().facts("local", "some-model");
        let add = |by, adaptive_thinking| Additions {
            effort: Some(by),
            adaptive_thinking,
            ..Additions::default()
        };
        let mut words = after(None);
        fit(
            &mut words,
            &add(EffortBy::Words, false),
            &facts,
            Dialect::Chat,
        );
        assert_eq!((words.effort, words.thinking), (None, None));
        assert!(
            matches!(&words.turns[0].parts[0], Part::Text { text, .. } if text.starts_with("Effort: medium"))
        );
        assert_eq!(words.max_output, Some(10));

        let claude = Catalogue::builtin().facts("anthropic", "claude-sonnet-4-5");
        let mut budget = after(Some(("", true)));
        fit(
            &mut budget,
            &add(EffortBy::Budget, true),
            &claude,
            Dialect::Messages,
        );
        let thinking = budget.thinking.unwrap();
        assert_eq!(
            (thinking.kind.as_str(), thinking.budget),
            ("enabled", Some(16_384))
        );

        let mut untouched = after(None);
        fit(&mut untouched, &Additions::default(), &facts, Dialect::Chat);
        assert_eq!(untouched, after(None));
    }
}
