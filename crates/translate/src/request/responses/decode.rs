//! Requests of Responses, read.

use quire_dialect::Dialect;
use serde_json::Value;

use super::items;
use crate::refusal::Refusal;
use crate::request::messages::delivery;
use crate::request::openai;
use crate::request::read::{Fields, Path, Shape, mark};
use crate::request::{
    Choice, Edit, Format, Own, Part, Pick, Request, Role, Sampling, Thinking, Tool, ToolKind, Turn,
};

/// A request, from its fields.
pub(in crate::request) fn decode(mut fields: Fields<'_>) -> Result<Request, Refusal> {
    let model = fields.need_text("model")?;
    let mut turns = instructions(&mut fields)?;
    let mut tools = tools_in(&mut fields, "tools")?;
    input(&mut fields, &mut turns, &mut tools)?;
    let (effort, thinking) = reasoning(&mut fields)?;
    let (format, verbosity) = text(&mut fields)?;
    Ok(Request {
        from: Dialect::Responses,
        model,
        delivery: delivery(&mut fields)?,
        turns,
        tools,
        choice: choice(&mut fields)?,
        parallel: fields.flag("parallel_tool_calls")?,
        max_output: fields.count("max_output_tokens")?,
        sampling: Sampling {
            temperature: fields.number("temperature")?,
            top_p: fields.number("top_p")?,
            top_k: None,
            stop: Vec::new(),
        },
        thinking,
        effort,
        format,
        verbosity,
        end_user: openai::end_user(&mut fields)?,
        cache_key: fields.text("prompt_cache_key")?,
        service_tier: fields.text("service_tier")?,
        region: None,
        edits: edits(&mut fields)?,
        own: fields.rest(),
    })
}

fn instructions(fields: &mut Fields<'_>) -> Result<Vec<Turn>, Refusal> {
    let Some(text) = fields.text("instructions")? else {
        return Ok(Vec::new());
    };
    Ok(vec![whole_text(Role::System, text, "instructions")])
}

/// A turn that is written as one text in a place of its own.
fn whole_text(role: Role, text: String, place: &str) -> Turn {
    let mut own = Own::new();
    own.insert(mark::AT.to_owned(), place.into());
    let part = Part::Text {
        text,
        own: Own::new(),
    };
    Turn {
        role,
        parts: vec![part],
        own,
    }
}

fn input(
    fields: &mut Fields<'_>,
    turns: &mut Vec<Turn>,
    tools: &mut Vec<Tool>,
) -> Result<(), Refusal> {
    let here = fields.path;
    let here = here.key("input");
    let items = match fields.take("input") {
        None => {
            fields.mark(mark::NO_INPUT, true);
            return Ok(());
        }
        Some(Value::String(text)) => {
            turns.push(whole_text(Role::User, text, "input"));
            return Ok(());
        }
        Some(Value::Array(items)) => items,
        Some(other) => return Err(here.wrong(Shape::TextOrList, &other)),
    };
    turns.reserve(items.len());
    let mut more = 0_usize;
    for (index, item) in items.into_iter().enumerate() {
        let here = here.at(index);
        let mut fields = Fields::new(item, here)?;
        if fields.peek_text("type") == Some("additional_tools") {
            let from = tools.len();
            tools.extend(tools_in(&mut fields, "tools")?);
            for tool in &mut tools[from..] {
                tool.own.insert(mark::ITEM.to_owned(), more.into());
            }
            more += 1;
        }
        turns.push(items::item(fields)?);
    }
    Ok(())
}

fn tools_in(fields: &mut Fields<'_>, key: &str) -> Result<Vec<Tool>, Refusal> {
    let here = fields.path;
    let here = here.key(key);
    let list = fields.filled(key)?;
    list.into_iter()
        .enumerate()
        .map(|(index, value)| tool(value, here.at(index)))
        .collect()
}

fn tool(value: Value, here: Path<'_>) -> Result<Tool, Refusal> {
    let mut fields = Fields::new(value, here)?;
    let kind = match fields.peek("type") {
        None => return Err(here.key("type").missing()),
        Some(Value::String(kind)) => kind.as_str(),
        Some(other) => return Err(here.key("type").wrong(Shape::Text, other)),
    };
    let read: fn(&mut Fields<'_>) -> Result<ToolKind, Refusal> = match kind {
        "function" => |fields| {
            Ok(ToolKind::Function {
                name: fields.need_text("name")?,
                description: fields.text("description")?,
                schema: fields.take("parameters").unwrap_or_default(),
                strict: fields.flag("strict")?,
            })
        },
        "custom" => |fields| {
            Ok(ToolKind::Custom {
                name: fields.need_text("name")?,
                description: fields.text("description")?,
                grammar: grammar(fields),
            })
        },
        "namespace" => |fields| {
            Ok(ToolKind::Namespace {
                name: fields.need_text("name")?,
                description: fields.text("description")?,
                tools: tools_in(fields, "tools")?,
            })
        },
        _other => {
            return Ok(Tool {
                kind: ToolKind::Vendor(fields.whole()),
                own: Own::new(),
            });
        }
    };
    fields.take("type");
    Ok(Tool {
        kind: read(&mut fields)?,
        own: fields.rest(),
    })
}

