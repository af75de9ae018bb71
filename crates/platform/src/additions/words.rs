//! Tools for a model that only speaks text: they are described in words, and calls are read out of what it says.
//! The marks are those that many open models were trained with.

use std::collections::HashMap;

use quire_translate::{
    Block, CallInput, Choice, Delta, Event, Finish, Own, Part, Request, Role, Stop, Tool, ToolKind,
    Turn,
};
use serde_json::{Value, json};

const OPEN: &str = "<tool_call>";
const CLOSE: &str = "</tool_call>";

/// Puts a request's tools, calls and results into words. The listener hears the calls in the answer.
pub(crate) fn tell(
    request: &mut Request,
    ids: Box<dyn FnMut() -> String + Send + Sync>,
) -> Listener {
    let mut known = HashMap::new();
    let mut lines = Vec::new();
    for tool in &request.tools {
        describe(tool, None, &mut lines, &mut known);
    }
    let choice = request.choice.take();
    if !lines.is_empty() && choice != Some(Choice::None) {
        let text = instructions(&lines, choice.as_ref(), request.parallel);
        let at = request
            .turns
            .iter()
            .take_while(|turn| is_instructions(turn))
            .count();
        request.turns.insert(at, turn(Role::System, text));
    }
    request.tools.clear();
    request.parallel = None;
    for turn in &mut request.turns {
        for part in &mut turn.parts {
            put_into_words(part);
        }
    }
    Listener {
        known,
        ids,
        place: Place::Outside,
        held: String::new(),
        open: false,
        called: false,
    }
}

fn is_instructions(turn: &Turn) -> bool {
    matches!(turn.role, Role::System | Role::Developer)
}

fn turn(role: Role, text: String) -> Turn {
    Turn {
        role,
        parts: vec![Part::Text {
            text,
            own: Own::new(),
        }],
        own: Own::new(),
    }
}

/// What a client calls a tool that the model calls by one word.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Known {
    name: String,
    namespace: Option<String>,
    free: bool,
}

fn describe(
    tool: &Tool,
    namespace: Option<&str>,
    lines: &mut Vec<String>,
    known: &mut HashMap<String, Known>,
) {
    let mut add = |name: &str, description: Option<&str>, schema: Value, free: bool| {
        let told = namespace.map_or_else(|| name.to_owned(), |space| format!("{space}__{name}"));
        lines.push(
            json!({"name": told, "description": description.unwrap_or(""), "parameters": schema})
                .to_string(),
        );
        let tool = Known {
            name: name.to_owned(),
            namespace: namespace.map(str::to_owned),
            free,
        };
        known.insert(told, tool);
    };
    match &tool.kind {
        ToolKind::Function {
            name,
            description,
            schema,
            ..
        } => add(name, description.as_deref(), schema.clone(), false),
        ToolKind::Custom {
            name, description, ..
        } => {
            let schema = json!({"type": "object", "properties": {"input": {"type": "string"}}, "required": ["input"]});
            add(name, description.as_deref(), schema, true);
        }
        ToolKind::Namespace { name, tools, .. } => {
            for tool in tools {
                describe(tool, Some(name), lines, known);
            }
        }
        // The vendor would have run it.
        ToolKind::Vendor(_) => {}
    }
}

fn instructions(lines: &[String], choice: Option<&Choice>, parallel: Option<bool>) -> String {
    let must = match choice {
        Some(Choice::Any) => " Call at least one now.".to_owned(),
        Some(Choice::Tool { name, .. }) => format!(" Call `{name}` now."),
        Some(Choice::Allowed { must, tools }) => {
            let names: Vec<&str> = tools.iter().map(|tool| tool.name.as_str()).collect();
            let at_least = if *must {
                " Call at least one of them now."
            } else {
                ""
            };
            format!(" Use only these now: {}.{at_least}", names.join(", "))
        }
        Some(Choice::Auto | Choice::None | Choice::Other(_)) | None => String::new(),
    };
    let several = if parallel == Some(false) {
        "Call one tool at a time."
    } else {
        "For several calls write several such blocks."
    };
    format!(
        "You have tools. To call one, write exactly this, with the tool's name and arguments as JSON:\n{OPEN}\n\
         {{\"name\": \"NAME\", \"arguments\": {{…}}}}\n{CLOSE}\n{several} After your calls, stop: the results come in \
         <tool_response> blocks.{must}\n\nThe tools:\n{}",
        lines.join("\n")
    )
}

