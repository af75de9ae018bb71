//! A tool call's arguments, between the text the model wrote and the JSON object providers take.

use std::borrow::Cow;

use serde_json::Value;

use crate::json;

/// The arguments as JSON object text: as the model wrote them where that is an object, wrapped
/// where it is not.
pub(crate) fn as_object(arguments: &str) -> Cow<'_, str> {
    let text = arguments.trim();
    if text.is_empty() {
        Cow::Borrowed("{}")
    } else if json::is_object(text) {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(wrapped("malformed_arguments", arguments))
    }
}

/// Free text as the arguments of a function with one string argument, `input`.
pub(crate) fn wrap_text(text: &str) -> String {
    wrapped("input", text)
}

/// The free text out of such arguments; anything else is kept as it came.
pub(crate) fn unwrap_text(arguments: String) -> String {
    match serde_json::from_str::<Value>(&arguments) {
        Ok(Value::Object(mut object)) => match object.remove("input") {
            Some(Value::String(text)) => text,
            _ => arguments,
        },
        Ok(Value::String(text)) => text,
        _ => arguments,
    }
}

fn wrapped(key: &str, text: &str) -> String {
    let mut out = Vec::with_capacity(text.len() + key.len() + 8);
    let mut object = json::Object::open(&mut out);
    object.member(key, text);
    object.close();
    String::from_utf8(out).expect("JSON is UTF-8")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_stay_byte_for_byte() {
        for text in [r#"{"b" : 1.50,  "a":"\u00e9"}"#, "{}"] {
            assert_eq!(as_object(text), text);
        }
        assert_eq!(as_object(" \n"), "{}");
        assert_eq!(as_object(" {\"a\":1}\n"), "{\"a\":1}");
    }

    #[test]
    fn everything_else_is_wrapped() {
        for text in [
            "{\"path\":\"/tm",
            "[1]",
            "null",
            "{\"a\":\"\\ud800\"}",
            "{\"a\":1} {",
        ] {
            let object: Value = serde_json::from_str(&as_object(text)).expect("valid JSON");
            assert_eq!(object["malformed_arguments"], *text);
        }
    }

    #[test]
    fn free_text_survives_the_way_there_and_back() {
        let text = "*** Begin Patch\n+\"é\\\n";
        assert_eq!(unwrap_text(wrap_text(text)), text);
        assert_eq!(unwrap_text("{\"other\":1}".into()), "{\"other\":1}");
        assert_eq!(unwrap_text("*** Begin".into()), "*** Begin");
    }
}
