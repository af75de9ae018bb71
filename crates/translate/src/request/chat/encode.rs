//! Requests of Chat Completions, written.

use serde_json::{Value, json};

use crate::request::plan::{Group, Piece, Plan};
use crate::request::read::mark;
use crate::request::write::{List, Object, Wanted, object};
use crate::request::{
    CallInput, Choice, Delivery, Format, Own, Pick, Role, Tool, ToolKind, names, openai, settings,
};

/// The most texts that end an answer.
const STOPS: usize = 4;

/// The bytes of a request.
pub(in crate::request) fn encode(plan: &Plan<'_>, groups: &[Group<'_>], bytes: &mut Vec<u8>) {
    let request = plan.request;
    let own = plan.own(&request.own);
    object(bytes, |body| {
        body.put("model", plan.target.model);
        body.list("messages", |list| {
            list.each(groups, |list, group| messages(plan, list, group));
        });
        tools(plan, body);
        let limit = settings::output_if_said(request, plan.target);
        let older = own.is_some_and(|own| own.contains_key(mark::LIMIT));
        if older || !plan.target.can.max_completion_tokens {
            body.maybe("max_tokens", limit);
        } else {
            body.maybe("max_completion_tokens", limit);
        }
        sampling(plan, body);
        body.maybe("reasoning_effort", settings::effort(request, plan.target));
        format(plan, body);
        body.maybe("verbosity", request.verbosity.as_deref());
        openai::put_common(plan, body);
        if request.delivery == Delivery::Streamed {
            body.put("stream", &true);
            if !plan.same {
                body.put("stream_options", &json!({"include_usage": true}));
            }
        }
        body.own(own);
    });
}

fn messages(plan: &Plan<'_>, list: &mut List<'_>, group: &Group<'_>) {
    if let [Piece::Other(value)] = group.pieces.as_slice()
        && group.own.is_some_and(crate::request::plan::is_item)
    {
        list.push(value);
        return;
    }
    let role = match group.role {
        Role::Developer if plan.target.can.developer_role => "developer",
        Role::System | Role::Developer => "system",
        Role::User => return user(list, group),
        Role::Assistant => return assistant(list, group),
    };
    list.object(|message| {
        message.put("role", role);
        content(message, &group.pieces.iter().collect::<Vec<_>>(), group.own);
        message.own(group.own);
    });
}

/// Results are messages of their own; pictures in them, which those cannot hold, follow in one of the user.
fn user(list: &mut List<'_>, group: &Group<'_>) {
    let mut rest = Vec::new();
    let mut results = 0;
    for piece in &group.pieces {
        let Piece::Result {
            id,
            content: inner,
            own,
            ..
        } = piece
        else {
            rest.push(piece);
            continue;
        };
        results += 1;
        let says = |piece: &&Piece<'_>| match piece {
            Piece::Text { text, .. } => own.is_some() || !text.trim().is_empty(),
            _shown => true,
        };
        let (words, shown): (Vec<_>, Vec<_>) = inner
            .iter()
            .filter(says)
            .partition(|piece| own.is_some() || matches!(piece, Piece::Text { .. }));
        list.object(|message| {
            message.put("role", "tool");
            message.put("tool_call_id", id.as_ref());
            if words.is_empty() && own.is_none() {
                let text = if shown.is_empty() {
                    ""
                } else {
                    "The result follows."
                };
                message.put("content", text);
            } else {
                content(message, &words, *own);
            }
            message.own(*own);
        });
        rest.extend(shown);
    }
    if !rest.is_empty() || results == 0 {
        list.object(|message| {
            message.put("role", "user");
            content(message, &rest, group.own);
            message.own(group.own);
        });
    }
}

fn assistant(list: &mut List<'_>, group: &Group<'_>) {
    let same = group.own.is_some();
    let mut said = Vec::new();
    let mut calls = Vec::new();
    let mut refusals: Vec<&str> = Vec::new();
    let mut thoughts: Vec<&Piece<'_>> = Vec::new();
    for piece in &group.pieces {
        match piece {
            Piece::Call { .. } => calls.push(piece),
            Piece::Thinking { .. } => thoughts.push(piece),
            Piece::Refusal { text, own } if own.is_none_or(|own| own.contains_key(mark::AT)) => {
                refusals.push(text);
            }
            Piece::Text { .. }
            | Piece::Refusal { .. }
            | Piece::Image { .. }
            | Piece::Document { .. }
            | Piece::Result { .. }
            | Piece::Compaction { .. }
            | Piece::Other(_) => said.push(piece),
            // Chat Completions seals no block whole.
            Piece::Item(_) => {}
        }
    }
    list.object(|message| {
        message.put("role", "assistant");
        reasoning(message, &thoughts);
        if !said.is_empty() {
            content(message, &said, group.own);
        } else if !same {
            message.put("content", &Value::Null);
        }
        if !refusals.is_empty() {
            message.put("refusal", &refusals.join("\n"));
        }
        if !calls.is_empty() {
            message.list("tool_calls", |list| {
                list.each(calls, call);
            });
        }
        message.own(group.own);
    });
}

