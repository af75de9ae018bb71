//! What a tool takes, as a schema that every provider takes. Pure.

use serde_json::{Map, Value, json};

/// Keywords that join or choose among schemas. Providers refuse them at the top, and with them every
/// request that has the tool.
const JOINING: [&str; 3] = ["allOf", "anyOf", "oneOf"];
/// Other keywords that some refuse there.
const REFUSED: [&str; 3] = ["$schema", "enum", "not"];
/// How deep references and joined schemas may lie in each other.
const DEEPEST: usize = 8;
/// What the name of an argument may have at most.
const LONGEST_NAME: usize = 64;

/// A schema of objects that names every argument at its top. What it cannot say of them any more comes
/// with it.
pub(crate) fn flat(told: &Map<String, Value>) -> (Value, Map<String, Value>) {
    let mut schema = told.clone();
    let mut lost = Map::new();
    for key in REFUSED.iter().chain(&JOINING).chain(&["$ref"]) {
        if let Some(value) = schema.shift_remove(*key) {
            lost.insert((*key).to_owned(), value);
        }
    }
    lost.shift_remove("$schema");
    if schema.get("type") != Some(&json!("object")) {
        schema.shift_insert(0, "type".to_owned(), json!("object"));
    }
    let (mut properties, mut required) = arguments(told, told, 0);
    properties.retain(|name, _| fits(name));
    required.retain(|name| properties.contains_key(name));
    schema.insert("properties".to_owned(), Value::Object(properties));
    if required.is_empty() {
        schema.shift_remove("required");
    } else {
        schema.insert("required".to_owned(), json!(required));
    }
    // What a reference says stands in the schema now.
    lost.shift_remove("$ref");
    (Value::Object(schema), lost)
}

/// Whether every provider takes an argument of this name.
fn fits(name: &str) -> bool {
    let plain = |char: char| char.is_ascii_alphanumeric() || "_.-".contains(char);
    (1..=LONGEST_NAME).contains(&name.len()) && name.chars().all(plain)
}

/// All arguments that a schema names, and those that it always wants.
fn arguments(
    schema: &Map<String, Value>,
    root: &Map<String, Value>,
    depth: usize,
) -> (Map<String, Value>, Vec<String>) {
    let own = schema.get("properties").and_then(Value::as_object);
    let mut properties = own.cloned().unwrap_or_default();
    let own = schema.get("required").and_then(Value::as_array);
    let own = own.into_iter().flatten().filter_map(Value::as_str);
    let mut required: Vec<String> = own.map(str::to_owned).collect();
    if depth == DEEPEST {
        return (properties, required);
    }
    let pointed = schema.get("$ref").and_then(Value::as_str);
    let pointed = pointed.and_then(|pointed| pointed.strip_prefix('#'));
    let pointed = pointed.and_then(|path| {
        path.split('/').skip(1).try_fold(None, |at, key| {
            let at: &Map<String, Value> = at.unwrap_or(root);
            at.get(key)?.as_object().map(Some)
        })
    });
    let joined = |key: &str| -> Vec<&Map<String, Value>> {
        let all = schema.get(key).and_then(Value::as_array);
        all.into_iter()
            .flatten()
            .filter_map(Value::as_object)
            .collect()
    };
    let always = pointed.flatten().into_iter().chain(joined("allOf"));
    for part in always {
        let (more, wanted) = arguments(part, root, depth + 1);
        add(&mut properties, more);
        required.extend(wanted);
    }
    for key in ["anyOf", "oneOf"] {
        let mut common: Option<Vec<String>> = None;
        for part in joined(key) {
            let (more, wanted) = arguments(part, root, depth + 1);
            add(&mut properties, more);
            match &mut common {
                Some(common) => common.retain(|name| wanted.contains(name)),
                None => common = Some(wanted),
            }
        }
        required.extend(common.unwrap_or_default());
    }
    let mut seen = std::collections::HashSet::new();
    required.retain(|name| seen.insert(name.clone()));
    (properties, required)
}

fn add(properties: &mut Map<String, Value>, more: Map<String, Value>) {
    for (name, schema) in more {
        properties.entry(name).or_insert(schema);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_names_its_arguments_at_the_top_and_keeps_their_order() {
        for (told, expected, lost) in [
            (json!({}), r#"{"type":"object","properties":{}}"#, "{}"),
            (
                json!({"properties": {"z": {}, "a": {}}, "$schema": "x", "required": ["z"]}),
                r#"{"type":"object","properties":{"z":{},"a":{}},"required":["z"]}"#,
                "{}",
            ),
            (
                json!({"$schema": "x", "b": 1, "type": "object", "a": 2}),
                r#"{"b":1,"type":"object","a":2,"properties":{}}"#,
                "{}",
            ),
            (
                json!({"type": "string", "a": 1}),
                r#"{"type":"object","a":1,"properties":{}}"#,
                "{}",
            ),
            (
                json!({"$ref": "#/$defs/x", "$defs": {"x": {"type": "object", "properties": {"p": {}}, "required": ["p"]}}}),
                r#"{"type":"object","$defs":{"x":{"type":"object","properties":{"p":{}},"required":["p"]}},"properties":{"p":{}},"required":["p"]}"#,
                "{}",
            ),
            (
                json!({"type": "object", "properties": {"k": {}}, "required": ["k"], "anyOf": [{"required": ["a"]}, {"required": ["b"]}]}),
                r#"{"type":"object","properties":{"k":{}},"required":["k"]}"#,
                r#"{"anyOf":[{"required":["a"]},{"required":["b"]}]}"#,
            ),
            (
                json!({"oneOf": [
                    {"properties": {"a": {}, "c": {}}, "required": ["a", "c"]},
                    {"properties": {"b": {}, "c": {"type": "null"}}, "required": ["c"]},
                ]}),
                r#"{"type":"object","properties":{"a":{},"c":{},"b":{}},"required":["c"]}"#,
                r#"{"oneOf":[{"properties":{"a":{},"c":{}},"required":["a","c"]},{"properties":{"b":{},"c":{"type":"null"}},"required":["c"]}]}"#,
            ),
            (
                json!({"allOf": [{"properties": {"a": {}}, "required": ["a"]}, {"properties": {"b": {}}}], "not": {}, "enum": [1]}),
                r#"{"type":"object","properties":{"a":{},"b":{}},"required":["a"]}"#,
                r#"{"enum":[1],"not":{},"allOf":[{"properties":{"a":{}},"required":["a"]},{"properties":{"b":{}}}]}"#,
            ),
            (
                json!({"properties": {"a b": {}, "": {}, "a.b-C_1": {}}, "required": ["a b"]}),
                r#"{"type":"object","properties":{"a.b-C_1":{}}}"#,
                "{}",
            ),
            (
                json!({"$ref": "#"}),
                r#"{"type":"object","properties":{}}"#,
                "{}",
            ),
            (
                json!({"$ref": "https://x"}),
                r#"{"type":"object","properties":{}}"#,
                "{}",
            ),
        ] {
            let (schema, left) = flat(told.as_object().unwrap());
            assert_eq!(schema.to_string(), expected, "{told}");
            assert_eq!(Value::Object(left).to_string(), lost, "{told}");
        }
    }
}
