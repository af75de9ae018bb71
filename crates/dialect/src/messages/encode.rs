//! Requests in the Messages dialect. Items of one role in a row become blocks of one message,
//! whose closing brackets are written when the role changes.

use quire_protocol::{Content, ToolCall};
use serde_json::json;

use crate::encoder::{Answer, Writer};
use crate::json::{self, Object};
use crate::{ApiVersion, Caching, Compaction, Dialect, Head, Options, Thinking, arguments, tools};

/// Messages requires a limit; every model of the last years takes this one.
const FALLBACK_MAX_TOKENS: u32 = 8_192;
/// The smallest thinking budget that is accepted.
const MIN_BUDGET: u32 = 1_024;
/// What a thinking budget must leave for the answer, which shares the output limit.
const MIN_ANSWER: u32 = 1_024;
const EPHEMERAL: &str = r#"{"type":"ephemeral"}"#;

/// Writes everything up to the first message.
pub(crate) fn begin(head: &Head<'_>, out: &mut Vec<u8>) -> MessagesWriter {
    let mut body = Object::open(out);
    body.member("model", head.model).member("stream", &true);
    if head.cache == Caching::Automatic {
        body.member_raw("cache_control", EPHEMERAL);
    }
    write_tools(&mut body, head);
    write_system(&mut body, head);
    body.key("messages").push(b'[');
    MessagesWriter {
        role: None,
        api_version: head.api_version,
    }
}

fn write_thinking(
    body: &mut Object<'_>,
    thinking: Thinking,
    api_version: ApiVersion,
    max_tokens: u32,
) {
    let thinking = match thinking {
        Thinking::Unset => return,
        Thinking::Adaptive => match api_version {
            ApiVersion::V20230601 => json!({"type": "adaptive"}),
            ApiVersion::V20261021 => json!({"type": "adaptive", "display": "summarized"}),
        },
        Thinking::Budget(tokens) => {
            let most = max_tokens.saturating_sub(MIN_ANSWER);
            let budget = tokens.max(MIN_BUDGET).min(most);
            if budget < MIN_BUDGET {
                return;
            }
            json!({"type": "enabled", "budget_tokens": budget})
        }
        Thinking::Disabled => json!({"type": "disabled"}),
    };
    body.member("thinking", &thinking);
}

fn write_output_config(body: &mut Object<'_>, options: &Options<'_>) {
    if options.effort.is_none() && options.output_schema.is_none() {
        return;
    }
    let mut config = Object::open(body.key("output_config"));
    if let Some(effort) = options.effort {
        config.member("effort", effort);
    }
    if let Some(schema) = options.output_schema {
        let schema = tools::closed(schema);
        config.member("format", &json!({"type": "json_schema", "schema": schema}));
    }
    config.close();
}

/// Edits of the context cannot be combined with a compaction on demand.
fn write_compaction(body: &mut Object<'_>, options: &Options<'_>) {
    let mut edits = Vec::new();
    if options.clearing.thinking {
        edits.push(json!({"type": "clear_thinking_20251015"}));
    }
    if options.clearing.tool_uses {
        edits.push(json!({"type": "clear_tool_uses_20250919"}));
    }
    match options.compaction {
        Compaction::Never => {}
        Compaction::From(tokens) => {
            let least = Dialect::Messages.compacts_from().unwrap_or_default();
            let trigger = json!({"type": "input_tokens", "value": tokens.max(least)});
            edits.push(json!({"type": "compact_20260112", "trigger": trigger}));
        }
        Compaction::Now { focus } => {
            let mut asked = Object::open(body.key("compaction"));
            asked.member("type", "summarize");
            if !focus.trim().is_empty() {
                asked.member("instructions", focus);
            }
            return asked.close();
        }
    }
    if !edits.is_empty() {
        body.member("context_management", &json!({"edits": edits}));
    }
}

fn write_tools(body: &mut Object<'_>, head: &Head<'_>) {
    if head.prefix.tools.is_empty() {
        return;
    }
    let out = body.key("tools");
    for (at, tool) in head.prefix.tools.iter().enumerate() {
        out.push(if at == 0 { b'[' } else { b',' });
        let mut entry = Object::open(out);
        entry
            .member("name", &tool.name)
            .member("description", &tool.description)
            .member("input_schema", &tools::function_schema(tool));
        entry.close();
    }
    out.push(b']');
}

