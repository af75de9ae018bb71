//! The host over TCP: only who knows its token gets in, no page of a foreign site does, and what comes
//! over it is worth what comes over the socket.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{ChildStderr, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tungstenite::client::IntoClientRequest as _;
use tungstenite::{Message, WebSocket};

use crate::crash::Dice;
use crate::host::{Host, PATIENCE, World};
use crate::provider::Answer;
use crate::pty::Pty;
use crate::run::{Place, finish};

/// A host that listens on a port of this machine too.
struct Listening {
    world: World,
    host: Host,
    /// Its address, such as `127.0.0.1:4711`.
    address: String,
    /// What else it says to a person.
    _told: BufReader<ChildStderr>,
}

impl Listening {
    fn start(arguments: &[&str]) -> Self {
        let world = World::new(|_| Answer::Reply("It is done.", vec![]));
        let mut all = vec!["serve", "--listen", "127.0.0.1:0"];
        all.extend(arguments);
        let mut child = world.command(&all).stderr(Stdio::piped()).spawn().unwrap();
        let mut told = String::new();
        let mut lines = BufReader::new(child.stderr.take().unwrap());
        lines.read_line(&mut told).unwrap();
        let address = told.split("ws://").nth(1).expect(&told);
        let address = address.split(',').next().unwrap().to_owned();
        Self {
            world,
            host: Host(child),
            address,
            _told: lines,
        }
    }

    fn token(&self) -> String {
        let token = self.world.place.home().join("quire/data/host/token");
        std::fs::read_to_string(token).unwrap().trim().to_owned()
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// How a handshake with these headers is answered.
    fn answer(&self, headers: &[(&str, &str)]) -> String {
        let mut stream = self.connect();
        let mut request = "GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                           Sec-WebSocket-Version: 13\r\n\
                           Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            .to_owned();
        for (name, value) in headers {
            request.extend([*name, ": ", *value, "\r\n"]);
        }
        stream.write_all(request.as_bytes()).unwrap();
        stream.write_all(b"\r\n").unwrap();
        let (mut head, mut byte) = (Vec::new(), [0]);
        while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) > 0 {
            head.push(byte[0]);
        }
        String::from_utf8(head).unwrap()
    }

    fn face(&self) -> Web {
        let mut request = format!("ws://{}/", self.address)
            .into_client_request()
            .unwrap();
        let bearer = format!("Bearer {}", self.token()).parse().unwrap();
        request.headers_mut().insert("authorization", bearer);
        let (socket, _) = tungstenite::client(request, self.connect()).unwrap();
        Web(socket)
    }
}

/// A face that speaks the wire itself.
struct Web(WebSocket<TcpStream>);

impl Web {
    fn say(&mut self, message: Message) {
        self.0.send(message).unwrap();
    }

