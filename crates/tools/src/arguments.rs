//! Reads a call's JSON arguments leniently: models write numbers as strings, flags as words, and
//! names from other harnesses. It never guesses a missing value.

use serde_json::{Map, Value};

/// The arguments of one call.
pub(crate) struct Arguments {
    values: Map<String, Value>,
    shape: &'static str,
}

impl Arguments {
    /// Parses JSON text; an error says where it breaks and what was expected.
    pub(crate) fn parse(text: &str, shape: &'static str) -> Result<Self, String> {
        let text = if text.trim().is_empty() { "{}" } else { text };
        match serde_json::from_str(text) {
            Ok(Value::Object(values)) => Ok(Self { values, shape }),
            Ok(_) => Err(format!("the arguments must be a JSON object: {shape}")),
            Err(error) => Err(format!(
                "the arguments are not valid JSON (line {}, column {}: {error}). Expected: {shape}",
                error.line(),
                error.column(),
            )),
        }
    }

    /// The first of `names` that is there and not null.
    pub(crate) fn value(&self, names: &[&str]) -> Option<&Value> {
        names
            .iter()
            .filter_map(|name| self.values.get(*name))
            .find(|value| !value.is_null())
    }

    /// A text that must be there, under the first of `names` or one of its aliases.
    pub(crate) fn text(&self, names: &[&str]) -> Result<String, String> {
        self.optional_text(names)?
            .ok_or_else(|| self.wrong(&format!("`{}` is missing", names[0])))
    }

    /// A text that may be missing.
    pub(crate) fn optional_text(&self, names: &[&str]) -> Result<Option<String>, String> {
        match self.value(names) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(Value::Number(number)) => Ok(Some(number.to_string())),
            Some(_) => Err(self.wrong(&format!("`{}` must be a string", names[0]))),
        }
    }

    /// A count that may be missing; `"12"` and `12.0` are counts too.
    pub(crate) fn count(&self, name: &str) -> Result<Option<u64>, String> {
        let wrong = || self.wrong(&format!("`{name}` must be a whole number, 0 or more"));
        match self.value(&[name]) {
            None => Ok(None),
            Some(Value::Number(number)) => number
                .as_u64()
                .or_else(|| number.to_string().strip_suffix(".0")?.parse().ok())
                .map(Some)
                .ok_or_else(wrong),
            Some(Value::String(text)) => text.trim().parse().map(Some).map_err(|_| wrong()),
            Some(_) => Err(wrong()),
        }
    }

    /// A flag; missing means no.
    pub(crate) fn flag(&self, names: &[&str]) -> Result<bool, String> {
        match self.value(names) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(Value::String(text)) if text.eq_ignore_ascii_case("true") => Ok(true),
            Some(Value::String(text)) if text.eq_ignore_ascii_case("false") => Ok(false),
            Some(_) => Err(self.wrong(&format!("`{}` must be true or false", names[0]))),
        }
    }

    /// An array that may be missing; an array written as a JSON string counts.
    pub(crate) fn list(&self, name: &str) -> Result<Option<Vec<Value>>, String> {
        match self.value(&[name]) {
            None => Ok(None),
            Some(Value::Array(list)) => Ok(Some(list.clone())),
            Some(Value::String(text)) => serde_json::from_str(text)
                .map(Some)
                .map_err(|_| self.wrong(&format!("`{name}` must be an array"))),
            Some(_) => Err(self.wrong(&format!("`{name}` must be an array"))),
        }
    }

    /// Arguments of an element of a list.
    pub(crate) fn element(&self, value: &Value, what: &str) -> Result<Self, String> {
        match value {
            Value::Object(values) => Ok(Self {
                values: values.clone(),
                shape: self.shape,
            }),
            _ => Err(self.wrong(&format!("every one of `{what}` must be an object"))),
        }
    }

    /// An error with the expected shape.
    pub(crate) fn wrong(&self, what: &str) -> String {
        format!("{what}. Expected: {}", self.shape)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: &str = "{path: string, limit?: int}";

    #[test]
    fn lenient_in_form_and_strict_in_meaning() {
        let arguments = Arguments::parse(
            r#"{"path":7,"limit":"12","deep":12.0,"all":"True","none":null}"#,
            SHAPE,
        )
        .unwrap();
        assert_eq!(arguments.text(&["path"]).unwrap(), "7");
        assert_eq!(arguments.count("limit").unwrap(), Some(12));
        assert_eq!(arguments.count("deep").unwrap(), Some(12));
        assert!(arguments.flag(&["all"]).unwrap());
        assert_eq!(arguments.optional_text(&["none"]).unwrap(), None);
        assert!(arguments.count("path").is_ok());
    }

    #[test]
    fn says_what_is_wrong() {
        for (text, says) in [
            (
                r#"{"path": "a"#,
                "not valid JSON (line 1, column 11: EOF while parsing a string",
            ),
            ("[1]", "must be a JSON object: {path: string"),
            ("", "`path` is missing. Expected: {path"),
            (r#"{"path":{}}"#, "`path` must be a string"),
        ] {
            let error = Arguments::parse(text, SHAPE)
                .and_then(|arguments| arguments.text(&["path"]))
                .unwrap_err();
            assert!(error.contains(says), "{text}: {error}");
        }
        let arguments = Arguments::parse(r#"{"limit":-1}"#, SHAPE).unwrap();
        assert!(
            arguments
                .count("limit")
                .unwrap_err()
                .contains("whole number")
        );
    }
}
