//! Agents that work for an agent: whole runs of the program.

use std::fmt::Write as _;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

use crate::provider::{Answer, Provider, result_texts, results};
use crate::run::{Place, finish, wait_for};
use crate::screen::{ESC, HELD, bash, open, said};

const MODEL: &str = "anthropic/claude-opus-5-5";

fn agent(name: &str, task: &str, access: &str) -> (&'static str, Value) {
    (
        "agent",
        json!({"name": name, "task": task, "access": access}),
    )
}

/// Which agent a request is of; none where it is their lead's.
fn name(request: &Value) -> Option<String> {
    let first = request["messages"][0].to_string();
    let (_, rest) = first.split_once("You are the agent `")?;
    Some(rest.split('`').next()?.to_owned())
}

fn exec(place: &Place, provider: &Provider, arguments: &[&str]) -> Command {
    let mut command = place.command(&["exec", "--model", MODEL]);
    command
        .args(arguments)
        .env("ANTHROPIC_BASE_URL", &provider.url)
        .env("ANTHROPIC_API_KEY", "key");
    command
}

fn listed(place: &Place, arguments: &[&str]) -> String {
    let ran = finish(place.command(arguments));
    assert_eq!(ran.code, 0, "{}", ran.err);
    ran.out
}

/// Waits until so many are here, and says whether they came.
#[derive(Default)]
struct Meeting(Mutex<usize>, Condvar);

impl Meeting {
    fn of(&self, count: usize) -> bool {
        let mut here = self.0.lock().unwrap();
        *here += 1;
        self.1.notify_all();
        let until = |here: &mut usize| *here < count;
        let waited = self
            .1
            .wait_timeout_while(here, Duration::from_secs(20), until);
        !waited.unwrap().1.timed_out()
    }
}

#[test]
fn agents_that_only_read_work_side_by_side_and_share_a_cache() {
    let place = Place::new();
    place.write("a.txt", "alpha\n");
    let (meeting, met) = (Meeting::default(), Arc::new(AtomicUsize::new(0)));
    let together = Arc::clone(&met);
    let provider = Provider::start(move |request| match (name(request), results(request)) {
        (None, 0) => Answer::Reply(
            "I share it out.",
            vec![
                agent("one", "Read a.txt.", "read"),
                agent("two", "Try to change a.txt.", "read"),
            ],
        ),
        (None, _) => Answer::Reply("all done", vec![]),
        (Some(name), 0) => {
            // Each is asked while the other one is.
            together.fetch_add(usize::from(meeting.of(2)), Ordering::SeqCst);
            match name.as_str() {
                "one" => Answer::Reply("", vec![("read", json!({"path": "a.txt"}))]),
                _ => Answer::Reply(
                    "",
                    vec![
                        ("bash", json!({"command": "echo beta > a.txt"})),
                        ("write", json!({"path": "a.txt", "content": "beta"})),
                    ],
                ),
            }
        }
        (Some(name), _) if name == "one" => Answer::Reply("it says alpha", vec![]),
        (Some(_), _) => Answer::Reply("it cannot be changed", vec![]),
    });
    let ran = finish(exec(&place, &provider, &["--json", "look around"]));
    assert_eq!(ran.code, 0, "{}\n{}", ran.out, ran.err);
    assert_eq!(met.load(Ordering::SeqCst), 2, "side by side");
    assert_eq!(place.read("a.txt"), "alpha\n");

    let requests = provider.requests();
    assert_eq!(requests.len(), 6);
    for request in &requests {
        for field in ["system", "tools", "model"] {
            assert_eq!(request[field], requests[0][field], "{field}");
        }
    }
    let told = result_texts(requests.last().unwrap());
    assert!(told.contains("it says alpha") && told.contains("it cannot be changed"));
    assert!(told.contains("[agent one: 2 requests, "), "{told}");

    let result: Value = serde_json::from_str(ran.out.lines().last().unwrap()).unwrap();
    assert_eq!(result["requests"], 6, "{result}");
    let session = result["session"].as_str().unwrap();
    let cost = listed(&place, &["cost", session, "--json"]);
    let cost: Value = serde_json::from_str(&cost).unwrap();
    assert_eq!(result["cost_usd"], "0.00264");
    assert_eq!(cost["total"]["cost_usd"], result["cost_usd"], "{cost}");
    assert_eq!(cost["rows"].as_array().unwrap().len(), 3, "{cost}");

    let sessions = listed(&place, &["sessions", "list"]);
    assert!(!sessions.contains(".one"), "{sessions}");
    let shown = listed(&place, &["sessions", "show", &format!("{session}.one")]);
    assert!(shown.contains("it says alpha"), "{shown}");
    listed(&place, &["sessions", "rm", "--yes", session]);
    let gone = finish(place.command(&["sessions", "show", &format!("{session}.one")]));
    assert_ne!(gone.code, 0);
}