/// What was called and answered before, as the model would have written and read it.
fn put_into_words(part: &mut Part) {
    let text = match part {
        Part::Call { name, input, .. } => {
            let arguments = match input {
                CallInput::Json(text) => serde_json::from_str(text).unwrap_or_else(|_| json!({})),
                CallInput::Free(text) => json!({ "input": text }),
            };
            format!(
                "{OPEN}\n{}\n{CLOSE}",
                json!({"name": name, "arguments": arguments})
            )
        }
        Part::Result {
            content, failed, ..
        } => {
            let mut said = String::new();
            for part in content.iter() {
                if let Part::Text { text, .. } = part {
                    said.push_str(text);
                }
            }
            let mark = if *failed == Some(true) {
                "The call failed:\n"
            } else {
                ""
            };
            format!("<tool_response>\n{mark}{said}\n</tool_response>")
        }
        Part::Text { .. }
        | Part::Refusal { .. }
        | Part::Image { .. }
        | Part::Document { .. }
        | Part::Thinking { .. }
        | Part::Compaction { .. }
        | Part::Other(_) => return,
    };
    *part = Part::Text {
        text,
        own: Own::new(),
    };
}

/// Hears calls in an answer's text.
pub(crate) struct Listener {
    known: HashMap<String, Known>,
    ids: Box<dyn FnMut() -> String + Send + Sync>,
    place: Place,
    /// What may be the start of a mark, or stands inside one.
    held: String,
    /// Whether a block of text is open for the client.
    open: bool,
    called: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Not in a block of text.
    Outside,
    /// In text.
    Text,
    /// Between the marks of a call.
    Call,
}

impl Listener {
    /// Takes an event of the upstream's and gives those of the client.
    pub(crate) fn hear(&mut self, event: Event, out: &mut dyn FnMut(Event)) {
        match event {
            Event::Open(Block::Text(_)) => self.place = Place::Text,
            Event::Grow(Delta::Text(text)) if self.place != Place::Outside => {
                self.held.push_str(&text);
                self.listen(out);
            }
            Event::Close(own) if self.place != Place::Outside => {
                self.flush(out);
                self.close(own, out);
                self.place = Place::Outside;
            }
            Event::Finish(finish) => {
                let stop = match finish.stop {
                    Stop::End | Stop::Sequence(_) if self.called => Stop::Tools,
                    stop => stop,
                };
                out(Event::Finish(Finish { stop, ..finish }));
            }
            other => out(other),
        }
    }

    fn listen(&mut self, out: &mut dyn FnMut(Event)) {
        loop {
            let mark = match self.place {
                Place::Text => OPEN,
                Place::Call => CLOSE,
                Place::Outside => return,
            };
            let Some(at) = self.held.find(mark) else {
                break;
            };
            let rest = self.held.split_off(at + mark.len());
            let mut before = std::mem::replace(&mut self.held, rest);
            before.truncate(at);
            if self.place == Place::Text {
                self.say(before.trim_end(), out);
                self.place = Place::Call;
            } else {
                self.call(&before, out);
                self.place = Place::Text;
            }
        }
        if self.place == Place::Text {
            // What may yet become a mark waits, and so does white space that stands before one.
            let keep = tail_to_hold(&self.held);
            let rest = self.held.split_off(self.held.len() - keep);
            let said = std::mem::replace(&mut self.held, rest);
            self.say(&said, out);
        }
    }

    /// The text ends: a call without its last mark is a call, and what never became one is text.
    fn flush(&mut self, out: &mut dyn FnMut(Event)) {
        let held = std::mem::take(&mut self.held);
        match self.place {
            Place::Call => self.call(&held, out),
            Place::Text => self.say(if self.called { held.trim_end() } else { &held }, out),
            Place::Outside => {}
        }
    }

