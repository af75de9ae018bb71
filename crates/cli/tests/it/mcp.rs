//! Servers of the Model Context Protocol: whole runs of the program with real servers, written in `sh`.

mod far;

use std::sync::atomic::{AtomicUsize, Ordering};

use quire_protocol::{Prefix, USE_TOOL};
use serde_json::{Value, json};

use crate::provider::{Answer, Provider, result_texts, results};
use crate::run::{Place, Ran, finish, wait_for, wait_until};
use crate::screen::open;

/// A server that tells its tools once there is a file `go`, has another one once there is a file `more`,
/// breaks off when it is told to say `die`, and is deaf once it is told to say `hang`.
const SERVER: &str = r#"
answer() { printf '{"jsonrpc":"2.0","id":%s,"result":%s}\n' "$id" "$1"; }
text() { answer "{\"content\":[{\"type\":\"text\",\"text\":\"$1\"}]}"; }
tool() { printf '{"name":"%s","description":"Does %s. Well.","inputSchema":{"type":"object","properties":{"word":{"type":"string"}}}}' "$1" "$1"; }
while read -r line; do
  id=${line##*\"id\":}; id=${id%%[,\}]*}
  case $line in
  *'"method":"initialize"'*)
    answer '{"protocolVersion":"2025-06-18","capabilities":{"tools":{"listChanged":true}},"serverInfo":{"name":"sh","version":"1"}}' ;;
  *'"method":"tools/list"'*)
    while [ ! -e go ]; do sleep 0.01; done
    tools=$(tool say)
    if [ -e more ]; then tools="$tools,$(tool more)"; fi
    answer "{\"tools\":[$tools]}" ;;
  *'"word":"die"'*) exit 7 ;;
  *'"word":"hang"'*) touch hanging; sleep 600 ;;
  *'"word":"write"'*) if echo x > written; then text wrote; else text 'could not write'; fi ;;
  *'"method":"tools/call"'*) text 'said it' ;;
  *'"id":'*) printf '{"jsonrpc":"2.0","id":%s,"error":{"code":-32601,"message":"no such method"}}\n' "$id" ;;
  esac
done
"#;