/// A grammar, whole; another format stays where it is.
fn grammar(fields: &mut Fields<'_>) -> Option<Value> {
    let kind = fields.peek("format").and_then(|format| format.get("type"));
    if kind.and_then(Value::as_str) == Some("grammar") {
        return fields.take("format");
    }
    None
}

fn choice(fields: &mut Fields<'_>) -> Result<Option<Choice>, Refusal> {
    let here = fields.path;
    let here = here.key("tool_choice");
    let Some(value) = fields.take("tool_choice") else {
        return Ok(None);
    };
    openai::choice(value, here, |value| {
        if let Some(pick) = pick(value) {
            let Pick { name, free } = pick;
            return Some(Choice::Tool { name, free });
        }
        let map = value.as_object().filter(|map| map.len() == 3)?;
        if map.get("type")? != "allowed_tools" {
            return None;
        }
        openai::allowed(map, pick)
    })
    .map(Some)
}

/// `{"type": "function", "name": …}` and nothing else.
fn pick(value: &Value) -> Option<Pick> {
    let map = value.as_object().filter(|map| map.len() == 2)?;
    let free = match map.get("type")?.as_str()? {
        "function" => false,
        "custom" => true,
        _other => return None,
    };
    let name = map.get("name")?.as_str()?.to_owned();
    Some(Pick { name, free })
}

fn reasoning(fields: &mut Fields<'_>) -> Result<(Option<String>, Option<Thinking>), Refusal> {
    let here = fields.path;
    let Some(value) = fields.take("reasoning") else {
        return Ok((None, None));
    };
    let mut inner = Fields::new(value, here.key("reasoning"))?;
    let effort = inner.text("effort")?;
    let thinking = inner.text("summary")?.map(|display| Thinking {
        kind: "adaptive".to_owned(),
        budget: None,
        display: Some(display),
        own: Own::new(),
    });
    let none = effort.is_none() && thinking.is_none();
    inner.keep_as("reasoning", none, fields);
    Ok((effort, thinking))
}

fn text(fields: &mut Fields<'_>) -> Result<(Option<Format>, Option<String>), Refusal> {
    let here = fields.path;
    let Some(value) = fields.take("text") else {
        return Ok((None, None));
    };
    let mut inner = Fields::new(value, here.key("text"))?;
    let format = format(&mut inner)?;
    let verbosity = inner.text("verbosity")?;
    let none = format.is_none() && verbosity.is_none();
    inner.keep_as("text", none, fields);
    Ok((format, verbosity))
}

fn format(fields: &mut Fields<'_>) -> Result<Option<Format>, Refusal> {
    let here = fields.path;
    let kind = fields.peek("format").and_then(|format| format.get("type"));
    match kind.and_then(Value::as_str) {
        Some("json_object" | "json_schema") => {}
        Some(_) | None => return Ok(None),
    }
    let mut inner = Fields::new(fields.need("format")?, here.key("format"))?;
    if inner.need_text("type")? == "json_object" {
        inner.rest_into("format", fields);
        return Ok(Some(Format::JsonObject));
    }
    let format = openai::schema(&mut inner)?;
    inner.rest_into("format", fields);
    Ok(Some(format))
}

fn edits(fields: &mut Fields<'_>) -> Result<Vec<Edit>, Refusal> {
    let here = fields.path;
    let here = here.key("context_management");
    let list = fields.filled("context_management")?;
    let edit = |(index, value)| {
        let mut fields = Fields::new(value, here.at(index))?;
        if fields.peek_text("type") != Some("compaction") {
            return Ok(Edit::Other(fields.whole()));
        }
        fields.take("type");
        Ok(Edit::Compact {
            threshold: fields.count("compact_threshold")?,
            pause: None,
            instructions: None,
            own: fields.rest(),
        })
    };
    list.into_iter().enumerate().map(edit).collect()
}
