//! Requests of Responses, written.

use serde_json::{Value, json};

use super::items::text_type;
use crate::request::plan::{Group, Piece, Plan, is_item};
use crate::request::read::mark;
use crate::request::write::{List, Object, Wanted, object};
use crate::request::{
    CallInput, Choice, Delivery, Edit, Format, Own, Pick, Role, Source, Tool, ToolKind, names,
    openai, settings,
};

/// The bytes of a request.
pub(in crate::request) fn encode(plan: &Plan<'_>, groups: &[Group<'_>], bytes: &mut Vec<u8>) {
    let request = plan.request;
    let own = plan.own(&request.own);
    object(bytes, |body| {
        body.put("model", plan.target.model);
        let input = instructions(plan, body, groups);
        conversation(plan, body, input);
        let loose = |tool: &Tool| !plan.same || !tool.own.contains_key(mark::ITEM);
        let offered = plan.tools().iter().filter(|(_, tool)| loose(tool));
        list_tools(plan, body, &offered.copied().collect::<Vec<_>>());
        choice(plan, body);
        body.maybe(
            "max_output_tokens",
            settings::output_if_said(request, plan.target),
        );
        sampling(plan, body);
        reasoning(plan, body);
        text(plan, body);
        openai::put_common(plan, body);
        edits(plan, body);
        if !plan.same {
            // The conversation is the client's, and so is its thinking.
            body.put("store", &false);
            if plan.target.can.encrypted_reasoning {
                body.put("include", &["reasoning.encrypted_content"]);
            }
        }
        if request.delivery == Delivery::Streamed {
            body.put("stream", &true);
        }
        body.own(own);
    });
}

fn at(own: Option<&Own>) -> Option<&str> {
    own?.get(mark::AT)?.as_str()
}

fn only_text<'g>(group: &'g Group<'_>) -> Option<&'g str> {
    match group.pieces.as_slice() {
        [Piece::Text { text, .. }] => Some(text),
        _other => None,
    }
}

/// Writes what stands in `instructions`, and gives what is left.
fn instructions<'g, 'a>(
    plan: &Plan<'_>,
    body: &mut Object<'_>,
    groups: &'g [Group<'a>],
) -> &'g [Group<'a>] {
    let Some((first, rest)) = groups.split_first() else {
        return groups;
    };
    let there = if plan.same {
        at(first.own) == Some("instructions")
    } else {
        first.role == Role::System && !rest.is_empty()
    };
    match only_text(first).filter(|_| there) {
        Some(text) => {
            body.put("instructions", text);
            rest
        }
        None => groups,
    }
}

