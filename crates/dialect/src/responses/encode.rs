//! Requests in the Responses dialect. Every item of the context is an input item of its own, and
//! nothing is stored on the provider's side.

use quire_protocol::{Content, ToolCall, ToolInput, ToolSpec};
use serde_json::{Value, json};

use crate::encoder::{Answer, Writer, notice};
use crate::json::{self, Object};
use crate::{Caching, Compaction, Features, Head, Options, Thinking, arguments, tools};

/// Writes everything up to the first input item.
pub(crate) fn begin(head: &Head<'_>, out: &mut Vec<u8>) -> ResponsesWriter {
    let mut body = Object::open(out);
    body.member("model", head.model)
        .member("stream", &true)
        .member("store", &false)
        .member_raw("include", r#"["reasoning.encrypted_content"]"#);
    write_tools(&mut body, head);
    if !head.prefix.instructions.is_empty() {
        body.member("instructions", &head.prefix.instructions);
    }
    body.key("input").push(b'[');
    ResponsesWriter {
        empty: true,
        features: head.features,
        cached: head.cache != Caching::Off,
        instructions: head.prefix.instructions.clone(),
    }
}

/// The head of a request for a compaction, which takes little of what others take.
pub(crate) fn compaction_head(head: &Head<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    let mut body = Object::open(&mut out);
    body.member("model", head.model);
    body.key("input").push(b'[');
    out
}

fn write_reasoning(body: &mut Object<'_>, options: &Options<'_>, features: Features) {
    let summary = features.reasoning_summaries && options.thinking != Thinking::Disabled;
    if options.effort.is_none() && !summary {
        return;
    }
    let mut reasoning = Object::open(body.key("reasoning"));
    if let Some(effort) = options.effort {
        reasoning.member("effort", effort);
    }
    if summary {
        reasoning.member("summary", "auto");
    }
    reasoning.close();
}

fn write_format(body: &mut Object<'_>, schema: &Value) {
    let format = json!({
        "type": "json_schema",
        "name": "answer",
        "schema": schema,
        "strict": tools::is_strict(schema),
    });
    body.member("text", &json!({"format": format}));
}

fn write_tools(body: &mut Object<'_>, head: &Head<'_>) {
    if head.prefix.tools.is_empty() {
        return;
    }
    body.member("parallel_tool_calls", &true);
    let out = body.key("tools");
    for (at, tool) in head.prefix.tools.iter().enumerate() {
        out.push(if at == 0 { b'[' } else { b',' });
        match &tool.input {
            ToolInput::Text { grammar } if head.features.custom_tools => {
                write_custom_tool(out, tool, grammar);
            }
            _ => write_function(out, tool),
        }
    }
    out.push(b']');
}

fn write_custom_tool(out: &mut Vec<u8>, tool: &ToolSpec, grammar: &str) {
    let mut entry = Object::open(out);
    entry
        .member("type", "custom")
        .member("name", &tool.name)
        .member("description", &tool.description);
    if !grammar.is_empty() {
        let format = json!({"type": "grammar", "syntax": "lark", "definition": grammar});
        entry.member("format", &format);
    }
    entry.close();
}

fn write_function(out: &mut Vec<u8>, tool: &ToolSpec) {
    let mut entry = Object::open(out);
    entry
        .member("type", "function")
        .member("name", &tool.name)
        .member("description", &tool.description)
        .member("parameters", &tools::function_schema(tool))
        .member("strict", &false);
    entry.close();
}

/// Writes input items.
#[derive(Debug)]
pub(crate) struct ResponsesWriter {
    empty: bool,
    features: Features,
    /// Whether a key for the prompt cache is sent.
    cached: bool,
    /// What a compaction is told again, behind the items.
    instructions: String,
}

impl ResponsesWriter {
    /// There is no field of its own for what a compaction should dwell on.
    fn write_instructions(&self, body: &mut Object<'_>, focus: &str) {
        let mut instructions = self.instructions.clone();
        if !focus.trim().is_empty() {
            instructions.push_str("\n\nWhen the conversation is compacted, dwell on this: ");
            instructions.push_str(focus);
        }
        if !instructions.is_empty() {
            body.member("instructions", &instructions);
        }
    }

    /// Makes room for an item.
    fn place(&mut self, out: &mut Vec<u8>) {
        if !self.empty {
            out.push(b',');
        }
        self.empty = false;
    }
}

impl Writer for ResponsesWriter {
    fn user(&mut self, out: &mut Vec<u8>, content: &[Content]) {
        if content.is_empty() {
            return;
        }
        self.place(out);
        write_user(out, content);
    }

    fn assistant(&mut self, out: &mut Vec<u8>, text: &str) {
        if text.is_empty() {
            return;
        }
        self.place(out);
        let mut item = Object::open(out);
        item.member("type", "message")
            .member("role", "assistant")
            .member("content", text);
        item.close();
    }

    fn echo(&mut self, out: &mut Vec<u8>, json: &str) {
        self.place(out);
        json::raw(out, json);
    }

    fn call(&mut self, out: &mut Vec<u8>, id: &str, call: &ToolCall, text_tool: bool) {
        self.place(out);
        let mut item = Object::open(out);
        let custom = text_tool && self.features.custom_tools;
        let kind = if custom {
            "custom_tool_call"
        } else {
            "function_call"
        };
        item.member("type", kind)
            .member("call_id", id)
            .member("name", &call.name);
        if custom {
            item.member("input", &call.arguments);
        } else if text_tool {
            item.member("arguments", &arguments::wrap_text(&call.arguments));
        } else {
            item.member("arguments", &arguments::as_object(&call.arguments));
        }
        item.close();
    }

    fn result(&mut self, out: &mut Vec<u8>, answer: &Answer<'_>) {
        self.place(out);
        let custom = answer.text_tool && self.features.custom_tools;
        let kind = if custom {
            "custom_tool_call_output"
        } else {
            "function_call_output"
        };
        let mut item = Object::open(out);
        item.member("type", kind).member("call_id", answer.id);
        match answer.content {
            [] => {
                item.member("output", "");
            }
            [Content::Text { text }] => {
                item.member("output", text);
            }
            parts => write_parts(item.key("output"), parts),
        }
        item.close();
    }

    fn tail(&self, out: &mut Vec<u8>, options: &Options<'_>) {
        let compacts = matches!(options.compaction, Compaction::Now { .. });
        if !options.words.is_empty() && !compacts {
            if !self.empty {
                out.push(b',');
            }
            write_user(out, &[notice(options.words)]);
        }
        json::raw(out, "]");
        let mut body = Object::resume(out);
        match options.compaction {
            Compaction::Now { focus } => self.write_instructions(&mut body, focus),
            Compaction::From(tokens) => {
                write_options(&mut body, options, self.features);
                let when = json!([{"type": "compaction", "compact_threshold": tokens}]);
                body.member("context_management", &when);
            }
            Compaction::Never => write_options(&mut body, options, self.features),
        }
        if self.cached && !options.cache_key.is_empty() {
            body.member("prompt_cache_key", options.cache_key);
        }
        body.close();
    }
}

fn write_options(body: &mut Object<'_>, options: &Options<'_>, features: Features) {
    if let Some(tokens) = options.max_output_tokens {
        body.member("max_output_tokens", &tokens);
    }
    write_reasoning(body, options, features);
    if let Some(schema) = options.output_schema {
        write_format(body, schema);
    }
}

fn write_user(out: &mut Vec<u8>, content: &[Content]) {
    let mut item = Object::open(out);
    item.member("type", "message").member("role", "user");
    write_parts(item.key("content"), content);
    item.close();
}

fn write_parts(out: &mut Vec<u8>, content: &[Content]) {
    out.push(b'[');
    for (at, part) in content.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        let mut entry = Object::open(out);
        match part {
            Content::Text { text } => {
                entry.member("type", "input_text").member("text", text);
            }
            Content::Image { media_type, data } => {
                entry
                    .member("type", "input_image")
                    .member("detail", "auto")
                    .member("image_url", &format!("data:{media_type};base64,{data}"));
            }
        }
        entry.close();
    }
    out.push(b']');
}
