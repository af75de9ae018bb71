//! A goal over the real wire: what the evaluator is shown of the work.

use serde_json::{Value, json};

use crate::provider::{Answer, Provider, results};
use crate::run::{Place, finish, with_program};

fn is_judge(request: &Value) -> bool {
    request["system"]
        .to_string()
        .contains("You judge whether a goal is met")
}

#[test]
fn a_blank_check_is_refused_with_words() {
    let place = Place::new();
    for command in [
        ["exec", "--goal", "all green", "--check", "  "],
        ["sessions", "goal", "0199", "all green", "--check=\t"],
    ] {
        finish(place.command(&command)).says(2, &["--check", "it is blank", "cargo test"]);
    }
}

#[test]
fn the_evaluator_sees_what_was_committed_and_what_new_files_say() {
    let place = Place::new();
    let git = with_program(&place.command(&[]), "git", &["init", "-q", "."]);
    assert_eq!(finish(git).code, 0);
    let work = "echo a > a.txt && git add a.txt && \
                git -c user.name=x -c user.email=x@x commit -qm b && echo new words > ü.txt";
    let provider = Provider::start(move |request| {
        if is_judge(request) {
            let verdict = r#"{"verdict":"met","reasons":"both are there"}"#;
            return Answer::Reply(verdict, Vec::new());
        }
        let done = json!({"kind": "done", "text": "both are there", "evidence": [1]});
        match results(request) {
            0 => Answer::Reply("", vec![("bash", json!({"command": work}))]),
            1 => Answer::Reply("", vec![("note", done)]),
            _ => Answer::Reply("It is done.", Vec::new()),
        }
    });
    let arguments = [
        "--goal",
        "a.txt is committed, ü.txt is there",
        "--check",
        "test -f a.txt",
    ];
    let ran = finish(place.exec(&provider, &arguments));
    ran.says(0, &["the goal is met", "It is done."]);
    let requests = provider.requests();
    let judged = requests.iter().find(|request| is_judge(request)).unwrap();
    let shown = judged["messages"].to_string();
    for part in [
        "+++ b/a.txt",
        "+a",
        "new file: ü.txt",
        "new words",
        "exit code 0",
        "call:1",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
}