    fn say(&mut self, text: &str, out: &mut dyn FnMut(Event)) {
        // Nothing but white space between two calls is no text.
        if text.is_empty() || (!self.open && self.called && text.trim().is_empty()) {
            return;
        }
        if !std::mem::replace(&mut self.open, true) {
            out(Event::Open(Block::Text(Own::new())));
        }
        out(Event::Grow(Delta::Text(text.to_owned())));
    }

    fn close(&mut self, own: Own, out: &mut dyn FnMut(Event)) {
        if std::mem::replace(&mut self.open, false) {
            out(Event::Close(own));
        }
    }

    fn call(&mut self, text: &str, out: &mut dyn FnMut(Event)) {
        let Some((told, arguments)) = read_call(text) else {
            // Not a call after all: nothing that the model said is lost.
            self.say(&format!("{OPEN}{text}{CLOSE}"), out);
            return;
        };
        self.close(Own::new(), out);
        self.called = true;
        let known = self.known.get(&told).cloned().unwrap_or(Known {
            name: told,
            namespace: None,
            free: false,
        });
        let input = match (known.free, &arguments) {
            (true, Value::Object(fields)) => {
                let input = fields.get("input").and_then(Value::as_str);
                input.map_or_else(|| arguments.to_string(), str::to_owned)
            }
            (true, Value::String(text)) => text.clone(),
            _ => arguments.to_string(),
        };
        let mut own = Own::new();
        if let Some(namespace) = known.namespace {
            own.insert("namespace".to_owned(), namespace.into());
        }
        out(Event::Open(Block::Call {
            id: (self.ids)(),
            name: known.name,
            free: known.free,
            own,
        }));
        out(Event::Grow(Delta::Input(input)));
        out(Event::Close(Own::new()));
    }
}

/// How much of a text's end waits: what may be the start of a mark, with the white space before it.
fn tail_to_hold(text: &str) -> usize {
    let mark = (1..OPEN.len())
        .rev()
        .find(|length| text.ends_with(&OPEN[..*length]));
    let before = &text[..text.len() - mark.unwrap_or(0)];
    text.len() - before.trim_end().len()
}