/// What the model thought, and the proofs of it.
fn reasoning(message: &mut Object<'_>, thoughts: &[&Piece<'_>]) {
    let mut words = Vec::new();
    let mut details = Vec::new();
    let mut field = None;
    for piece in thoughts {
        let Piece::Thinking { text, seal, own } = piece else {
            continue;
        };
        if own.is_none_or(|own| !own.contains_key(mark::NO_INPUT)) {
            words.push(*text);
        }
        let own = *own;
        field = field.or(own.and_then(|own| own.get("field")?.as_str()));
        if let Some(Value::Array(list)) = own.and_then(|own| own.get("reasoning_details")) {
            details.extend(list.iter().cloned());
        } else {
            let list = seal
                .as_deref()
                .and_then(|seal| serde_json::from_str(seal).ok());
            details.extend(list.into_iter().flat_map(|list: Vec<Value>| list));
        }
    }
    let key = match field {
        Some("reasoning") => "reasoning",
        Some(_) | None => "reasoning_content",
    };
    if !words.is_empty() {
        message.put(key, &words.join("\n\n"));
    }
    if !details.is_empty() {
        message.put("reasoning_details", &details);
    }
}

fn call(list: &mut List<'_>, piece: &Piece<'_>) {
    let Piece::Call {
        id,
        name,
        input,
        own,
    } = piece
    else {
        return;
    };
    list.object(|call| {
        call.put("id", id.as_ref());
        let (kind, key, text) = match input.as_ref() {
            CallInput::Json(text) => ("function", "arguments", text),
            CallInput::Free(text) => ("custom", "input", text),
        };
        if own.is_none_or(|own| !own.contains_key(mark::TYPE)) {
            call.put("type", kind);
        }
        call.nested(kind, *own, Wanted::Yes, |inner| {
            inner.put("name", name.as_ref());
            inner.put(key, text);
        });
        call.own(*own);
    });
}

fn content(message: &mut Object<'_>, pieces: &[&Piece<'_>], own: Option<&Own>) {
    let short = own.is_none_or(|own| own.contains_key(mark::TEXT));
    if let ([Piece::Text { text, own }], true) = (pieces, short)
        && own.is_none_or(Own::is_empty)
    {
        message.put("content", text.as_ref());
        return;
    }
    message.list("content", |list| {
        list.each(pieces, |list, piece| part(list, piece));
    });
}

fn part(list: &mut List<'_>, piece: &Piece<'_>) {
    if let Piece::Other(value) = piece {
        list.push(value);
        return;
    }
    list.object(|part| match piece {
        Piece::Text { text, own } => {
            part.put("type", "text");
            part.put("text", text.as_ref());
            part.own(*own);
        }
        Piece::Refusal { text, own } => {
            part.put("type", "refusal");
            part.put("refusal", text);
            part.own(*own);
        }
        Piece::Image {
            source,
            detail,
            own,
        } => {
            part.put("type", "image_url");
            part.nested("image_url", *own, Wanted::Yes, |inner| {
                inner.put("url", &openai::url_of(source));
                inner.maybe("detail", *detail);
            });
            part.own(*own);
        }
        Piece::Document { source, name, own } => {
            part.put("type", "file");
            part.nested("file", *own, Wanted::Yes, |inner| {
                openai::put_file(inner, source, *name, *own);
            });
            part.own(*own);
        }
        Piece::Thinking { .. }
        | Piece::Call { .. }
        | Piece::Result { .. }
        | Piece::Compaction { .. }
        | Piece::Other(_)
        | Piece::Item(_) => {}
    });
}

fn tools(plan: &Plan<'_>, body: &mut Object<'_>) {
    let request = plan.request;
    let offered = plan.tools();
    if !offered.is_empty() {
        body.list("tools", |list| {
            list.each(offered, |list, (namespace, entry)| {
                tool(plan, list, *namespace, entry);
            });
        });
    }
    if offered.is_empty() && !plan.same {
        return;
    }
    match &request.choice {
        None => {}
        Some(Choice::Auto) => body.put("tool_choice", "auto"),
        Some(Choice::Any) => body.put("tool_choice", "required"),
        Some(Choice::None) => body.put("tool_choice", "none"),
        Some(Choice::Tool { name, free }) => body.put("tool_choice", &pick(plan, name, *free)),
        Some(Choice::Allowed { must, tools }) => {
            let tools: Vec<_> = tools
                .iter()
                .map(|Pick { name, free }| pick(plan, name, *free))
                .collect();
            let mode = if *must { "required" } else { "auto" };
            let value =
                json!({"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": tools}});
            body.put("tool_choice", &value);
        }
        Some(Choice::Other(value)) => body.put("tool_choice", value),
    }
    body.maybe("parallel_tool_calls", request.parallel);
}

