//! The process that hosts sessions: they go on without a terminal, through its death and its end, and
//! only their owner reaches it.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::crash::Dice;
use crate::provider::{Answer, Provider, result_texts, results};
use crate::run::{Place, finish, wait_for, with_program};
use crate::schema::schema;

/// How long anything may take that is waited for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A host in the foreground; it dies with the test.
pub(crate) struct Host(pub(crate) Child);

impl Drop for Host {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) struct World {
    pub(crate) place: Place,
    pub(crate) provider: Provider,
}

impl World {
    pub(crate) fn new(script: impl Fn(&Value) -> Answer + Send + Sync + 'static) -> Self {
        Self {
            place: Place::new(),
            provider: Provider::start(script),
        }
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.place.command(arguments);
        command
            .env("ANTHROPIC_BASE_URL", &self.provider.url)
            .env("ANTHROPIC_API_KEY", "key");
        command
    }

    pub(crate) fn host(&self, arguments: &[&str]) -> Host {
        let mut all = vec!["serve"];
        all.extend(arguments);
        let mut command = self.command(&all);
        let host = Host(command.stderr(Stdio::null()).spawn().unwrap());
        let deadline = Instant::now() + PATIENCE;
        while UnixStream::connect(self.socket()).is_err() {
            assert!(Instant::now() < deadline, "no host came");
            std::thread::yield_now();
        }
        host
    }

    fn socket(&self) -> PathBuf {
        self.place.home().join("quire/data/host/socket")
    }

    /// Starts a session in the host; its id.
    pub(crate) fn start(&self, prompt: &str) -> String {
        let started = finish(self.command(&["agents", "start", "-m", "anthropic/double", prompt]));
        started.says(0, &[]);
        started.out.trim().to_owned()
    }

    fn agent(&self, session: &str) -> Value {
        let listed = finish(self.command(&["agents", "list", "--json"]));
        listed.says(0, &[]);
        let agents: Vec<Value> = serde_json::from_str(&listed.out).unwrap();
        let found = agents
            .into_iter()
            .find(|agent| agent["head"]["session"] == session);
        found.unwrap_or_default()
    }

    #[track_caller]
    pub(crate) fn wait(&self, session: &str, standing: &str) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let agent = self.agent(session);
            if agent["standing"] == standing {
                return agent;
            }
            assert!(Instant::now() < deadline, "not {standing}: {agent}");
        }
    }

    pub(crate) fn face(&self) -> Face {
        let stream = UnixStream::connect(self.socket()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Face {
            reader: BufReader::new(stream.try_clone().unwrap()),
            stream,
        }
    }
}

/// A face that speaks the wire itself.
pub(crate) struct Face {
    reader: BufReader<UnixStream>,
    stream: UnixStream,
}

impl Face {
    fn say(&mut self, line: &str) {
        self.stream.write_all(line.as_bytes()).unwrap();
        self.stream.write_all(b"\n").unwrap();
    }

    pub(crate) fn hear(&mut self) -> Value {
        let mut line = String::new();
        self.reader.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or(Value::Null)
    }

    pub(crate) fn ask(&mut self, method: &str, params: &Value) -> Value {
        let asked = json!({"jsonrpc": "2.0", "id": method, "method": method, "params": params});
        self.say(&asked.to_string());
        loop {
            let heard = self.hear();
            assert_ne!(heard, Value::Null, "the host hung up");
            if heard["id"] == method {
                return heard;
            }
        }
    }

    pub(crate) fn hello(&mut self) -> Value {
        let versions = json!({"oldest": 1, "newest": 1});
        self.ask(
            "hello",
            &json!({"protocol": versions, "client": "test", "folder": "/"}),
        )
    }

    /// Waits for an event of that type in what is watched.
    fn until(&mut self, event: &str) -> Value {
        loop {
            let heard = self.hear();
            assert_ne!(heard, Value::Null, "the host hung up before {event}");
            let record = &heard["params"]["frame"]["record"];
            if record["type"] == event {
                return record.clone();
            }
        }
    }
}

