//! `quire platform serve` as an operator has it: signals, TLS, and what its log says and does not.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::Value;

use crate::host::PATIENCE;
use crate::run::{Place, finish, wait_until};

const UPSTREAMS_KEY: &str = "the-upstreams-own-secret";
const ADMIN_KEY: &str = "the-admins-own-secret";
const PROMPT: &str = "the prompt's own words";

/// A model that begins to answer, and goes on when it is told to.
pub(crate) struct Upstream {
    address: SocketAddr,
    pub(crate) go_on: Sender<()>,
}

const BEGINNING: &str = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"claude-opus-5\",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,\"usage\":{\"input_tokens\":10,\"output_tokens\":1}}}\n\nevent: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\nevent: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"the answer's beginning\"}}\n\n";
const END: &str = "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\nevent: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\",\"stop_sequence\":null},\"usage\":{\"output_tokens\":25}}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";

impl Upstream {
    pub(crate) fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (go_on, told) = channel();
        std::thread::spawn(move || {
            for socket in listener.incoming().map_while(Result::ok) {
                // A client that went is none of this one's business.
                let _ = answer(socket, &told);
            }
        });
        Self { address, go_on }
    }
}

fn answer(mut socket: TcpStream, told: &Receiver<()>) -> std::io::Result<()> {
    let mut reader = BufReader::new(socket.try_clone()?);
    let (_, length) = head(&mut reader);
    reader.read_exact(&mut vec![0; length])?;
    socket.write_all(
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n",
    )?;
    socket.write_all(BEGINNING.as_bytes())?;
    if told.recv_timeout(PATIENCE).is_ok() {
        socket.write_all(END.as_bytes())?;
    }
    Ok(())
}

/// The first line of a head, and the length of what follows it.
fn head(reader: &mut impl BufRead) -> (String, usize) {
    let (mut first, mut length) = (String::new(), 0);
    reader.read_line(&mut first).unwrap();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap() == 0 || line.trim().is_empty() {
            return (first, length);
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().unwrap();
        }
    }
}

/// A platform that runs; it dies with the test.
pub(crate) struct Platform {
    pub(crate) place: Place,
    child: Child,
    address: String,
    log: Arc<Mutex<String>>,
    /// Reads the log to its end.
    reader: JoinHandle<()>,
    pub(crate) key: String,
}

impl Drop for Platform {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn config(upstream: &Upstream, more: &str, model: &str) -> String {
    format!(
        "listen = \"127.0.0.1:0\"\n{more}\n[upstreams.up]\ndialect = \"messages\"\n\
         base_url = \"http://{}\"\nkey_env = \"UP_KEY\"\n[models.\"{model}\"]\n\
         routes = [{{ upstream = \"up\" }}]\n",
        upstream.address
    )
}

fn command(place: &Place, arguments: &[&str]) -> Command {
    let file = place.work().join("platform.toml");
    let mut all = vec!["platform", "--config", file.to_str().unwrap()];
    all.extend(arguments);
    let mut command = place.command(&all);
    command
        .env("UP_KEY", UPSTREAMS_KEY)
        .env("QUIRE_ADMIN_KEY", ADMIN_KEY);
    command
}

/// Starts it; returns where it listens.
fn serve(place: &Place, log: &Arc<Mutex<String>>) -> (Child, String, JoinHandle<()>) {
    let mut child = command(place, &["serve"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut stderr, written) = (child.stderr.take().unwrap(), Arc::clone(log));
    let reader = std::thread::spawn(move || {
        let mut piece = [0; 4_096];
        while let Ok(length @ 1..) = stderr.read(&mut piece) {
            let text = String::from_utf8_lossy(&piece[..length]);
            written.lock().unwrap().push_str(&text);
        }
    });
    let mut said = String::new();
    let stdout = child.stdout.as_mut().unwrap();
    BufReader::new(stdout).read_line(&mut said).unwrap();
    let address = said.trim().rsplit_once("://").unwrap().1.to_owned();
    (child, address, reader)
}

impl Platform {
    pub(crate) fn start(config: &str) -> Self {
        let place = Place::new();
        place.write("platform.toml", config);
        let made = finish(command(&place, &["keys", "create", "--name", "k"]));
        made.says(0, &["qk-"]);
        let log = Arc::new(Mutex::new(String::new()));
        let (child, address, reader) = serve(&place, &log);
        Self {
            place,
            child,
            address,
            log,
            reader,
            key: made.out.trim().to_owned(),
        }
    }

    /// Kills it in the middle of everything, and starts it again over what it kept.
    pub(crate) fn killed_and_started(&mut self) {
        self.kill();
        self.start_again();
    }

    /// Kills it in the middle of everything.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again over what it kept.
    pub(crate) fn start_again(&mut self) {
        (self.child, self.address, self.reader) = serve(&self.place, &self.log);
    }

    /// A key of a workspace.
    pub(crate) fn another_key(&self, workspace: &str) -> String {
        let arguments = ["keys", "create", "--name", "k", "--workspace", workspace];
        finish(command(&self.place, &arguments))
            .out
            .trim()
            .to_owned()
    }

    fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the test signals the program under test"
    )]
    fn signal(&self, name: &str) {
        let process = self.child.id().to_string();
        let sent = Command::new("kill").args([name, &process]).status();
        assert!(sent.unwrap().success());
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let socket = TcpStream::connect(&self.address).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket
    }

