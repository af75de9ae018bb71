//! The main job from the command line to the answer.

use std::fs;
use std::io::Write as _;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::provider::{Answer, Provider, result_texts, results};
use crate::run::{Place, finish, wait_for};

#[test]
fn the_demo_repairs_its_repository() {
    let place = Place::new();
    let ran = finish(place.command(&["demo"]));
    ran.says(
        0,
        &[
            "recording",
            "2 failed",
            "versions.sh",
            "7 passed, 0 failed",
            "Fixed.",
            "run once more to be sure: sh tests/run.sh: 7 passed, 0 failed",
        ],
    );
    assert!(
        ran.out.starts_with("Fixed."),
        "the answer alone: {}",
        ran.out
    );
}

#[test]
fn the_demo_claims_nothing_where_no_command_runs() {
    let place = Place::new();
    let mut command = place.command(&["demo"]);
    command.env("PATH", "/nowhere");
    let ran = finish(command);
    ran.says(1, &["cannot be confined", "quire doctor"]);
    assert!(!ran.out.contains("Fixed."), "{}", ran.out);
}

#[test]
fn the_first_request_is_small() {
    for model in ["anthropic/double", "anthropic/gpt-double"] {
        let place = Place::new();
        let provider = Provider::start(|_| Answer::Reply("hi", vec![]));
        let mut command = place.command(&["exec", "say hi", "--model", model]);
        command
            .env("ANTHROPIC_BASE_URL", &provider.url)
            .env("ANTHROPIC_API_KEY", "key");
        finish(command).says(0, &["hi"]);
        let size = provider.requests().last().unwrap().to_string().len();
        assert!(size < 8192, "{model}: {size} bytes");
    }
}

#[test]
fn a_task_is_done_confined_and_told() {
    let place = Place::new();
    place.write("AGENTS.md", "Always say please.");
    place.write("a.txt", "one\n");
    let outside = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join(format!("outside-{}", std::process::id()));
    let script = format!(
        "echo two >> a.txt; echo x > {}; cat a.txt",
        outside.display()
    );
    let provider = Provider::start(move |request| match results(request) {
        0 => Answer::Reply(
            "I'll change the file.",
            vec![
                ("bash", json!({"command": script})),
                ("read", json!({"path": "a.txt"})),
            ],
        ),
        _ => Answer::Reply("It is done.", vec![]),
    });
    let ran = finish(place.exec(&provider, &["change it"]));
    ran.says(0, &["I'll change the file.", "a.txt", "It is done."]);
    assert_eq!(ran.out.trim(), "It is done.");
    assert_eq!(place.read("a.txt"), "one\ntwo\n");
    assert!(!outside.exists(), "the sandbox let a write out");
    let requests = provider.requests();
    assert!(
        requests[0]["system"]
            .to_string()
            .contains("Always say please.")
    );
    let told = result_texts(&requests[1]);
    assert!(
        told.contains("outside-"),
        "the refusal was not told: {told}"
    );
}

#[test]
fn a_model_that_falls_silent_in_its_work_is_asked_to_go_on() {
    let place = Place::new();
    let provider = Provider::start(|request| {
        if request.to_string().contains("Your reply was empty") {
            Answer::Reply("It is done.", vec![])
        } else if results(request) == 1 {
            Answer::Reply("", vec![])
        } else {
            Answer::Reply("", vec![("bash", json!({"command": "true"}))])
        }
    });
    let ran = finish(place.exec(&provider, &["do it"]));
    ran.says(0, &["It is done."]);
    assert_eq!(provider.requests().len(), 3);
    let provider = Provider::start(|_| Answer::Reply("", vec![]));
    let ran = finish(place.exec(&provider, &["do it"]));
    ran.says(0, &["the model ended without an answer"]);
    assert_eq!(provider.requests().len(), 2, "it is asked once");
}

