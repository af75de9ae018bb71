//! What Responses and Chat Completions write alike.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use quire_dialect::Dialect;
use serde_json::Value;

use super::plan::Plan;
use super::read::{Fields, Path, Shape, mark};
use super::write::Object;
use super::{Choice, Format, Own, Part, Pick, Source, losses, settings};
use crate::refusal::Refusal;

/// Who the end user is: `safety_identifier`, or `user` where there is none.
pub(super) fn end_user(fields: &mut Fields<'_>) -> Result<Option<String>, Refusal> {
    if let Some(name) = fields.text("safety_identifier")? {
        return Ok(Some(name));
    }
    let name = fields.text("user")?;
    if name.is_some() {
        fields.mark(mark::END_USER, "user");
    }
    Ok(name)
}

/// A choice of tools: a word, or an object that `object` knows.
pub(super) fn choice(
    value: Value,
    here: Path<'_>,
    object: impl FnOnce(&Value) -> Option<Choice>,
) -> Result<Choice, Refusal> {
    match &value {
        Value::String(word) => match word.as_str() {
            "auto" => Ok(Choice::Auto),
            "required" => Ok(Choice::Any),
            "none" => Ok(Choice::None),
            other => Err(here.unknown(other, &["none", "auto", "required"])),
        },
        Value::Object(_) => Ok(object(&value).unwrap_or(Choice::Other(value))),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => {
            Err(here.wrong(Shape::Object, &value))
        }
    }
}

/// `mode` and `tools` of an allowed-tools choice.
pub(super) fn allowed(map: &Own, pick: impl Fn(&Value) -> Option<Pick>) -> Option<Choice> {
    let must = match map.get("mode")?.as_str()? {
        "auto" => false,
        "required" => true,
        _other => return None,
    };
    let tools = map.get("tools")?.as_array()?;
    let tools = tools.iter().map(pick).collect::<Option<_>>()?;
    Some(Choice::Allowed { must, tools })
}

/// The fields of a schema for the answer.
pub(super) fn schema(fields: &mut Fields<'_>) -> Result<Format, Refusal> {
    Ok(Format::JsonSchema {
        name: fields.text("name")?,
        description: fields.text("description")?,
        schema: fields.take("schema").unwrap_or_default(),
        strict: fields.flag("strict")?,
    })
}

/// Takes how closely a picture is looked at.
pub(super) fn detail(fields: &mut Fields<'_>) {
    if let Some(detail) = fields.take("detail") {
        fields.mark(mark::DETAIL, detail);
    }
}

/// The bytes that a `data:` address holds, or the address.
pub(super) fn from_url(url: String) -> Source {
    match split(&url) {
        Some((media_type, start)) => {
            let media_type = media_type.to_owned();
            let mut data = url;
            data.drain(..start);
            Source::Base64 { media_type, data }
        }
        None => Source::Url(url),
    }
}

/// The type of a `data:` address and where its bytes begin.
fn split(url: &str) -> Option<(&str, usize)> {
    let rest = url.strip_prefix("data:")?;
    let comma = rest.find(',')?;
    let media_type = rest[..comma].strip_suffix(";base64")?;
    (!media_type.is_empty()).then_some((media_type, "data:".len() + comma + 1))
}

/// An address that holds bytes.
pub(super) fn data_url(media_type: &str, data: &str) -> String {
    ["data:", media_type, ";base64,", data].concat()
}

/// Whether a file says once where it is, in a way that the common words have.
pub(super) fn has_one_source(fields: &Fields<'_>) -> bool {
    let keys = ["file_data", "file_url", "file_id"];
    keys.into_iter().filter(|key| fields.has(key)).count() == 1
}

/// A file: its fields are the same in both APIs, and stand one object deeper in Chat.
pub(super) fn file(mut fields: Fields<'_>) -> Result<Part, Refusal> {
    let name = fields.text("filename")?;
    let source = if let Some(id) = fields.text("file_id")? {
        Source::File(id)
    } else if let Some(url) = fields.text("file_url")? {
        Source::Url(url)
    } else {
        match from_url(fields.need_text("file_data")?) {
            // Bare base64, which is taken too.
            Source::Url(data) => Source::Base64 {
                media_type: String::new(),
                data,
            },
            source @ (Source::Base64 { .. } | Source::Text(_) | Source::File(_)) => source,
        }
    };
    Ok(Part::Document {
        source,
        name,
        own: fields.rest(),
    })
}

/// The address of a picture.
pub(super) fn url_of(source: &Source) -> Cow<'_, str> {
    match source {
        Source::Base64 { media_type, data } => data_url(media_type, data).into(),
        Source::Text(text) => data_url("text/plain", &STANDARD.encode(text)).into(),
        Source::Url(url) | Source::File(url) => url.into(),
    }
}

/// The fields of a file.
pub(super) fn put_file(
    file: &mut Object<'_>,
    source: &Source,
    name: Option<&str>,
    own: Option<&Own>,
) {
    match source {
        Source::File(id) => file.put("file_id", id),
        Source::Url(url) => file.put("file_url", url),
        Source::Base64 { media_type, data } if media_type.is_empty() => file.put("file_data", data),
        Source::Base64 { .. } | Source::Text(_) => file.put("file_data", &url_of(source)),
    }
    // Bytes need a name in another API, where they may have had none.
    let bytes = matches!(source, Source::Base64 { .. } | Source::Text(_));
    let unnamed = if matches!(source, Source::Text(_)) {
        "document.txt"
    } else {
        "document.pdf"
    };
    file.maybe(
        "filename",
        name.or((bytes && own.is_none()).then_some(unnamed)),
    );
}

/// A schema for the answer: name, description, schema, strictness.
pub(super) type SchemaFormat<'a> = (Option<&'a str>, Option<&'a str>, &'a Value, Option<bool>);

/// The fields of a schema for the answer. OpenAI wants a name, and its strict mode takes no optional property.
pub(super) fn put_schema(format: &mut Object<'_>, of: SchemaFormat<'_>, plan: &Plan<'_>) {
    let (name, description, schema, strict) = of;
    let foreign = plan.request.from == Dialect::Messages;
    format.maybe("name", name.or(foreign.then_some("answer")));
    format.maybe("description", description);
    format.maybe("schema", Some(schema).filter(|schema| !schema.is_null()));
    format.maybe(
        "strict",
        strict.or(foreign.then(|| settings::is_strict(schema))),
    );
}

/// The fields of a body that both APIs have by the same name, and Messages by another.
pub(super) fn put_common(plan: &Plan<'_>, body: &mut Object<'_>) {
    let request = plan.request;
    if let Some(user) = &request.end_user {
        let older = request.own.get(mark::END_USER).is_some();
        let key = if older { "user" } else { "safety_identifier" };
        body.put(key, &settings::end_user(user, request.from));
    }
    body.maybe("prompt_cache_key", request.cache_key.as_deref());
    if let Some(tier) = &request.service_tier {
        let named = settings::service_tier(tier, request.from, plan.target.dialect);
        body.maybe("service_tier", named);
        if named.is_none() {
            plan.losses.note("service_tier", "OpenAI has no such tier");
        }
    }
    for key in losses::SHARED {
        body.maybe(key, plan.shared(key));
    }
}