/// A model that runs one command and then says what it saw.
fn runs(command: &'static str) -> impl Fn(&Value) -> Answer + Send + Sync {
    move |request| match results(request) {
        0 => Answer::Reply("", vec![("bash", json!({"command": command}))]),
        _ => Answer::Reply("It is done.", vec![]),
    }
}

#[test]
fn a_task_goes_on_without_a_terminal_in_a_host_that_is_started_for_it() {
    let world = World::new(runs("echo made > made"));
    let session = world.start("make it");
    let agent = world.wait(&session, "done");
    assert_eq!(agent["detail"], "It is done.");
    assert_eq!(world.place.read("made"), "made\n");
    finish(world.command(&["serve", "--stop"])).says(0, &["the host ends"]);
    finish(world.command(&["sessions", "show", &session])).says(0, &["It is done."]);
}

#[test]
fn a_host_that_is_killed_is_gone_on_with_by_the_next_and_no_command_runs_twice() {
    let world = World::new(runs("echo ran >> log; touch began; sleep 60"));
    let mut host = world.host(&[]);
    let session = world.start("go");
    wait_for(&world.place, "began");
    host.0.kill().unwrap();
    host.0.wait().unwrap();
    let _next = world.host(&[]);
    world.wait(&session, "done");
    assert_eq!(world.place.read("log"), "ran\n");
    let requests = world.provider.requests();
    let told = result_texts(requests.last().unwrap());
    assert!(told.contains("The process ended while this ran"), "{told}");
}

#[test]
fn a_host_that_is_told_to_end_waits_for_its_tools_and_the_next_one_goes_on() {
    let world = World::new(runs(
        "touch began; while ! test -e go; do sleep 0.01; done; echo whole",
    ));
    let mut host = world.host(&[]);
    let session = world.start("go");
    wait_for(&world.place, "began");
    finish(world.command(&["serve", "--stop"])).says(0, &["the host ends"]);
    let ending = format!("ending already: process {}", host.0.id());
    finish(world.command(&["serve", "--stop"])).says(0, &[&ending]);
    world.place.write("go", "");
    assert!(host.0.wait().unwrap().success());
    let _next = world.host(&[]);
    world.wait(&session, "done");
    let requests = world.provider.requests();
    let told = result_texts(requests.last().unwrap());
    assert!(told.contains("whole"), "{told}");
}

#[test]
fn a_host_in_a_terminal_works_on_when_that_is_gone() {
    let world = World::new(runs(
        "touch began; while ! test -e go; do sleep 0.01; done; echo whole",
    ));
    let host = world.host(&[]);
    let session = world.start("go");
    wait_for(&world.place, "began");
    let process = host.0.id().to_string();
    let mut lost = with_program(&world.command(&[]), "kill", &["-HUP", &process]);
    assert!(lost.status().unwrap().success());
    assert_eq!(world.face().hello()["result"]["process"], host.0.id());
    world.place.write("go", "");
    world.wait(&session, "done");
    assert_eq!(world.place.host(), process);
}

#[test]
fn a_host_that_is_replaced_hands_over_what_it_works_on_at_once() {
    let world = World::new(runs(
        "touch began; while ! test -e go; do sleep 0.01; done; echo whole",
    ));
    let mut host = world.host(&[]);
    let session = world.start("go");
    wait_for(&world.place, "began");
    let mut restart = world.command(&["serve", "--restart"]);
    let mut restart = restart.stderr(Stdio::piped()).spawn().unwrap();
    let mut told = BufReader::new(restart.stderr.take().unwrap()).lines();
    let mut says = |words: &str| told.any(|line| line.unwrap().contains(words));
    assert!(says("waiting for the last host to end"));
    world.place.write("go", "");
    assert!(says("the next host is there"));
    assert!(restart.wait().unwrap().success());
    assert!(host.0.wait().unwrap().success());
    world.wait(&session, "done");
    let requests = world.provider.requests();
    let told = result_texts(requests.last().unwrap());
    assert!(told.contains("whole"), "{told}");
}

#[test]
fn who_starts_an_agent_is_told_which_settings_do_not_count() {
    let world = World::new(|_| Answer::Reply("Yes.", vec![]));
    world
        .place
        .write(".quire/config.toml", "effort = \"low\"\n");
    let started = finish(world.command(&["agents", "start", "-m", "anthropic/double", "go"]));
    started.says(0, &["ignored: this folder is not trusted"]);
}

