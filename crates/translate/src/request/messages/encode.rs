//! Requests of Messages, written.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use quire_dialect::ApiVersion;
use serde_json::{Value, json};

use crate::request::plan::{Group, Piece, Plan, is_system};
use crate::request::read::mark;
use crate::request::write::{List, Object, Wanted, object};
use crate::request::{
    Choice, Delivery, Edit, Format, Own, Role, Source, Tool, ToolKind, names, settings,
};

/// The fewest tokens at which Messages compacts.
pub(in crate::request) const LEAST_THRESHOLD: u64 = 50_000;

/// The bytes of a request.
pub(in crate::request) fn encode(plan: &Plan<'_>, groups: &[Group<'_>], bytes: &mut Vec<u8>) {
    let request = plan.request;
    let own = plan.own(&request.own);
    object(bytes, |body| {
        body.put("model", plan.target.model);
        if plan.same {
            body.maybe("max_tokens", settings::output_if_said(request, plan.target));
        } else {
            body.put("max_tokens", &settings::output(request, plan.target));
        }
        conversation(plan, body, groups);
        tools(plan, body);
        sampling(plan, body);
        thinking(plan, body);
        output(plan, body);
        let user = request.end_user.as_deref();
        body.nested("metadata", own, user.is_some().into(), |metadata| {
            metadata.maybe("user_id", user);
        });
        if let Some(tier) = &request.service_tier {
            let named = settings::service_tier(tier, request.from, plan.target.dialect);
            body.maybe("service_tier", named);
            if named.is_none() {
                plan.losses
                    .note("service_tier", "Anthropic has no such tier");
            }
        }
        body.maybe("inference_geo", request.region.as_deref());
        edits(plan, body);
        if !plan.same && request.cache_key.is_some() {
            body.put("cache_control", &json!({"type": "ephemeral"}));
        }
        if request.delivery == Delivery::Streamed {
            body.put("stream", &true);
        }
        body.own(own);
    });
}

