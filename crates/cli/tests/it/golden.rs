//! Whole tasks from recorded bytes: what a provider sent is sent again, everything else is real.
//! The fixtures are described in `tests/golden/README.md`.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use expect_test::{Expect, expect};
use serde_json::Value;

use crate::library::{Environment, Library, cargo_environment};
use crate::provider::{Answer, Provider};
use crate::run::{Place, finish};

/// Event types that come when they come: background jobs end beside the turn.
const AT_ANY_TIME: [&str; 2] = ["job_ended", "noticed"];

/// A recorded task.
struct Golden {
    folder: &'static str,
    model: &'static str,
    /// The variables that point the binary at a provider.
    base_url: (&'static str, &'static str),
    key: &'static str,
    /// The person's own settings.
    config: &'static str,
    /// Where a request of this dialect holds the conversation.
    conversation: &'static str,
}

/// The server takes all that the vendor's own takes: patches that are no JSON.
const FREE_TEXT: &str = "[providers.openai]\nvendor_features = true\n";

fn messages(folder: &'static str) -> Golden {
    Golden {
        folder,
        model: "anthropic/claude-opus-5-5",
        base_url: ("ANTHROPIC_BASE_URL", ""),
        key: "ANTHROPIC_API_KEY",
        config: "",
        conversation: "messages",
    }
}

fn responses(folder: &'static str, config: &'static str) -> Golden {
    Golden {
        folder,
        model: "openai/gpt-6.1-sol",
        base_url: ("OPENAI_BASE_URL", "/v1"),
        key: "OPENAI_API_KEY",
        config,
        conversation: "input",
    }
}

fn chat(folder: &'static str) -> Golden {
    Golden {
        folder,
        model: "chat/qwen3-coder",
        base_url: ("OPENAI_BASE_URL", "/v1"),
        key: "OPENAI_API_KEY",
        config: "",
        conversation: "messages",
    }
}

/// What doing a task again led to.
struct Done {
    place: Place,
    requests: Vec<Value>,
    events: Vec<Value>,
    answer: String,
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// The recorded answers, in order.
fn answers(folder: &str) -> Vec<(u16, &'static str, String)> {
    let mut paths: Vec<PathBuf> = fs::read_dir(fixtures().join(folder))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| !path.ends_with("recording.jsonl"))
        .collect();
    paths.sort();
    paths
        .iter()
        .map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap();
            let body = fs::read_to_string(path).unwrap();
            match name.split('.').collect::<Vec<_>>().as_slice() {
                [_, "sse"] => (200, "text/event-stream", body),
                [_, status, "json"] => (status.parse().unwrap(), "application/json", body),
                _ => panic!("what is {name}?"),
            }
        })
        .collect()
}

/// Does a task in a place again: everything is real but the answers.
fn replay(golden: &Golden, task: &str, place: Place, environment: Environment) -> Done {
    place.config(golden.config);
    let (answers, next) = (answers(golden.folder), AtomicUsize::new(0));
    let recorded = answers.len();
    let provider =
        Provider::start(
            move |_| match answers.get(next.fetch_add(1, Ordering::Relaxed)) {
                Some((status, kind, body)) => Answer::Raw(*status, kind, body.clone()),
                None => Answer::Raw(400, "text/plain", "nothing more was recorded".to_owned()),
            },
        );
    let mut command = place.command(&["exec", "--json", "--model", golden.model, task]);
    let (name, path) = golden.base_url;
    command
        .env(name, format!("{}{path}", provider.url))
        .env(golden.key, "key")
        .envs(environment);
    let ran = finish(command);
    // What it prints may well tell of a test that panicked; itself it may not.
    assert_eq!(ran.code, 0, "{}\n{}", ran.out, ran.err);
    assert!(!ran.err.contains("panicked"), "{}", ran.err);
    let requests = provider.requests();
    assert_eq!(requests.len(), recorded, "requests");
    let mut events: Vec<Value> = ran
        .out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let result = events.pop().unwrap();
    Done {
        place,
        requests,
        events,
        answer: result["answer"].as_str().unwrap().to_owned(),
    }
}

impl Done {
    /// The events, a line each; what tools did between two other events is one line, in the order
    /// of the calls, since calls run side by side.
    fn story(&self) -> String {
        let (mut story, mut tools) = (String::new(), Vec::new());
        for event in &self.events {
            let kind = event["type"].as_str().unwrap();
            match kind {
                _ if AT_ANY_TIME.contains(&kind) => {}
                "tool_started" => {}
                "tool_ended" => tools.push((
                    event["call"].as_u64().unwrap(),
                    event["outcome"]["status"].as_str().unwrap(),
                )),
                "plan_set" | "job_started" | "approval_asked" | "approval_answered" => {
                    tools.push((event["call"].as_u64().unwrap_or(u64::MAX), kind));
                }
                "travel" => {
                    tools.push((
                        event["call"].as_u64().unwrap(),
                        event["step"].as_str().unwrap(),
                    ));
                }
                _ => {
                    tell_tools(&mut story, &mut tools);
                    tell(&mut story, kind, event);
                }
            }
        }
        story
    }

