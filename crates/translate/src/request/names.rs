//! Names of tools and ids of calls in an API with stricter rules, and back.

use std::borrow::Cow;
use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use quire_dialect::Dialect;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::{CallInput, Target, Tool, ToolKind};

/// The most bytes of an id.
const ID_BYTES: usize = 64;
/// How an id begins that stands for one which the API would refuse.
const ENCODED: &str = "qid_";
/// How an id begins that stands for one which is too long to stand in it.
const HASHED: &str = "qih_";
/// The key under which an input travels that is no JSON object.
const BROKEN: &str = "invalid_json";
/// The property under which free text travels.
const FREE: &str = "input";
/// Between the name of a namespace and that of a tool in it.
const BETWEEN: &str = "__";

/// What an upstream's names of tools mean to the client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    known: BTreeMap<String, Named>,
    /// Namespace and name → the upstream's name, where that is another one.
    changed: BTreeMap<(Option<String>, String), String>,
}

/// A tool, as the client knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// Its name.
    pub name: String,
    /// The common name it stands under.
    pub namespace: Option<String>,
    /// Whether the client calls it with free text, and the upstream with `{"input": "…"}`.
    pub wrapped: bool,
}

impl Names {
    /// The client's tool by the upstream's name of it; `None` where it is the same tool under the same name.
    #[must_use]
    pub fn back(&self, upstream: &str) -> Option<&Named> {
        self.known.get(upstream)
    }

    /// All tools that have another name or another kind of input there, by the upstream's names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Named)> {
        self.known
            .iter()
            .map(|(name, named)| (name.as_str(), named))
    }

    /// The names of a request's tools at an upstream.
    pub(super) fn of(tools: &[Tool], from: Dialect, target: &Target<'_>) -> Self {
        let mut names = Self::default();
        let mut taken = BTreeMap::new();
        names.add(tools, None, from, target, &mut taken);
        names
    }

    fn add(
        &mut self,
        tools: &[Tool],
        namespace: Option<&str>,
        from: Dialect,
        target: &Target<'_>,
        taken: &mut BTreeMap<String, (Option<String>, String)>,
    ) {
        for tool in tools {
            let (name, free) = match &tool.kind {
                ToolKind::Function { name, .. } => (name, false),
                ToolKind::Custom { name, .. } => (name, true),
                ToolKind::Namespace { name, tools, .. } => {
                    let below = flattens(target).then_some(name.as_str());
                    self.add(tools, below, from, target, taken);
                    continue;
                }
                ToolKind::Vendor(_) => continue,
            };
            let wrapped = free && wraps(target);
            let mut upstream = fitting(namespace, name, from, target).into_owned();
            let key = (namespace.map(str::to_owned), name.clone());
            if taken.get(&upstream).is_some_and(|other| *other != key) {
                upstream = hashed(&upstream, &format!("{key:?}"));
            }
            taken.insert(upstream.clone(), key.clone());
            if upstream == *name && !wrapped {
                continue;
            }
            let named = Named {
                name: name.clone(),
                namespace: key.0.clone(),
                wrapped,
            };
            self.changed.insert(key, upstream.clone());
            self.known.insert(upstream, named);
        }
    }

    /// What the upstream calls a tool, whether or not it is offered any more.
    pub(super) fn upstream<'n>(
        &'n self,
        namespace: Option<&str>,
        name: &'n str,
        from: Dialect,
        target: &Target<'_>,
    ) -> Cow<'n, str> {
        let namespace = namespace.filter(|_| flattens(target));
        if !self.changed.is_empty() {
            let key = (namespace.map(str::to_owned), name.to_owned());
            if let Some(upstream) = self.changed.get(&key) {
                return Cow::Borrowed(upstream);
            }
        }
        fitting(namespace, name, from, target)
    }
}

/// Whether tools under a common name become tools with long names.
pub(super) fn flattens(target: &Target<'_>) -> bool {
    target.dialect != Dialect::Responses || !target.can.namespaces
}

/// Whether tools that are called with free text become functions.
pub(super) fn wraps(target: &Target<'_>) -> bool {
    target.dialect == Dialect::Messages || !target.can.custom_tools
}