    fn hear(&mut self) -> Value {
        loop {
            match self.0.read().unwrap() {
                Message::Text(text) => return serde_json::from_str(&text).unwrap(),
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    fn ask(&mut self, method: &str, params: &Value) -> Value {
        let asked = json!({"jsonrpc": "2.0", "id": method, "method": method, "params": params});
        self.say(Message::text(asked.to_string()));
        loop {
            let heard = self.hear();
            if heard["id"] == method {
                return heard;
            }
        }
    }

    fn hello(&mut self) -> Value {
        let versions = json!({"oldest": 1, "newest": 1});
        let hello = json!({"protocol": versions, "client": "test", "folder": "/"});
        self.ask("hello", &hello)
    }
}

#[test]
fn only_who_knows_the_token_gets_in_and_no_foreign_page_does() {
    let host = Listening::start(&["--allow-origin", "https://Mine.example/"]);
    let (bearer, token) = (format!("Bearer {}", host.token()), host.token());
    let wrong = format!("Bearer {}", token.replace(['0', '1', '2', '3'], "4"));
    let by_lower_case = format!("bearer {token}");
    let by_basic = format!("Basic {token}");
    let spoken = format!("quire, quire.token.{token}");
    let here = ("Host", host.address.as_str());
    let by_bearer = ("Authorization", bearer.as_str());
    for (headers, status) in [
        (vec![here], 401),
        (vec![here, ("Authorization", &wrong)], 401),
        (vec![here, ("Authorization", &token)], 401),
        (vec![here, ("Authorization", "Bearer ")], 401),
        (
            vec![here, ("Sec-WebSocket-Protocol", "quire, quire.token.")],
            401,
        ),
        (vec![here, by_bearer, by_bearer], 400),
        (
            vec![here, by_bearer, ("Origin", "https://foreign.example")],
            403,
        ),
        (vec![here, by_bearer, ("Origin", "null")], 403),
        (
            vec![here, by_bearer, ("Origin", "https://mine.example:444")],
            403,
        ),
        (vec![("Host", "foreign.example:4711"), by_bearer], 421),
        (vec![("Host", "localhost.foreign.example"), by_bearer], 421),
        (vec![("Host", "127.0.0.1.foreign.example"), by_bearer], 421),
        (vec![by_bearer], 421),
        (vec![here, here, by_bearer], 400),
        (vec![here, by_bearer], 101),
        (vec![here, ("Authorization", &by_lower_case)], 101),
        (vec![here, ("Authorization", &by_basic)], 401),
        (vec![("Host", "localhost:9"), by_bearer], 101),
        (vec![("Host", "[::1]:9"), by_bearer], 101),
        (vec![("Host", "mine.example"), by_bearer], 101),
        (
            vec![here, by_bearer, ("Origin", "https://mine.example")],
            101,
        ),
        (vec![here, ("Sec-WebSocket-Protocol", &spoken)], 101),
    ] {
        let answer = host.answer(&headers);
        let expected = format!("HTTP/1.1 {status} ");
        assert!(answer.starts_with(&expected), "{headers:?}: {answer:?}");
        assert!(!answer.contains(&token), "{answer:?}");
    }
    let answer = host.answer(&[here, ("Sec-WebSocket-Protocol", &spoken)]);
    let answer = answer.to_ascii_lowercase();
    assert!(
        answer.contains("sec-websocket-protocol: quire\r\n"),
        "{answer:?}"
    );
}

#[test]
fn what_is_no_web_socket_is_told_so() {
    let host = Listening::start(&[]);
    for request in [
        "GET / HTTP/1.1",
        "POST / HTTP/1.1",
        "GET / HTTP/1.0",
        "HELO there",
    ] {
        let mut stream = host.connect();
        write!(stream, "{request}\r\nHost: {}\r\n\r\n", host.address).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, words) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 426 "), "{request}: {answer}");
        assert!(
            head.contains(&format!("content-length: {}", words.len())),
            "{answer}"
        );
        assert!(words.starts_with("this is a WebSocket"), "{answer}");
    }
}

#[test]
fn who_knows_the_token_waits_for_nobody_who_does_not() {
    let host = Listening::start(&[]);
    let silent: Vec<TcpStream> = (0..150).map(|_| host.connect()).collect();
    let asked = Instant::now();
    assert_eq!(host.face().hello()["result"]["protocol"], 1);
    assert!(
        asked.elapsed() < Duration::from_secs(5),
        "{:?}",
        asked.elapsed()
    );
    drop(silent);
}

#[test]
fn the_token_is_random_kept_and_its_owners_alone() {
    let host = Listening::start(&[]);
    let file = host.world.place.home().join("quire/data/host/token");
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let token = host.token();
    assert_eq!(token.len(), 64);
    assert_ne!(token, Listening::start(&[]).token());
    let Listening { world, host, .. } = host;
    drop(host);
    let again = finish(world.command(&["serve", "--listen", "203.0.113.1:0"]));
    again.says(1, &["cannot listen at 203.0.113.1:0"]);
    assert_eq!(std::fs::read_to_string(&file).unwrap().trim(), token);
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    let again = finish(world.command(&["serve", "--listen", "127.0.0.1:0"]));
    again.says(1, &["others may read it"]);
}

#[test]
fn a_face_elsewhere_starts_an_agent_and_looks_at_it() {
    let host = Listening::start(&[]);
    let url = format!("ws://{}", host.address);
    let elsewhere = Place::new();
    let agents = |token: &str, arguments: &[&str]| {
        let mut all = vec!["agents", "--host", &url];
        all.extend(arguments);
        let mut command = elsewhere.command(&all);
        finish({
            command.env("QUIRE_HOST_TOKEN", token);
            command
        })
    };
    agents("", &[]).says(2, &["set QUIRE_HOST_TOKEN"]);
    agents("wrong", &[]).says(1, &["does not take this token"]);
    let started = agents(&host.token(), &["start", "-m", "anthropic/double", "go"]);
    started.says(0, &[]);
    let session = started.out.trim();
    let agent = host.world.wait(session, "done");
    assert_eq!(agent["detail"], "It is done.");
    agents(&host.token(), &["list"]).says(0, &["Done", &session[..8]]);

    let mut screen = elsewhere.command(&["--host", &url, "--resume", session]);
    screen.env("QUIRE_HOST_TOKEN", host.token());
    let mut screen = Pty::start(&screen, 100, 30);
    screen.sees("It is done.");
    screen.press("and again\r");
    screen.sees("and again");
    host.world.wait(session, "done");
}

#[test]
fn the_wire_over_tcp_holds_what_chance_makes_of_it() {
    let mut host = Listening::start(&[]);
    let seed = u64::from(std::process::id());
    let mut dice = Dice(seed);
    let lines = [
        json!({"jsonrpc": "2.0", "id": 1, "method": "agents/list"}).to_string(),
        json!({"id": 1, "method": "session/watch", "params": {"session": "s", "after": 1}})
            .to_string(),
        json!({"id": "a", "method": "sessions/list", "params": {"query": {"limit": 1}}})
            .to_string(),
    ];
    let mut face = host.face();
    assert_eq!(face.hello()["result"]["protocol"], 1);
    for round in 0..500 {
        let mut line = lines[dice.pick(lines.len())].clone().into_bytes();
        for _ in 0..dice.pick(4) {
            let at = dice.pick(line.len());
            line[at] = b"\"{}[],:0-e\\ \n"[dice.pick(13)];
        }
        let text = String::from_utf8(line.clone()).unwrap();
        face.say(match dice.pick(2) {
            0 => Message::text(text),
            _ => Message::binary(line),
        });
        // What lost its id is not answered.
        face.say(Message::text(r#"{"id":"next","method":"agents/list"}"#));
        loop {
            let heard = face.hear();
            let answered = heard.get("result").is_some() != heard.get("error").is_some();
            assert!(answered, "seed {seed}, round {round}: {heard}");
            if heard["id"] == "next" {
                break;
            }
        }
    }
    // What is no WebSocket at all, before and after somebody was let in.
    for round in 0..100 {
        let noise = (0..dice.pick(300)).map(|_| u8::try_from(dice.pick(256)).unwrap());
        let noise: Vec<u8> = noise.collect();
        let mut stream = match round % 2 {
            0 => host.connect(),
            _ => host.face().0.into_inner(),
        };
        // It may hang up in the middle.
        let _ = stream.write_all(&noise);
    }
    assert_eq!(host.face().hello()["result"]["protocol"], 1);
    assert!(host.host.0.try_wait().unwrap().is_none());
}
