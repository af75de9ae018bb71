//! Requests in the Chat Completions dialect. What the model says in one step is one assistant
//! message; words of the user in a row are one user message, as strict prompt templates ask for.

use quire_protocol::{Content, ToolCall};
use serde_json::json;

use crate::encoder::{Answer, Writer, notice};
use crate::json::{self, Object};
use crate::{Caching, Features, Head, Options, OutputLimit, arguments, tools};

/// Stands in a tool message for images, which only user messages can carry.
const IMAGES_FOLLOW: &str = "(The image is in the next user message.)";
const STRING_OPENING: &str = r#"{"role":"user","content":""#;
const PARTS_OPENING: &str = r#"{"role":"user","content":["#;

/// Writes everything up to the first message after the system prompt.
pub(crate) fn begin(head: &Head<'_>, out: &mut Vec<u8>) -> ChatWriter {
    let mut body = Object::open(out);
    body.member("model", head.model)
        .member("stream", &true)
        .member_raw("stream_options", r#"{"include_usage":true}"#);
    write_tools(&mut body, head);
    let out = body.key("messages");
    out.push(b'[');
    let mut writer = ChatWriter {
        features: head.features,
        cached: head.cache != Caching::Off,
        ..ChatWriter::default()
    };
    if !head.prefix.instructions.is_empty() {
        writer.place(out);
        let mut message = Object::open(out);
        message
            .member("role", "system")
            .member("content", &head.prefix.instructions);
        message.close();
    }
    writer
}

fn write_tools(body: &mut Object<'_>, head: &Head<'_>) {
    if head.prefix.tools.is_empty() {
        return;
    }
    let out = body.key("tools");
    for (at, tool) in head.prefix.tools.iter().enumerate() {
        out.push(if at == 0 { b'[' } else { b',' });
        let mut entry = Object::open(out);
        entry.member("type", "function");
        let mut function = Object::open(entry.key("function"));
        function
            .member("name", &tool.name)
            .member("description", &tool.description)
            .member("parameters", &tools::function_schema(tool));
        function.close();
        entry.close();
    }
    out.push(b']');
}

/// Writes messages. The model's message is held back as a draft until its step is over, because
/// its fields may arrive in any order; everything else is written at once.
#[derive(Clone, Debug, Default)]
pub(crate) struct ChatWriter {
    features: Features,
    /// Whether a key for the prompt cache is sent.
    cached: bool,
    written: bool,
    user: OpenUser,
    draft: Option<Draft>,
    /// Images of tool results, sent as user content after the last result.
    images: Vec<Content>,
}

/// The user message that is still open, if one is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum OpenUser {
    #[default]
    None,
    /// Inside the string of its content.
    Text,
    /// Inside the array of its content.
    Parts,
}

impl OpenUser {
    fn closing(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Text => "\"}",
            Self::Parts => "]}",
        }
    }
}

/// An assistant message in the making.
#[derive(Clone, Debug, Default)]
struct Draft {
    /// Members that came from the server, such as `reasoning_content`, without braces.
    members: Vec<u8>,
    content: String,
    /// The calls, comma-separated.
    calls: Vec<u8>,
}