fn conversation(plan: &Plan<'_>, body: &mut Object<'_>, groups: &[Group<'_>]) {
    let ahead = if plan.same {
        usize::from(
            groups
                .first()
                .is_some_and(|group| at(group.own) == Some("system")),
        )
    } else {
        groups
            .iter()
            .take_while(|group| is_system(group.role))
            .count()
    };
    let (system, messages) = groups.split_at(ahead);
    match system {
        [] => {}
        [one] => content(body, "system", &one.pieces, one.own),
        many => body.list("system", |list| {
            list.each(many.iter().flat_map(|group| &group.pieces), block);
        }),
    }
    body.list("messages", |list| {
        for group in messages {
            list.object(|message| {
                let role = match group.role {
                    Role::System | Role::Developer => "system",
                    Role::User => "user",
                    Role::Assistant => "assistant",
                };
                message.put("role", role);
                content(message, "content", &group.pieces, group.own);
                message.own(group.own);
            });
        }
    });
}

fn at(own: Option<&Own>) -> Option<&str> {
    own?.get(mark::AT)?.as_str()
}

/// A text where it was one, or where it is nothing else; else a list of blocks.
fn content(outer: &mut Object<'_>, key: &'static str, pieces: &[Piece<'_>], own: Option<&Own>) {
    let short = own.is_none_or(|own| own.contains_key(mark::TEXT));
    if let ([Piece::Text { text, own }], true) = (pieces, short)
        && own.is_none_or(Own::is_empty)
    {
        outer.put(key, text.as_ref());
        return;
    }
    outer.list(key, |list| {
        list.each(pieces, block);
    });
}

fn block(list: &mut List<'_>, piece: &Piece<'_>) {
    match piece {
        Piece::Other(value) => list.push(value),
        Piece::Item(value) => list.push(value),
        Piece::Call { .. } | Piece::Result { .. } => list.object(|object| put_call(object, piece)),
        Piece::Text { .. }
        | Piece::Refusal { .. }
        | Piece::Image { .. }
        | Piece::Document { .. }
        | Piece::Thinking { .. }
        | Piece::Compaction { .. } => list.object(|object| put_said(object, piece)),
    }
}

fn put_said(block: &mut Object<'_>, piece: &Piece<'_>) {
    match piece {
        Piece::Text { text, own } => {
            block.put("type", "text");
            block.put("text", text.as_ref());
            block.own(*own);
        }
        Piece::Refusal { text, own } => {
            block.put("type", "text");
            block.put("text", text);
            block.own(*own);
        }
        Piece::Image {
            source: from, own, ..
        } => {
            block.put("type", "image");
            source(block, from, *own);
            block.own(*own);
        }
        Piece::Document {
            source: from,
            name,
            own,
        } => {
            block.put("type", "document");
            source(block, from, *own);
            block.maybe("title", *name);
            block.own(*own);
        }
        Piece::Thinking { text, seal, own } => thinking_block(block, text, seal.as_deref(), *own),
        Piece::Compaction { text, seal, own } => {
            block.put("type", "compaction");
            block.maybe("content", *text);
            block.maybe("encrypted_content", seal.as_deref());
            block.own(*own);
        }
        Piece::Call { .. } | Piece::Result { .. } | Piece::Other(_) | Piece::Item(_) => {}
    }
}

fn put_call(block: &mut Object<'_>, piece: &Piece<'_>) {
    match piece {
        Piece::Call {
            id,
            name,
            input,
            own,
        } => {
            block.put("type", "tool_use");
            block.put("id", id.as_ref());
            block.put("name", name.as_ref());
            block.put("input", &names::object_of(input));
            block.own(*own);
        }
        Piece::Result {
            id,
            content: pieces,
            failed,
            own,
            ..
        } => {
            block.put("type", "tool_result");
            block.put("tool_use_id", id.as_ref());
            if own
                .is_none_or(|own| !own.contains_key(mark::NO_INPUT) && !own.contains_key("content"))
            {
                content(block, "content", pieces, *own);
            }
            block.maybe("is_error", *failed);
            block.own(*own);
        }
        Piece::Text { .. }
        | Piece::Refusal { .. }
        | Piece::Image { .. }
        | Piece::Document { .. }
        | Piece::Thinking { .. }
        | Piece::Compaction { .. }
        | Piece::Other(_)
        | Piece::Item(_) => {}
    }
}

fn thinking_block(block: &mut Object<'_>, text: &str, seal: Option<&str>, own: Option<&Own>) {
    let kind = own.and_then(|own| own.get("type")?.as_str());
    if kind == Some("redacted_thinking") {
        block.put("type", "redacted_thinking");
        block.maybe("data", seal);
    } else {
        block.put("type", "thinking");
        block.put("thinking", text);
        block.maybe("signature", seal);
    }
    block.own(own);
}

fn source(block: &mut Object<'_>, from: &Source, own: Option<&Own>) {
    let plain = readable(from).filter(|_| own.is_none());
    block.nested("source", own, Wanted::Yes, |source| match from {
        Source::Base64 { .. } if plain.is_some() => {
            source.put("type", "text");
            source.put("media_type", "text/plain");
            source.maybe("data", plain);
        }
        Source::Base64 { media_type, data } => {
            let bare = media_type.is_empty() && own.is_none();
            source.put("type", "base64");
            source.put(
                "media_type",
                if bare { "application/pdf" } else { media_type },
            );
            source.put("data", data);
        }
        Source::Url(url) => {
            source.put("type", "url");
            source.put("url", url);
        }
        Source::File(id) => {
            source.put("type", "file");
            source.put("file_id", id);
        }
        Source::Text(text) => {
            source.put("type", "text");
            if own.is_none() {
                source.put("media_type", "text/plain");
            }
            source.put("data", text);
        }
    });
}

/// The words of a plain text that travels as bytes.
fn readable(source: &Source) -> Option<String> {
    match source {
        Source::Base64 { media_type, data } if media_type.starts_with("text/") => {
            String::from_utf8(STANDARD.decode(data).ok()?).ok()
        }
        Source::Base64 { .. } | Source::Text(_) | Source::Url(_) | Source::File(_) => None,
    }
}

fn tools(plan: &Plan<'_>, body: &mut Object<'_>) {
    let request = plan.request;
    let offered = plan.tools();
    if !offered.is_empty() {
        body.list("tools", |list| {
            for (namespace, entry) in offered {
                list_tool(plan, list, *namespace, entry);
            }
        });
    }
    let own = plan.own(&request.own);
    if let Some(Choice::Other(value)) = &request.choice {
        if plan.same {
            body.put("tool_choice", value);
        }
        return;
    }
    let implied = request.parallel.is_some() && !offered.is_empty();
    let choice = request.choice.as_ref().or(implied.then_some(&Choice::Auto));
    if offered.is_empty() && !plan.same {
        return;
    }
    body.nested("tool_choice", own, choice.is_some().into(), |object| {
        let Some(choice) = choice else { return };
        let (kind, name) = match choice {
            Choice::Auto | Choice::Allowed { must: false, .. } => ("auto", None),
            Choice::Any | Choice::Allowed { must: true, .. } => ("any", None),
            Choice::None => ("none", None),
            Choice::Tool { name, .. } => ("tool", Some(plan.name(name))),
            Choice::Other(_) => return,
        };
        object.put("type", kind);
        object.maybe("name", name);
        if kind != "none" || plan.same {
            object.maybe(
                "disable_parallel_tool_use",
                request.parallel.map(|yes| !yes),
            );
        }
    });
}

fn list_tool(plan: &Plan<'_>, list: &mut List<'_>, namespace: Option<&str>, tool: &Tool) {
    let own = plan.own(&tool.own);
    match &tool.kind {
        ToolKind::Vendor(value) => list.push(value),
        ToolKind::Function {
            name,
            description,
            schema,
            strict,
        } => list.object(|object| {
            object.put("name", plan.name_in(namespace, name).as_ref());
            object.maybe("description", description.as_deref());
            if plan.same {
                object.put("input_schema", schema);
            } else {
                object.put("input_schema", &object_schema(schema));
                plan.losses.note_own("tools", &tool.own);
            }
            object.maybe("strict", strict.filter(|strict| plan.same || *strict));
            object.own(own);
        }),
        ToolKind::Custom {
            name,
            description,
            grammar,
        } => list.object(|object| {
            object.put("name", plan.name_in(namespace, name).as_ref());
            let description = names::free_description(description.as_deref(), grammar.as_ref());
            object.maybe("description", description);
            object.put("input_schema", &names::free_schema());
            object.own(own);
        }),
        // Its tools are offered by themselves.
        ToolKind::Namespace { .. } => {}
    }
}

/// A schema that says that it is one of an object, as Messages wants it.
fn object_schema(schema: &Value) -> Value {
    let mut schema = match schema {
        Value::Object(map) => map.clone(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Own::new()
        }
    };
    if !schema.contains_key("type") {
        schema.insert("type".to_owned(), "object".into());
    }
    if schema.len() == 1 {
        schema.insert("properties".to_owned(), json!({}));
    }
    Value::Object(schema)
}

fn sampling(plan: &Plan<'_>, body: &mut Object<'_>) {
    let sampling = &plan.request.sampling;
    if !sampling.stop.is_empty() {
        let usable = |text: &&String| plan.same || !text.trim().is_empty();
        let stop: Vec<_> = sampling.stop.iter().filter(usable).collect();
        body.maybe("stop_sequences", Some(stop).filter(|stop| !stop.is_empty()));
    }
    let all = [
        ("temperature", &sampling.temperature),
        ("top_p", &sampling.top_p),
        ("top_k", &sampling.top_k),
    ];
    let thinks =
        settings::thinking(plan).is_some_and(|thinking| thinking.kind != "disabled" && !plan.same);
    for (key, value) in all {
        let Some(value) = value else { continue };
        if plan.target.can.version == ApiVersion::V20261021 {
            plan.losses.note(
                key,
                "this version of Anthropic's API draws tokens by its own rules",
            );
        } else if thinks && key != "top_p" {
            let why = "Anthropic's models draw tokens by rules of their own while they think";
            plan.losses.note(key, why);
        } else if key == "temperature"
            && !plan.same
            && value.as_f64().is_some_and(|value| value > 1.0)
        {
            plan.losses.note(
                key,
                "Anthropic's temperature ends at 1, and 1 is what it got",
            );
            body.put(key, &1.0);
        } else {
            body.put(key, value);
        }
    }
}

fn thinking(plan: &Plan<'_>, body: &mut Object<'_>) {
    if let Some(thinking) = settings::thinking(plan) {
        body.object("thinking", |object| {
            object.put("type", &thinking.kind);
            object.maybe("budget_tokens", thinking.budget);
            object.maybe("display", thinking.display.as_deref());
            object.own(plan.own(&thinking.own));
        });
    }
}

fn output(plan: &Plan<'_>, body: &mut Object<'_>) {
    let request = plan.request;
    let own = plan.own(&request.own);
    let effort = settings::effort(request, plan.target);
    let shape = match &request.format {
        Some(Format::JsonSchema { schema, .. })
            if plan.target.can.json_schema && !schema.is_null() =>
        {
            Some(schema)
        }
        Some(Format::JsonSchema { .. }) => {
            plan.losses.note(
                "format",
                "this model knows no JSON schema; the server checks the answer",
            );
            None
        }
        Some(Format::JsonObject) => {
            plan.losses
                .note("format", "Anthropic has no JSON mode without a schema");
            None
        }
        None => None,
    };
    let older = request.own.contains_key(mark::FORMAT) && plan.same;
    let format = |outer: &mut Object<'_>, key: &'static str, own: Option<&Own>| {
        if let Some(schema) = shape {
            outer.nested(key, own, Wanted::Yes, |format| {
                format.put("type", "json_schema");
                format.put("schema", schema);
            });
        }
    };
    let wanted = effort.is_some() || (shape.is_some() && !older);
    body.nested("output_config", own, wanted.into(), |config| {
        config.maybe("effort", effort);
        let own = own.and_then(|own| own.get("output_config")?.as_object());
        if !older {
            format(config, "format", own);
        }
    });
    if older {
        format(body, "output_format", own);
    }
    if request.verbosity.is_some() {
        plan.losses
            .note("verbosity", "Anthropic has no setting for it");
    }
}

fn edits(plan: &Plan<'_>, body: &mut Object<'_>) {
    let own = plan.own(&plan.request.own);
    let kept: Vec<&Edit> = plan.edits().collect();
    body.nested(
        "context_management",
        own,
        (!kept.is_empty()).into(),
        |outer| {
            if kept.is_empty() {
                return;
            }
            outer.list("edits", |list| {
                list.each(kept, |list, edit| one_edit(plan, list, edit));
            });
        },
    );
}

fn one_edit(plan: &Plan<'_>, list: &mut List<'_>, edit: &Edit) {
    match edit {
        Edit::Other(value) => list.push(value),
        Edit::Compact {
            threshold,
            pause,
            instructions,
            own,
        } => list.object(|object| {
            let own = plan.own(own);
            object.put("type", "compact_20260112");
            if let Some(tokens) = threshold {
                let tokens = if plan.same {
                    *tokens
                } else {
                    (*tokens).max(LEAST_THRESHOLD)
                };
                object.nested("trigger", own, Wanted::Yes, |trigger| {
                    trigger.put("type", "input_tokens");
                    trigger.put("value", &tokens);
                });
            }
            object.maybe("pause_after_compaction", *pause);
            object.maybe("instructions", instructions.as_deref());
            object.own(own);
        }),
    }
}

/// What must stand in `anthropic-beta` for a request of another API.
pub(in crate::request) fn betas(plan: &Plan<'_>, groups: &[Group<'_>]) -> Vec<&'static str> {
    let mut betas = Vec::new();
    let compacts = plan.edits().next().is_some();
    let compacted = groups
        .iter()
        .flat_map(|group| &group.pieces)
        .any(|piece| matches!(piece, Piece::Item(block) if block["type"] == "compaction"));
    if compacts {
        betas.push("context-management-2025-06-27");
    }
    if compacts || compacted {
        betas.push("compact-2026-01-12");
    }
    betas
}
