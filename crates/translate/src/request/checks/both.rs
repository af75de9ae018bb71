//! What two APIs can both say of a request: what is left of it after a way there and back.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use quire_dialect::Dialect;
use serde_json::{Value, json};

use crate::request::read::mark;
use crate::request::{
    CallInput, Choice, Edit, Format, Own, Part, Request, Role, Sampling, Source, Thinking, Tool,
    ToolKind, Turn, names,
};

/// What the API of the request and another one can both say of it.
pub(super) fn common(request: &Request, other: Dialect) -> Request {
    let pair = [request.from, other];
    let has = |dialect| pair.contains(&dialect);
    let (messages, responses, chat) = (
        has(Dialect::Messages),
        has(Dialect::Responses),
        has(Dialect::Chat),
    );
    let mut left = request.clone();
    left.own = Own::new();
    left.region = None;
    left.sampling = sampling(&request.sampling, messages, responses);
    left.max_output = request.max_output.or(messages.then_some(32_000));
    left.max_output = left
        .max_output
        .map(|most| if responses { most.max(16) } else { most });
    left.cache_key = left.cache_key.filter(|_| !messages);
    left.verbosity = left.verbosity.filter(|_| !messages);
    left.service_tier = left
        .service_tier
        .filter(|tier| !messages || matches!(tier.as_str(), "auto" | "default" | "standard_only"));
    (left.effort, left.thinking) = thinking(request, messages, chat);
    left.format = left.format.and_then(|shape| format(shape, messages));
    left.edits = edits(&request.edits, messages && responses);
    tools(&mut left, messages, chat);
    let forced = matches!(
        left.choice,
        Some(Choice::Any | Choice::Tool { .. } | Choice::Allowed { must: true, .. })
    );
    if messages && forced {
        left.thinking = None;
    }
    if messages
        && (left
            .effort
            .as_deref()
            .is_some_and(|effort| effort != "none")
            || left.thinking.is_some())
    {
        left.sampling.temperature = None;
    }
    left.turns = turns(&request.turns, messages, chat);
    if request.from == Dialect::Messages {
        let parts = left.turns.iter_mut().flat_map(|turn| &mut turn.parts);
        parts.for_each(rightful);
    }
    left
}

/// An id that Messages would have refused in the first place, as it comes back.
fn rightful(part: &mut Part) {
    if let Part::Call { id, .. } | Part::Result { id, .. } = part {
        *id = names::id_for(Dialect::Messages, id).into_owned();
    }
}

fn sampling(sampling: &Sampling, messages: bool, responses: bool) -> Sampling {
    let stop = sampling
        .stop
        .iter()
        .filter(|text| !messages || !text.trim().is_empty());
    let temperature = sampling.temperature.clone();
    Sampling {
        temperature,
        top_p: sampling.top_p.clone(),
        top_k: None,
        stop: stop.take(if responses { 0 } else { 4 }).cloned().collect(),
    }
}

/// The effort, and whether the thinking is shown.
fn thinking(request: &Request, messages: bool, chat: bool) -> (Option<String>, Option<Thinking>) {
    let thinking = request.thinking.as_ref();
    let shown = thinking.filter(|_| !chat).and_then(|thinking| {
        thinking
            .display
            .as_deref()
            .filter(|display| *display != "omitted")
    });
    let adaptive = |display: &str| Thinking {
        kind: "adaptive".to_owned(),
        budget: None,
        display: Some(display.to_owned()),
        own: Own::new(),
    };
    if !messages {
        return (request.effort.clone(), shown.map(adaptive));
    }
    let kind = thinking.map(|thinking| thinking.kind.as_str());
    let budget = thinking.and_then(|thinking| thinking.budget);
    let of_budget = budget.map(|tokens| match tokens {
        0..=4_096 => "low",
        4_097..=10_240 => "medium",
        10_241..=24_576 => "high",
        24_577..=49_152 => "xhigh",
        _more => "max",
    });
    let effort = match (kind, request.effort.as_deref()) {
        (Some("disabled"), _) | (_, Some("none")) => return (Some("none".to_owned()), None),
        (Some("between_tools"), _) | (_, Some("minimal")) => Some("low"),
        (_, effort) => effort.or(of_budget),
    };
    (effort.map(str::to_owned), shown.map(|_| adaptive("shown")))
}

