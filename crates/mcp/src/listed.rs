//! The tools that a server has told, as they are described to models. Pure.

use quire_protocol::{ToolInput, ToolSpec, clean};
use rmcp::model::Tool;
use serde_json::{Value, json};

use crate::names::names;
use crate::schema::flat;

/// Characters of a description at most.
const LONGEST_DESCRIPTION: usize = 2000;
/// Bytes of a schema at most; what takes one that is larger is told without it.
const LARGEST_SCHEMA: usize = 128 << 10;
/// Tools of one server at most, and bytes of all that they are described with. A journal keeps them.
const MOST_TOOLS: usize = 1000;
const MOST_BYTES: usize = 1 << 20;
/// What is said where a description was cut.
const CUT: &str = " … (cut)";

/// A tool of a server.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Listed {
    /// What the server calls it.
    pub(crate) own: String,
    /// How a model sees it.
    pub(crate) spec: ToolSpec,
}

/// The tools of these that are wanted, in their order.
pub(crate) fn listed(prefix: &str, patterns: Option<&[String]>, tools: Vec<Tool>) -> Vec<Listed> {
    let wanted = |name: &str| patterns.is_none_or(|all| all.iter().any(|one| fits(one, name)));
    let mut tools = tools;
    tools.retain(|tool| wanted(&tool.name));
    tools.truncate(MOST_TOOLS);
    let own: Vec<&str> = tools.iter().map(|tool| tool.name.as_ref()).collect();
    let names = names(prefix, &own);
    let both = tools.iter().zip(names);
    let listed = both.filter_map(|(tool, name)| {
        Some(Listed {
            own: tool.name.to_string(),
            spec: spec(name?, tool),
        })
    });
    let mut room = MOST_BYTES;
    listed
        .map_while(|tool| {
            room = room.checked_sub(size(&tool.spec))?;
            Some(tool)
        })
        .collect()
}

/// Bytes of a description with all that belongs to it.
fn size(spec: &ToolSpec) -> usize {
    let takes = match &spec.input {
        ToolInput::Json(schema) => schema.to_string().len(),
        ToolInput::Text { grammar } => grammar.len(),
    };
    spec.name.len() + spec.description.len() + takes
}

/// Whether a name fits a pattern.
fn fits(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => pattern == name,
    }
}

fn spec(name: String, tool: &Tool) -> ToolSpec {
    let mut description = described(tool);
    let (mut input, lost) = flat(&tool.input_schema);
    let told = Value::Object(lost.clone()).to_string();
    if !lost.is_empty() && told.len() <= LONGEST_DESCRIPTION {
        description.push_str("\nWhat it takes fits this too: ");
        description.push_str(&told);
    }
    if input.to_string().len() > LARGEST_SCHEMA {
        input = json!({"type": "object", "properties": {}});
        description.push_str("\n(What it takes is described too long to be told.)");
    }
    ToolSpec {
        name,
        description,
        input: ToolInput::Json(input),
    }
}

fn described(tool: &Tool) -> String {
    let annotated = tool.annotations.as_ref();
    let title = tool.title.as_deref();
    let title = title.or_else(|| annotated.and_then(|hints| hints.title.as_deref()));
    let title = clean(title.unwrap_or_default());
    let description = clean(tool.description.as_deref().unwrap_or_default());
    let text = match (title.trim(), description.trim()) {
        ("", "") => tool.name.as_ref(),
        ("", text) => text,
        (title, "") => title,
        (title, text) if text.starts_with(title) => text,
        (title, text) => return cut(&format!("{title}: {text}")),
    };
    cut(text)
}

fn cut(text: &str) -> String {
    let Some((end, _)) = text.char_indices().nth(LONGEST_DESCRIPTION) else {
        return text.to_owned();
    };
    let kept = &text[..end];
    // At the end of a word, where there is one near.
    let near = kept.rfind(char::is_whitespace).filter(|at| end - at < 100);
    format!("{}{CUT}", kept[..near.unwrap_or(end)].trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tool(value: Value) -> Tool {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn patterns_choose_tools_and_their_order_is_kept() {
        let tools = ["read", "write", "read_all", "reader"];
        for (patterns, expected) in [
            (None, &tools[..]),
            (Some(&["read"][..]), &["read"]),
            (Some(&["read_*", "write"]), &["write", "read_all"]),
            (Some(&["*"]), &tools),
            (Some(&["r*d"]), &[]),
            (Some(&[]), &[]),
        ] {
            let told = tools.map(|name| tool(json!({"name": name, "inputSchema": {}})));
            let patterns: Option<Vec<String>> =
                patterns.map(|all| all.iter().map(|&one| one.to_owned()).collect());
            let listed = listed("mcp__s__", patterns.as_deref(), told.to_vec());
            let own: Vec<&str> = listed.iter().map(|one| one.own.as_str()).collect();
            assert_eq!(own, expected, "{patterns:?}");
        }
    }

    #[test]
    fn what_a_server_says_of_its_tools_has_an_end() {
        let large = |count: usize| {
            let schema = json!({"description": "x".repeat(100_000)});
            tool(json!({"name": format!("t{count}"), "inputSchema": schema}))
        };
        let listed = listed("mcp__s__", None, (0..100).map(large).collect());
        assert_eq!(listed.len(), 10, "a megabyte");
        assert_eq!(listed[9].own, "t9");
    }

    #[test]
    fn a_description_is_what_the_server_says_of_the_tool() {
        for (told, expected) in [
            (json!({}), "t"),
            (json!({"title": "Do it"}), "Do it"),
            (json!({"description": " Does it.\n"}), "Does it."),
            (
                json!({"title": "Do", "description": "It does."}),
                "Do: It does.",
            ),
            (
                json!({"title": "Do", "description": "Does it."}),
                "Does it.",
            ),
            (json!({"title": "Do", "description": "Do it."}), "Do it."),
            (
                json!({"annotations": {"title": "A"}, "description": "B"}),
                "A: B",
            ),
            (json!({"description": "\u{1b}[31mred\u{202e}"}), "red"),
        ] {
            let mut told = told;
            told["name"] = json!("t");
            told["inputSchema"] = json!({});
            assert_eq!(described(&tool(told)), expected);
        }
    }

    #[test]
    fn a_long_description_is_cut_at_a_word_and_says_so() {
        for (text, expected) in [
            ("x".repeat(2000), "x".repeat(2000)),
            ("ü".repeat(2001), format!("{}{CUT}", "ü".repeat(2000))),
            (
                format!("{} {}", "a".repeat(1990), "b".repeat(50)),
                format!("{}{CUT}", "a".repeat(1990)),
            ),
        ] {
            assert_eq!(cut(&text), expected);
        }
    }

    #[test]
    fn what_a_schema_may_not_say_is_said_in_words() {
        let told = json!({"name": "t", "inputSchema": {"anyOf": [{"required": ["a"]}]}});
        let spec = spec("n".to_owned(), &tool(told));
        let expected = json!({"type": "object", "properties": {}});
        assert_eq!(spec.input, ToolInput::Json(expected));
        assert_eq!(
            spec.description,
            "t\nWhat it takes fits this too: {\"anyOf\":[{\"required\":[\"a\"]}]}"
        );
    }

    #[test]
    fn a_schema_that_is_too_large_is_left_out() {
        let large = json!({"name": "t", "inputSchema": {"description": "x".repeat(200_000)}});
        let spec = spec("n".to_owned(), &tool(large));
        assert_eq!(
            spec.input,
            ToolInput::Json(json!({"type": "object", "properties": {}}))
        );
        assert!(
            spec.description.contains("too long"),
            "{}",
            spec.description
        );
    }
}