impl Draft {
    fn write(&self, out: &mut Vec<u8>) {
        json::raw(out, r#"{"role":"assistant","#);
        if !self.members.is_empty() {
            out.extend_from_slice(&self.members);
            out.push(b',');
        }
        json::raw(out, r#""content":"#);
        if self.content.is_empty() && !self.calls.is_empty() {
            json::raw(out, "null");
        } else {
            json::string(out, &self.content);
        }
        if !self.calls.is_empty() {
            json::raw(out, r#","tool_calls":["#);
            out.extend_from_slice(&self.calls);
            out.push(b']');
        }
        out.push(b'}');
    }
}

impl ChatWriter {
    /// Makes room for a message.
    fn place(&mut self, out: &mut Vec<u8>) {
        json::raw(out, std::mem::take(&mut self.user).closing());
        if self.written {
            out.push(b',');
        }
        self.written = true;
    }

    /// Writes the draft, if there is one.
    fn settle(&mut self, out: &mut Vec<u8>) {
        if let Some(draft) = self.draft.take() {
            self.place(out);
            draft.write(out);
        }
    }

    /// Closes the message that is open, if one is.
    fn close(&self, out: &mut Vec<u8>) {
        json::raw(out, self.user.closing());
        if let Some(draft) = &self.draft {
            if self.written {
                out.push(b',');
            }
            draft.write(out);
        }
    }

    fn write_options(&self, out: &mut Vec<u8>, options: &Options<'_>) {
        let mut body = Object::resume(out);
        if let Some(tokens) = options.max_output_tokens {
            let field = match self.features.output_limit {
                OutputLimit::MaxTokens => "max_tokens",
                OutputLimit::MaxCompletionTokens => "max_completion_tokens",
            };
            body.member(field, &tokens);
        }
        if let Some(effort) = options.effort {
            body.member("reasoning_effort", effort);
        }
        if let Some(schema) = options.output_schema {
            let strict = tools::is_strict(schema);
            let schema = json!({"name": "answer", "schema": schema, "strict": strict});
            let format = json!({"type": "json_schema", "json_schema": schema});
            body.member("response_format", &format);
        }
        if self.features.cache_key && self.cached && !options.cache_key.is_empty() {
            body.member("prompt_cache_key", options.cache_key);
        }
        body.close();
    }

    fn user_text(&mut self, out: &mut Vec<u8>, text: &str) {
        match self.user {
            OpenUser::Parts => {
                out.push(b',');
                return write_part(out, &Content::text(text));
            }
            OpenUser::Text => json::raw(out, "\\n\\n"),
            OpenUser::None => {
                self.place(out);
                json::raw(out, STRING_OPENING);
                self.user = OpenUser::Text;
            }
        }
        json::string_body(out, text);
    }

    fn user_parts(&mut self, out: &mut Vec<u8>, content: &[Content]) {
        for part in content {
            if self.user == OpenUser::Parts {
                out.push(b',');
            } else {
                self.place(out);
                json::raw(out, PARTS_OPENING);
                self.user = OpenUser::Parts;
            }
            write_part(out, part);
        }
    }
}

impl Writer for ChatWriter {
    fn user(&mut self, out: &mut Vec<u8>, content: &[Content]) {
        self.settle(out);
        if content.iter().any(|part| part.as_text().is_none()) {
            return self.user_parts(out, content);
        }
        for text in content.iter().filter_map(Content::as_text) {
            self.user_text(out, text);
        }
    }

    fn assistant(&mut self, _out: &mut Vec<u8>, text: &str) {
        if text.is_empty() {
            return;
        }
        let draft = self.draft.get_or_insert_default();
        if !draft.content.is_empty() {
            draft.content.push_str("\n\n");
        }
        draft.content.push_str(text);
    }

    fn echo(&mut self, _out: &mut Vec<u8>, json: &str) {
        let members = json
            .strip_prefix('{')
            .and_then(|rest| rest.strip_suffix('}'))
            .map_or("", str::trim);
        if members.is_empty() {
            return;
        }
        let draft = self.draft.get_or_insert_default();
        // A second block would repeat a member, which JSON leaves undefined.
        if draft.members.is_empty() {
            json::raw(&mut draft.members, members);
        }
    }

    fn call(&mut self, _out: &mut Vec<u8>, id: &str, call: &ToolCall, text_tool: bool) {
        let draft = self.draft.get_or_insert_default();
        if !draft.calls.is_empty() {
            draft.calls.push(b',');
        }
        let mut entry = Object::open(&mut draft.calls);
        entry.member("id", id).member("type", "function");
        let mut function = Object::open(entry.key("function"));
        function.member("name", &call.name);
        if text_tool {
            function.member("arguments", &arguments::wrap_text(&call.arguments));
        } else {
            function.member("arguments", &arguments::as_object(&call.arguments));
        }
        function.close();
        entry.close();
    }

    fn result(&mut self, out: &mut Vec<u8>, answer: &Answer<'_>) {
        self.settle(out);
        let mut texts: Vec<&str> = Vec::new();
        for part in answer.content {
            match part {
                Content::Text { text } => texts.push(text),
                Content::Image { .. } => {
                    texts.push(IMAGES_FOLLOW);
                    self.images.push(part.clone());
                }
            }
        }
        self.place(out);
        let mut message = Object::open(out);
        message
            .member("role", "tool")
            .member("tool_call_id", answer.id)
            .member("content", &texts.join("\n"));
        message.close();
    }

    fn results_end(&mut self, out: &mut Vec<u8>) {
        let images = std::mem::take(&mut self.images);
        self.user_parts(out, &images);
    }

    fn tail(&self, out: &mut Vec<u8>, options: &Options<'_>) {
        if options.words.is_empty() {
            self.close(out);
        } else {
            let mut last = self.clone();
            last.user(out, &[notice(options.words)]);
            last.close(out);
        }
        json::raw(out, "]");
        self.write_options(out, options);
    }
}

fn write_part(out: &mut Vec<u8>, part: &Content) {
    let mut entry = Object::open(out);
    match part {
        Content::Text { text } => {
            entry.member("type", "text").member("text", text);
        }
        Content::Image { media_type, data } => {
            entry.member("type", "image_url");
            let mut image = Object::open(entry.key("image_url"));
            image.member("url", &format!("data:{media_type};base64,{data}"));
            image.close();
        }
    }
    entry.close();
}
