//! Requests of Messages, read.

use quire_dialect::Dialect;
use serde_json::Value;

use crate::refusal::Refusal;
use crate::request::names;
use crate::request::read::{Fields, Path, Shape, mark};
use crate::request::{
    CallInput, Choice, Delivery, Edit, Format, Own, Part, Request, Role, Sampling, Source,
    Thinking, Tool, ToolKind, Turn,
};

/// A request, from its fields.
pub(in crate::request) fn decode(mut fields: Fields<'_>) -> Result<Request, Refusal> {
    let model = fields.need_text("model")?;
    let mut turns = system(&mut fields)?;
    messages(&mut fields, &mut turns)?;
    let (choice, parallel) = choice(&mut fields)?;
    let thinking = thinking(&mut fields)?;
    let (effort, format) = output(&mut fields)?;
    Ok(Request {
        from: Dialect::Messages,
        model,
        delivery: delivery(&mut fields)?,
        turns,
        tools: tools(&mut fields)?,
        choice,
        parallel,
        max_output: fields.count("max_tokens")?,
        sampling: sampling(&mut fields)?,
        thinking,
        effort,
        format,
        verbosity: None,
        end_user: end_user(&mut fields)?,
        cache_key: None,
        service_tier: fields.text("service_tier")?,
        region: fields.text("inference_geo")?,
        edits: edits(&mut fields)?,
        own: fields.rest(),
    })
}

/// Whether the answer is streamed. `false` stays as it was written.
pub(in crate::request) fn delivery(fields: &mut Fields<'_>) -> Result<Delivery, Refusal> {
    if fields.peek("stream") == Some(&Value::Bool(false)) {
        return Ok(Delivery::Whole);
    }
    Ok(match fields.flag("stream")? {
        Some(true) => Delivery::Streamed,
        Some(false) | None => Delivery::Whole,
    })
}

fn system(fields: &mut Fields<'_>) -> Result<Vec<Turn>, Refusal> {
    let here = fields.path;
    let Some(value) = fields.take("system") else {
        return Ok(Vec::new());
    };
    let mut own = Own::new();
    own.insert(mark::AT.to_owned(), "system".into());
    let parts = content(value, here.key("system"), &mut own)?;
    Ok(vec![Turn {
        role: Role::System,
        parts,
        own,
    }])
}

fn messages(fields: &mut Fields<'_>, turns: &mut Vec<Turn>) -> Result<(), Refusal> {
    let here = fields.path;
    let here = here.key("messages");
    let list = fields.need_list("messages")?;
    turns.reserve(list.len());
    for (index, message) in list.into_iter().enumerate() {
        let here = here.at(index);
        let mut fields = Fields::new(message, here)?;
        let role = fields.need_text("role")?;
        let role = match role.as_str() {
            "user" => Role::User,
            "assistant" => Role::Assistant,
            "system" => Role::System,
            other => {
                let known = ["user", "assistant", "system"];
                return Err(here.key("role").unknown(other, &known));
            }
        };
        let value = fields.need("content")?;
        let mut own = fields.rest();
        let parts = content(value, here.key("content"), &mut own)?;
        turns.push(Turn { role, parts, own });
    }
    Ok(())
}

/// A text, or a list of blocks. Which of them it was is kept in `own`.
fn content(value: Value, here: Path<'_>, own: &mut Own) -> Result<Vec<Part>, Refusal> {
    match value {
        Value::String(text) => {
            own.insert(mark::TEXT.to_owned(), true.into());
            Ok(vec![Part::Text {
                text,
                own: Own::new(),
            }])
        }
        Value::Array(blocks) => blocks
            .into_iter()
            .enumerate()
            .map(|(index, value)| block(value, here.at(index)))
            .collect(),
        other => Err(here.wrong(Shape::TextOrList, &other)),
    }
}

fn block(value: Value, here: Path<'_>) -> Result<Part, Refusal> {
    let mut fields = Fields::new(value, here)?;
    let Some(kind) = fields.peek("type") else {
        return Err(here.key("type").missing());
    };
    let Some(kind) = kind.as_str() else {
        return Err(here.key("type").wrong(Shape::Text, kind));
    };
    let kind = match kind {
        "image" | "document" if !has_plain_source(&fields) => {
            return Ok(Part::Other(fields.whole()));
        }
        "text" => Kind::Text,
        "image" => Kind::Image,
        "document" => Kind::Document,
        "thinking" => Kind::Thinking,
        "redacted_thinking" => Kind::Redacted,
        "tool_use" => Kind::Call,
        "tool_result" => Kind::Result,
        "compaction" => Kind::Compaction,
        _other => return Ok(Part::Other(fields.whole())),
    };
    fields.take("type");
    known(kind, fields)
}

/// The blocks that the common words have a part for.
#[derive(Clone, Copy)]
enum Kind {
    Text,
    Image,
    Document,
    Thinking,
    Redacted,
    Call,
    Result,
    Compaction,
}