#[test]
fn a_host_holds_nothing_that_was_open_where_it_was_started() {
    let world = World::new(|_| Answer::Reply("", vec![]));
    let like = world.command(&[]);
    let quire = like.get_program().to_str().unwrap();
    let script = "exec 9>held && flock 9 && \"$0\" agents && exec 9>&- && flock -n held true";
    let mut shell = with_program(&like, "sh", &["-c", script, quire]);
    assert!(shell.output().unwrap().status.success());
    assert_ne!(world.place.host(), "");
}

#[test]
fn a_host_that_cannot_start_says_why_at_once() {
    let world = World::new(|_| Answer::Reply("", vec![]));
    world.place.config("");
    let data = world.place.home().join("quire/data");
    std::fs::write(&data, "no folder").unwrap();
    let asked = Instant::now();
    let started = finish(world.command(&["agents", "start", "-m", "anthropic/double", "go"]));
    let told = data.to_string_lossy();
    started.says(1, &["could not start: ", &told]);
    assert!(
        asked.elapsed() < Duration::from_secs(10),
        "it is not waited for"
    );
}

#[test]
fn what_is_said_to_a_working_agent_is_in_its_next_request() {
    let world = World::new(runs("touch began; while ! test -e go; do sleep 0.01; done"));
    let _host = world.host(&[]);
    let session = world.start("go");
    wait_for(&world.place, "began");
    finish(world.command(&["agents", "say", &session, "use tabs"])).says(0, &[]);
    world.place.write("go", "");
    world.wait(&session, "done");
    let requests = world.provider.requests();
    let (first, second) = (requests[0].to_string(), requests[1].to_string());
    assert!(!first.contains("use tabs") && second.contains("use tabs"));
}

#[test]
fn an_agent_that_is_stopped_has_stopped_when_that_is_recorded() {
    let world = World::new(runs("touch began; sleep 60"));
    let _host = world.host(&[]);
    let session = world.start("go");
    wait_for(&world.place, "began");
    finish(world.command(&["agents", "stop", &session])).says(0, &[]);
    let agent = world.wait(&session, "done");
    assert_eq!(agent["detail"], "stopped by person");
    assert_eq!(world.provider.requests().len(), 1);
}

#[test]
fn a_session_that_rests_is_put_away_and_any_process_may_go_on_with_it() {
    let world = World::new(|_| Answer::Reply("Yes.", vec![]));
    let _host = world.host(&["--idle", "0"]);
    let session = world.start("go");
    world.wait(&session, "done");
    let deadline = Instant::now() + PATIENCE;
    loop {
        let ran = finish(
            world
                .place
                .exec(&world.provider, &["--resume", &session, "again"]),
        );
        if ran.code == 0 {
            break;
        }
        assert!(Instant::now() < deadline, "{}", ran.err);
    }
    finish(world.command(&["agents", "say", &session, "and again"])).says(0, &[]);
    world.wait(&session, "done");
    assert_eq!(world.provider.requests().len(), 3);
}

/// A session that asks before it runs anything.
fn asking() -> World {
    let world = World::new(runs("echo ran > ran"));
    world.place.config("approvals = \"ask\"\n");
    world
}

#[test]
fn a_question_is_answered_by_any_face_and_the_first_answer_wins() {
    let world = asking();
    let _host = world.host(&[]);
    let session = world.start("go");
    let agent = world.wait(&session, "needs_you");
    assert_eq!(agent["detail"], "asks whether it may run: echo ran > ran");
    let (mut one, mut other) = (world.face(), world.face());
    for face in [&mut one, &mut other] {
        assert_eq!(face.hello()["result"]["protocol"], 1);
        let watch = json!({"session": session, "after": 0});
        assert_eq!(face.ask("session/watch", &watch)["result"]["watch"], 1);
        assert_eq!(face.until("approval_asked")["call"], 1);
    }
    let answer = |answer: Value| {
        let op = json!({"op": "answer", "call": 1, "answer": answer});
        json!({"session": session, "op": op})
    };
    let yes = answer(json!({"answer": "allow_once"}));
    let no = answer(json!({"answer": "deny", "reason": "no"}));
    one.say(&json!({"id": 1, "method": "session/submit", "params": yes}).to_string());
    let answered = other.until("approval_answered");
    assert_eq!(answered["answer"]["answer"], "allow_once");
    other.say(&json!({"id": 1, "method": "session/submit", "params": no}).to_string());
    assert_eq!(other.until("turn_ended")["reason"], "end_turn");
    assert_eq!(one.until("turn_ended")["reason"], "end_turn");
    assert_eq!(world.place.read("ran"), "ran\n");
}

