//! `kill -9` at random moments: what was shown is there, nothing runs twice, the task ends.

use std::collections::HashSet;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::provider::{Answer, Provider, results};
use crate::run::{Place, finish};

/// How often the process is killed.
const KILLS: u32 = 200;

/// Steps of one task; each appends its number to a file.
const STEPS: usize = 12;

/// The longest a process may live before it is killed, in microseconds: a little more than it takes
/// to start, resume and do a few steps, so that every moment is hit.
const LONGEST_US: u64 = 160_000;

fn provider() -> Provider {
    Provider::start(|request| {
        let done = results(request);
        if done < STEPS {
            let command = format!("echo {done} >> log; sleep 0.01; echo did {done}");
            Answer::Slow(
                "a few words before the call",
                vec![("bash", json!({"command": command}))],
            )
        } else {
            Answer::Reply("all done", vec![])
        }
    })
}

/// A small generator, so that a failure can be repeated with its seed.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }

    /// A place in something of that length.
    pub(crate) fn pick(&mut self, length: usize) -> usize {
        usize::try_from(self.roll(length as u64)).unwrap()
    }
}

/// One process: what it showed, and whether it came to its end by itself.
struct Life {
    lines: Vec<String>,
    finished: bool,
}

fn live(mut command: Command, longest: Duration) -> Life {
    let mut child: Child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let output = child.stdout.take().unwrap();
    let (sender, lines) = mpsc::channel();
    let reader = std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    let end = Instant::now() + longest;
    let mut past = Life {
        lines: Vec::new(),
        finished: false,
    };
    loop {
        let left = end.saturating_duration_since(Instant::now());
        match lines.recv_timeout(left) {
            Ok(line) => past.lines.push(line),
            Err(mpsc::RecvTimeoutError::Timeout) => break,
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                past.finished = child.wait().unwrap().success();
                break;
            }
        }
    }
    // Kills with SIGKILL; a process that is gone already is fine.
    let _ = child.kill();
    child.wait().unwrap();
    reader.join().unwrap();
    past.lines.extend(lines.try_iter());
    // A line that was cut by the kill was not shown.
    past.lines
        .retain(|line| serde_json::from_str::<Value>(line).is_ok());
    past
}

fn newest_session(place: &Place) -> Option<String> {
    let listed = finish(place.command(&["sessions", "list", "--limit", "1"]));
    let id = listed.out.lines().nth(1)?.split_whitespace().next()?;
    Some(id.to_owned())
}

/// What the kills hit.
#[derive(Debug, Default)]
struct Hit {
    /// Requests whose answer was on its way.
    requests: usize,
    /// Calls whose tool was running.
    calls: usize,
}

/// Everything that is recorded of a session.
fn journal(place: &Place, session: &str) -> String {
    let exported = finish(place.command(&["sessions", "export", session]));
    exported.says(0, &[]);
    exported.out
}

/// Everything that holds at the end of a task, whatever happened on the way.
fn check(place: &Place, session: &str, shown: &HashSet<String>, hit: &mut Hit) {
    let exported = journal(place, session);
    let journal: Vec<&str> = exported.lines().collect();
    for line in shown {
        assert!(journal.contains(&line.as_str()), "lost: {line}");
    }
    let events: Vec<Value> = journal
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let of = |kind: &str| -> Vec<&Value> {
        events
            .iter()
            .filter(|event| event["type"] == kind)
            .collect()
    };
    let (started, ended) = (of("tool_started"), of("tool_ended"));
    let calls: HashSet<u64> = started
        .iter()
        .map(|e| e["call"].as_u64().unwrap())
        .collect();
    assert_eq!(calls.len(), started.len(), "a call started twice");
    let results: HashSet<u64> = ended.iter().map(|e| e["call"].as_u64().unwrap()).collect();
    assert_eq!(results.len(), ended.len(), "a call has two results");
    assert_eq!(calls, results, "a call has no result");
    let last = of("turn_ended");
    assert_eq!(last.len(), 1, "one turn, ended once");
    assert_eq!(last[0]["reason"], "end_turn");
    for event in of("recovered") {
        hit.requests += usize::from(!event["lost_request"].is_null());
        hit.calls += event["lost_calls"].as_array().unwrap().len();
    }
    // Where every call was lost before its command began, there is none.
    let log = std::fs::read_to_string(place.work().join("log")).unwrap_or_default();
    let mut steps: Vec<&str> = log.lines().collect();
    let all = steps.len();
    steps.sort_unstable();
    steps.dedup();
    assert_eq!(steps.len(), all, "a command ran twice: {log}");
}

#[test]
fn killed_at_random_moments_it_loses_nothing() {
    let provider = provider();
    let mut dice = Dice(2026);
    let (mut kills, mut tasks, mut hit) = (0, 0, Hit::default());
    while kills < KILLS {
        let place = Place::new();
        let mut shown = HashSet::new();
        let mut session: Option<String> = None;
        loop {
            let command = match &session {
                Some(id) => place.exec(&provider, &["--json", "--resume", id]),
                None => place.exec(&provider, &["--json", "go through the steps"]),
            };
            let longest = if kills < KILLS {
                Duration::from_micros(dice.roll(LONGEST_US))
            } else {
                Duration::from_mins(1)
            };
            let past = live(command, longest);
            let events: Vec<String> = past
                .lines
                .into_iter()
                .filter(|line| line.contains("\"seq\":"))
                .collect();
            check_no_gap(&events);
            shown.extend(events);
            if past.finished {
                break;
            }
            kills += 1;
            session = session.or_else(|| begun(&place));
            match &session {
                None => shown.clear(),
                // It was killed after its last event, on its way out.
                Some(id) if journal(&place, id).contains("\"turn_ended\"") => break,
                Some(_) => {}
            }
        }
        let session = newest_session(&place).unwrap();
        check(&place, &session, &shown, &mut hit);
        tasks += 1;
    }
    assert!(tasks > 1, "every task was killed for ever");
    assert!(
        hit.requests > 5 && hit.calls > 5,
        "the kills missed a stream or a tool: {hit:?}"
    );
}