fn format(shape: Format, messages: bool) -> Option<Format> {
    match shape {
        shape if !messages => Some(shape),
        Format::JsonObject => None,
        Format::JsonSchema { schema, .. } => (!schema.is_null()).then_some(Format::JsonSchema {
            name: None,
            description: None,
            schema,
            strict: None,
        }),
    }
}

fn edits(edits: &[Edit], both: bool) -> Vec<Edit> {
    let kept = edits.iter().filter(|_| both).filter_map(|edit| match edit {
        Edit::Compact { threshold, .. } => Some(Edit::Compact {
            threshold: threshold.map(|tokens| tokens.max(50_000)),
            pause: None,
            instructions: None,
            own: Own::new(),
        }),
        Edit::Other(_) => None,
    });
    kept.collect()
}

fn tools(request: &mut Request, messages: bool, chat: bool) {
    let flat = messages || chat;
    let mut left = Vec::new();
    for tool in &request.tools {
        match &tool.kind {
            ToolKind::Vendor(_) => {}
            ToolKind::Namespace { name, tools, .. } if flat => {
                left.extend(
                    tools
                        .iter()
                        .map(|tool| one_tool(tool, Some(name), messages)),
                );
            }
            ToolKind::Namespace { .. } | ToolKind::Function { .. } | ToolKind::Custom { .. } => {
                left.push(one_tool(tool, None, messages));
            }
        }
    }
    if let (true, Some(Choice::Allowed { must, tools })) = (messages, &request.choice) {
        left.retain(|tool| match &tool.kind {
            ToolKind::Function { name, .. } | ToolKind::Custom { name, .. } => {
                tools.iter().any(|pick| pick.name == *name)
            }
            ToolKind::Namespace { .. } | ToolKind::Vendor(_) => false,
        });
        request.choice = Some(if *must { Choice::Any } else { Choice::Auto });
    }
    request.tools = left;
    if request.tools.is_empty() {
        request.choice = None;
        request.parallel = None;
    }
    if messages && !request.tools.is_empty() {
        request.choice = Some(request.choice.take().unwrap_or(Choice::Auto));
        if request.choice == Some(Choice::None) {
            request.parallel = None;
        }
        if let Some(Choice::Tool { free, .. }) = &mut request.choice {
            *free = false;
        }
    }
}

fn one_tool(tool: &Tool, namespace: Option<&str>, messages: bool) -> Tool {
    let named = |name: &str| match namespace {
        Some(namespace) => format!("{namespace}__{name}"),
        None => name.to_owned(),
    };
    let kind = match &tool.kind {
        ToolKind::Function {
            name,
            description,
            schema,
            strict,
        } => ToolKind::Function {
            name: named(name),
            description: description.clone(),
            schema: if messages && schema.is_null() {
                json!({"type": "object", "properties": {}})
            } else {
                schema.clone()
            },
            strict: strict.filter(|strict| *strict),
        },
        ToolKind::Custom {
            name,
            description,
            grammar,
        } if messages => ToolKind::Function {
            name: named(name),
            description: names::free_description(description.as_deref(), grammar.as_ref()),
            schema: names::free_schema(),
            strict: None,
        },
        other => other.clone(),
    };
    Tool {
        kind,
        own: Own::new(),
    }
}

fn turns(turns: &[Turn], messages: bool, chat: bool) -> Vec<Turn> {
    let mut left: Vec<Turn> = Vec::new();
    for turn in turns {
        let role = match turn.role {
            Role::Developer if messages => Role::System,
            role => role,
        };
        let parts = turn
            .parts
            .iter()
            .filter_map(|part| part_of(part, messages, chat));
        let parts: Vec<_> = parts.collect();
        if parts.is_empty() {
            continue;
        }
        match left.last_mut() {
            Some(last) if last.role == role => last.parts.extend(parts),
            Some(_) | None => left.push(Turn {
                role,
                parts,
                own: Own::new(),
            }),
        }
    }
    for turn in &mut left {
        match turn.role {
            Role::User => user(turn, chat),
            Role::Assistant if chat => turn
                .parts
                .sort_by_key(|part| matches!(part, Part::Call { .. })),
            Role::Assistant | Role::System | Role::Developer => {}
        }
    }
    left
}