/// A call's name and arguments, however the model wrapped them.
fn read_call(text: &str) -> Option<(String, Value)> {
    let text = text.trim();
    let text = text
        .strip_prefix("```json")
        .or_else(|| text.strip_prefix("```"))
        .unwrap_or(text);
    let text = text.trim().trim_end_matches("```").trim();
    let call: Value = serde_json::from_str(text).ok()?;
    let call = call
        .get("function")
        .filter(|inner| inner.is_object())
        .unwrap_or(&call);
    let name = call
        .get("name")
        .or_else(|| call.get("tool"))?
        .as_str()?
        .to_owned();
    let arguments = call
        .get("arguments")
        .or_else(|| call.get("parameters"))
        .or_else(|| call.get("input"));
    let arguments = match arguments {
        None | Some(Value::Null) => json!({}),
        // Some write JSON within JSON.
        Some(Value::String(inner)) => {
            serde_json::from_str(inner).unwrap_or_else(|_| Value::String(inner.clone()))
        }
        Some(other) => other.clone(),
    };
    Some((name, arguments))
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use quire_dialect::Dialect;
    use quire_translate::{Tally, decode_request};

    use std::fmt::Write as _;

    use super::*;

    fn numbered() -> Box<dyn FnMut() -> String + Send + Sync> {
        let mut count = 0;
        Box::new(move || {
            count += 1;
            format!("call_{count}")
        })
    }

    fn request(body: &Value) -> Request {
        decode_request(Dialect::Chat, body.to_string().as_bytes()).unwrap()
    }

    fn tools() -> Value {
        json!([
            {"type": "function", "function": {"name": "add", "description": "Adds.", "parameters": {"type": "object"}}},
            {"type": "custom", "custom": {"name": "patch"}},
        ])
    }

    fn heard(chunks: &[&str]) -> String {
        let mut request = request(
            &json!({"model": "m", "messages": [{"role": "user", "content": "hi"}], "tools": tools()}),
        );
        let mut listener = tell(&mut request, numbered());
        let mut told = String::new();
        let mut out = |event: Event| match event {
            Event::Open(Block::Text(_)) => told.push_str("text:"),
            Event::Open(Block::Call { id, name, free, .. }) => {
                write!(told, "{id}:{name}:{free}:").unwrap();
            }
            Event::Grow(Delta::Text(text) | Delta::Input(text)) => {
                write!(told, "[{text}]").unwrap();
            }
            Event::Close(_) => told.push('\n'),
            Event::Finish(finish) => write!(told, "{:?}", finish.stop).unwrap(),
            other => write!(told, "{other:?}").unwrap(),
        };
        listener.hear(Event::Open(Block::Text(Own::new())), &mut out);
        for chunk in chunks {
            listener.hear(Event::Grow(Delta::Text((*chunk).to_owned())), &mut out);
        }
        listener.hear(Event::Close(Own::new()), &mut out);
        let finish = Finish {
            stop: Stop::End,
            tally: Tally::default(),
            own: Own::new(),
        };
        listener.hear(Event::Finish(finish), &mut out);
        told
    }

    #[expect(
        clippy::needless_pass_by_value,
        reason = "an expectation is written where it is checked"
    )]
    fn check(chunks: &[&str], expected: Expect) {
        expected.assert_eq(&heard(chunks));
        // Whatever the chunks, the same calls and the same words.
        let whole = chunks.concat();
        let letters: Vec<String> = whole.chars().map(String::from).collect();
        let letters: Vec<&str> = letters.iter().map(String::as_str).collect();
        let joined = |told: String| told.replace("][", "");
        assert_eq!(joined(heard(&letters)), joined(heard(&[&whole])));
    }

    #[test]
    fn calls_are_heard_in_text() {
        check(
            &["Just words. a < b <tool"],
            expect![[r"
            text:[Just words. a < b][ <tool]
            End"]],
        );
        check(
            &[
                "I add.\n<tool_call>\n{\"name\": \"add\", \"argu",
                "ments\": {\"a\": 1}}\n</tool_call>\n<tool_call>{\"name\":\"patch\",\"arguments\":{\"input\":\"x\\ny\"}}</tool_call>\n",
            ],
            expect![[r#"
                text:[I add.]
                call_1:add:false:[{"a":1}]
                call_2:patch:true:[x
                y]
                Tools"#]],
        );
        check(
            &[
                "<tool_call>```json\n{\"function\": {\"name\": \"add\", \"arguments\": \"{\\\"a\\\": 2}\"}}```",
            ],
            expect![[r#"
                call_1:add:false:[{"a":2}]
                Tools"#]],
        );
        check(
            &["<tool_call>not a call</tool_call> after"],
            expect![[r"
                text:[<tool_call>not a call</tool_call>][ after]
                End"]],
        );
    }

    #[test]
    fn tools_calls_and_results_are_told_in_words() {
        let mut request = request(
            &json!({"model": "m", "tools": tools(), "tool_choice": "required", "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": "hi"},
                {"role": "assistant", "content": null, "tool_calls": [
                    {"id": "c1", "type": "function", "function": {"name": "add", "arguments": "{\"a\":1}"}}]},
                {"role": "tool", "tool_call_id": "c1", "content": "2"},
            ]}),
        );
        tell(&mut request, numbered());
        assert!(request.tools.is_empty() && request.choice.is_none());
        let said: Vec<String> = request
            .turns
            .iter()
            .flat_map(|turn| &turn.parts)
            .map(|part| match part {
                Part::Text { text, .. } => text.clone(),
                other => format!("{other:?}"),
            })
            .collect();
        assert_eq!(said[0], "Be brief.");
        assert!(
            said[1].contains("\"name\":\"add\"") && said[1].ends_with('}'),
            "{}",
            said[1]
        );
        assert!(said[1].contains("Call at least one now."));
        assert_eq!(said[2], "hi");
        assert_eq!(
            said[3],
            "<tool_call>\n{\"name\":\"add\",\"arguments\":{\"a\":1}}\n</tool_call>"
        );
        assert_eq!(said[4], "<tool_response>\n2\n</tool_response>");
    }
}