fn known(kind: Kind, mut fields: Fields<'_>) -> Result<Part, Refusal> {
    Ok(match kind {
        Kind::Text => Part::Text {
            text: fields.need_text("text")?,
            own: fields.rest(),
        },
        Kind::Image => Part::Image {
            source: source(&mut fields)?,
            own: fields.rest(),
        },
        Kind::Document => Part::Document {
            source: source(&mut fields)?,
            name: fields.text("title")?,
            own: fields.rest(),
        },
        Kind::Thinking => Part::Thinking {
            text: fields.need_text("thinking")?,
            seal: fields.text("signature")?,
            own: fields.rest(),
        },
        Kind::Redacted => {
            let seal = Some(fields.need_text("data")?);
            let mut own = fields.rest();
            own.insert("type".to_owned(), "redacted_thinking".into());
            Part::Thinking {
                text: String::new(),
                seal,
                own,
            }
        }
        Kind::Call => {
            let input = fields.need("input")?;
            Part::Call {
                id: fields.need_text("id")?,
                name: fields.need_text("name")?,
                input: input_text(&input, fields.path)?,
                own: fields.rest(),
            }
        }
        Kind::Result => result(fields)?,
        Kind::Compaction => Part::Compaction {
            text: fields.text("content")?,
            seal: fields.text("encrypted_content")?,
            own: fields.rest(),
        },
    })
}

fn input_text(input: &Value, here: Path<'_>) -> Result<CallInput, Refusal> {
    if !input.is_object() {
        return Err(here.key("input").wrong(Shape::Object, input));
    }
    Ok(CallInput::Json(names::unwrap_broken(input)))
}

fn result(mut fields: Fields<'_>) -> Result<Part, Refusal> {
    let here = fields.path;
    let id = fields.need_text("tool_use_id")?;
    let failed = fields.flag("is_error")?;
    let value = fields.take("content");
    let mut own = fields.rest();
    let content = if let Some(value) = value {
        content(value, here.key("content"), &mut own)?
    } else {
        own.insert(mark::NO_INPUT.to_owned(), true.into());
        Vec::new()
    };
    Ok(Part::Result {
        id,
        content,
        failed,
        free: false,
        own,
    })
}

/// Whether it is one of the sources that the other APIs have too.
fn has_plain_source(fields: &Fields<'_>) -> bool {
    let kind = fields.peek("source").and_then(|source| source.get("type"));
    let document = fields.peek_text("type") == Some("document");
    match kind.and_then(Value::as_str) {
        Some("text") => document,
        // What has no type is refused further on.
        None | Some("base64" | "url" | "file") => true,
        Some(_) => false,
    }
}

fn source(fields: &mut Fields<'_>) -> Result<Source, Refusal> {
    let here = fields.path;
    let here = here.key("source");
    let mut inner = Fields::new(fields.need("source")?, here)?;
    let kind = inner.need_text("type")?;
    let source = match kind.as_str() {
        "base64" => Source::Base64 {
            media_type: inner.need_text("media_type")?,
            data: inner.need_text("data")?,
        },
        "url" => Source::Url(inner.need_text("url")?),
        "file" => Source::File(inner.need_text("file_id")?),
        "text" => Source::Text(inner.need_text("data")?),
        other => return Err(here.key("type").unknown(other, &["base64", "url", "file"])),
    };
    inner.rest_into("source", fields);
    Ok(source)
}

fn tools(fields: &mut Fields<'_>) -> Result<Vec<Tool>, Refusal> {
    let here = fields.path;
    let here = here.key("tools");
    let list = fields.filled("tools")?;
    list.into_iter()
        .enumerate()
        .map(|(index, value)| tool(value, here.at(index)))
        .collect()
}

fn tool(value: Value, here: Path<'_>) -> Result<Tool, Refusal> {
    let mut fields = Fields::new(value, here)?;
    match fields.peek("type") {
        None | Some(Value::Null) => {}
        Some(Value::String(kind)) if kind == "custom" => {}
        Some(Value::String(_)) => {
            return Ok(Tool {
                kind: ToolKind::Vendor(fields.whole()),
                own: Own::new(),
            });
        }
        Some(other) => return Err(here.key("type").wrong(Shape::Text, other)),
    }
    let kind = ToolKind::Function {
        name: fields.need_text("name")?,
        description: fields.text("description")?,
        schema: fields.need("input_schema")?,
        strict: fields.flag("strict")?,
    };
    Ok(Tool {
        kind,
        own: fields.rest(),
    })
}

fn choice(fields: &mut Fields<'_>) -> Result<(Option<Choice>, Option<bool>), Refusal> {
    let here = fields.path;
    let here = here.key("tool_choice");
    let Some(value) = fields.take("tool_choice") else {
        return Ok((None, None));
    };
    let mut inner = Fields::new(value, here)?;
    let kind = match inner.peek("type") {
        None => return Err(here.key("type").missing()),
        Some(Value::String(kind)) => kind.clone(),
        Some(other) => return Err(here.key("type").wrong(Shape::Text, other)),
    };
    let choice = match kind.as_str() {
        "auto" => Choice::Auto,
        "any" => Choice::Any,
        "none" => Choice::None,
        "tool" => Choice::Tool {
            name: inner.need_text("name")?,
            free: false,
        },
        _other => return Ok((Some(Choice::Other(inner.whole())), None)),
    };
    inner.take("type");
    let parallel = inner.flag("disable_parallel_tool_use")?.map(|not| !not);
    inner.rest_into("tool_choice", fields);
    Ok((Some(choice), parallel))
}