    /// Says that what was sent once is the beginning of all that is sent later: caches live from it.
    fn check_requests_only_grow(&self, conversation: &str) {
        for pair in self.requests.windows(2) {
            let [earlier, later] = pair else { continue };
            for field in ["system", "instructions", "tools", "model"] {
                assert_eq!(earlier[field], later[field], "{field}");
            }
            let (earlier, later) = (&earlier[conversation], &later[conversation]);
            let (earlier, later) = (earlier.as_array().unwrap(), later.as_array().unwrap());
            assert!(later.starts_with(earlier), "{earlier:#?}\n{later:#?}");
        }
    }
}

fn tell(story: &mut String, kind: &str, event: &Value) {
    let _ = write!(story, "{kind}");
    for item in event["items"].as_array().into_iter().flatten() {
        let _ = write!(story, " {}", item["kind"].as_str().unwrap());
        if let Some(name) = item["name"].as_str() {
            let _ = write!(story, ":{name}");
        }
    }
    for retry in event["retries"].as_array().into_iter().flatten() {
        let _ = write!(story, " after {}", retry["reason"].as_str().unwrap());
    }
    story.push('\n');
}

fn tell_tools(story: &mut String, tools: &mut Vec<(u64, &str)>) {
    if tools.is_empty() {
        return;
    }
    tools.sort_by_key(|(call, _)| *call);
    let words: Vec<&str> = tools.drain(..).map(|(_, word)| word).collect();
    let _ = writeln!(story, "  {}", words.join(" "));
}

/// Does the task about our own project again and says whether files, answer and events are as they
/// should be.
fn check(golden: &Golden, answer: &str, story: &Expect) {
    let place = Place::new();
    for file in ["README.md", "pages.sh", "tests/run.sh"] {
        place.write(
            file,
            fs::read(fixtures().join("project").join(file)).unwrap(),
        );
    }
    let task = "sh tests/run.sh fails here. Find the cause and fix it.";
    let done = replay(golden, task, place, Environment::new());
    let repaired = done.place.read("pages.sh");
    let (page, entry) = ("last=$((first + $3 - 1))", "$((($1 - 1) / $2 + 1))");
    assert_eq!(
        repaired,
        fs::read_to_string(fixtures().join("project/pages.sh"))
            .unwrap()
            .replace("last=$((first + $3))", page)
            .replace("$(($1 / $2 + 1))", entry)
    );
    assert!(repaired.contains(page) && repaired.contains(entry));
    assert!(done.answer.contains(answer), "{}", done.answer);
    done.check_requests_only_grow(golden.conversation);
    let last = done.requests.last().unwrap()[golden.conversation].to_string();
    let free_text = golden.config == FREE_TEXT;
    assert_eq!(last.contains("custom_tool_call_output"), free_text);
    for words in ["2 failed", "7 passed, 0 failed"] {
        assert!(last.contains(words), "the model was not told: {words}");
    }
    story.assert_eq(&done.story());
}

/// A task about a library, and what its tests say with the fault and without.
struct Repair {
    library: Library,
    fails: &'static str,
    passes: &'static str,
    /// What the model was told of its own mistake.
    mistake: &'static str,
}

/// Does a task about a library again: the fault has to be gone, by the model's edits alone.
fn check_repair(golden: &Golden, repair: &Repair, answer: &str, story: &Expect) {
    let place = Place::new();
    let copied = repair.library.plant(&place);
    let task = "cargo test --offline fails here. Find the cause and fix it.";
    let environment = cargo_environment(&place);
    let done = replay(golden, task, place, environment);
    copied.check_restored(&done.place);
    assert!(done.answer.contains(answer), "{}", done.answer);
    done.check_requests_only_grow(golden.conversation);
    let last = done.requests.last().unwrap()[golden.conversation].to_string();
    let told = |words: &str| {
        let found = last.find(words);
        found.unwrap_or_else(|| panic!("the model was not told: {words}\n{last}"))
    };
    let (failed, passed) = (told(repair.fails), told(repair.passes));
    assert!(failed < passed && told(repair.mistake) < passed, "{last}");
    assert!(!last[passed..].contains("FAILED"), "{last}");
    assert!(!last[passed..].contains("exit code"), "{last}");
    story.assert_eq(&done.story());
}