/// Results first; in Chat, without what is no text.
fn user(turn: &mut Turn, chat: bool) {
    let (mut results, mut rest): (Vec<_>, Vec<_>) = std::mem::take(&mut turn.parts)
        .into_iter()
        .partition(|part| matches!(part, Part::Result { .. }));
    let mut shown = Vec::new();
    for result in &mut results {
        let Part::Result { content, .. } = result else {
            continue;
        };
        if chat {
            let all = std::mem::take(content);
            let (words, others): (Vec<_>, Vec<_>) = all
                .into_iter()
                .partition(|part| matches!(part, Part::Text { .. }));
            *content = words;
            if content.is_empty() && !others.is_empty() {
                content.push(Part::Text {
                    text: "The result follows.".to_owned(),
                    own: Own::new(),
                });
            }
            shown.extend(others);
        }
    }
    results.append(&mut shown);
    results.append(&mut rest);
    turn.parts = results;
}

fn part_of(part: &Part, messages: bool, chat: bool) -> Option<Part> {
    let own = Own::new();
    Some(match part {
        Part::Text { text, .. } if messages && text.trim().is_empty() => return None,
        Part::Text { text, .. } => Part::Text {
            text: text.clone(),
            own,
        },
        Part::Refusal { text, .. } if messages => Part::Text {
            text: text.clone(),
            own,
        },
        Part::Refusal { text, .. } => Part::Refusal {
            text: text.clone(),
            own,
        },
        Part::Image { source, own } => Part::Image {
            source: source.clone(),
            own: detail(own, messages),
        },
        Part::Document { source, name, .. } => document(source, name.as_deref()),
        Part::Call {
            id,
            name,
            input,
            own,
        } => {
            let namespace = own.get("namespace").and_then(Value::as_str);
            let namespace = namespace.filter(|_| messages || chat);
            Part::Call {
                id: id.clone(),
                name: namespace.map_or(name.clone(), |namespace| format!("{namespace}__{name}")),
                input: input_of(input, messages),
                own: Own::new(),
            }
        }
        Part::Result {
            id, content, free, ..
        } => Part::Result {
            id: id.clone(),
            content: content
                .iter()
                .filter_map(|part| part_of(part, messages, chat))
                .filter(is_said)
                .collect(),
            failed: None,
            free: *free && !messages,
            own,
        },
        Part::Thinking { .. } | Part::Compaction { .. } | Part::Other(_) => return None,
    })
}

fn is_said(part: &Part) -> bool {
    !matches!(part, Part::Text { text, .. } if text.trim().is_empty())
}

fn detail(own: &Own, messages: bool) -> Own {
    let detail = own
        .get(mark::DETAIL)
        .filter(|detail| !messages && *detail != "auto");
    let detail = detail.map(|detail| (mark::DETAIL.to_owned(), detail.clone()));
    detail.into_iter().collect()
}

fn document(source: &Source, name: Option<&str>) -> Part {
    let (source, unnamed) = match source {
        Source::Base64 { media_type, data } if media_type == "text/plain" => {
            let text = String::from_utf8(STANDARD.decode(data).unwrap()).unwrap();
            (Source::Text(text), Some("document.txt"))
        }
        Source::Text(text) => (Source::Text(text.clone()), Some("document.txt")),
        Source::Base64 { .. } => (source.clone(), Some("document.pdf")),
        Source::Url(_) | Source::File(_) => (source.clone(), None),
    };
    Part::Document {
        source,
        name: name.or(unnamed).map(str::to_owned),
        own: Own::new(),
    }
}

fn input_of(input: &CallInput, messages: bool) -> CallInput {
    if !messages {
        return input.clone();
    }
    let text = match names::text_of(input) {
        Cow::Borrowed("") => "{}".into(),
        text => text,
    };
    match serde_json::from_str::<Value>(&text) {
        Ok(value @ Value::Object(_)) => CallInput::Json(value.to_string()),
        Ok(_) | Err(_) => CallInput::Json(text.into_owned()),
    }
}
