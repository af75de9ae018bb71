//! Messages of Chat Completions, read.

use serde_json::Value;

use crate::refusal::Refusal;
use crate::request::openai;
use crate::request::read::{Fields, Path, Shape, mark};
use crate::request::{CallInput, Own, Part, Role, Turn};

/// The turns of a request.
pub(super) fn turns(fields: &mut Fields<'_>) -> Result<Vec<Turn>, Refusal> {
    let here = fields.path;
    let here = here.key("messages");
    let list = fields.need_list("messages")?;
    let mut turns = Vec::with_capacity(list.len());
    let mut free = Vec::new();
    for (index, message) in list.into_iter().enumerate() {
        let here = here.at(index);
        let mut turn = message_turn(Fields::new(message, here)?)?;
        mend_free(&mut turn, &mut free);
        turns.push(turn);
    }
    Ok(turns)
}

/// Marks results of calls with free text, which look like others here. `open` are such calls without a result yet.
fn mend_free(turn: &mut Turn, open: &mut Vec<String>) {
    for part in &mut turn.parts {
        match part {
            Part::Call {
                id,
                input: CallInput::Free(_),
                ..
            } => open.push(id.clone()),
            Part::Result { id, free, .. } => {
                if let Some(at) = open.iter().position(|open| open == id) {
                    open.swap_remove(at);
                    *free = true;
                }
            }
            Part::Call { .. }
            | Part::Text { .. }
            | Part::Refusal { .. }
            | Part::Image { .. }
            | Part::Document { .. }
            | Part::Thinking { .. }
            | Part::Compaction { .. }
            | Part::Other(_) => {}
        }
    }
}

fn message_turn(mut fields: Fields<'_>) -> Result<Turn, Refusal> {
    let here = fields.path;
    let role = fields.need_text("role")?;
    match role.as_str() {
        "system" => said(Role::System, fields),
        "developer" => said(Role::Developer, fields),
        "user" => said(Role::User, fields),
        "assistant" => assistant(fields),
        "tool" => result(fields),
        "function" => {
            fields.put("role", role.into());
            let mut own = Own::new();
            own.insert(mark::AT.to_owned(), "item".into());
            Ok(Turn {
                role: Role::User,
                parts: vec![Part::Other(fields.whole())],
                own,
            })
        }
        other => {
            let known = [
                "system",
                "assistant",
                "user",
                "function",
                "tool",
                "developer",
            ];
            Err(here.key("role").unknown(other, &known))
        }
    }
}

fn said(role: Role, mut fields: Fields<'_>) -> Result<Turn, Refusal> {
    let here = fields.path;
    let value = fields.need("content")?;
    let mut own = fields.rest();
    let parts = content(value, here.key("content"), &mut own)?;
    Ok(Turn { role, parts, own })
}

fn result(mut fields: Fields<'_>) -> Result<Turn, Refusal> {
    let here = fields.path;
    let id = fields.need_text("tool_call_id")?;
    let value = fields.need("content")?;
    let mut own = fields.rest();
    let content = content(value, here.key("content"), &mut own)?;
    let part = Part::Result {
        id,
        content,
        failed: None,
        free: false,
        own,
    };
    Ok(Turn {
        role: Role::User,
        parts: vec![part],
        own: Own::new(),
    })
}

/// Thinking first, then what was said, then the calls: that is the order it came in.
fn assistant(mut fields: Fields<'_>) -> Result<Turn, Refusal> {
    let here = fields.path;
    let mut parts = Vec::new();
    parts.extend(thinking(&mut fields)?);
    let refusal = fields.text("refusal")?;
    let calls = fields.filled("tool_calls")?;
    let empty = fields.peek("content").and_then(Value::as_array);
    let value = if empty.is_some_and(Vec::is_empty) {
        None
    } else {
        fields.take("content")
    };
    let mut own = fields.rest();
    if let Some(value) = value {
        parts.extend(content(value, here.key("content"), &mut own)?);
    }
    if let Some(text) = refusal {
        let mut own = Own::new();
        own.insert(mark::AT.to_owned(), "message".into());
        parts.push(Part::Refusal { text, own });
    }
    let calls_path = here.key("tool_calls");
    for (index, value) in calls.into_iter().enumerate() {
        parts.push(call(value, calls_path.at(index))?);
    }
    Ok(Turn {
        role: Role::Assistant,
        parts,
        own,
    })
}

