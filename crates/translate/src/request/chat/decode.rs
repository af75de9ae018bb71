//! Requests of Chat Completions, read.

use quire_dialect::Dialect;
use serde_json::{Value, json};

use super::messages;
use crate::refusal::Refusal;
use crate::request::messages::delivery;
use crate::request::openai;
use crate::request::read::{Fields, Path, Shape, mark};
use crate::request::{Choice, Format, Own, Pick, Request, Sampling, Tool, ToolKind};

/// A request, from its fields.
pub(in crate::request) fn decode(mut fields: Fields<'_>) -> Result<Request, Refusal> {
    let model = fields.need_text("model")?;
    let turns = messages::turns(&mut fields)?;
    Ok(Request {
        from: Dialect::Chat,
        model,
        delivery: delivery(&mut fields)?,
        turns,
        tools: tools(&mut fields)?,
        choice: choice(&mut fields)?,
        parallel: fields.flag("parallel_tool_calls")?,
        max_output: limit(&mut fields)?,
        sampling: sampling(&mut fields)?,
        thinking: None,
        effort: fields.text("reasoning_effort")?,
        format: format(&mut fields)?,
        verbosity: fields.text("verbosity")?,
        end_user: openai::end_user(&mut fields)?,
        cache_key: fields.text("prompt_cache_key")?,
        service_tier: fields.text("service_tier")?,
        region: None,
        edits: Vec::new(),
        own: fields.rest(),
    })
}

fn limit(fields: &mut Fields<'_>) -> Result<Option<u64>, Refusal> {
    if let Some(limit) = fields.count("max_completion_tokens")? {
        return Ok(Some(limit));
    }
    let limit = fields.count("max_tokens")?;
    if limit.is_some() {
        fields.mark(mark::LIMIT, "max_tokens");
    }
    Ok(limit)
}

fn sampling(fields: &mut Fields<'_>) -> Result<Sampling, Refusal> {
    let here = fields.path;
    let here = here.key("stop");
    let stop = match fields.peek("stop") {
        Some(Value::String(_)) => {
            fields.mark(mark::TEXT, true);
            vec![fields.need_text("stop")?]
        }
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(_)) => fields
            .filled("stop")?
            .into_iter()
            .enumerate()
            .map(|(index, value)| here.at(index).text(value))
            .collect::<Result<_, _>>()?,
        Some(other) => return Err(here.wrong(Shape::TextOrList, other)),
    };
    Ok(Sampling {
        temperature: fields.number("temperature")?,
        top_p: fields.number("top_p")?,
        top_k: None,
        stop,
    })
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
        None => return Err(here.key("type").missing()),
        Some(Value::String(kind)) if matches!(kind.as_str(), "function" | "custom") => {}
        Some(Value::String(_)) => {
            return Ok(Tool {
                kind: ToolKind::Vendor(fields.whole()),
                own: Own::new(),
            });
        }
        Some(other) => return Err(here.key("type").wrong(Shape::Text, other)),
    }
    let kind = fields.need_text("type")?;
    let mut inner = Fields::new(fields.need(&kind)?, here.key(&kind))?;
    let name = inner.need_text("name")?;
    let description = inner.text("description")?;
    let of = if kind == "function" {
        ToolKind::Function {
            name,
            description,
            schema: inner.take("parameters").unwrap_or_default(),
            strict: inner.flag("strict")?,
        }
    } else {
        ToolKind::Custom {
            name,
            description,
            grammar: grammar(&mut inner),
        }
    };
    inner.rest_into(&kind, &mut fields);
    Ok(Tool {
        kind: of,
        own: fields.rest(),
    })
}

/// A grammar in the shape that Responses has; another format stays where it is.
fn grammar(fields: &mut Fields<'_>) -> Option<Value> {
    let format = fields.peek("format")?.as_object()?;
    let inner = format.get("grammar")?.as_object()?;
    let plain = format.len() == 2
        && format.get("type")? == "grammar"
        && inner.len() == 2
        && inner.contains_key("syntax")
        && inner.contains_key("definition");
    if !plain {
        return None;
    }
    let grammar = json!({
        "type": "grammar",
        "syntax": inner["syntax"],
        "definition": inner["definition"],
    });
    fields.take("format");
    Some(grammar)
}

fn choice(fields: &mut Fields<'_>) -> Result<Option<Choice>, Refusal> {
    let here = fields.path;
    let here = here.key("tool_choice");
    let Some(value) = fields.take("tool_choice") else {
        return Ok(None);
    };
    openai::choice(value, here, |value| {
        if let Some(Pick { name, free }) = pick(value) {
            return Some(Choice::Tool { name, free });
        }
        let map = value.as_object().filter(|map| map.len() == 2)?;
        if map.get("type")? != "allowed_tools" {
            return None;
        }
        let inner = map.get("allowed_tools")?.as_object()?;
        openai::allowed(Some(inner).filter(|map| map.len() == 2)?, pick)
    })
    .map(Some)
}

/// `{"type": "function", "function": {"name": …}}` and nothing else.
fn pick(value: &Value) -> Option<Pick> {
    let map = value.as_object().filter(|map| map.len() == 2)?;
    let kind = map.get("type")?.as_str()?;
    let free = match kind {
        "function" => false,
        "custom" => true,
        _other => return None,
    };
    let inner = map.get(kind)?.as_object().filter(|map| map.len() == 1)?;
    let name = inner.get("name")?.as_str()?.to_owned();
    Some(Pick { name, free })
}

fn format(fields: &mut Fields<'_>) -> Result<Option<Format>, Refusal> {
    let here = fields.path;
    let here = here.key("response_format");
    let format = fields.peek("response_format");
    match format.and_then(|format| format.get("type")?.as_str()) {
        Some("json_object" | "json_schema") => {}
        Some(_) | None => return Ok(None),
    }
    let mut outer = Fields::new(fields.need("response_format")?, here)?;
    if outer.need_text("type")? == "json_object" {
        outer.rest_into("response_format", fields);
        return Ok(Some(Format::JsonObject));
    }
    let mut inner = Fields::new(outer.need("json_schema")?, here.key("json_schema"))?;
    let format = openai::schema(&mut inner)?;
    inner.rest_into("json_schema", &mut outer);
    outer.rest_into("response_format", fields);
    Ok(Some(format))
}