    /// A request for a streamed answer.
    fn ask(&self, key: &str, model: &str) -> TcpStream {
        let body = format!(
            "{{\"model\":\"{model}\",\"max_tokens\":50,\"stream\":true,\
             \"messages\":[{{\"role\":\"user\",\"content\":\"{PROMPT}\"}}]}}"
        );
        let mut socket = self.connect();
        let request = format!(
            "POST /v1/messages HTTP/1.1\r\nhost: h\r\nx-api-key: {key}\r\n\
             anthropic-version: 2023-06-01\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        socket.write_all(request.as_bytes()).unwrap();
        socket
    }

    /// A request of the admin API, and its whole answer.
    pub(crate) fn admin(&self, method: &str, path: &str) -> String {
        let mut socket = self.connect();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: h\r\nx-api-key: {ADMIN_KEY}\r\n\
             connection: close\r\ncontent-length: 0\r\n\r\n"
        );
        socket.write_all(request.as_bytes()).unwrap();
        rest(&mut socket)
    }

    /// Waits for the program's end, and for all of its log.
    fn ends(&mut self) {
        let deadline = std::time::Instant::now() + PATIENCE;
        while std::time::Instant::now() < deadline {
            if let Some(status) = self.child.try_wait().unwrap() {
                wait_until("the log is read", || self.reader.is_finished());
                assert_eq!(status.code(), Some(0), "{}", self.log());
                return;
            }
            std::thread::yield_now();
        }
        panic!("it does not end: {}", self.log());
    }

    fn config(&self, text: &str) {
        self.place.write("platform.toml", text);
    }
}

pub(crate) fn rest(socket: &mut impl Read) -> String {
    let mut all = Vec::new();
    socket.read_to_end(&mut all).unwrap();
    String::from_utf8(all).unwrap()
}

/// Reads until a text has come.
pub(crate) fn until(socket: &mut impl Read, text: &str) -> String {
    let mut all = String::new();
    let mut piece = [0; 1_024];
    while !all.contains(text) {
        let length = socket.read(&mut piece).unwrap();
        assert!(length > 0, "it ended without {text:?}: {all}");
        all.push_str(std::str::from_utf8(&piece[..length]).unwrap());
    }
    all
}

