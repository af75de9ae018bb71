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

#[test]
fn the_evaluator_sees_commits_that_claim_to_be_old_and_waits_for_no_pipe() {
    let place = Place::new();
    place.write("a.txt", "one\n");
    for arguments in [
        &["init", "-q", "."][..],
        &["add", "a.txt"],
        &[
            "-c",
            "user.name=x",
            "-c",
            "user.email=x@x",
            "commit",
            "-qm",
            "one",
        ],
    ] {
        assert_eq!(
            finish(with_program(&place.command(&[]), "git", arguments)).code,
            0
        );
    }
    let work = "echo two >> a.txt && mkfifo p && ln -s p q && ln -s /dev/zero z && \
                GIT_COMMITTER_DATE=2021-01-01T00:00:00 git -c user.name=x -c user.email=x@x commit -qam two && \
                git reflog expire --expire=now --all";
    let provider = Provider::start(move |request| {
        if is_judge(request) {
            let verdict = r#"{"verdict":"impossible","reasons":"enough"}"#;
            return Answer::Reply(verdict, Vec::new());
        }
        match results(request) {
            0 => Answer::Reply("", vec![("bash", json!({"command": work}))]),
            _ => Answer::Reply("It is done.", Vec::new()),
        }
    });
    let ran = finish(place.exec(&provider, &["--goal", "a.txt says two"]));
    assert_eq!(ran.code, 8, "{}", ran.err);
    let requests = provider.requests();
    let judged = requests.iter().find(|request| is_judge(request)).unwrap();
    let shown = judged["messages"].to_string();
    for part in [
        "+two",
        "new link: q -> p",
        "new link: z -> /dev/zero",
        "sum over all files",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
}
