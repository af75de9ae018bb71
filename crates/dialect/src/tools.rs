//! Which tools take free text, and what a schema is sent as.

use std::collections::HashSet;

use quire_protocol::{Prefix, ToolInput, ToolSpec};
use serde_json::{Map, Value, json};

/// The names of the tools that take free text.
#[derive(Clone, Debug, Default)]
pub(crate) struct TextTools(HashSet<String>);

impl TextTools {
    /// Those of a prefix.
    pub(crate) fn of(prefix: &Prefix) -> Self {
        Self(
            prefix
                .tools
                .iter()
                .filter(|tool| matches!(tool.input, ToolInput::Text { .. }))
                .map(|tool| tool.name.clone())
                .collect(),
        )
    }

    /// Whether this one does.
    pub(crate) fn contains(&self, name: &str) -> bool {
        self.0.contains(name)
    }
}

/// The schema of a tool where only functions with JSON arguments exist.
pub(crate) fn function_schema(tool: &ToolSpec) -> Value {
    match &tool.input {
        ToolInput::Json(schema) => schema.clone(),
        ToolInput::Text { .. } => json!({
            "type": "object",
            "properties": {"input": {"type": "string"}},
            "required": ["input"],
            "additionalProperties": false,
        }),
    }
}

/// The schema as Messages takes it: an object that lists its properties, and says nothing of
/// others, takes no others. What fits it fits the given schema too. Left as it is where the schema
/// wants objects open, or where closing one could forbid what is demanded of it elsewhere.
pub(crate) fn closed(schema: &Value) -> Value {
    let mut closed = schema.clone();
    match close(&mut closed) {
        Ok(()) => closed,
        Err(Combined) => schema.clone(),
    }
}

/// Several schemas describe one object: each, closed, would forbid the properties of the others.
struct Combined;

/// Keywords that put further conditions on the same value.
const CONDITIONS: &[&str] = &["if", "not", "dependentSchemas", "unevaluatedProperties"];
/// Keywords whose schemas describe the same value.
const ALTERNATIVES: &[&str] = &["anyOf", "oneOf", "allOf", "$ref", "$dynamicRef"];

fn close(schema: &mut Value) -> Result<(), Combined> {
    let Value::Object(object) = schema else {
        return Ok(());
    };
    let has = |keys: &[&str]| keys.iter().any(|key| object.contains_key(*key));
    let all = object.get("allOf").and_then(Value::as_array);
    if has(CONDITIONS)
        || has(&["properties"]) && has(ALTERNATIVES)
        || all.is_some_and(|all| all.len() > 1)
    {
        return Err(Combined);
    }
    if can_close(object) {
        object.insert("additionalProperties".into(), Value::Bool(false));
    }
    for (key, value) in object {
        match (key.as_str(), value) {
            ("properties" | "$defs" | "definitions", Value::Object(named)) => {
                named.values_mut().try_for_each(close)?;
            }
            ("anyOf" | "oneOf" | "allOf" | "prefixItems" | "items", Value::Array(listed)) => {
                listed.iter_mut().try_for_each(close)?;
            }
            ("items" | "additionalProperties", inner) => close(inner)?,
            _ => {}
        }
    }
    Ok(())
}

/// Whether an object names all that it may have, or must.
fn can_close(object: &Map<String, Value>) -> bool {
    let Some(properties) = object.get("properties").and_then(Value::as_object) else {
        return false;
    };
    let required = object.get("required").and_then(Value::as_array);
    let mut required = required.into_iter().flatten().filter_map(Value::as_str);
    !properties.is_empty()
        && required.all(|name| properties.contains_key(name))
        && !object.contains_key("additionalProperties")
        && !object.contains_key("patternProperties")
}

/// Whether OpenAI's strict mode takes the schema: every object closed, every property required.
pub(crate) fn is_strict(schema: &Value) -> bool {
    match schema {
        Value::Object(object) => {
            let closed = object.get("properties").is_none_or(|properties| {
                object.get("additionalProperties") == Some(&Value::Bool(false))
                    && properties
                        .as_object()
                        .is_some_and(|known| known.keys().all(|key| requires(object, key)))
            });
            closed && object.values().all(is_strict)
        }
        Value::Array(values) => values.iter().all(is_strict),
        _ => true,
    }
}

fn requires(object: &Map<String, Value>, key: &str) -> bool {
    object
        .get("required")
        .and_then(Value::as_array)
        .is_some_and(|required| required.iter().any(|name| name == key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(schema: &Value, expected: bool) {
        assert_eq!(is_strict(schema), expected, "{schema}");
    }

    #[test]
    fn strict_schemas_are_closed_and_complete_all_the_way_down() {
        let leaf = json!({"type": "string"});
        let closed = json!({
            "type": "object",
            "properties": {"a": leaf},
            "required": ["a"],
            "additionalProperties": false,
        });
        check(&leaf, true);
        check(&closed, true);
        check(&json!({"type": "array", "items": closed}), true);
        check(&json!({"type": "object", "properties": {"a": leaf}}), false);
        let mut optional = closed.clone();
        optional["required"] = json!([]);
        check(&optional, false);
        check(&json!({"anyOf": [closed, optional]}), false);
    }
    #[test]
    fn objects_that_list_their_properties_are_closed() {
        let open = |inner: Value| json!({"type": "object", "properties": {"a": inner}});
        let shut = |inner: Value| {
            json!({
                "type": "object",
                "properties": {"a": inner},
                "additionalProperties": false,
            })
        };
        let leaf = json!({"type": "string"});
        for (inner, closed_inner) in [
            (leaf.clone(), leaf.clone()),
            (open(leaf.clone()), shut(leaf.clone())),
            (
                json!({"type": "array", "items": open(leaf.clone())}),
                json!({"type": "array", "items": shut(leaf.clone())}),
            ),
            (
                json!({"anyOf": [open(leaf.clone()), {"type": "null"}]}),
                json!({"anyOf": [shut(leaf.clone()), {"type": "null"}]}),
            ),
        ] {
            let found = closed(&open(inner));
            assert_eq!(found, shut(closed_inner), "{found}");
        }
        let named = closed(&json!({"$ref": "#/$defs/a", "$defs": {"a": open(leaf.clone())}}));
        assert_eq!(named["$defs"]["a"], shut(leaf));
    }

    #[test]
    fn schemas_that_need_their_objects_open_stay_as_they_are() {
        let part = json!({"properties": {"a": {"type": "string"}}});
        let mut demanding = part.clone();
        demanding["required"] = json!(["b"]);
        let mut willing = part.clone();
        willing["additionalProperties"] = json!(true);
        let mut chosen = part.clone();
        chosen["anyOf"] = json!([part, {"properties": {"b": {}}}]);
        for schema in [
            json!(true),
            json!({"type": "object"}),
            json!({"type": "object", "properties": {}}),
            json!({"allOf": [part, {"properties": {"b": {}}}]}),
            json!({"not": part}),
            demanding,
            willing,
            chosen,
        ] {
            assert_eq!(closed(&schema), schema);
        }
    }
}