/// The log's lines that tell of requests.
fn lines(log: &str) -> Vec<Value> {
    let lines = log.lines().filter(|line| line.starts_with('{'));
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn a_stream_under_way_ends_whole_after_sigterm_and_nobody_new_is_taken() {
    let upstream = Upstream::new();
    let mut platform = Platform::start(&config(&upstream, "[log]\nrequests = true", "claude-*"));
    let mut stream = platform.ask(&platform.key, "claude-opus-5");
    let begun = until(&mut stream, "the answer's beginning");
    assert!(begun.starts_with("HTTP/1.1 200 "), "{begun}");
    let idle = platform.connect();
    platform.signal("-TERM");
    wait_until("new connections are refused", || {
        TcpStream::connect(&platform.address).is_err()
    });
    assert!(platform.child.try_wait().unwrap().is_none());
    upstream.go_on.send(()).unwrap();
    let ended = rest(&mut stream);
    assert!(ended.contains("message_stop"), "{ended}");
    // Whoever is connected and asks nothing does not keep it.
    platform.ends();
    drop(idle);
    let served = lines(&platform.log());
    assert_eq!(
        (&served[0]["status"], &served[0]["output_tokens"]),
        (&200.into(), &25.into())
    );
}

#[test]
fn a_stream_that_outlasts_all_patience_is_cut_off_charged_and_told_of() {
    let upstream = Upstream::new();
    let more = "bounds = { drain_s = 0 }\n[log]\nrequests = true";
    let mut platform = Platform::start(&config(&upstream, more, "claude-*"));
    let mut stream = platform.ask(&platform.key, "claude-opus-5");
    until(&mut stream, "the answer's beginning");
    platform.signal("-TERM");
    platform.ends();
    let served = lines(&platform.log());
    assert_eq!(
        (served.len(), &served[0]["status"]),
        (1, &499.into()),
        "{served:?}"
    );
    assert!(served[0]["output_tokens"].as_u64() > Some(0), "{served:?}");
}

#[test]
fn what_was_streamed_when_it_was_killed_is_billed_once() {
    let upstream = Upstream::new();
    let mut platform = Platform::start(&config(&upstream, "", "claude-*"));
    let mut stream = platform.ask(&platform.key, "claude-opus-5");
    until(&mut stream, "the answer's beginning");
    platform.killed_and_started();
    let csv = |platform: &Platform| {
        platform.admin(
            "GET",
            "/v1/organizations/usage_report/messages?starting_at=2020-01-01T00:00:00Z&format=csv",
        )
    };
    wait_until("the request is billed", || {
        csv(&platform).contains("claude-opus-5")
    });
    // Another death bills nothing again.
    platform.killed_and_started();
    let lines = csv(&platform);
    let rows: Vec<&str> = lines
        .lines()
        .filter(|line| line.contains("claude-opus-5"))
        .collect();
    assert_eq!(rows.len(), 1, "{lines}");
    assert!(rows[0].contains("true"), "it is an estimate: {}", rows[0]);
}

#[test]
fn sighup_takes_a_good_config_over_and_leaves_a_bad_one() {
    let upstream = Upstream::new();
    let platform = Platform::start(&config(&upstream, "", "claude-*"));
    let models = || platform.admin("GET", "/admin/models");
    let tells = |what: &str| wait_until(what, || platform.log().contains(what));
    platform.config("this is no TOML");
    platform.signal("-HUP");
    tells("nothing was changed");
    assert!(models().contains("claude-*"));
    platform.config(&config(&upstream, "", "claude-*").replace("\"up\" }", "\"nowhere\" }"));
    platform.signal("-HUP");
    tells("there is no upstream `nowhere`");
    assert!(models().contains("\"up\""));
    let moved = config(&upstream, "", "small").replace("127.0.0.1:0", "127.0.0.1:1");
    platform.config(&moved);
    platform.signal("-HUP");
    tells("listen: counts from the next start on");
    wait_until("the new config counts", || models().contains("small"));
    assert!(!models().contains("claude-*"));

    // The admin API does the same.
    platform.config("this is no TOML");
    let refused = platform.admin("POST", "/admin/reload");
    assert!(refused.starts_with("HTTP/1.1 400 "), "{refused}");
    assert!(
        refused.contains("nothing was changed") && models().contains("small"),
        "{refused}"
    );
    platform.config(&config(&upstream, "", "large"));
    let taken = platform.admin("POST", "/admin/reload");
    assert!(taken.starts_with("HTTP/1.1 200 "), "{taken}");
    assert!(models().contains("large"));
}

#[test]
fn a_stream_that_began_by_the_old_config_ends_by_it() {
    let upstream = Upstream::new();
    let platform = Platform::start(&config(&upstream, "", "claude-*"));
    let mut stream = platform.ask(&platform.key, "claude-opus-5");
    until(&mut stream, "the answer's beginning");
    let elsewhere = Upstream::new();
    platform.config(&config(&elsewhere, "", "small"));
    platform.admin("POST", "/admin/reload");
    upstream.go_on.send(()).unwrap();
    assert!(rest(&mut stream).contains("message_stop"));
    let refused = rest(&mut platform.ask(&platform.key, "claude-opus-5"));
    assert!(refused.starts_with("HTTP/1.1 404 "), "{refused}");
}

#[test]
fn tls_is_spoken_and_nothing_else() {
    let fixtures = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../depot/tests/it/fixtures");
    let file = |name: &str| fixtures.join(name).display().to_string();
    let tls = format!(
        "[tls]\ncertificate = \"{}\"\nkey = \"{}\"",
        file("server.pem"),
        file("server.key")
    );
    let upstream = Upstream::new();
    let platform = Platform::start(&config(&upstream, &tls, "claude-*"));
    let mut roots = RootCertStore::empty();
    let authority = CertificateDer::from_pem_file(file("ca.pem")).unwrap();
    roots.add(authority).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    let session = ClientConnection::new(Arc::new(client), name).unwrap();
    let mut socket = StreamOwned::new(session, platform.connect());
    socket
        .write_all(b"GET /healthz HTTP/1.1\r\nhost: h\r\n\r\n")
        .unwrap();
    let answer = until(&mut socket, "ok\n");
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    // Who speaks plain HTTP to it learns nothing.
    let mut plain = platform.connect();
    plain
        .write_all(b"GET /healthz HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n")
        .unwrap();
    let mut came = Vec::new();
    // However it is cut off.
    let _ = plain.read_to_end(&mut came);
    assert!(!came.starts_with(b"HTTP/"), "{came:?}");
}

#[test]
fn a_certificate_that_cannot_be_used_is_told_before_anything_is_served() {
    let place = Place::new();
    place.write("cert.pem", "no certificate");
    place.write("key.pem", "no key");
    let upstream = Upstream::new();
    let tls = "[tls]\ncertificate = \"cert.pem\"\nkey = \"key.pem\"";
    place.write("platform.toml", config(&upstream, tls, "claude-*"));
    let ran = finish(command(&place, &["serve"]));
    assert_ne!(ran.code, 0);
    assert!(
        ran.err.contains("certificate") && !ran.out.contains("listening"),
        "{}",
        ran.err
    );
}

#[test]
fn the_log_has_a_line_for_each_request_and_no_secret_and_no_prompt() {
    let upstream = Upstream::new();
    let more = "[log]\nrequests = true\nbodies_bytes = 100000";
    let mut platform = Platform::start(&config(&upstream, more, "claude-*"));
    upstream.go_on.send(()).unwrap();
    let served = rest(&mut platform.ask(&platform.key, "claude-opus-5"));
    assert!(served.contains("message_stop"), "{served}");
    let refused = rest(&mut platform.ask(&platform.key, "no\\nsuch"));
    assert!(refused.starts_with("HTTP/1.1 404 "), "{refused}");
    let refused = rest(&mut platform.ask("qk-wrong", "claude-opus-5"));
    assert!(refused.starts_with("HTTP/1.1 401 "), "{refused}");
    // One that goes away is charged, and told of.
    let mut gone = platform.ask(&platform.key, "claude-opus-5");
    until(&mut gone, "the answer's beginning");
    drop(gone);
    wait_until("the client is missed", || {
        platform.log().contains("\"status\":499")
    });
    platform.signal("-TERM");
    platform.ends();
    let log = platform.log();
    let lines = lines(&log);
    let statuses: Vec<u64> = lines
        .iter()
        .filter_map(|line| line["status"].as_u64())
        .collect();
    assert_eq!(statuses, [200, 404, 401, 499], "{log}");
    let first = &lines[0];
    for (name, value) in [
        ("event", "served"),
        ("api", "messages"),
        ("model_asked", "claude-opus-5"),
        ("model_served", "claude-opus-5"),
        ("upstream", "up"),
    ] {
        assert_eq!(first[name], value, "{first}");
    }
    assert_eq!(
        (&first["input_tokens"], &first["output_tokens"]),
        (&10.into(), &25.into())
    );
    assert!(
        first["cost_usd"].as_str().unwrap().starts_with("0.000"),
        "{first}"
    );
    assert!(first["key"].as_str().unwrap().starts_with("apikey_"));
    assert!(first["workspace"].as_str().unwrap().starts_with("wrkspc_"));
    assert_eq!(lines[1]["model_asked"], "no\nsuch");
    for secret in [
        platform.key.as_str(),
        "qk-",
        UPSTREAMS_KEY,
        ADMIN_KEY,
        PROMPT,
        "the answer's beginning",
    ] {
        assert!(!log.contains(secret), "{secret}: {log}");
    }
}

#[test]
fn metrics_and_health_need_no_key() {
    let upstream = Upstream::new();
    let platform = Platform::start(&config(&upstream, "", "claude-*"));
    let get = |path: &str| {
        let mut socket = platform.connect();
        let request = format!("GET {path} HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n");
        socket.write_all(request.as_bytes()).unwrap();
        rest(&mut socket)
    };
    for (path, word) in [
        ("/healthz", "ok"),
        ("/readyz", "ready"),
        ("/metrics", "quire_connections "),
    ] {
        let answer = get(path);
        assert!(
            answer.starts_with("HTTP/1.1 200 ") && answer.contains(word),
            "{answer}"
        );
    }
    // A connection that its client closed is let go a moment later.
    wait_until("only the asking connection to be open", || {
        get("/metrics").contains("quire_connections 1\n")
    });
}