fn pick(plan: &Plan<'_>, name: &str, free: bool) -> Value {
    let kind = if free && !plan.wraps() {
        "custom"
    } else {
        "function"
    };
    json!({"type": kind, kind: {"name": plan.name(name)}})
}

fn tool(plan: &Plan<'_>, list: &mut List<'_>, namespace: Option<&str>, tool: &Tool) {
    let own = plan.own(&tool.own);
    if !plan.same {
        plan.losses.note_own("tools", &tool.own);
    }
    match &tool.kind {
        ToolKind::Vendor(value) => list.push(value),
        ToolKind::Namespace { .. } => {}
        ToolKind::Function {
            name,
            description,
            schema,
            strict,
        } => list.object(|object| {
            object.put("type", "function");
            object.nested("function", own, Wanted::Yes, |inner| {
                inner.put("name", plan.name_in(namespace, name).as_ref());
                inner.maybe("description", description.as_deref());
                inner.maybe(
                    "parameters",
                    Some(schema).filter(|schema| !schema.is_null()),
                );
                inner.maybe("strict", *strict);
            });
            object.own(own);
        }),
        ToolKind::Custom {
            name,
            description,
            grammar,
        } if plan.wraps() => list.object(|object| {
            object.put("type", "function");
            object.object("function", |inner| {
                inner.put("name", plan.name_in(namespace, name).as_ref());
                let description = names::free_description(description.as_deref(), grammar.as_ref());
                inner.maybe("description", description);
                inner.put("parameters", &names::free_schema());
            });
        }),
        ToolKind::Custom {
            name,
            description,
            grammar,
        } => list.object(|object| {
            object.put("type", "custom");
            object.nested("custom", own, Wanted::Yes, |inner| {
                inner.put("name", plan.name_in(namespace, name).as_ref());
                inner.maybe("description", description.as_deref());
                inner.maybe("format", grammar.as_ref().map(deeper));
            });
            object.own(own);
        }),
    }
}

/// A grammar as Chat Completions has it: one object deeper than in Responses.
fn deeper(grammar: &Value) -> Value {
    let mut inner = grammar.as_object().cloned().unwrap_or_default();
    inner.shift_remove("type");
    json!({"type": "grammar", "grammar": inner})
}

fn sampling(plan: &Plan<'_>, body: &mut Object<'_>) {
    let sampling = &plan.request.sampling;
    body.maybe("temperature", sampling.temperature.as_ref());
    body.maybe("top_p", sampling.top_p.as_ref());
    if sampling.top_k.is_some() {
        plan.losses
            .note("top_k", "OpenAI has no such way to draw tokens");
    }
    match sampling.stop.as_slice() {
        [] => {}
        [one]
            if plan
                .own(&plan.request.own)
                .is_some_and(|own| own.contains_key(mark::TEXT)) =>
        {
            body.put("stop", one);
        }
        some if plan.same || some.len() <= STOPS => body.put("stop", some),
        many => {
            plan.losses.note(
                "stop_sequences",
                "OpenAI takes four: the first four are sent",
            );
            body.put("stop", &many[..STOPS]);
        }
    }
}

fn format(plan: &Plan<'_>, body: &mut Object<'_>) {
    let own = plan.own(&plan.request.own);
    match &plan.request.format {
        None => {}
        Some(Format::JsonObject) => body.nested("response_format", own, Wanted::Yes, |outer| {
            outer.put("type", "json_object");
        }),
        Some(Format::JsonSchema { .. }) if !plan.target.can.json_schema => {
            plan.losses.note(
                "format",
                "this model knows no JSON schema; the server checks the answer",
            );
        }
        Some(Format::JsonSchema {
            name,
            description,
            schema,
            strict,
        }) => {
            body.nested("response_format", own, Wanted::Yes, |outer| {
                outer.put("type", "json_schema");
                let own = own.and_then(|own| own.get("response_format")?.as_object());
                outer.nested("json_schema", own, Wanted::Yes, |inner| {
                    let format = (name.as_deref(), description.as_deref(), schema, *strict);
                    openai::put_schema(inner, format, plan);
                });
            });
        }
    }
}