#[test]
fn what_an_agent_changed_is_taken_back_with_its_leads_work() {
    let place = Place::new();
    place.write("a.txt", "alpha\n");
    let provider = Provider::start(|request| match (name(request), results(request)) {
        (None, 0) => Answer::Reply("", vec![agent("one", "Write beta to a.txt.", "write")]),
        (None, _) => Answer::Reply("all done", vec![]),
        (Some(_), 0) => Answer::Reply(
            "",
            vec![(
                "bash",
                json!({"command": "echo beta > a.txt; echo new > b.txt"}),
            )],
        ),
        (Some(_), _) => Answer::Reply("written", vec![]),
    });
    let ran = finish(exec(&place, &provider, &["--json", "go"]));
    assert_eq!(ran.code, 0, "{}\n{}", ran.out, ran.err);
    assert_eq!(place.read("a.txt"), "beta\n");
    let kept: Vec<Value> = ran
        .out
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|event| event["type"] == "travel")
        .collect();
    let mut files = String::new();
    for file in kept
        .iter()
        .flat_map(|kept| kept["files"].as_array().unwrap())
    {
        let _ = write!(files, "{} ", file["path"].as_str().unwrap());
    }
    assert_eq!(files, "a.txt b.txt ", "{kept:#?}");
}

#[test]
fn what_an_agent_may_not_do_nobody_is_asked_about_in_a_run_without_a_person() {
    let place = Place::new();
    let provider = Provider::start(|request| match (name(request), results(request)) {
        (None, 0) => Answer::Reply("", vec![agent("one", "Leave the sandbox.", "write")]),
        (None, _) => Answer::Reply("all done", vec![]),
        (Some(_), 0) => Answer::Reply(
            "",
            vec![(
                "bash",
                json!({"command": "touch /tmp/never", "outside_sandbox": "it must"}),
            )],
        ),
        (Some(_), _) => Answer::Reply("it was refused", vec![]),
    });
    let ran = finish(exec(&place, &provider, &["--json", "go"]));
    assert_eq!(ran.code, 0, "{}\n{}", ran.out, ran.err);
    let asked: Vec<&str> = ran
        .out
        .lines()
        .filter(|line| line.contains("approval_asked"))
        .collect();
    let [asked] = asked.as_slice() else {
        panic!("{}", ran.out)
    };
    assert!(
        asked.contains("touch /tmp/never") && asked.contains("agent `one`"),
        "{asked}"
    );
    let of_agent = provider.requests();
    let of_agent = of_agent.iter().rfind(|request| name(request).is_some());
    assert!(result_texts(of_agent.unwrap()).contains("refused"));
}