fn write_system(body: &mut Object<'_>, head: &Head<'_>) {
    let blocks = [
        (
            head.prefix.instructions.as_str(),
            head.cache != Caching::Off,
        ),
        (head.words, false),
    ];
    let mut blocks = blocks
        .into_iter()
        .filter(|(text, _)| !text.trim().is_empty())
        .peekable();
    if blocks.peek().is_none() {
        return;
    }
    let out = body.key("system");
    for (at, (text, marked)) in blocks.enumerate() {
        out.push(if at == 0 { b'[' } else { b',' });
        let mut block = Object::open(out);
        block.member("type", "text").member("text", text);
        if marked {
            block.member_raw("cache_control", EPHEMERAL);
        }
        block.close();
    }
    out.push(b']');
}

/// Writes messages. Invariant: while `role` is set, a message and its content array are open.
#[derive(Debug)]
pub(crate) struct MessagesWriter {
    role: Option<Role>,
    api_version: ApiVersion,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    User,
    Assistant,
}

impl Role {
    fn opening(self) -> &'static str {
        match self {
            Self::User => r#"{"role":"user","content":["#,
            Self::Assistant => r#"{"role":"assistant","content":["#,
        }
    }
}

impl MessagesWriter {
    /// Makes room for a block in a message of this role.
    fn place(&mut self, out: &mut Vec<u8>, role: Role) {
        if self.role == Some(role) {
            out.push(b',');
            return;
        }
        if self.role.is_some() {
            json::raw(out, "]},");
        }
        json::raw(out, role.opening());
        self.role = Some(role);
    }
}

impl Writer for MessagesWriter {
    fn user(&mut self, out: &mut Vec<u8>, content: &[Content]) {
        for part in content.iter().filter(|part| !is_blank(part)) {
            self.place(out, Role::User);
            write_part(out, part);
        }
    }

    fn assistant(&mut self, out: &mut Vec<u8>, text: &str) {
        if text.trim().is_empty() {
            return;
        }
        self.place(out, Role::Assistant);
        write_text(out, text);
    }

    fn echo(&mut self, out: &mut Vec<u8>, json: &str) {
        self.place(out, Role::Assistant);
        json::raw(out, json);
    }

    fn call(&mut self, out: &mut Vec<u8>, id: &str, call: &ToolCall, text_tool: bool) {
        self.place(out, Role::Assistant);
        let mut block = Object::open(out);
        block
            .member("type", "tool_use")
            .member("id", id)
            .member("name", &call.name);
        if text_tool {
            block.member_raw("input", &arguments::wrap_text(&call.arguments));
        } else {
            block.member_raw("input", &arguments::as_object(&call.arguments));
        }
        block.close();
    }

    fn result(&mut self, out: &mut Vec<u8>, answer: &Answer<'_>) {
        self.place(out, Role::User);
        let mut block = Object::open(out);
        block
            .member("type", "tool_result")
            .member("tool_use_id", answer.id);
        write_result_content(&mut block, answer.content);
        if answer.is_error() {
            block.member("is_error", &true);
        }
        block.close();
    }

    fn tail(&self, out: &mut Vec<u8>, options: &Options<'_>) {
        if self.role.is_some() {
            json::raw(out, "]}");
        }
        json::raw(out, "]");
        let max_tokens = options.max_output_tokens.unwrap_or(FALLBACK_MAX_TOKENS);
        let mut body = Object::resume(out);
        body.member("max_tokens", &max_tokens);
        write_thinking(&mut body, options.thinking, self.api_version, max_tokens);
        write_output_config(&mut body, options);
        write_compaction(&mut body, options);
        if let Some(region) = options.region {
            body.member("inference_geo", region);
        }
        body.close();
    }
}

fn write_result_content(block: &mut Object<'_>, content: &[Content]) {
    let parts: Vec<&Content> = content.iter().filter(|part| !is_blank(part)).collect();
    match parts.as_slice() {
        [] => {}
        [Content::Text { text }] => {
            block.member("content", text);
        }
        parts => {
            let out = block.key("content");
            for (at, part) in parts.iter().enumerate() {
                out.push(if at == 0 { b'[' } else { b',' });
                write_part(out, part);
            }
            out.push(b']');
        }
    }
}

/// Blank text blocks are refused by the provider.
fn is_blank(part: &Content) -> bool {
    part.as_text().is_some_and(|text| text.trim().is_empty())
}

fn write_part(out: &mut Vec<u8>, part: &Content) {
    match part {
        Content::Text { text } => write_text(out, text),
        Content::Image { media_type, data } => {
            let mut block = Object::open(out);
            block.member("type", "image");
            let mut source = Object::open(block.key("source"));
            source
                .member("type", "base64")
                .member("media_type", media_type)
                .member("data", data);
            source.close();
            block.close();
        }
    }
}

fn write_text(out: &mut Vec<u8>, text: &str) {
    let mut block = Object::open(out);
    block.member("type", "text").member("text", text);
    block.close();
}
