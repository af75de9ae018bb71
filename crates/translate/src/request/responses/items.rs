//! Items of Responses, read: each is a turn of its own.

use serde_json::Value;

use crate::refusal::Refusal;
use crate::request::openai;
use crate::request::read::{Fields, Path, Shape, mark};
use crate::request::{CallInput, Own, Part, Role, Turn};

/// The turn that an item is.
pub(super) fn item(mut fields: Fields<'_>) -> Result<Turn, Refusal> {
    let here = fields.path;
    let kind = match fields.peek("type") {
        None | Some(Value::Null) if fields.has("role") => "message",
        None | Some(Value::Null) => return Ok(other(fields, Role::User)),
        Some(Value::String(kind)) => kind.as_str(),
        Some(other) => return Err(here.key("type").wrong(Shape::Text, other)),
    };
    let kind = match kind {
        "message" => return message(fields),
        "function_call" => Kind::Call,
        "custom_tool_call" => Kind::FreeCall,
        "function_call_output" => Kind::Output,
        "custom_tool_call_output" => Kind::FreeOutput,
        "reasoning" => Kind::Reasoning,
        "compaction" => Kind::Compaction,
        kind => {
            let role = whose(kind);
            return Ok(other(fields, role));
        }
    };
    fields.take("type");
    let (role, part) = known(kind, fields)?;
    Ok(Turn {
        role,
        parts: vec![part],
        own: Own::new(),
    })
}

/// Items that the common words have a part for.
#[derive(Clone, Copy)]
enum Kind {
    Call,
    FreeCall,
    Output,
    FreeOutput,
    Reasoning,
    Compaction,
}

fn known(kind: Kind, mut fields: Fields<'_>) -> Result<(Role, Part), Refusal> {
    Ok(match kind {
        Kind::Call | Kind::FreeCall => {
            let id = fields.need_text("call_id")?;
            let name = fields.need_text("name")?;
            let input = match kind {
                Kind::FreeCall => CallInput::Free(fields.need_text("input")?),
                Kind::Call
                | Kind::Output
                | Kind::FreeOutput
                | Kind::Reasoning
                | Kind::Compaction => CallInput::Json(fields.need_text("arguments")?),
            };
            let part = Part::Call {
                id,
                name,
                input,
                own: fields.rest(),
            };
            (Role::Assistant, part)
        }
        Kind::Output => (Role::User, output(fields, false)?),
        Kind::FreeOutput => (Role::User, output(fields, true)?),
        Kind::Reasoning => (Role::Assistant, reasoning(fields)?),
        Kind::Compaction => {
            let part = Part::Compaction {
                text: None,
                seal: fields.text("encrypted_content")?,
                own: fields.rest(),
            };
            (Role::Assistant, part)
        }
    })
}

fn output(mut fields: Fields<'_>, free: bool) -> Result<Part, Refusal> {
    let here = fields.path;
    let id = fields.need_text("call_id")?;
    let value = fields.need("output")?;
    let mut own = fields.rest();
    let content = content(value, here.key("output"), Role::User, &mut own)?;
    Ok(Part::Result {
        id,
        content,
        failed: None,
        free,
        own,
    })
}

/// Summary and content stay as they are; their words are the thinking as far as it is shown.
fn reasoning(mut fields: Fields<'_>) -> Result<Part, Refusal> {
    let seal = fields.text("encrypted_content")?;
    let text = ["summary", "content"]
        .into_iter()
        .filter_map(|key| fields.peek(key)?.as_array())
        .map(|parts| {
            let texts = parts.iter().filter_map(|part| part.get("text")?.as_str());
            texts.collect::<Vec<_>>().join("\n\n")
        })
        .find(|text| !text.is_empty());
    Ok(Part::Thinking {
        text: text.unwrap_or_default(),
        seal,
        own: fields.rest(),
    })
}

fn other(fields: Fields<'_>, role: Role) -> Turn {
    let mut own = Own::new();
    own.insert(mark::AT.to_owned(), "item".into());
    Turn {
        role,
        parts: vec![Part::Other(fields.whole())],
        own,
    }
}

/// Who is behind an item that is not known.
fn whose(kind: &str) -> Role {
    match kind {
        "additional_tools" | "configuration_update" => Role::Developer,
        "item_reference" | "compaction_trigger" | "mcp_approval_response" => Role::User,
        output if output.ends_with("_output") => Role::User,
        _call => Role::Assistant,
    }
}

fn message(mut fields: Fields<'_>) -> Result<Turn, Refusal> {
    let here = fields.path;
    let role = fields.need_text("role")?;
    let role = match role.as_str() {
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "system" => Role::System,
        "developer" => Role::Developer,
        other => {
            let known = ["assistant", "system", "developer", "user"];
            return Err(here.key("role").unknown(other, &known));
        }
    };
    let value = fields.need("content")?;
    let mut own = fields.rest();
    let parts = content(value, here.key("content"), role, &mut own)?;
    Ok(Turn { role, parts, own })
}

fn content(value: Value, here: Path<'_>, role: Role, own: &mut Own) -> Result<Vec<Part>, Refusal> {
    match value {
        Value::String(text) => {
            own.insert(mark::TEXT.to_owned(), true.into());
            let own = Own::new();
            Ok(vec![Part::Text { text, own }])
        }
        Value::Array(parts) => parts
            .into_iter()
            .enumerate()
            .map(|(index, value)| part(value, here.at(index), role))
            .collect(),
        other => Err(here.wrong(Shape::TextOrList, &other)),
    }
}

/// The type of a text by who said it.
pub(super) fn text_type(role: Role) -> &'static str {
    match role {
        Role::Assistant => "output_text",
        Role::System | Role::Developer | Role::User => "input_text",
    }
}

fn part(value: Value, here: Path<'_>, role: Role) -> Result<Part, Refusal> {
    let mut fields = Fields::new(value, here)?;
    let kind = match fields.peek("type") {
        None => return Err(here.key("type").missing()),
        Some(Value::String(kind)) => kind.clone(),
        Some(other) => return Err(here.key("type").wrong(Shape::Text, other)),
    };
    match kind.as_str() {
        "input_text" | "output_text" | "text" => {
            fields.take("type");
            if kind != text_type(role) {
                fields.mark(mark::TYPE, kind);
            }
            Ok(Part::Text {
                text: fields.need_text("text")?,
                own: fields.rest(),
            })
        }
        "refusal" => {
            fields.take("type");
            Ok(Part::Refusal {
                text: fields.need_text("refusal")?,
                own: fields.rest(),
            })
        }
        "input_image" if fields.has("image_url") != fields.has("file_id") => {
            fields.take("type");
            openai::detail(&mut fields);
            let source = match fields.text("image_url")? {
                Some(url) => openai::from_url(url),
                None => crate::request::Source::File(fields.need_text("file_id")?),
            };
            Ok(Part::Image {
                source,
                own: fields.rest(),
            })
        }
        "input_file" if openai::has_one_source(&fields) => {
            fields.take("type");
            openai::file(fields)
        }
        _other => Ok(Part::Other(fields.whole())),
    }
}
