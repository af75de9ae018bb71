//! Which tools take free text, and what a schema is sent as.

use std::collections::HashSet;

use quire_protocol::{Prefix, ToolInput, ToolSpec};
use serde_json::{Value, json};

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

fn requires(object: &serde_json::Map<String, Value>, key: &str) -> bool {
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
}