/// How a model API is spoken.
struct Wire {
    model: &'static str,
    variables: [&'static str; 2],
    path: &'static str,
    /// Where a request holds the conversation.
    items: &'static str,
    reply: fn(&str, Option<(&'static str, Value)>) -> Answer,
}

const WIRES: [Wire; 3] = [
    Wire {
        model: "anthropic/claude-opus-5-5",
        variables: ["ANTHROPIC_BASE_URL", "ANTHROPIC_API_KEY"],
        path: "",
        items: "messages",
        reply: |_, call| Answer::Reply("so", call.into_iter().collect()),
    },
    Wire {
        model: "openai/double",
        variables: ["OPENAI_BASE_URL", "OPENAI_API_KEY"],
        path: "/v1",
        items: "input",
        reply: over_responses,
    },
    Wire {
        model: "chat/double",
        variables: ["OPENAI_BASE_URL", "OPENAI_API_KEY"],
        path: "/v1",
        items: "messages",
        reply: over_chat,
    },
];

fn over_responses(id: &str, call: Option<(&'static str, Value)>) -> Answer {
    let item = match call {
        Some((name, arguments)) => json!({
            "type": "function_call", "id": format!("fc_{id}"), "call_id": format!("call_{id}"),
            "name": name, "arguments": arguments.to_string(), "status": "completed",
        }),
        None => json!({
            "type": "message", "id": format!("msg_{id}"), "role": "assistant", "status": "completed",
            "content": [{"type": "output_text", "text": "so", "annotations": []}],
        }),
    };
    let events = [
        json!({"type": "response.output_item.added", "output_index": 0, "item": item}),
        json!({"type": "response.output_item.done", "output_index": 0, "item": item}),
        json!({"type": "response.completed", "response": {
            "id": "resp_1", "object": "response", "status": "completed", "model": "double",
            "output": [item], "usage": {"input_tokens": 9, "output_tokens": 1, "total_tokens": 10},
        }}),
    ];
    let frame = |event: &Value| {
        format!(
            "event: {}\ndata: {event}\n\n",
            event["type"].as_str().unwrap()
        )
    };
    let body = events.iter().map(frame).collect();
    Answer::Raw(200, "text/event-stream", body)
}

fn over_chat(id: &str, call: Option<(&'static str, Value)>) -> Answer {
    let (delta, reason) = match call {
        Some((name, arguments)) => {
            let function = json!({"name": name, "arguments": arguments.to_string()});
            let id = format!("call_{id}");
            let call = json!({"index": 0, "id": id, "type": "function", "function": function});
            (
                json!({"role": "assistant", "tool_calls": [call]}),
                "tool_calls",
            )
        }
        None => (json!({"role": "assistant", "content": "so"}), "stop"),
    };
    let chunk = json!({"id": "c", "object": "chat.completion.chunk", "model": "double",
        "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]});
    Answer::Raw(
        200,
        "text/event-stream",
        format!("data: {chunk}\n\ndata: [DONE]\n\n"),
    )
}

fn place(settings: &str) -> Place {
    let place = Place::new();
    place.write("server.sh", SERVER);
    place.config(settings);
    place
}

fn exec(place: &Place, wire: &Wire, provider: &Provider, arguments: &[&str]) -> Ran {
    let mut command = place.command(&["exec", "--model", wire.model]);
    let [url, key] = wire.variables;
    command
        .args(arguments)
        .env(url, format!("{}{}", provider.url, wire.path))
        .env(key, "key");
    finish(command)
}

/// A model that waits for the late tool, calls it in both ways, breaks the server and calls it again.
fn late_model(wire: &'static Wire) -> Provider {
    let (step, waits) = (AtomicUsize::new(0), AtomicUsize::new(0));
    Provider::start(move |request| {
        let number = waits.fetch_add(1, Ordering::SeqCst);
        let run = |command: &str| Some(("bash", json!({"command": command})));
        let use_tool = |name: &str, word: &str| {
            Some((USE_TOOL, json!({"name": name, "arguments": {"word": word}})))
        };
        let told = request.to_string();
        let came = |tool: &str| told.contains(&format!("Tools came: {tool}."));
        let next = step.load(Ordering::SeqCst);
        let (call, is_over) = match next {
            0 => (run("touch go"), true),
            1 if !came("mcp__s__say") => (run(&format!("sleep 0.05 # {number}")), false),
            1 => (use_tool("mcp__s__say", "a"), true),
            2 => (Some(("mcp__s__say", json!({"word": "b"}))), true),
            3 => (run("touch more"), true),
            4 => (use_tool("mcp__s__say", "die"), true),
            5 => (use_tool("mcp__s__say", "c"), true),
            6 if !came("mcp__s__more") => (run(&format!("sleep 0.05 # {number}")), false),
            6 => (use_tool("mcp__s__more", "d"), true),
            8 => (Some(("mcp__s__more", json!({"word": "e"}))), true),
            _ => (None, true),
        };
        if is_over {
            step.store(next + 1, Ordering::SeqCst);
        }
        (wire.reply)(&number.to_string(), call)
    })
}

/// The bytes before the conversation.
fn opening<'a>(wire: &Wire, body: &'a [u8]) -> &'a [u8] {
    let mark = format!("\"{}\":[", wire.items);
    let at = body
        .windows(mark.len())
        .position(|window| window == mark.as_bytes());
    &body[..at.unwrap()]
}

#[test]
fn a_server_that_comes_and_goes_changes_no_byte_that_was_sent() {
    for wire in &WIRES {
        let place = place("mcp_wait_s = 0\n[mcp.s]\ncommand = [\"sh\", \"server.sh\"]\n");
        let provider = late_model(wire);
        let ran = exec(&place, wire, &provider, &["--json", "work"]);
        assert_eq!(ran.code, 0, "{}\n{}", ran.out, ran.err);
        // Another process, another effort, the same server.
        let again = ["--json", "--continue", "--effort", "low", "go on"];
        let again = exec(&place, wire, &provider, &again);
        assert_eq!(again.code, 0, "{}\n{}", again.out, again.err);

        let bodies = provider.bodies();
        for (number, pair) in bodies.windows(2).enumerate() {
            let [before, after] = pair else {
                unreachable!()
            };
            let same = opening(wire, before) == opening(wire, after);
            assert!(same, "{}, request {number}", wire.model);
            let same = before.iter().zip(after).take_while(|(a, b)| a == b).count();
            let rest = String::from_utf8_lossy(&before[same..]);
            // Words for a model that has no efforts stand behind all others, in this request alone.
            let is_behind = rest.starts_with(']') || rest.contains("Effort: low.");
            assert!(is_behind, "{}, request {number}: {rest}", wire.model);
        }
        let opened = String::from_utf8_lossy(opening(wire, &bodies[0]));
        assert!(!opened.contains("mcp__s__"), "it came late");
        let last = String::from_utf8_lossy(bodies.last().unwrap());
        assert_eq!(last.matches("said it").count(), 5, "{last}");
        assert!(last.contains("it exited with code 7"), "{last}");

        let events = |ran: &Ran| -> Vec<Value> {
            let lines = ran
                .out
                .lines()
                .map(|line| serde_json::from_str(line).unwrap());
            lines
                .filter(|event: &Value| event["type"] == "prefix_set")
                .collect()
        };
        let set = events(&ran);
        assert_eq!(set.len(), 3, "the beginning and two tools: {set:?}");
        let prefix =
            |event: &Value| -> Prefix { serde_json::from_value(event["prefix"].clone()).unwrap() };
        assert!(prefix(&set[0]).opens_as(&prefix(&set[2])));
        assert_eq!(
            events(&again),
            Vec::<Value>::new(),
            "a resumed session opens as it did"
        );
        let session = ran.out.lines().last().unwrap();
        let session: Value = serde_json::from_str(session).unwrap();
        let explained =
            finish(place.command(&["cache", "explain", session["session"].as_str().unwrap()]));
        assert!(
            !explained.out.contains("tools changed"),
            "{}",
            explained.out
        );
    }
}

#[test]
fn tools_that_are_there_in_time_stand_among_the_others() {
    let place = place("[mcp.s]\ncommand = [\"sh\", \"server.sh\"]\n");
    place.write("go", "");
    let provider = Provider::start(|request| match results(request) {
        0 => Answer::Reply("", vec![("mcp__s__say", json!({"word": "a"}))]),
        _ => Answer::Reply("done", vec![]),
    });
    let ran = exec(&place, &WIRES[0], &provider, &["work"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let requests = provider.requests();
    let tools = requests[0]["tools"].as_array().unwrap();
    let names: Vec<&str> = tools
        .iter()
        .map(|tool| tool["name"].as_str().unwrap())
        .collect();
    assert_eq!(names[names.len() - 2..], [USE_TOOL, "mcp__s__say"]);
    assert!(result_texts(&requests[1]).contains("said it"));
    assert!(ran.err.contains("mcp__s__say"), "{}", ran.err);
}

#[test]
fn a_server_that_cannot_be_started_is_told_to_the_model_and_the_person() {
    let place = place("[mcp.s]\ncommand = [\"no-such-program\"]\n");
    let provider = Provider::start(|_| Answer::Reply("done", vec![]));
    let ran = exec(&place, &WIRES[0], &provider, &["work"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let why = "The tools of the server `s` cannot be had: cannot start `no-such-program`";
    assert!(ran.err.contains(why), "{}", ran.err);
    assert!(provider.requests()[0]["messages"].to_string().contains(why));
    let listed = finish(place.command(&["mcp"]));
    assert_eq!(listed.code, 1);
    assert!(
        listed.out.contains("s: not there: cannot start"),
        "{}",
        listed.out
    );
}

#[test]
fn a_server_that_says_nothing_is_not_there() {
    let place = place("[mcp.s]\ncommand = [\"sleep\", \"1000\"]\nstart_s = 1\n");
    let listed = finish(place.command(&["mcp"]));
    assert_eq!(listed.code, 1, "{}", listed.out);
    assert!(
        listed
            .out
            .contains("s: not there: it was not there within 1 s"),
        "{}",
        listed.out
    );
}

#[test]
fn a_folder_that_is_not_trusted_starts_nothing() {
    let place = place("");
    place.write(
        ".quire/config.toml",
        "[mcp.s]\ncommand = [\"touch\", \"owned\"]\n",
    );
    let provider = Provider::start(|_| Answer::Reply("done", vec![]));
    let ran = exec(&place, &WIRES[0], &provider, &["work"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(!place.work().join("owned").exists());
    assert_eq!(finish(place.command(&["config", "trust"])).code, 0);
    let ran = exec(&place, &WIRES[0], &provider, &["work"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(
        place.work().join("owned").exists(),
        "trusted, it is started: {}",
        ran.err
    );
}

#[test]
fn a_server_is_held_by_the_wall_of_the_session_and_what_reaches_further_is_asked() {
    let place = place(
        "[mcp.s]\ncommand = [\"sh\", \"server.sh\"]\n\
         [mcp.far]\ncommand = [\"sh\", \"server.sh\"]\ndirectory = \".\"\ndomains = [\"example.org\"]\n",
    );
    place.write("go", "");
    let write = |name: &'static str| (name, json!({"word": "write"}));
    let provider = Provider::start(move |request| match results(request) {
        0 => Answer::Reply("", vec![write("mcp__s__say"), write("mcp__far__say")]),
        _ => Answer::Reply("done", vec![]),
    });
    for (arguments, near, written) in [
        (
            vec!["--sandbox", "read-only", "work"],
            "could not write",
            false,
        ),
        (vec!["--plan", "work"], "could not write", false),
        (vec!["work"], "wrote", true),
    ] {
        let ran = exec(&place, &WIRES[0], &provider, &arguments);
        assert_eq!(ran.code, 0, "{}", ran.err);
        let told = result_texts(provider.requests().last().unwrap());
        assert!(told.contains(near), "{arguments:?}: {told}");
        assert!(
            told.contains("needs a person's approval"),
            "{arguments:?}: {told}"
        );
        assert!(
            told.contains("reaches example.org"),
            "{arguments:?}: {told}"
        );
        assert_eq!(
            place.work().join("written").exists(),
            written,
            "{arguments:?}"
        );
    }
    place.config(
        "[mcp.far]\ncommand = [\"sh\", \"server.sh\"]\ndirectory = \".\"\ndomains = [\"example.org\"]\n\
         [[rule]]\nprefix = [\"mcp:far\", \"say\"]\naction = \"allow\"\n",
    );
    let provider = Provider::start(move |request| match results(request) {
        0 => Answer::Reply("", vec![write("mcp__far__say")]),
        _ => Answer::Reply("done", vec![]),
    });
    let ran = exec(&place, &WIRES[0], &provider, &["work"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(
        result_texts(&provider.requests()[1]).contains("wrote"),
        "{}",
        ran.err
    );
}

#[test]
fn an_agent_that_only_reads_has_servers_that_only_read() {
    let place = place("[mcp.s]\ncommand = [\"sh\", \"server.sh\"]\n");
    place.write("go", "");
    let provider = Provider::start(|request| {
        let is_lead = !request["messages"][0]
            .to_string()
            .contains("You are the agent");
        match (is_lead, results(request)) {
            (true, 0) => Answer::Reply(
                "",
                vec![(
                    "agent",
                    json!({"name": "a", "task": "Look.", "access": "read"}),
                )],
            ),
            (false, 0) => Answer::Reply("", vec![("mcp__s__say", json!({"word": "write"}))]),
            (false, _) => Answer::Reply(
                if result_texts(request).contains("could not write") {
                    "it could not"
                } else {
                    "it could"
                },
                vec![],
            ),
            (true, _) => Answer::Reply("done", vec![]),
        }
    });
    let ran = exec(&place, &WIRES[0], &provider, &["work"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let told = result_texts(provider.requests().last().unwrap());
    assert!(told.contains("it could not"), "{told}\n{}", ran.err);
    assert!(!place.work().join("written").exists());
}

#[test]
fn nothing_of_a_server_is_left_when_the_program_is_killed() {
    let place = place(
        "[mcp.s]\ncommand = [\"sh\", \"-c\", \"echo $$ > /dev/stderr; exec sh server.sh\"]\n",
    );
    place.write("go", "");
    let provider = Provider::start(|_| {
        Answer::Slow(
            "still at it",
            vec![("bash", json!({"command": "touch began; sleep 600"}))],
        )
    });
    let mut command = place.command(&["exec", "--model", WIRES[0].model, "work"]);
    command
        .env("ANTHROPIC_BASE_URL", &provider.url)
        .env("ANTHROPIC_API_KEY", "key");
    let mut running = command.spawn().unwrap();
    wait_for(&place, "began");
    running.kill().unwrap();
    running.wait().unwrap();
    let marker = place.work().to_string_lossy().into_owned();
    wait_until("the end of its processes", || working_in(&marker) == 0);
}

/// How many processes work in this folder.
fn working_in(folder: &str) -> usize {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let works = |entry: &std::fs::DirEntry| {
        let place = std::fs::read_link(entry.path().join("cwd"));
        place.is_ok_and(|place| place.to_string_lossy() == folder)
    };
    processes.filter(works).count()
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "the test interrupts the program under test"
)]
fn a_stop_ends_a_server_that_hears_nothing_any_more() {
    let place = place("[mcp.s]\ncommand = [\"sh\", \"server.sh\"]\n");
    place.write("go", "");
    let provider = Provider::start(|request| match results(request) {
        0 => Answer::Reply("", vec![("mcp__s__say", json!({"word": "hang"}))]),
        1 => Answer::Reply("", vec![("mcp__s__say", json!({"word": "a"}))]),
        _ => Answer::Reply("done", vec![]),
    });
    let mut command = place.command(&["exec", "--json", "--model", WIRES[0].model, "work"]);
    command
        .env("ANTHROPIC_BASE_URL", &provider.url)
        .env("ANTHROPIC_API_KEY", "key")
        .stdout(std::process::Stdio::piped());
    let running = command.spawn().unwrap();
    wait_for(&place, "hanging");
    let process = running.id().to_string();
    let mut kill = std::process::Command::new("kill");
    assert!(kill.args(["-INT", &process]).status().unwrap().success());
    let ended = running.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&ended.stdout).into_owned();
    assert!(told.contains(r#""reason":"cancelled""#), "{told}");
    assert!(told.contains("stopped, and its server with it"), "{told}");
    assert_eq!(working_in(&place.work().to_string_lossy()), 0);
    // It goes on, and the server is there again.
    let again = exec(&place, &WIRES[0], &provider, &["--continue", "go on"]);
    assert_eq!(again.code, 0, "{}", again.err);
    let told = result_texts(provider.requests().last().unwrap());
    assert!(told.contains("said it"), "{told}");
}

#[test]
fn a_server_that_has_more_than_commands_takes_no_program_from_the_folder() {
    let server = "[mcp.s]\ncommand = [\"sh\", \"server.sh\"]\nvariables = { TOKEN = \"sesame\" }\n";
    let place = place(server);
    place.write("go", "");
    let listed = finish(place.command(&["mcp"]));
    assert!(listed.out.contains("s: not there"), "{}", listed.out);
    place.config(&format!("{server}directory = \".\"\n"));
    let listed = finish(place.command(&["mcp"]));
    assert!(
        listed.out.contains("s: 1 tool"),
        "where it is said: {}",
        listed.out
    );
}

#[test]
fn a_screen_waits_for_no_server() {
    // It would wait for ten minutes, since there is no file `go`.
    let place =
        place("mcp_wait_s = 600\n[mcp.s]\ncommand = [\"sh\", \"server.sh\"]\nstart_s = 600\n");
    let provider = Provider::start(|_| Answer::Reply("here I am", vec![]));
    let mut screen = open(&place, &provider, &[]);
    screen.sees("say what to do");
    screen.type_line("hello");
    screen.sees("here I am");
    screen.kill();
}
