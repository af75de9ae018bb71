//! The types as JSON Schema, 2020-12.

use serde_json::{Map, Value, json};

use super::shape::{Body, Declared, Field, Kind, Shape, Variant, Wire};

/// The schema as text.
pub(super) fn write(wire: &Wire) -> String {
    let mut types: Map<String, Value> = wire
        .types
        .iter()
        .map(|(name, declared)| (name.clone(), of_type(declared)))
        .collect();
    types.insert("RpcRequest".to_owned(), json!({ "oneOf": requests(wire) }));
    types.insert("RpcNotice".to_owned(), json!({ "oneOf": notices(wire) }));
    types.insert("RpcAnswer".to_owned(), answer());
    let codes = wire
        .codes
        .iter()
        .map(|code| described(json!({ "const": code.number }), &code.doc));
    let codes: Vec<Value> = codes.collect();
    types.insert("ErrorCode".to_owned(), json!({ "oneOf": codes }));
    let results: Map<String, Value> = wire
        .asked
        .iter()
        .map(|asked| (asked.method.clone(), of_answer(asked.result.as_ref())))
        .collect();
    let schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "What Quire's host and its faces say to each other",
        "description": "One message of the wire. A line of a journal is a `Record`. Later versions may \
                        add members, and values of named lists: skip what you do not know. What an \
                        answer to each method holds stands under `x-results`.",
        "anyOf": [reference("RpcRequest"), reference("RpcAnswer"), reference("RpcNotice")],
        "x-results": results,
        "$defs": types,
    });
    format!("{schema:#}\n")
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/$defs/{name}") })
}

fn described(mut schema: Value, doc: &str) -> Value {
    if let (Some(members), false) = (schema.as_object_mut(), doc.is_empty()) {
        members.insert("description".to_owned(), doc.into());
    }
    schema
}

fn message(mut members: Map<String, Value>, required: &[&str]) -> Value {
    members.insert("jsonrpc".to_owned(), json!({ "const": "2.0" }));
    json!({ "type": "object", "properties": members, "required": required })
}

fn requests(wire: &Wire) -> Vec<Value> {
    let request = |asked: &super::shape::Asked| {
        let mut members = Map::new();
        members.insert("id".to_owned(), json!({ "type": ["string", "number"] }));
        members.insert("method".to_owned(), json!({ "const": asked.method }));
        let mut required = vec!["id", "method"];
        if let Some(params) = &asked.params {
            members.insert("params".to_owned(), of(params));
            required.push("params");
        }
        described(message(members, &required), &asked.doc)
    };
    wire.asked.iter().map(request).collect()
}

fn notices(wire: &Wire) -> Vec<Value> {
    let notice = |told: &super::shape::Told| {
        let mut members = Map::new();
        members.insert("method".to_owned(), json!({ "const": told.method }));
        members.insert("params".to_owned(), of(&told.params));
        let schema = message(members, &["jsonrpc", "method", "params"]);
        described(schema, &told.doc)
    };
    wire.told.iter().map(notice).collect()
}

fn answer() -> Value {
    let one = |name: &str, value: Value| {
        let mut members = Map::new();
        members.insert(
            "id".to_owned(),
            json!({ "type": ["string", "number", "null"] }),
        );
        members.insert(name.to_owned(), value);
        message(members, &["jsonrpc", "id", name])
    };
    json!({ "oneOf": [one("result", json!({})), one("error", reference("Failure"))] })
}

fn of_answer(result: Option<&Kind>) -> Value {
    result.map_or_else(|| json!({ "type": "null" }), of)
}

fn of_type(declared: &Declared) -> Value {
    let schema = match &declared.shape {
        Shape::Alias(kind) => of(kind),
        Shape::Object(fields) => object(fields, None),
        Shape::Choice { tag, variants } => {
            let each =
                |variant: &Variant| described(of_variant(tag.as_deref(), variant), &variant.doc);
            json!({ "oneOf": variants.iter().map(each).collect::<Vec<_>>() })
        }
    };
    described(schema, &declared.doc)
}

fn of_variant(tag: Option<&str>, variant: &Variant) -> Value {
    let name = json!({ "const": variant.name });
    let Some(tag) = tag else {
        let body = match &variant.body {
            Body::Nothing => return name,
            Body::Of(kind) => of(kind),
            Body::Fields(fields) => object(fields, None),
        };
        let name = &variant.name;
        return json!({ "type": "object", "properties": { name: body }, "required": [name] });
    };
    match &variant.body {
        Body::Nothing => object(&[], Some((tag, name))),
        Body::Fields(fields) => object(fields, Some((tag, name))),
        Body::Of(kind) => json!({ "allOf": [object(&[], Some((tag, name))), of(kind)] }),
    }
}

/// An object, with the member that says which variant it is.
fn object(fields: &[Field], tag: Option<(&str, Value)>) -> Value {
    let (mut members, mut required, mut parts) = (Map::new(), Vec::new(), Vec::new());
    if let Some((tag, name)) = tag {
        members.insert(tag.to_owned(), name);
        required.push(tag.to_owned());
    }
    for field in fields {
        if field.flat {
            parts.push(of(&field.kind));
            continue;
        }
        members.insert(field.name.clone(), described(of(&field.kind), &field.doc));
        if !field.optional {
            required.push(field.name.clone());
        }
    }
    let own = json!({ "type": "object", "properties": members, "required": required });
    if parts.is_empty() {
        return own;
    }
    parts.insert(0, own);
    json!({ "allOf": parts })
}

fn of(kind: &Kind) -> Value {
    match kind {
        Kind::Text => json!({ "type": "string" }),
        Kind::Truth => json!({ "type": "boolean" }),
        Kind::Integer => json!({ "type": "integer" }),
        Kind::Count => json!({ "type": "integer", "minimum": 0 }),
        Kind::Any => json!({}),
        Kind::List(each) => json!({ "type": "array", "items": of(each) }),
        Kind::Map(each) => json!({ "type": "object", "additionalProperties": of(each) }),
        Kind::Maybe(inner) => json!({ "anyOf": [of(inner), { "type": "null" }] }),
        Kind::Named(name) => reference(name),
    }
}
