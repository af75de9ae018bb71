//! What goes wrong outside: each says what happened and what to do, and nothing is lost.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::provider::{Answer, Provider, result_texts, results};
use crate::run::{Place, exists, finish, on_small_disk, wait_for, with_program};

fn answers(status: u16, kind: &'static str, body: &'static str) -> Provider {
    Provider::start(move |_| Answer::Raw(status, kind, body.to_owned()))
}

/// A model that makes these calls, one a step, and then says `done`.
fn calls(calls: Vec<(&'static str, Value)>) -> Provider {
    Provider::start(move |request| match calls.get(results(request)) {
        Some((name, arguments)) => Answer::Reply("", vec![(*name, arguments.clone())]),
        None => Answer::Reply("done", vec![]),
    })
}

#[test]
fn no_key() {
    let place = Place::new();
    finish(place.command(&["exec", "hi"])).says(
        2,
        &[
            "no model to use",
            "ANTHROPIC_API_KEY",
            "OPENAI_API_KEY",
            "quire demo",
        ],
    );
    finish(place.command(&["exec", "hi", "--model", "anthropic/claude-opus-5-5"]))
        .says(1, &["no key for anthropic", "ANTHROPIC_API_KEY"]);
}

#[test]
fn wrong_key() {
    let place = Place::new();
    let provider = answers(
        401,
        "application/json",
        r#"{"type":"error","error":{"type":"authentication_error","message":"invalid x-api-key"}}"#,
    );
    let ran = finish(place.exec(&provider, &["hi"]));
    ran.says(1, &["invalid x-api-key", "ANTHROPIC_API_KEY"]);
    assert_eq!(
        provider.requests().len(),
        1,
        "a wrong key is not tried again"
    );
}

#[test]
fn wrong_url() {
    let place = Place::new();
    let mut command = place.command(&["exec", "hi", "--model", "chat/m", "--timeout", "30"]);
    // Nothing listens on the discard port.
    command.env("OPENAI_BASE_URL", "http://127.0.0.1:9/v1");
    let ran = finish(command);
    assert_ne!(ran.code, 0);
    ran.says(ran.code, &["127.0.0.1:9"]);
    let mut command = place.command(&["exec", "hi", "--model", "chat/m"]);
    command.env("OPENAI_BASE_URL", "not a url");
    finish(command).says(1, &["not a url"]);
}

#[test]
fn unknown_model() {
    let place = Place::new();
    let provider = answers(
        404,
        "application/json",
        r#"{"type":"error","error":{"type":"not_found_error","message":"model: double"}}"#,
    );
    finish(place.exec(&provider, &["hi"])).says(1, &["model: double", "Check the model's name"]);
    finish(place.command(&["exec", "hi", "--model", "nowhere/x"]))
        .says(2, &["no model `nowhere/x`", "anthropic", "openai", "chat"]);
    finish(place.command(&["exec", "hi", "--model", "gpt"])).says(2, &["PROVIDER/NAME"]);
}

#[test]
fn an_endpoint_that_answers_html() {
    let place = Place::new();
    let provider = answers(200, "text/html", "<!doctype html><h1>Welcome</h1>");
    finish(place.exec(&provider, &["hi"])).says(1, &["text/html", "base URL", &provider.url]);
}

#[test]
fn malformed_arguments_and_invented_tools_are_told_to_the_model() {
    let place = Place::new();
    let provider = calls(vec![
        ("bash", Value::String(r#"{"command": "echo"#.to_owned())),
        ("teleport", json!({"to": "moon"})),
        ("read", json!({"file": "x"})),
    ]);
    finish(place.exec(&provider, &["go"])).says(0, &["done"]);
    let requests = provider.requests();
    let told = result_texts(requests.last().unwrap());
    for words in ["JSON", "teleport", "bash", "path"] {
        assert!(told.contains(words), "{words}: {told}");
    }
}

#[test]
fn a_patch_that_does_not_apply_changes_nothing() {
    let place = Place::new();
    place.write("a.txt", "one\ntwo\n");
    place.write("b.txt", "three\n");
    let provider = calls(vec![
        (
            "edit",
            json!({"path": "a.txt", "edits": [
            {"old": "one", "new": "1"}, {"old": "nowhere", "new": "2"}]}),
        ),
        (
            "edit",
            json!({"path": "b.txt", "edits": [{"old": "three", "new": "3"}]}),
        ),
    ]);
    finish(place.exec(&provider, &["go"])).says(0, &["done"]);
    assert_eq!(place.read("a.txt"), "one\ntwo\n");
    assert_eq!(place.read("b.txt"), "3\n");
    let told = result_texts(provider.requests().last().unwrap());
    assert!(told.contains("edit 2 of 2"), "{told}");
}

#[test]
fn a_file_that_is_not_utf8_is_not_damaged() {
    let place = Place::new();
    let bytes = b"caf\xe9 one\n";
    place.write("latin1.txt", bytes);
    let provider = calls(vec![
        ("read", json!({"path": "latin1.txt"})),
        (
            "edit",
            json!({"path": "latin1.txt", "edits": [{"old": "one", "new": "1"}]}),
        ),
    ]);
    finish(place.exec(&provider, &["go"])).says(0, &["done"]);
    assert_eq!(fs::read(place.work().join("latin1.txt")).unwrap(), bytes);
    let told = result_texts(provider.requests().last().unwrap());
    assert!(told.contains("UTF-8"), "{told}");
}

#[test]
fn a_file_of_two_gigabytes_is_read_in_part() {
    let place = Place::new();
    place.write("huge.txt", "first line\n");
    let file = fs::OpenOptions::new()
        .write(true)
        .open(place.work().join("huge.txt"))
        .unwrap();
    // Sparse: it takes no room.
    file.set_len(2 << 30).unwrap();
    let provider = calls(vec![
        ("read", json!({"path": "huge.txt"})),
        ("bash", json!({"command": "head -c 11 huge.txt"})),
    ]);
    finish(place.exec(&provider, &["go"])).says(0, &["done"]);
    let requests = provider.requests();
    let last = requests.last().unwrap();
    assert!(last.to_string().len() < 200_000);
    assert!(result_texts(last).contains("first line"));
}

#[test]
fn a_missing_directory() {
    let place = Place::new();
    let mut command = place.command(&["exec", "hi"]);
    let gone = place.work().join("gone");
    fs::create_dir(&gone).unwrap();
    command.current_dir(&gone);
    // The folder vanishes between the shell's `cd` and the start: the shell of a person who
    // removed it in another window.
    let script = format!(
        "cd {0} && rmdir {0} && exec {1} exec hi",
        gone.display(),
        env!("CARGO_BIN_EXE_quire")
    );
    let mut shell = place.command(&[]);
    shell = with_program(&shell, "sh", &["-c", &script]);
    finish(shell).says(
        2,
        &["current folder cannot be used", "change to one that exists"],
    );
}

#[test]
fn a_home_that_cannot_be_written() {
    let place = Place::new();
    let provider = calls(vec![]);
    // Permissions do not bind the superuser; a file in the way binds everybody.
    fs::write(place.home().join("quire"), "in the way").unwrap();
    finish(place.exec(&provider, &["hi"])).says(1, &["cannot use the store", "quire"]);
    let mut command = place.exec(&provider, &["hi"]);
    command.env("QUIRE_HOME", "/proc/quire");
    finish(command).says(1, &["cannot use the store", "/proc/quire"]);
    assert!(provider.requests().is_empty(), "nothing was sent");
}

#[test]
fn a_full_disk() {
    let place = Place::new();
    // An answer that does not fit on the disk, then one that does.
    let long: &'static str = Box::leak("x".repeat(8 << 20).into_boxed_str());
    let asked = AtomicUsize::new(0);
    let provider = Provider::start(move |_| match asked.fetch_add(1, Ordering::Relaxed) {
        0 => Answer::Reply(long, vec![]),
        _ => Answer::Reply("done", vec![]),
    });
    let quire = env!("CARGO_BIN_EXE_quire");
    let script = format!(
        "{quire} exec --model anthropic/double go; echo \"first: $?\"
         {quire} sessions export $({quire} sessions | tail -1 | cut -d' ' -f1)
         mount -o remount,size=64m \"$QUIRE_HOME\"
         {quire} exec --model anthropic/double --continue; echo \"second: $?\""
    );
    let Some(ran) = on_small_disk(&place.exec(&provider, &["go"]), "2m", &script) else {
        return;
    };
    // It says what happened and what to do; what was recorded is there, and once there is room it
    // goes on.
    ran.says(
        0,
        &[
            "first: 1",
            "the disk is full: free some space under",
            "Its journal is intact: resume it",
            r#""type":"message_delivered""#,
            "done\nsecond: 0",
        ],
    );
    assert_eq!(
        ran.err.matches("the disk is full").count(),
        1,
        "{}",
        ran.err
    );
}

#[test]
fn the_doctor_tells_a_git_that_does_not_run_from_one_that_is_not_there() {
    let place = Place::new();
    // The one in the home folder is not even seen by commands where they have a /tmp of their own.
    for folder in [place.work(), place.home()] {
        let git = folder.join("git");
        fs::write(&git, "#!/bin/sh\nexit 3\n").unwrap();
        fs::set_permissions(&git, fs::Permissions::from_mode(0o755)).unwrap();
        let mut command = place.command(&["doctor"]);
        command.env("PATH", &folder);
        let ran = finish(command);
        ran.says(1, &[&format!("git: {} is there, but", git.display())]);
        assert!(!ran.out.contains("install it"), "{}", ran.out);
    }
    let mut command = place.command(&["doctor"]);
    command.env("PATH", place.work().join("empty"));
    finish(command).says(1, &["git: it is not in PATH: install it"]);
}

#[test]
fn the_doctor_notices_a_disk_that_is_full() {
    let place = Place::new();
    let quire = env!("CARGO_BIN_EXE_quire");
    for (size, words) in [
        ("20m", ["BAD   space for sessions", "only 20 MiB are free"]),
        ("200m", ["note  space for sessions", "200 MiB are free"]),
    ] {
        let script = format!("{quire} doctor");
        let Some(ran) = on_small_disk(&place.command(&[]), size, &script) else {
            return;
        };
        ran.says(1, &words);
        ran.says(1, &["set QUIRE_HOME to a folder with more"]);
    }
}

#[test]
fn an_output_that_is_full_is_said_once() {
    let place = Place::new();
    let provider = calls(vec![]);
    for mut command in [
        place.exec(&provider, &["hi"]),
        place.exec(&provider, &["--json", "hi"]),
        place.command(&["config"]),
    ] {
        let Ok(full) = fs::File::options().write(true).open("/dev/full") else {
            eprintln!("SKIPPED: this machine has no /dev/full");
            return;
        };
        command.stdout(full);
        let ran = finish(command);
        ran.says(1, &["cannot write the output"]);
        assert_eq!(ran.err.matches("No space left").count(), 1, "{}", ran.err);
    }
    // The session is there all the same.
    finish(place.command(&["sessions"])).says(0, &["hi"]);
}

#[test]
fn a_session_in_use_says_what_to_do() {
    let place = Place::new();
    let provider = Provider::start(|_| {
        Answer::Reply(
            "",
            vec![("bash", json!({"command": "touch started; sleep 600"}))],
        )
    });
    let mut child = place.exec(&provider, &["go"]).spawn().unwrap();
    wait_for(&place, "started");
    let ran = finish(place.exec(&provider, &["--continue", "more"]));
    ran.says(
        1,
        &[&format!("in use by process {}", child.id()), "or end it"],
    );
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn bad_arguments() {
    let place = Place::new();
    place.write("schema.json", "{ not json");
    place.write("type.json", r#"{"type": "nonsense"}"#);
    place.write("image.png", "no image");
    let provider = calls(vec![]);
    for (arguments, words) in [
        (vec!["hi", "--effort", "huge"], vec!["--effort", "low"]),
        (
            vec!["hi", "--budget-usd", "much"],
            vec!["--budget-usd", "2.50"],
        ),
        (
            vec!["hi", "--budget-usd", "-1"],
            vec!["--budget-usd", "a positive amount in dollars like 2.50"],
        ),
        (
            vec!["hi", "--max-turns", "-1"],
            vec!["--max-turns", "at least 1"],
        ),
        (vec!["hi", "--timeout", "soon"], vec!["--timeout", "15m"]),
        (vec!["hi", "--timeout", "-1"], vec!["--timeout", "15m"]),
        (
            vec!["hi", "--output-schema", "schema.json"],
            vec!["schema.json", "not JSON"],
        ),
        (
            vec!["hi", "--output-schema", "type.json"],
            vec!["type.json", "cannot be used"],
        ),
        (
            vec!["hi", "--output-schema", "gone.json"],
            vec!["gone.json"],
        ),
        (
            vec!["hi", "--image", "image.png"],
            vec!["image.png", "no png"],
        ),
        (vec!["--resume", "nope", "hi"], vec!["no session `nope`"]),
        (vec!["--continue", "hi"], vec!["no session in this folder"]),
        (vec![], vec!["there is no task"]),
    ] {
        finish(place.exec(&provider, &arguments)).says(2, &words);
    }
    assert!(provider.requests().is_empty(), "nothing was sent");
}

/// A budget bites or is refused; whatever was spent without a price, the session can go on.
#[test]
fn a_budget_and_a_model_without_a_price() {
    let place = Place::new();
    let provider = Provider::start(|_| Answer::Reply("Done.", Vec::new()));
    let exec = |arguments: &[&str]| {
        let mut command = place.command(&[&["exec"], arguments].concat());
        command
            .env("ANTHROPIC_BASE_URL", &provider.url)
            .env("ANTHROPIC_API_KEY", "key");
        finish(command)
    };
    let (priced, unpriced) = ("anthropic/claude-opus-5-5", "anthropic/double");
    let refused = "no price is known for anthropic/double";
    exec(&["-m", unpriced, "--budget-usd", "0.5", "a"]).says(2, &[refused]);
    exec(&["-m", priced, "--budget-usd", "0.5", "a"]).says(0, &["Done."]);
    exec(&["-c", "-m", unpriced, "b"]).says(1, &[refused, "--budget-usd none"]);
    exec(&["-c", "-m", priced, "c"]).says(0, &["Done."]);
    exec(&["-c", "-m", unpriced, "--budget-usd", "none", "d"]).says(0, &["Done."]);
    let spent = [
        "paused at a limit of the session",
        " --budget-usd N",
        "1 request without a known price not counted",
    ];
    exec(&["-c", "-m", priced, "--budget-usd", "0.000001", "e"]).says(4, &spent);
    // The paused turn goes on, and hears of the new message with the next request.
    exec(&["-c", "--budget-usd", "100", "f"]).says(0, &["Done."]);
    assert_eq!(provider.requests().len(), 4);
}

#[test]
fn a_config_that_cannot_be_read_names_the_line() {
    let place = Place::new();
    let home = place.home().join("quire");
    fs::create_dir_all(&home).unwrap();
    fs::write(
        home.join("config.toml"),
        "effort = \"high\"\nmax_turns = \"many\"\n",
    )
    .unwrap();
    let provider = calls(vec![]);
    finish(place.exec(&provider, &["hi"])).says(2, &["config.toml:2", "whole number"]);
    fs::write(home.join("config.toml"), "modle = \"x/y\"\n").unwrap();
    finish(place.exec(&provider, &["hi"])).says(0, &["config.toml:1", "model", "done"]);
    fs::write(home.join("config.toml"), b"\xff\xfe").unwrap();
    finish(place.exec(&provider, &["hi"])).says(2, &["config.toml"]);
    fs::remove_file(home.join("config.toml")).unwrap();
    fs::create_dir(home.join("config.toml")).unwrap();
    finish(place.exec(&provider, &["hi"])).says(2, &["config.toml"]);
    assert!(exists(&home));
    let mode = fs::metadata(home.join("data"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o077, 0, "nobody else reads the journal");
}

#[test]
fn input_without_an_end_is_refused_before_it_fills_the_memory() {
    let place = Place::new();
    let provider = answers(500, "text/plain", "unused");
    place.write("long", "");
    let file = fs::File::options()
        .read(true)
        .write(true)
        .open(place.work().join("long"))
        .unwrap();
    file.set_len(2 << 30).unwrap();
    let mut command = place.exec(&provider, &["sum it up"]);
    command.stdin(file);
    finish(command).says(
        2,
        &["standard input is longer", "name the file in the prompt"],
    );
    assert!(provider.requests().is_empty());
}

#[test]
fn a_pipe_that_never_ends_is_bounded_by_the_timeout() {
    let place = Place::new();
    let provider = answers(500, "text/plain", "unused");
    let mut command = place.exec(&provider, &["sum it up", "--timeout", "1s"]);
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    let open = child.stdin.take();
    assert_eq!(child.wait().unwrap().code(), Some(124));
    drop(open);
    assert!(provider.requests().is_empty());
}

#[test]
fn the_doctor_notices_a_store_that_cannot_be_made() {
    let place = Place::new();
    let mut command = place.command(&["doctor"]);
    command.env("QUIRE_HOME", "/proc/nowhere");
    finish(command).says(1, &["BAD   store /proc/nowhere/data", "set QUIRE_HOME"]);
}