#[test]
fn a_task_over_messages() {
    check(
        &messages("messages"),
        "2 failures before",
        &expect![[r"
            configured
            prefix_set
            message_accepted
            turn_started
            message_delivered
            model_called
            model_replied thinking assistant tool_call:list tool_call:read tool_call:bash tool_call:search tool_call:plan tool_call:read
              done done done done done failed plan_set
            model_called
            model_replied thinking assistant tool_call:edit tool_call:edit tool_call:bash tool_call:bash
              kept done failed done job_started done
            model_called
            model_replied assistant tool_call:job tool_call:bash tool_call:plan after the provider answered 529: Overloaded
              done done done plan_set
            model_called
            model_replied assistant
            turn_ended
        "]],
    );
}

#[test]
fn a_task_over_responses() {
    check(
        &responses("responses", ""),
        "were off by one",
        &expect![[r"
            configured
            prefix_set
            message_accepted
            turn_started
            message_delivered
            model_called
            model_replied thinking assistant tool_call:list tool_call:read tool_call:shell tool_call:search
              done done done done
            model_called
            model_replied thinking assistant tool_call:apply_patch tool_call:shell
              failed failed
            model_called
            model_replied assistant tool_call:apply_patch
              kept done
            model_called
            model_replied assistant tool_call:shell
              done
            model_called
            model_replied thinking assistant
            turn_ended
        "]],
    );
}

#[test]
fn a_task_over_responses_with_free_text_patches() {
    check(
        &responses("responses-free-text", FREE_TEXT),
        "were off by one",
        &expect![[r"
            configured
            prefix_set
            message_accepted
            turn_started
            message_delivered
            model_called
            model_replied thinking assistant tool_call:list tool_call:read tool_call:shell tool_call:search
              done done done done
            model_called
            model_replied thinking assistant tool_call:apply_patch tool_call:shell
              failed failed
            model_called
            model_replied assistant tool_call:apply_patch
              kept done
            model_called
            model_replied assistant tool_call:shell
              done
            model_called
            model_replied thinking assistant
            turn_ended
        "]],
    );
}

#[test]
fn a_task_over_chat() {
    check(
        &chat("chat"),
        "that needs a person",
        &expect![[r"
            configured
            prefix_set
            message_accepted
            turn_started
            message_delivered
            model_called
            model_replied assistant tool_call:list tool_call:read tool_call:bash tool_call:serch
              done done done failed
            model_called
            model_replied assistant tool_call:edit tool_call:bash
              kept done approval_asked approval_answered denied
            model_called
            model_replied assistant tool_call:edit tool_call:bash
              kept done done
            model_called
            model_replied assistant
            turn_ended
        "]],
    );
}

#[test]
fn a_fault_in_a_library_over_messages() {
    check_repair(
        &messages("messages-strsim"),
        &Repair {
            library: Library {
                name: "strsim",
                file: "src/lib.rs",
                whole: "fr[j + 1] = r1[j - 1];",
                broken: "fr[j + 1] = r1[j];",
            },
            fails: "83 passed; 5 failed",
            passes: "88 passed; 0 failed",
            mistake: "`old` occurs 2 times (lines 638, 645)",
        },
        "5 unit tests failed before",
        &expect![[r"
            configured
            prefix_set
            message_accepted
            turn_started
            message_delivered
            model_called
            model_replied thinking assistant tool_call:list tool_call:bash
              done kept done
            model_called
            model_replied thinking assistant tool_call:search tool_call:read tool_call:plan
              done done done plan_set
            model_called
            model_replied assistant tool_call:read tool_call:read
              done done
            model_called
            model_replied thinking assistant tool_call:edit tool_call:bash after the provider answered 529: Overloaded
              failed done
            model_called
            model_replied assistant tool_call:edit tool_call:bash tool_call:plan
              kept done done done plan_set
            model_called
            model_replied assistant
            turn_ended
        "]],
    );
}

#[test]
fn a_fault_in_a_library_over_responses() {
    check_repair(
        &responses("responses-heck", FREE_TEXT),
        &Repair {
            library: Library {
                name: "heck",
                file: "src/lib.rs",
                whole: "next_mode == WordMode::Lowercase && next.is_uppercase()",
                broken: "c.is_lowercase() && next.is_uppercase()",
            },
            fails: "103 passed; 8 failed",
            passes: "111 passed; 0 failed",
            mistake: "these lines are not in the file after line 69",
        },
        "8 unit tests failed before",
        &expect![[r"
            configured
            prefix_set
            message_accepted
            turn_started
            message_delivered
            model_called
            model_replied thinking assistant tool_call:list tool_call:shell
              done kept done
            model_called
            model_replied thinking assistant tool_call:search tool_call:read tool_call:shell
              done done done
            model_called
            model_replied thinking assistant tool_call:apply_patch
              failed
            model_called
            model_replied assistant tool_call:apply_patch tool_call:shell
              kept done kept done
            model_called
            model_replied thinking assistant
            turn_ended
        "]],
    );
}

#[test]
fn a_fault_in_a_library_over_chat() {
    check_repair(
        &chat("chat-shlex"),
        &Repair {
            library: Library {
                name: "shlex",
                file: "src/bytes.rs",
                whole: r"if ch2 != b'\n' { result.push(ch2); }",
                broken: "result.push(ch2);",
            },
            fails: "5 passed; 2 failed",
            passes: "7 passed; 0 failed",
            mistake: "`old` begins its lines with their numbers",
        },
        "there is no network in the sandbox",
        &expect![[r"
            configured
            prefix_set
            message_accepted
            turn_started
            message_delivered
            model_called
            model_replied assistant tool_call:list tool_call:bash tool_call:read_file
              done done failed
            model_called
            model_replied assistant tool_call:read tool_call:search tool_call:bash
              done done done
            model_called
            model_replied assistant tool_call:edit
              failed
            model_called
            model_replied assistant tool_call:edit tool_call:bash
              kept done done
            model_called
            model_replied assistant
            turn_ended
        "]],
    );
}