/// How often the process is killed whose agents work.
const TEAM_KILLS: u32 = 40;
/// The same as `LONGEST_US`, where an agent is opened too.
const TEAM_LONGEST_US: u64 = 300_000;

/// A lead that has `worker` do the steps, which has `reader` look in between.
fn team() -> Provider {
    let steps = |name: &str, task: &str, access: &str| {
        let arguments = json!({"name": name, "task": task, "access": access});
        Answer::Slow("", vec![("agent", arguments)])
    };
    Provider::start(move |request| {
        let (first, done) = (request["messages"][0].to_string(), results(request));
        if first.contains("You are the agent `reader`") {
            return match done {
                0 => Answer::Slow("", vec![("read", json!({"path": "log"}))]),
                _ => Answer::Reply("it is read", vec![]),
            };
        }
        if first.contains("You are the agent `worker`") {
            return match done {
                3 => steps("reader", "Read it.", "read"),
                0..STEPS => {
                    let command = format!("echo {done} >> log; sleep 0.01");
                    Answer::Slow("on it", vec![("bash", json!({"command": command}))])
                }
                _ => Answer::Reply("worked it off", vec![]),
            };
        }
        if crate::provider::result_texts(request).contains("worked it off") {
            return Answer::Reply("all done", vec![]);
        }
        steps("worker", &format!("Do it, for the {done}. time."), "write")
    })
}

/// What holds at the end of a task that agents worked on.
fn check_team(place: &Place, lead: &str) -> usize {
    let log = std::fs::read_to_string(place.work().join("log")).unwrap_or_default();
    let mut steps: Vec<&str> = log.lines().collect();
    let all = steps.len();
    steps.sort_unstable();
    steps.dedup();
    assert_eq!(steps.len(), all, "a command ran twice: {log}");
    let (mut lost, mut requests) = (0, 0);
    for session in [lead.to_owned(), format!("{lead}.worker")] {
        let exported = journal(place, &session);
        let events = exported.lines();
        let events: Vec<Value> = events
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let calls = |kind: &str| -> Vec<u64> {
            let of = events.iter().filter(|event| event["type"] == kind);
            of.map(|event| event["call"].as_u64().unwrap()).collect()
        };
        let (mut started, mut ended) = (calls("tool_started"), calls("tool_ended"));
        started.sort_unstable();
        ended.sort_unstable();
        assert_eq!(started, ended, "{session}: {exported}");
        started.dedup();
        assert_eq!(started.len(), ended.len(), "a call started twice");
        let of = |kind: &str| events.iter().filter(|event| event["type"] == kind).count();
        requests += of("model_replied") + of("model_failed");
        lost += of("recovered");
        let end = events.iter().rfind(|event| event["type"] == "turn_ended");
        assert_eq!(end.unwrap()["reason"], "end_turn", "{session}");
    }
    let reader = finish(place.command(&["sessions", "export", &format!("{lead}.worker.reader")]));
    if reader.code == 0 {
        // What a crash cut short there, nobody has opened again.
        requests += reader.out.matches("\"type\":\"model_called\"").count();
    }
    let cost = finish(place.command(&["cost", lead, "--json"]));
    let cost: Value = serde_json::from_str(&cost.out).unwrap();
    assert_eq!(cost["total"]["requests"], requests, "{cost}");
    lost
}

#[test]
fn killed_while_agents_work_no_command_runs_twice_and_the_task_ends() {
    let provider = team();
    let mut dice = Dice(2027);
    let (mut kills, mut lost) = (0, 0);
    while kills < TEAM_KILLS {
        let place = Place::new();
        let mut session: Option<String> = None;
        loop {
            let command = match &session {
                Some(id) => place.exec(&provider, &["--json", "--resume", id]),
                None => place.exec(&provider, &["--json", "have it worked off"]),
            };
            let longest = if kills < TEAM_KILLS {
                Duration::from_micros(dice.roll(TEAM_LONGEST_US))
            } else {
                Duration::from_mins(1)
            };
            if live(command, longest).finished {
                break;
            }
            kills += 1;
            session = session.or_else(|| begun(&place));
            if let Some(id) = &session
                && journal(&place, id).contains("\"turn_ended\"")
            {
                break;
            }
        }
        lost += check_team(&place, &newest_session(&place).unwrap());
    }
    assert!(lost > 5, "the kills hit nothing: {lost}");
}

/// What one process shows, the recovery included, it shows without a gap.
fn check_no_gap(events: &[String]) {
    let places: Vec<u64> = events
        .iter()
        .map(|line| {
            serde_json::from_str::<Value>(line).unwrap()["seq"]
                .as_u64()
                .unwrap()
        })
        .collect();
    let gap = places.windows(2).find(|pair| pair[0] + 1 != pair[1]);
    assert_eq!(gap, None, "{events:#?}");
}

/// The session, once it holds the prompt: one that was killed before has nothing to go on with.
fn begun(place: &Place) -> Option<String> {
    let session = newest_session(place)?;
    if journal(place, &session).contains("\"message_delivered\"") {
        return Some(session);
    }
    finish(place.command(&["sessions", "rm", "--yes", &session])).says(0, &[]);
    None
}
