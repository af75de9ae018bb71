//! The schema of the wire against what really goes over it, and against the examples in the guide.

use std::path::PathBuf;

use jsonschema::Validator;
use serde_json::{Value, json};

use crate::host::World;
use crate::provider::{Answer, results};

fn in_repository(path: &str) -> String {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    std::fs::read_to_string(root.join(path)).unwrap()
}

pub(crate) fn schema() -> Value {
    serde_json::from_str(&in_repository("schema/quire.schema.json")).unwrap()
}

/// The schema of one part of it.
fn of(part: &Value) -> Validator {
    let mut schema = json!({ "$defs": schema()["$defs"] });
    let members = part.as_object().unwrap().clone();
    schema.as_object_mut().unwrap().extend(members);
    jsonschema::validator_for(&schema).unwrap()
}

#[track_caller]
fn fits(validator: &Validator, value: &Value) {
    let errors: Vec<String> = validator
        .iter_errors(value)
        .map(|error| format!("{error} at {}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{value:#}: {errors:#?}");
}

#[test]
fn what_goes_over_the_wire_fits_its_schema() {
    let world = World::new(|request| match results(request) {
        0 => Answer::Reply(
            "Let me see.",
            vec![("bash", json!({"command": "echo out"}))],
        ),
        _ => Answer::Reply("It is done.", vec![]),
    });
    world.place.config("approvals = \"ask\"\n");
    let _host = world.host(&[]);
    let session = world.start("go");
    world.wait(&session, "needs_you");
    let whole = of(&json!({ "anyOf": schema()["anyOf"] }));
    let results = schema()["x-results"].clone();
    let mut face = world.face();
    let op = json!({"op": "answer", "call": 1, "answer": {"answer": "allow_once"}});
    for (method, params) in [
        (
            "hello",
            json!({"protocol": {"oldest": 1, "newest": 1}, "client": "t", "folder": "/"}),
        ),
        ("session/open", json!({"session": session})),
        ("agents/list", json!({})),
        (
            "sessions/list",
            json!({"query": {"workspace": null, "id_prefix": null, "limit": 9}}),
        ),
        ("sessions/search", json!({"text": "go", "limit": 9})),
        ("session/watch", json!({"session": session, "after": 0})),
        ("session/submit", json!({"session": session, "op": op})),
        ("session/unwatch", json!({"watch": 9})),
    ] {
        let asked = json!({"jsonrpc": "2.0", "id": method, "method": method, "params": params});
        fits(&whole, &asked);
        let answer = face.ask(method, &params);
        fits(&whole, &answer);
        assert!(answer.get("error").is_none(), "{answer}");
        fits(&of(&results[method]), &answer["result"]);
    }
    let wrong = face.ask("session/open", &json!({"session": "none"}));
    fits(&whole, &wrong);
    fits(
        &of(&json!({"$ref": "#/$defs/ClientError"})),
        &wrong["error"]["data"],
    );
    world.wait(&session, "done");
    // All of it, told anew.
    let mut face = world.face();
    face.hello();
    face.ask("session/watch", &json!({"session": session, "after": 0}));
    loop {
        let told = face.hear();
        fits(&whole, &told);
        let frame = &told["params"]["frame"];
        fits(&of(&json!({"$ref": "#/$defs/Frame"})), frame);
        if frame["record"]["type"] == "turn_ended" {
            break;
        }
    }
}

#[test]
fn what_is_no_event_does_not_fit_the_schema() {
    let record = of(&json!({"$ref": "#/$defs/Record"}));
    let good = json!({"seq": 1, "at_ms": 2, "type": "tool_started", "call": 3});
    assert!(record.is_valid(&good));
    for (member, value) in [
        ("seq", json!("1")),
        ("type", json!("tool_begun")),
        ("call", json!(-1)),
        ("at_ms", json!(null)),
    ] {
        let mut bad = good.clone();
        bad[member] = value;
        assert!(!record.is_valid(&bad), "{bad}");
        bad.as_object_mut().unwrap().remove(member);
        assert!(!record.is_valid(&bad), "{bad}");
    }
}

#[test]
fn the_examples_in_the_guide_fit_the_schema() {
    let record = of(&json!({"$ref": "#/$defs/Record"}));
    let guide = in_repository("docs/guide/events.md");
    let lines = guide.lines().filter(|line| line.starts_with("{\"seq\""));
    let mut seen = 0;
    for line in lines {
        fits(&record, &serde_json::from_str(line).unwrap());
        seen += 1;
    }
    assert!(seen > 15, "{seen} examples were found");
}