fn conversation(plan: &Plan<'_>, body: &mut Object<'_>, groups: &[Group<'_>]) {
    if let [only] = groups
        && at(only.own) == Some("input")
        && let Some(text) = only_text(only)
    {
        body.put("input", text);
        return;
    }
    if groups.is_empty() && plan.same && plan.request.own.contains_key(mark::NO_INPUT) {
        return;
    }
    let mut more = 0_usize;
    body.list("input", |list| {
        for group in groups {
            match group.pieces.as_slice() {
                [Piece::Other(value)] if group.own.is_some_and(is_item) => {
                    item(plan, list, value, &mut more);
                }
                pieces => turn(list, group, pieces),
            }
        }
    });
}

/// An item that is not known, whole; one that brings tools, with them.
fn item(plan: &Plan<'_>, list: &mut List<'_>, value: &Value, more: &mut usize) {
    if value.get("type").and_then(Value::as_str) != Some("additional_tools") {
        list.push(value);
        return;
    }
    let here = |tool: &Tool| tool.own.get(mark::ITEM).and_then(Value::as_u64) == Some(*more as u64);
    let tools: Vec<_> = plan
        .tools()
        .iter()
        .filter(|(_, tool)| here(tool))
        .copied()
        .collect();
    *more += 1;
    list.object(|object| {
        object.maybe("type", value.get("type"));
        list_tools(plan, object, &tools);
        object.raw(value.as_object());
    });
}

/// The items of a turn: what was said in a row is one message.
fn turn(list: &mut List<'_>, group: &Group<'_>, pieces: &[Piece<'_>]) {
    let mut from = 0;
    for (at, piece) in pieces.iter().enumerate() {
        if is_said(piece) {
            continue;
        }
        if from < at {
            message(list, group, &pieces[from..at]);
        }
        own_item(list, piece);
        from = at + 1;
    }
    if from < pieces.len() || pieces.is_empty() {
        message(list, group, &pieces[from..]);
    }
}

fn is_said(piece: &Piece<'_>) -> bool {
    match piece {
        Piece::Text { .. }
        | Piece::Refusal { .. }
        | Piece::Image { .. }
        | Piece::Document { .. }
        | Piece::Other(_) => true,
        Piece::Thinking { .. }
        | Piece::Call { .. }
        | Piece::Result { .. }
        | Piece::Compaction { .. }
        | Piece::Item(_) => false,
    }
}

fn message(list: &mut List<'_>, group: &Group<'_>, pieces: &[Piece<'_>]) {
    let role = match group.role {
        Role::System => "system",
        Role::Developer => "developer",
        Role::User => "user",
        Role::Assistant => "assistant",
    };
    list.object(|message| {
        if group.own.is_none() {
            message.put("type", "message");
        }
        message.put("role", role);
        content(message, "content", (pieces, group.role), group.own);
        message.own(group.own);
    });
}

fn content(outer: &mut Object<'_>, key: &'static str, of: (&[Piece<'_>], Role), own: Option<&Own>) {
    let (pieces, role) = of;
    let short = own.is_none_or(|own| own.contains_key(mark::TEXT));
    if let ([Piece::Text { text, own }], true) = (pieces, short)
        && own.is_none_or(Own::is_empty)
    {
        outer.put(key, text.as_ref());
        return;
    }
    outer.list(key, |list| {
        list.each(pieces, |list, piece| part(list, piece, role));
    });
}

fn part(list: &mut List<'_>, piece: &Piece<'_>, role: Role) {
    if let Piece::Other(value) = piece {
        list.push(value);
        return;
    }
    list.object(|part| match piece {
        Piece::Text { text, own } => {
            let kind = own.and_then(|own| own.get(mark::TYPE)?.as_str());
            part.put("type", kind.unwrap_or(text_type(role)));
            part.put("text", text.as_ref());
            if own.is_none() && role == Role::Assistant {
                part.put("annotations", &[(); 0]);
            }
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
            part.put("type", "input_image");
            match source {
                Source::File(id) => part.put("file_id", id),
                Source::Base64 { .. } | Source::Text(_) | Source::Url(_) => {
                    part.put("image_url", &openai::url_of(source));
                }
            }
            part.maybe("detail", *detail);
            if own.is_none() && detail.is_none() {
                part.put("detail", "auto");
            }
            part.own(*own);
        }
        Piece::Document { source, name, own } => {
            part.put("type", "input_file");
            openai::put_file(part, source, *name, *own);
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

fn own_item(list: &mut List<'_>, piece: &Piece<'_>) {
    if let Piece::Item(value) = piece {
        list.push(value);
        return;
    }
    list.object(|item| match piece {
        Piece::Thinking { text, seal, own } => {
            item.put("type", "reasoning");
            if own.is_none() {
                item.list("summary", |list| {
                    if !text.is_empty() {
                        list.push(&json!({"type": "summary_text", "text": text}));
                    }
                });
            }
            item.maybe("encrypted_content", seal.as_deref());
            item.own(*own);
        }
        Piece::Call {
            id,
            name,
            input,
            own,
        } => {
            let (kind, key, text) = match input.as_ref() {
                CallInput::Json(text) => ("function_call", "arguments", text),
                CallInput::Free(text) => ("custom_tool_call", "input", text),
            };
            item.put("type", kind);
            item.put("call_id", id.as_ref());
            item.put("name", name.as_ref());
            item.put(key, text);
            item.own(*own);
        }
        Piece::Result {
            id,
            content: inner,
            free,
            own,
            ..
        } => {
            let kind = if *free {
                "custom_tool_call_output"
            } else {
                "function_call_output"
            };
            item.put("type", kind);
            item.put("call_id", id.as_ref());
            if inner.is_empty() && own.is_none() {
                item.put("output", "");
            } else {
                content(item, "output", (inner, Role::User), *own);
            }
            item.own(*own);
        }
        Piece::Compaction { seal, own, .. } => {
            item.put("type", "compaction");
            item.maybe("encrypted_content", seal.as_deref());
            item.own(*own);
        }
        Piece::Text { .. }
        | Piece::Refusal { .. }
        | Piece::Image { .. }
        | Piece::Document { .. }
        | Piece::Other(_)
        | Piece::Item(_) => {}
    });
}

fn list_tools(plan: &Plan<'_>, outer: &mut Object<'_>, offered: &[(Option<&str>, &Tool)]) {
    if !offered.is_empty() {
        outer.list("tools", |list| {
            list.each(offered, |list, (namespace, entry)| {
                tool(plan, list, *namespace, entry);
            });
        });
    }
}

fn tool(plan: &Plan<'_>, list: &mut List<'_>, namespace: Option<&str>, tool: &Tool) {
    let own = plan.own(&tool.own);
    if !plan.same {
        plan.losses.note_own("tools", &tool.own);
    }
    if let ToolKind::Vendor(value) = &tool.kind {
        list.push(value);
        return;
    }
    list.object(|object| match &tool.kind {
        ToolKind::Function {
            name,
            description,
            schema,
            strict,
        } => {
            object.put("type", "function");
            object.put("name", plan.name_in(namespace, name).as_ref());
            object.maybe("description", description.as_deref());
            object.maybe(
                "parameters",
                Some(schema).filter(|schema| !schema.is_null() || !plan.same),
            );
            // Absent means strict here, and not in the other APIs.
            object.maybe("strict", strict.or((!plan.same).then_some(false)));
            object.own(own);
        }
        ToolKind::Custom {
            name,
            description,
            grammar,
        } if plan.wraps() => {
            object.put("type", "function");
            object.put("name", plan.name_in(namespace, name).as_ref());
            let description = names::free_description(description.as_deref(), grammar.as_ref());
            object.maybe("description", description);
            object.put("parameters", &names::free_schema());
            object.put("strict", &false);
        }
        ToolKind::Custom {
            name,
            description,
            grammar,
        } => {
            object.put("type", "custom");
            object.put("name", plan.name_in(namespace, name).as_ref());
            object.maybe("description", description.as_deref());
            object.maybe("format", grammar.as_ref());
            object.own(own);
        }
        ToolKind::Namespace {
            name,
            description,
            tools,
        } => {
            object.put("type", "namespace");
            object.put("name", name);
            object.maybe("description", description.as_deref());
            let tools: Vec<_> = tools.iter().map(|tool| (None, tool)).collect();
            list_tools(plan, object, &tools);
            object.own(own);
        }
        ToolKind::Vendor(_) => {}
    });
}

fn choice(plan: &Plan<'_>, body: &mut Object<'_>) {
    if plan.tools().is_empty() && !plan.same {
        return;
    }
    match &plan.request.choice {
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
            body.put(
                "tool_choice",
                &json!({"type": "allowed_tools", "mode": mode, "tools": tools}),
            );
        }
        Some(Choice::Other(value)) => body.put("tool_choice", value),
    }
    body.maybe("parallel_tool_calls", plan.request.parallel);
}

fn pick(plan: &Plan<'_>, name: &str, free: bool) -> Value {
    let kind = if free && !plan.wraps() {
        "custom"
    } else {
        "function"
    };
    json!({"type": kind, "name": plan.name(name)})
}

fn sampling(plan: &Plan<'_>, body: &mut Object<'_>) {
    let sampling = &plan.request.sampling;
    body.maybe("temperature", sampling.temperature.as_ref());
    body.maybe("top_p", sampling.top_p.as_ref());
    if sampling.top_k.is_some() {
        plan.losses
            .note("top_k", "OpenAI has no such way to draw tokens");
    }
    if !sampling.stop.is_empty() {
        plan.losses.note(
            "stop_sequences",
            "OpenAI's Responses has no texts that end an answer",
        );
    }
}

fn reasoning(plan: &Plan<'_>, body: &mut Object<'_>) {
    let effort = settings::effort(plan.request, plan.target);
    let summary = settings::summary(plan.request);
    let wanted = effort.is_some() || summary.is_some();
    let own = plan.own(&plan.request.own);
    body.nested("reasoning", own, wanted.into(), |reasoning| {
        reasoning.maybe("effort", effort);
        reasoning.maybe("summary", summary);
    });
}

fn text(plan: &Plan<'_>, body: &mut Object<'_>) {
    let request = plan.request;
    let own = plan.own(&request.own);
    let format = match &request.format {
        Some(Format::JsonSchema { .. }) if !plan.target.can.json_schema => {
            plan.losses.note(
                "format",
                "this model knows no JSON schema; the server checks the answer",
            );
            None
        }
        format => format.as_ref(),
    };
    let wanted = format.is_some() || request.verbosity.is_some();
    body.nested("text", own, wanted.into(), |text| {
        let own = own.and_then(|own| own.get("text")?.as_object());
        match format {
            None => {}
            Some(Format::JsonObject) => text.nested("format", own, Wanted::Yes, |format| {
                format.put("type", "json_object");
            }),
            Some(Format::JsonSchema {
                name,
                description,
                schema,
                strict,
            }) => {
                text.nested("format", own, Wanted::Yes, |format| {
                    format.put("type", "json_schema");
                    let of = (name.as_deref(), description.as_deref(), schema, *strict);
                    openai::put_schema(format, of, plan);
                });
            }
        }
        text.maybe("verbosity", request.verbosity.as_deref());
    });
}

fn edits(plan: &Plan<'_>, body: &mut Object<'_>) {
    let kept: Vec<&Edit> = plan.edits().collect();
    if kept.is_empty() {
        return;
    }
    body.list("context_management", |list| {
        for edit in kept {
            match edit {
                Edit::Other(value) => list.push(value),
                Edit::Compact { threshold, own, .. } => list.object(|object| {
                    object.put("type", "compaction");
                    object.maybe("compact_threshold", *threshold);
                    object.own(plan.own(own));
                }),
            }
        }
    });
}