#[test]
fn json_lines_and_a_schema() {
    let place = Place::new();
    place.write(
        "schema.json",
        r#"{"type":"object","required":["n"],"properties":{"n":{"type":"integer"}}}"#,
    );
    let provider = Provider::start(|request| {
        let asked_again = request["messages"].as_array().unwrap().len() > 1;
        Answer::Reply(if asked_again { "{\"n\": 4}" } else { "four" }, vec![])
    });
    let ran = finish(place.exec(&provider, &["--output-schema", "schema.json", "how many?"]));
    ran.says(0, &[]);
    let answer: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(answer, json!({"n": 4}));
    let ran = finish(place.exec(&provider, &["--json", "how many?"]));
    ran.says(0, &[]);
    let lines: Vec<Value> = ran
        .out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.last().unwrap()["type"], "result");
    assert_eq!(lines.last().unwrap()["answer"], "four");
    let sequence: Vec<u64> = lines
        .iter()
        .filter_map(|line| line["seq"].as_u64())
        .collect();
    assert_eq!(sequence, (1..=sequence.len() as u64).collect::<Vec<_>>());
}

#[test]
fn standard_input_images_and_going_on() {
    let place = Place::new();
    place.write("dot.png", [0x89, b'P', b'N', b'G', 13, 10, 26, 10]);
    let provider = Provider::start(|_| Answer::Reply("seen", vec![]));
    let mut command = place.exec(&provider, &["what is this?", "--image", "dot.png"]);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(b"piped words")
        .unwrap();
    assert!(child.wait().unwrap().success());
    let first = provider.requests()[0]["messages"].to_string();
    for words in ["what is this?", "piped words", "image/png"] {
        assert!(first.contains(words), "{words}: {first}");
    }
    finish(place.exec(&provider, &["--continue", "and now?"])).says(0, &["seen"]);
    let second = provider.requests()[1]["messages"].clone();
    assert_eq!(second.as_array().unwrap().len(), 3);
    assert_eq!(second[0], provider.requests()[0]["messages"][0]);

    finish(place.command(&["sessions", "search", "piped"])).says(0, &["«piped»"]);
    let listed = finish(place.command(&["sessions"]));
    let id = listed
        .out
        .lines()
        .nth(1)
        .unwrap()
        .split_whitespace()
        .next()
        .unwrap();
    finish(place.command(&["sessions", "show", id]))
        .says(0, &["what is this?", "and now?", "seen"]);
    finish(place.command(&["sessions", "rm", id])).says(2, &["--yes"]);
    finish(place.command(&["sessions", "rm", "--yes", id])).says(0, &[]);
    finish(place.command(&["sessions", "show", id])).says(2, &["no session"]);
}

#[test]
fn a_loop_without_progress_is_stopped() {
    let place = Place::new();
    let provider =
        Provider::start(|_| Answer::Reply("", vec![("bash", json!({"command": "true"}))]));
    let ran = finish(place.exec(&provider, &["go"]));
    ran.says(
        6,
        &["stopped by Quire", "the same call with the same result"],
    );
    assert!(provider.requests().len() <= 10);
}

#[test]
fn limits_end_a_run_and_say_so() {
    let place = Place::new();
    let provider = Provider::start(|request| {
        let command = format!("echo {}", results(request));
        Answer::Reply("", vec![("bash", json!({"command": command}))])
    });
    finish(place.exec(&provider, &["go", "--max-turns", "3"])).says(5, &["3"]);
    assert_eq!(provider.requests().len(), 3);
    let hang =
        Provider::start(|_| Answer::Reply("", vec![("bash", json!({"command": "sleep 600"}))]));
    finish(place.exec(&hang, &["go", "--timeout", "1"])).says(124, &["too long"]);
}

#[test]
fn nobody_to_ask_is_a_refusal_the_model_can_act_on() {
    let place = Place::new();
    let provider = Provider::start(|request| match results(request) {
        0 => Answer::Reply(
            "",
            vec![(
                "bash",
                json!({"command": "touch x", "outside_sandbox": "I want to"}),
            )],
        ),
        _ => Answer::Reply("done", vec![]),
    });
    for approve in ["auto", "never", "ask"] {
        finish(place.exec(&provider, &["go", "--approve", approve])).says(0, &["done"]);
        let told = result_texts(provider.requests().last().unwrap());
        assert!(told.len() > 40, "{approve}: {told}");
        assert!(!place.work().join("x").exists(), "{approve}");
    }
}

