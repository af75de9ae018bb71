//! The guide's page on events says what the code does.

use quire_protocol::{Event, Record};
use serde_json::Value;

const PAGE: &str = include_str!("../../../../docs/guide/events.md");

/// The names of all events, as the decoder knows them.
fn names() -> Vec<String> {
    let error = serde_json::from_str::<Event>(r#"{"type":"?"}"#).unwrap_err();
    let error = error.to_string();
    let (_, names) = error
        .split_once("expected one of ")
        .expect("a list of names");
    let names = names
        .split_once(" at line")
        .map_or(names, |(names, _)| names);
    names
        .split(", ")
        .map(|name| name.trim_matches('`').to_owned())
        .collect()
}

fn section(name: &str) -> Option<&'static str> {
    let (_, rest) = PAGE.split_once(&format!("\n### `{name}`\n"))?;
    let end = rest.find("\n#").unwrap_or(rest.len());
    Some(&rest[..end])
}

fn examples(section: &str) -> impl Iterator<Item = &str> {
    let blocks = section.split("```json\n").skip(1);
    blocks.map(|rest| rest.split_once("\n```").expect("its end").0)
}

fn example(section: &str) -> &str {
    examples(section).next().expect("an example")
}

#[test]
fn the_guide_explains_every_event_and_every_field() {
    let names = names();
    assert!(names.len() > 15, "{names:?}");
    for name in &names {
        let section = section(name).unwrap_or_else(|| panic!("the guide lacks `{name}`"));
        let example = example(section);
        let written: Value = serde_json::from_str(example).unwrap();
        assert_eq!(written["type"], name.as_str());
        for example in examples(section) {
            let record: Record = serde_json::from_str(example)
                .unwrap_or_else(|error| panic!("an example of `{name}` is none: {error}"));
            let written: Value = serde_json::from_str(example).unwrap();
            assert_eq!(serde_json::to_value(&record).unwrap(), written, "{name}");
        }
        let (prose, _) = section.split_once("```json").unwrap();
        for field in written.as_object().unwrap().keys() {
            let common = ["seq", "at_ms", "type"].contains(&field.as_str());
            assert!(
                common || prose.contains(&format!("`{field}`")),
                "the guide does not explain `{field}` of `{name}`"
            );
        }
    }
}

#[test]
fn the_guide_names_no_event_that_is_gone() {
    let names = names();
    for line in PAGE.lines() {
        if let Some(name) = line.strip_prefix("### `") {
            let name = name.trim_end_matches('`');
            assert!(names.iter().any(|known| known == name), "{name}");
        }
    }
}

#[tokio::test]
async fn the_guide_shows_the_result_as_it_is() {
    let (_, section) = PAGE.split_once("\n## Result\n").unwrap();
    let written: Value = serde_json::from_str(example(section)).unwrap();
    let script = crate::double::Script::new(vec![crate::events::turn("exec-0", "Fixed.")]);
    let ran = crate::ran(&script, crate::task(quire_headless::Output::Json)).await;
    let line: Value = serde_json::from_str(ran.out.lines().last().unwrap()).unwrap();
    let keys = |value: &Value| {
        value
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect::<Vec<_>>()
    };
    assert_eq!(keys(&line), keys(&written));
    for key in keys(&line) {
        assert!(
            section.contains(&format!("`{key}`")) || key == "type",
            "{key}"
        );
    }
}