#[test]
fn questions_are_answered_from_a_list_too() {
    let world = asking();
    let _host = world.host(&[]);
    let session = world.start("go");
    world.wait(&session, "needs_you");
    let denied = finish(world.command(&["agents", "deny", &session, "not on a Friday"]));
    denied.says(0, &["answered: asks whether it may run: echo ran > ran"]);
    world.wait(&session, "done");
    let told = result_texts(world.provider.requests().last().unwrap());
    assert!(told.contains("not on a Friday"), "{told}");
    finish(world.command(&["agents", "allow", &session])).says(2, &["asks nothing"]);
}

#[test]
fn the_wire_says_what_is_wrong_with_what_it_is_told() {
    let world = World::new(|_| Answer::Reply("", vec![]));
    let _host = world.host(&[]);
    let mut face = world.face();
    let mut check = |line: &str, code: i64| {
        face.say(line);
        let heard = face.hear();
        assert_eq!(heard["error"]["code"], code, "{line}: {heard}");
        assert_eq!(heard["jsonrpc"], "2.0");
    };
    check("{", -32_700);
    check("[]", -32_600);
    check("\u{1b}\0\u{7f}", -32_700);
    check("{}", -32_600);
    check(r#"{"id":1,"method":"sessions/list"}"#, -32_002);
    check(r#"{"id":1,"method":"hello","params":{}}"#, -32_602);
    let hello = |oldest: u32, newest: u32| {
        let versions = json!({"oldest": oldest, "newest": newest});
        let params = json!({"protocol": versions, "client": "test", "folder": "/"});
        json!({"id": "h", "method": "hello", "params": params}).to_string()
    };
    check(&hello(2, 9), -32_001);
    check(&hello(0, 0), -32_001);
    face.say(&hello(0, 9));
    assert_eq!(face.hear()["result"]["protocol"], 1);
    let mut check = |line: &str, code: i64| {
        face.say(line);
        let heard = face.hear();
        assert_eq!(heard["error"]["code"], code, "{line}: {heard}");
    };
    check(r#"{"id":1,"method":"no/such"}"#, -32_601);
    check(
        r#"{"id":1,"method":"session/open","params":{"session":7}}"#,
        -32_602,
    );
    check(
        r#"{"id":1,"method":"session/open","params":{"session":"none"}}"#,
        -32_000,
    );
    check(
        r#"{"id":1,"method":"session/watch","params":{"session":"none"}}"#,
        -32_000,
    );
}

/// Lines that are nearly right, thousands of them: each is answered, and none takes the host down.
#[test]
fn the_wire_holds_what_chance_makes_of_its_lines() {
    let world = World::new(|_| Answer::Reply("Yes.", vec![]));
    let _host = world.host(&[]);
    let session = world.start("go");
    let op = json!({"op": "say", "message": "m", "delivery": "queue", "content": []});
    let versions = json!({"oldest": 1, "newest": 1});
    let params = json!({"session": session, "op": op, "after": 3, "query": {}, "text": "a", "limit": 2,
        "watch": 1, "since": "start", "to": "last_change", "conflicts": "ask", "client": "t",
        "folder": "/", "protocol": versions});
    let schema = schema();
    let methods = schema["x-results"].as_object().unwrap().keys();
    let lines: Vec<Vec<u8>> = methods
        .filter(|method| *method != "host/stop")
        .map(|method| json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}))
        .map(|line| line.to_string().into_bytes())
        .collect();
    assert!(lines.len() >= 14);
    let seed = u64::from(std::process::id());
    let mut dice = Dice(seed);
    let mut face = world.face();
    face.hello();
    for round in 0..3_000 {
        let mut line = lines[dice.pick(lines.len())].clone();
        for _ in 0..dice.pick(4) {
            if line.is_empty() {
                break;
            }
            let at = dice.pick(line.len());
            match dice.pick(4) {
                0 => line[at] = b"\"{}[],:0-e\\\0\xff"[dice.pick(13)],
                1 => drop(line.remove(at)),
                2 => line.insert(at, line[dice.pick(line.len())]),
                _ => line.truncate(at.max(1)),
            }
        }
        line.retain(|byte| *byte != b'\n');
        line.push(b'\n');
        face.stream.write_all(&line).unwrap();
        // What lost its id is not answered.
        face.say(
            r#"{"jsonrpc":"2.0","id":"next","method":"session/unwatch","params":{"watch":0}}"#,
        );
        loop {
            let heard = face.hear();
            let answered = heard.get("result").is_some() != heard.get("error").is_some();
            let told = heard["method"].is_string() || answered;
            assert!(told, "seed {seed}, round {round}: {heard}");
            if heard["id"] == "next" {
                break;
            }
        }
    }
    let another = world.start("go");
    world.wait(&another, "done");
}

#[test]
fn a_host_is_ended_without_a_version_in_common() {
    let world = World::new(|_| Answer::Reply("", vec![]));
    let mut host = world.host(&[]);
    let mut face = world.face();
    let stopped = face.ask("host/stop", &json!({"patience_ms": 0}));
    assert_eq!(stopped["result"], Value::Null, "{stopped}");
    assert!(host.0.wait().unwrap().success());
}

#[test]
fn settings_that_are_wrong_keep_nobody_from_stopping_an_agent() {
    let world = World::new(runs("touch began; sleep 60"));
    let host = world.host(&[]);
    let session = world.start("go");
    wait_for(&world.place, "began");
    world.place.config("effort = \"hgh\"\n");
    finish(world.command(&["agents"])).says(0, &["Working"]);
    finish(world.command(&["agents", "stop", &session])).says(0, &[]);
    world.wait(&session, "done");
    drop(host);
    let asked = Instant::now();
    finish(world.command(&["agents"])).says(1, &["`effort`", "expected one of"]);
    assert!(
        asked.elapsed() < Duration::from_secs(10),
        "nobody waits for it"
    );
}

#[test]
fn a_message_without_an_end_does_not_take_the_host_down() {
    let world = World::new(|_| Answer::Reply("Yes.", vec![]));
    let _host = world.host(&[]);
    let mut face = world.face();
    let part = vec![b'x'; 1 << 20];
    // Somewhere beyond the longest message the host hangs up.
    let written = (0..80).take_while(|_| face.stream.write_all(&part).is_ok());
    assert!(written.count() < 80);
    let session = world.start("go");
    world.wait(&session, "done");
}

#[test]
fn only_its_owner_reaches_a_host() {
    let world = World::new(|_| Answer::Reply("", vec![]));
    let _host = world.host(&[]);
    let mode = |path: PathBuf| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(world.socket()), 0o600);
    assert_eq!(mode(world.place.home().join("quire/data/host")), 0o700);
    finish(world.command(&["serve"])).says(1, &["another process hosts the sessions"]);
}

/// Even where the folders were opened to everybody.
#[test]
fn another_user_is_told_nothing() {
    let world = World::new(|_| Answer::Reply("", vec![]));
    let _host = world.host(&[]);
    let mut path = world.socket();
    while path.starts_with(world.place.home().parent().unwrap()) {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o777)).unwrap();
        assert!(path.pop());
    }
    let mut stop = world.command(&["serve", "--stop"]);
    stop.uid(65_534).gid(65_534).current_dir("/");
    match stop.output() {
        Ok(output) => {
            let told = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(told.contains("there is no host"), "{told}");
        }
        Err(error) => eprintln!("SKIPPED: only root can become another user: {error}"),
    }
    finish(world.command(&["serve", "--stop"])).says(0, &["the host ends"]);
}
