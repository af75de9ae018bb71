//! One line for a tool call: what it is called and what it is about. Knows argument names by
//! custom, not the tools: an unknown tool shows its arguments.

use serde_json::Value;

use crate::{ToolCall, counted, first_line, line_count};

/// How a call is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// The tool's name.
    pub name: String,
    /// What it is about: the command, the file, the pattern.
    pub detail: String,
    /// Whether it may take a while and prints of its own.
    pub kind: CallKind,
}

/// What a call is, as far as it is shown in another way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallKind {
    /// It runs a command: shown when it starts, its exit code when it ends.
    Command,
    /// It has an agent work: shown when it starts, and what came of it when it ends.
    Agent,
    /// Anything else: shown when it ends.
    Other,
}

impl ToolCall {
    /// How it is shown in a line. The result is clean.
    #[must_use]
    pub fn shown(&self) -> Shown {
        let meant = self.meant();
        let arguments: Option<Value> = serde_json::from_str(&meant.arguments).ok();
        let command = arguments.as_ref().and_then(command);
        let task = arguments.as_ref().and_then(task);
        let kind = if command.is_some() {
            CallKind::Command
        } else if task.is_some() {
            CallKind::Agent
        } else {
            CallKind::Other
        };
        let detail = command
            .or(task)
            .or_else(|| arguments.as_ref().and_then(target))
            .or_else(|| patched_files(&meant.arguments))
            .unwrap_or_else(|| match &arguments {
                Some(Value::Object(map)) if map.is_empty() => String::new(),
                _ => meant.arguments.clone(),
            });
        Shown {
            name: first_line(&meant.name).0,
            detail: one_line(&detail),
            kind,
        }
    }
}

fn one_line(text: &str) -> String {
    let (line, more) = first_line(text);
    if more {
        let rest = line_count(text.trim()).saturating_sub(1);
        return format!("{line} (+{})", counted(rest, "line"));
    }
    line
}

fn command(arguments: &Value) -> Option<String> {
    match ["command", "cmd"]
        .iter()
        .find_map(|key| arguments.get(key))?
    {
        Value::String(command) => Some(command.clone()),
        Value::Array(words) => {
            let words: Vec<&str> = words.iter().filter_map(Value::as_str).collect();
            match words.as_slice() {
                [_shell, "-c" | "-lc", script] => Some((*script).to_owned()),
                words => Some(words.join(" ")),
            }
        }
        _ => None,
    }
}

/// An agent and what it is to do.
fn task(arguments: &Value) -> Option<String> {
    let text = |key: &str| arguments.get(key)?.as_str();
    Some(format!("{}: {}", text("name")?, text("task")?))
}

fn target(arguments: &Value) -> Option<String> {
    let first = |keys: &[&str]| {
        keys.iter()
            .find_map(|key| arguments.get(key)?.as_str())
            .filter(|text| !text.is_empty())
            .map(str::to_owned)
    };
    let pattern = first(&["pattern", "query", "glob"]);
    let path = first(&["path", "file_path", "file", "dir"]);
    match (pattern, path) {
        (Some(pattern), Some(path)) => Some(format!("{pattern} in {path}")),
        (Some(one), None) | (None, Some(one)) => Some(one),
        (None, None) => {
            if let Some(action) = first(&["action"]) {
                let number = arguments.get("job").and_then(Value::as_u64);
                return Some(number.map_or(action.clone(), |job| format!("{action} {job}")));
            }
            let input = first(&["input", "patch"])?;
            Some(patched_files(&input).unwrap_or(input))
        }
    }
}

/// The files that a patch names.
fn patched_files(patch: &str) -> Option<String> {
    let files: Vec<&str> = patch
        .lines()
        .filter_map(|line| {
            let rest = line.strip_prefix("*** ")?;
            ["Add File: ", "Update File: ", "Delete File: "]
                .iter()
                .find_map(|verb| rest.strip_prefix(verb))
        })
        .collect();
    (!files.is_empty()).then(|| files.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::CallId;
    use expect_test::{Expect, expect};

    fn check(name: &str, arguments: &str, expected: &Expect) {
        let call = ToolCall {
            call: CallId(1),
            provider_id: "p".into(),
            name: name.into(),
            arguments: arguments.into(),
        };
        let shown = call.shown();
        expected.assert_eq(&format!(
            "{:?} {}  {}",
            shown.kind, shown.name, shown.detail
        ));
    }

    #[test]
    fn calls_in_a_line() {
        check(
            "bash",
            r#"{"command":"cargo test\n  --all\n"}"#,
            &expect!["Command bash  cargo test (+1 line)"],
        );
        check(
            "shell",
            r#"{"command":["bash","-lc","ls -l"]}"#,
            &expect!["Command shell  ls -l"],
        );
        check(
            "read",
            r#"{"path":"src/a.rs"}"#,
            &expect!["Other read  src/a.rs"],
        );
        check(
            "search",
            r#"{"pattern":"fn main","path":"src"}"#,
            &expect!["Other search  fn main in src"],
        );
        check(
            "apply_patch",
            "*** Begin Patch\n*** Update File: a.rs\n*** Add File: b.rs\n*** End Patch",
            &expect!["Other apply_patch  a.rs, b.rs"],
        );
        check(
            "apply_patch",
            r#"{"input":"*** Begin Patch\n*** Delete File: a.rs\n"}"#,
            &expect!["Other apply_patch  a.rs"],
        );
        check(
            "agent",
            r#"{"name":"tests","task":"Run them.\nSay which fail.","access":"read"}"#,
            &expect!["Agent agent  tests: Run them. (+1 line)"],
        );
        check(
            "unknown\x1b[2J",
            r#"{"x":1}"#,
            &expect![[r#"Other unknown  {"x":1}"#]],
        );
        check("broken", r#"{"x":"#, &expect![[r#"Other broken  {"x":"#]]);
        check(
            "job",
            r#"{"action":"poll","job":9,"wait_s":5}"#,
            &expect!["Other job  poll 9"],
        );
        check("job", r#"{"action":"list"}"#, &expect!["Other job  list"]);
        check("list", "{}", &expect!["Other list  "]);
    }
}