/// Fields that OpenAI does not have and other servers do: thinking in words, and proofs of it.
fn thinking(fields: &mut Fields<'_>) -> Result<Vec<Part>, Refusal> {
    let field = ["reasoning_content", "reasoning"]
        .into_iter()
        .find(|key| fields.peek_text(key).is_some());
    let details = fields.filled("reasoning_details")?;
    let mut own = Own::new();
    let text = match field {
        Some(field) => {
            if field == "reasoning" {
                own.insert("field".to_owned(), field.into());
            }
            fields.text(field)?.unwrap_or_default()
        }
        None if details.is_empty() => return Ok(Vec::new()),
        None => {
            own.insert(mark::NO_INPUT.to_owned(), true.into());
            String::new()
        }
    };
    let ours: Option<Vec<&str>> = details.iter().map(our_seal).collect();
    let seals: Vec<Option<String>> = match ours {
        Some(seals) if !seals.is_empty() => seals
            .into_iter()
            .map(|seal| Some(seal.to_owned()))
            .collect(),
        Some(_) => vec![None],
        None => vec![Some(Value::Array(details.clone()).to_string())],
    };
    // Whose words are whose cannot be told where there are several.
    let several = seals.len() > 1;
    let mut parts = Vec::with_capacity(seals.len());
    for (index, seal) in seals.into_iter().enumerate() {
        let mut own = if index == 0 { own.clone() } else { Own::new() };
        if several {
            own.insert(mark::TYPE.to_owned(), "several".into());
        }
        if index > 0 {
            own.insert(mark::NO_INPUT.to_owned(), true.into());
        }
        if seal.as_deref().is_some_and(|seal| !seal.starts_with('[')) {
            own.insert(
                "reasoning_details".to_owned(),
                vec![details[index].clone()].into(),
            );
        }
        let text = if several && index > 0 {
            String::new()
        } else {
            text.clone()
        };
        parts.push(Part::Thinking { text, seal, own });
    }
    Ok(parts)
}

/// The seal in a detail of our making.
fn our_seal(detail: &Value) -> Option<&str> {
    let ours = detail.get("format").and_then(Value::as_str) == Some("quire");
    detail.get("data").filter(|_| ours)?.as_str()
}

fn call(value: Value, here: Path<'_>) -> Result<Part, Refusal> {
    let mut fields = Fields::new(value, here)?;
    let kind = match fields.text("type")? {
        None => {
            fields.mark(mark::TYPE, "");
            "function".to_owned()
        }
        Some(kind) if matches!(kind.as_str(), "function" | "custom") => kind,
        Some(other) => return Err(here.key("type").unknown(&other, &["function", "custom"])),
    };
    let id = fields.need_text("id")?;
    let mut inner = Fields::new(fields.need(&kind)?, here.key(&kind))?;
    let name = inner.need_text("name")?;
    let input = if kind == "function" {
        CallInput::Json(inner.need_text("arguments")?)
    } else {
        CallInput::Free(inner.need_text("input")?)
    };
    inner.rest_into(&kind, &mut fields);
    Ok(Part::Call {
        id,
        name,
        input,
        own: fields.rest(),
    })
}

fn content(value: Value, here: Path<'_>, own: &mut Own) -> Result<Vec<Part>, Refusal> {
    match value {
        Value::String(text) => {
            own.insert(mark::TEXT.to_owned(), true.into());
            let own = Own::new();
            Ok(vec![Part::Text { text, own }])
        }
        Value::Array(parts) => parts
            .into_iter()
            .enumerate()
            .map(|(index, value)| part(value, here.at(index)))
            .collect(),
        other => Err(here.wrong(Shape::TextOrList, &other)),
    }
}

fn part(value: Value, here: Path<'_>) -> Result<Part, Refusal> {
    let mut fields = Fields::new(value, here)?;
    let kind = match fields.peek("type") {
        None => return Err(here.key("type").missing()),
        Some(Value::String(kind)) => kind.clone(),
        Some(other) => return Err(here.key("type").wrong(Shape::Text, other)),
    };
    match kind.as_str() {
        "text" => {
            fields.take("type");
            Ok(Part::Text {
                text: fields.need_text("text")?,
                own: fields.rest(),
            })
        }
        "refusal" => {
            fields.take("type");
            Ok(Part::Refusal {
                text: fields.need_text("refusal")?,
                own: fields.rest(),
            })
        }
        "image_url" => {
            fields.take("type");
            let mut inner = Fields::new(fields.need("image_url")?, here.key("image_url"))?;
            let source = openai::from_url(inner.need_text("url")?);
            if let Some(detail) = inner.take("detail") {
                fields.mark(mark::DETAIL, detail);
            }
            inner.rest_into("image_url", &mut fields);
            Ok(Part::Image {
                source,
                own: fields.rest(),
            })
        }
        "file" => file(fields),
        _other => Ok(Part::Other(fields.whole())),
    }
}

fn file(mut fields: Fields<'_>) -> Result<Part, Refusal> {
    let here = fields.path;
    let inner = Fields::new(fields.need("file")?, here.key("file"))?;
    if inner.has("file_url") || !openai::has_one_source(&inner) {
        fields.put("file", inner.whole());
        return Ok(Part::Other(fields.whole()));
    }
    fields.take("type");
    let Part::Document { source, name, own } = openai::file(inner)? else {
        return Err(here.key("file").missing());
    };
    if !own.is_empty() {
        fields.put("file", Value::Object(own));
    }
    Ok(Part::Document {
        source,
        name,
        own: fields.rest(),
    })
}