fn sampling(fields: &mut Fields<'_>) -> Result<Sampling, Refusal> {
    let here = fields.path;
    let here = here.key("stop_sequences");
    let stop = fields.filled("stop_sequences")?;
    Ok(Sampling {
        temperature: fields.number("temperature")?,
        top_p: fields.number("top_p")?,
        top_k: fields.number("top_k")?,
        stop: stop
            .into_iter()
            .enumerate()
            .map(|(index, value)| here.at(index).text(value))
            .collect::<Result<_, _>>()?,
    })
}

fn thinking(fields: &mut Fields<'_>) -> Result<Option<Thinking>, Refusal> {
    let here = fields.path;
    let Some(value) = fields.take("thinking") else {
        return Ok(None);
    };
    let mut inner = Fields::new(value, here.key("thinking"))?;
    Ok(Some(Thinking {
        kind: inner.need_text("type")?,
        budget: inner.count("budget_tokens")?,
        display: inner.text("display")?,
        own: inner.rest(),
    }))
}

fn output(fields: &mut Fields<'_>) -> Result<(Option<String>, Option<Format>), Refusal> {
    let here = fields.path;
    let mut effort = None;
    let mut shape = None;
    if let Some(value) = fields.take("output_config") {
        let mut inner = Fields::new(value, here.key("output_config"))?;
        effort = inner.text("effort")?;
        shape = format(&mut inner, "format")?;
        let untouched = effort.is_none() && shape.is_none();
        inner.keep_as("output_config", untouched, fields);
    }
    if shape.is_none() {
        shape = format(fields, "output_format")?;
        if shape.is_some() {
            fields.mark(mark::FORMAT, "output_format");
        }
    }
    Ok((effort, shape))
}

/// A format by a schema; others stay where they are.
fn format(fields: &mut Fields<'_>, key: &str) -> Result<Option<Format>, Refusal> {
    let here = fields.path;
    let kind = fields.peek(key).and_then(|format| format.get("type"));
    if kind.and_then(Value::as_str) != Some("json_schema") {
        return Ok(None);
    }
    let value = fields.need(key)?;
    let mut inner = Fields::new(value, here.key(key))?;
    inner.take("type");
    let schema = inner.need("schema")?;
    inner.rest_into(key, fields);
    Ok(Some(Format::JsonSchema {
        name: None,
        description: None,
        schema,
        strict: None,
    }))
}

fn end_user(fields: &mut Fields<'_>) -> Result<Option<String>, Refusal> {
    let here = fields.path;
    let Some(value) = fields.take("metadata") else {
        return Ok(None);
    };
    let mut inner = Fields::new(value, here.key("metadata"))?;
    let user = inner.text("user_id")?;
    inner.keep_as("metadata", user.is_none(), fields);
    Ok(user)
}

fn edits(fields: &mut Fields<'_>) -> Result<Vec<Edit>, Refusal> {
    let here = fields.path;
    let here = here.key("context_management");
    let Some(value) = fields.take("context_management") else {
        return Ok(Vec::new());
    };
    let mut inner = Fields::new(value, here)?;
    let list = inner.filled("edits")?;
    let untouched = list.is_empty();
    let edits_path = here.key("edits");
    let edits = list
        .into_iter()
        .enumerate()
        .map(|(index, value)| edit(value, edits_path.at(index)))
        .collect::<Result<_, _>>()?;
    inner.keep_as("context_management", untouched, fields);
    Ok(edits)
}

fn edit(value: Value, here: Path<'_>) -> Result<Edit, Refusal> {
    let mut fields = Fields::new(value, here)?;
    if fields.peek_text("type") != Some("compact_20260112") {
        return Ok(Edit::Other(fields.whole()));
    }
    fields.take("type");
    Ok(Edit::Compact {
        threshold: threshold(&mut fields)?,
        pause: fields.flag("pause_after_compaction")?,
        instructions: fields.text("instructions")?,
        own: fields.rest(),
    })
}

/// The tokens from which on it compacts; another trigger stays where it is.
fn threshold(fields: &mut Fields<'_>) -> Result<Option<u64>, Refusal> {
    let here = fields.path;
    let kind = fields
        .peek("trigger")
        .and_then(|trigger| trigger.get("type"));
    if kind.and_then(Value::as_str) != Some("input_tokens") {
        return Ok(None);
    }
    let value = fields.need("trigger")?;
    let mut inner = Fields::new(value, here.key("trigger"))?;
    inner.take("type");
    let path = inner.path;
    let tokens = inner.count("value")?;
    inner.rest_into("trigger", fields);
    tokens.map(Some).ok_or_else(|| path.key("value").missing())
}