/// A name by the rules of the target: those of OpenAI allow 64 bytes, those of Anthropic 128.
fn fitting<'n>(
    namespace: Option<&str>,
    name: &'n str,
    from: Dialect,
    target: &Target<'_>,
) -> Cow<'n, str> {
    let flat = match namespace {
        None if from == target.dialect => return Cow::Borrowed(name),
        None => Cow::Borrowed(name),
        Some(namespace) => Cow::Owned([namespace, name].join(BETWEEN)),
    };
    let most = if target.dialect == Dialect::Messages {
        128
    } else {
        64
    };
    if plain(&flat) && flat.len() <= most {
        return flat;
    }
    Cow::Owned(hashed(&flat, &flat))
}

/// What can be read of a name, and what tells it from others.
fn hashed(name: &str, of: &str) -> String {
    let readable = name.chars().take(40);
    let readable: String = readable
        .map(|char| if is_plain(char) { char } else { '_' })
        .collect();
    let digest = URL_SAFE_NO_PAD.encode(&Sha256::digest(of)[..12]);
    format!("{readable}_{digest}")
}

fn is_plain(char: char) -> bool {
    char.is_ascii_alphanumeric() || matches!(char, '_' | '-')
}

fn plain(text: &str) -> bool {
    !text.is_empty() && text.chars().all(is_plain)
}

/// Whether an API takes an id as it is.
fn takes(dialect: Dialect, id: &str) -> bool {
    id.len() <= ID_BYTES && (dialect != Dialect::Messages || plain(id))
}

/// An id that the API takes. In Messages, one of up to 45 bytes can be read back with [`id_back`].
pub(crate) fn id_for(dialect: Dialect, id: &str) -> Cow<'_, str> {
    if takes(dialect, id) {
        return Cow::Borrowed(id);
    }
    let encoded = format!("{ENCODED}{}", URL_SAFE_NO_PAD.encode(id));
    if encoded.len() <= ID_BYTES && dialect == Dialect::Messages {
        return Cow::Owned(encoded);
    }
    let digest = URL_SAFE_NO_PAD.encode(Sha256::digest(id));
    Cow::Owned(format!("{HASHED}{digest}"))
}

/// The id that one in Messages stands for.
pub(crate) fn id_back(id: &str) -> Cow<'_, str> {
    let encoded = id.strip_prefix(ENCODED);
    let decoded = encoded.and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
    let decoded = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
    match decoded {
        Some(decoded) if *id_for(Dialect::Messages, &decoded) == *id => Cow::Owned(decoded),
        Some(_) | None => Cow::Borrowed(id),
    }
}

/// The input of a call as the object that Messages wants.
pub(super) fn object_of(input: &CallInput) -> Value {
    let text = match input {
        CallInput::Free(text) => return serde_json::json!({ FREE: text }),
        CallInput::Json(text) if text.trim().is_empty() => return serde_json::json!({}),
        CallInput::Json(text) => text,
    };
    match serde_json::from_str::<Value>(text) {
        Ok(object @ Value::Object(_)) => object,
        // A model wrote it, and its own words are what it has to see again.
        Ok(_) | Err(_) => serde_json::json!({ BROKEN: text }),
    }
}

/// The input of a call as the text of an object.
pub(super) fn text_of(input: &CallInput) -> Cow<'_, str> {
    match input {
        CallInput::Json(text) => Cow::Borrowed(text),
        CallInput::Free(text) => Cow::Owned(serde_json::json!({ FREE: text }).to_string()),
    }
}

/// The text of an object, or the broken text that stands in it.
pub(super) fn unwrap_broken(input: &Value) -> String {
    if let Some(Value::String(text)) = input.get(BROKEN)
        && object_of(&CallInput::Json(text.clone())) == *input
    {
        return text.clone();
    }
    input.to_string()
}

/// The schema of a function that is called with free text.
pub(super) fn free_schema() -> Value {
    serde_json::json!({
        "type": "object",
        "properties": { FREE: { "type": "string" } },
        "required": [FREE],
        "additionalProperties": false,
    })
}

/// What a tool that is called with free text is for, with its grammar in words.
pub(super) fn free_description(
    description: Option<&str>,
    grammar: Option<&Value>,
) -> Option<String> {
    let Some(grammar) = grammar else {
        return description.map(str::to_owned);
    };
    let description = description.unwrap_or_default();
    let text = |key: &str| grammar.get(key).and_then(Value::as_str);
    let (syntax, definition) = (text("syntax"), text("definition"));
    Some(format!(
        "{description}\n\nThe input is text by this {} grammar:\n{}",
        syntax.unwrap_or("formal"),
        definition.map_or_else(|| grammar.to_string(), str::to_owned),
    ))
}