#[test]
fn settings_say_where_they_come_from() {
    let place = Place::new();
    let real = place.work().canonicalize().unwrap();
    finish(place.command(&["config", "set", "effort", "max"])).says(0, &["config.toml"]);
    place.write(".quire/config.toml", "sandbox = \"off\"\n");
    let ran = finish(place.command(&["config"]));
    ran.says(0, &["effort", "max", "config.toml:1", "not trusted"]);
    finish(place.command(&["config", "trust"])).says(
        0,
        &[
            &format!("trusted: {}", real.display()),
            "! sandbox = \"off\"",
            "commands run without a sandbox",
        ],
    );
    let ran = finish(place.command(&["config"]));
    let line = ran
        .out
        .lines()
        .find(|line| line.starts_with("sandbox"))
        .unwrap();
    assert!(line.contains("off"), "{line}");
    finish(place.command(&["config", "set", "efort", "max"])).says(2, &["effort"]);
    place.write(".quire/config.toml", "approvals = \"never\"\n");
    finish(place.command(&["config"])).says(0, &["has changed since you trusted"]);
    let untrust = ["config", "untrust"];
    finish(place.command(&untrust)).says(0, &["no longer trusted", "config.toml"]);
    finish(place.command(&untrust)).says(2, &["is not trusted"]);
    fs::remove_file(place.work().join(".quire/config.toml")).unwrap();
    finish(place.command(&["config", "trust"])).says(2, &["nothing to trust here"]);
}

#[test]
fn help_completions_and_manual() {
    let place = Place::new();
    for command in [
        vec![],
        vec!["exec"],
        vec!["sessions"],
        vec!["doctor"],
        vec!["config"],
    ] {
        let mut arguments = command.clone();
        arguments.push("--help");
        finish(place.command(&arguments)).says(0, &["Example"]);
    }
    finish(place.command(&["completions", "bash"])).says(0, &["_quire"]);
    finish(place.command(&["man"])).says(0, &[".TH"]);
    finish(place.command(&["man", "--folder", "pages"])).says(0, &[]);
    for page in ["quire", "quire-exec"] {
        let text = place.read(&format!("pages/{page}.1"));
        let (_, extra) = text.split_once(".SH EXTRA\n").unwrap();
        assert!(
            extra.starts_with(".nf\nExamples:\n  quire "),
            "examples are not filled into paragraphs: {extra}"
        );
    }
    assert!(place.work().join("pages/quire-config-trust.1").exists());
}

#[test]
fn help_says_what_counts_unless_something_is_set() {
    let place = Place::new();
    let ran = finish(place.command(&["exec", "--help"]));
    let help: Vec<&str> = ran.out.split_whitespace().collect();
    let help = help.join(" ");
    for name in ["effort", "max_turns", "sandbox", "approvals"] {
        let key = quire_config::KEYS.iter().find(|key| key.name == name);
        let words = format!("Unless set, {}", key.unwrap().default);
        assert!(help.contains(&words), "missing {words:?} in {help}");
    }
}

#[test]
fn the_doctor_says_what_to_do() {
    let place = Place::new();
    finish(place.command(&["doctor"])).says(1, &["ANTHROPIC_API_KEY", "sandbox", "git"]);
    let provider = Provider::start(|_| Answer::Reply("hi", vec![]));
    let mut command = place.command(&["doctor", "--model", "anthropic/claude-opus-5-5"]);
    command
        .env("ANTHROPIC_BASE_URL", &provider.url)
        .env("ANTHROPIC_API_KEY", "key");
    let ran = finish(command);
    assert!(ran.out.contains(&provider.url), "{}", ran.out);
}

#[test]
fn a_task_that_was_killed_goes_on_with_continue_alone_and_keeps_its_schema() {
    let place = Place::new();
    place.write("schema.json", r#"{"type":"object","required":["n"]}"#);
    let provider = Provider::start(|request| match results(request) {
        0 => Answer::Reply(
            "",
            vec![("bash", json!({"command": "touch started; sleep 600"}))],
        ),
        _ => Answer::Reply(r#"{"n":1}"#, vec![]),
    });
    let first = ["count", "--output-schema", "schema.json"];
    let mut child = place.exec(&provider, &first).spawn().unwrap();
    wait_for(&place, "started");
    child.kill().unwrap();
    child.wait().unwrap();
    let ran = finish(place.exec(&provider, &["--continue"]));
    ran.says(0, &["going on after a crash"]);
    assert_eq!(ran.out, "{\"n\":1}\n");
    let last = provider.requests().pop().unwrap();
    assert!(last.to_string().contains(r#""required":["n"]"#), "{last}");
}