#[test]
fn an_agents_question_is_answered_on_its_leads_screen() {
    let provider = Provider::start(|request| match (name(request), results(request)) {
        (None, 0) => Answer::Reply("", vec![agent("maker", "Make it.", "write")]),
        (None, _) => Answer::Reply("all done", vec![]),
        (Some(_), 0) => Answer::Reply("", bash("touch made")),
        (Some(_), _) => Answer::Reply("it is made", vec![]),
    });
    let place = Place::new();
    let mut pty = open(&place, &provider, &["--approve", "ask"]);
    pty.sees("say what to do");
    pty.type_line("make it");
    pty.sees("agent asks to run:");
    pty.sees("touch made");
    pty.sees("agent `maker`: ");
    pty.sees("  y once");
    pty.press("y\r");
    pty.sees("all done");
    assert!(place.work().join("made").exists());
    pty.type_line("/cost");
    pty.sees("of it, by agents");
    pty.sees("2 requests");
    pty.kill();
}

#[test]
fn stopping_a_session_stops_its_agents() {
    let provider = Provider::start(|request| match (name(request), results(request)) {
        (None, 0) => Answer::Reply("", vec![agent("waiter", "Wait.", "write")]),
        (Some(_), 0) => Answer::Reply("", bash(HELD)),
        (_, _) => Answer::Reply("not said", vec![]),
    });
    let place = Place::new();
    let mut pty = open(&place, &provider, &[]);
    pty.sees("say what to do");
    pty.type_line("wait");
    wait_for(&place, "started");
    pty.press(ESC);
    pty.sees("stopped");
    place.write("go", "");
    let requests = provider.requests().len();
    pty.type_line("and now?");
    pty.sees("not said");
    assert_eq!(provider.requests().len(), requests + 1);
    pty.kill();
}

#[test]
fn an_agent_goes_on_with_what_it_knows_after_its_host_was_killed() {
    let provider = Provider::start(|request| match (name(request), results(request)) {
        (None, 0 | 1) => Answer::Reply("", vec![agent("worker", "Do it.", "write")]),
        (None, _) => Answer::Reply("all done", vec![]),
        (Some(_), 0) => Answer::Reply("", bash("echo ran >> log")),
        (Some(_), 1) => Answer::Reply("", bash("touch started; sleep 300")),
        (Some(_), _) => Answer::Reply("I had run it", vec![]),
    });
    let place = Place::new();
    let mut pty = open(&place, &provider, &[]);
    pty.sees("say what to do");
    pty.type_line("go");
    wait_for(&place, "started");
    place.kill_host();
    pty.sees("all done");
    assert_eq!(place.read("log"), "ran\n");
    let requests = provider.requests();
    let of_agent = requests.iter().rfind(|request| name(request).is_some());
    assert_eq!(results(of_agent.unwrap()), 2, "what it knew, it knows");
    pty.kill();
}

#[test]
fn an_agent_at_work_can_be_looked_at_and_steered_on_a_screen_of_its_own() {
    let provider = Provider::start(|request| match (name(request), results(request)) {
        (None, 0) => Answer::Reply("", vec![agent("worker", "Wait.", "write")]),
        (None, _) => Answer::Reply("all done", vec![]),
        (Some(_), 0) => Answer::Reply("", bash(HELD)),
        (Some(_), _) if said(request).contains("be quick") => Answer::Reply("I was quick", vec![]),
        (Some(_), _) => Answer::Reply("slow", vec![]),
    });
    let place = Place::new();
    let mut lead = open(&place, &provider, &[]);
    lead.sees("say what to do");
    lead.type_line("go");
    wait_for(&place, "started");
    let sessions = listed(&place, &["sessions", "list"]);
    let session = sessions.lines().nth(1).unwrap();
    let session = session.split_whitespace().next().unwrap();
    let member = format!("{session}.worker");
    let mut screen = open(&place, &provider, &["--resume", &member]);
    screen.sees("Wait.");
    screen.sees("● bash");
    screen.type_line("be quick");
    screen.sees("↳ be quick  (steer: heard at the next step)");
    place.write("go", "");
    screen.sees("I was quick");
    lead.sees("all done");
    let last = provider.requests();
    assert!(result_texts(last.last().unwrap()).contains("I was quick"));
    // It can be gone on with by itself, too.
    screen.type_line("and now?");
    screen.sees_when("another answer", |screen| {
        screen.matches("I was quick").count() == 2
    });
    lead.kill();
    screen.kill();
}
