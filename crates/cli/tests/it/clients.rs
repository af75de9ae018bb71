//! The developer platform as real clients meet it: the official SDKs of both vendors, of two generations, unmodified,
//! against the binary with a mock upstream behind it, through each of the three APIs of an upstream.
//!
//! `cargo xtask test` installs the SDKs, `cargo xtask test clients` the agents too; what is not installed is skipped,
//! and said.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::run::Place;

mod agents;
mod guide;
mod open_responses;
mod script;
mod shapes;
mod upstream;

use upstream::Upstream;

/// The models of the platform, each served through another API, with the one of the same API first.
const VIA_MESSAGES: &str = "via-messages via-responses via-chat";
const VIA_RESPONSES: &str = "via-responses via-chat via-messages";

/// A platform at work with the mock behind it. It is killed when it goes out of scope.
pub(crate) struct Platform {
    pub(crate) url: String,
    pub(crate) mock: Upstream,
    pub(crate) key: String,
    pub(crate) tight_key: String,
    child: Child,
    _place: Place,
}

impl Drop for Platform {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Platform {
    pub(crate) fn start() -> Self {
        Self::with(config)
    }

    /// Starts one with a config for the address of the mock.
    pub(crate) fn with(config: impl FnOnce(&str) -> String) -> Self {
        let mock = Upstream::start();
        let place = Place::new();
        let file = place.work().join("platform.toml");
        std::fs::write(&file, config(&mock.url)).unwrap();
        let key = make_key(&place, &file, &[]);
        let tight_key = make_key(&place, &file, &["--requests-per-minute", "2"]);
        let mut child = command(&place, &file, &["serve"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let url = line.trim().strip_prefix("listening on ").unwrap();
        Self {
            url: url.to_owned(),
            mock,
            key,
            tight_key,
            child,
            _place: place,
        }
    }
}

fn config(mock: &str) -> String {
    format!(
        r#"
        listen = "127.0.0.1:0"
        [upstreams.messages]
        dialect = "messages"
        base_url = "{mock}"
        key_env = "UPSTREAM_KEY"
        breaker = {{ failures = 1000 }}
        [upstreams.responses]
        dialect = "responses"
        base_url = "{mock}/v1"
        key_env = "UPSTREAM_KEY"
        breaker = {{ failures = 1000 }}
        [upstreams.chat]
        dialect = "chat"
        base_url = "{mock}/v1"
        breaker = {{ failures = 1000 }}
        [models.via-messages]
        routes = [{{ upstream = "messages", model = "claude-opus-5" }}]
        [models.via-responses]
        routes = [{{ upstream = "responses", model = "gpt-6-sol" }}]
        [models.gpt-6-sol]
        routes = [{{ upstream = "messages", model = "claude-opus-5" }}]
        [models.gpt-6-luna]
        routes = [{{ upstream = "chat", model = "qwen3-8b" }}]
        [models.via-chat]
        routes = [{{ upstream = "chat", model = "qwen3-8b" }}]
        "#
    )
}

fn command(place: &Place, file: &Path, arguments: &[&str]) -> Command {
    let mut command = place.command(&["platform", "--config"]);
    command
        .arg(file)
        .args(arguments)
        .env("UPSTREAM_KEY", "the-key-of-the-upstream")
        .env("ANTHROPIC_API_KEY", "the-key-at-anthropic")
        .env("OPENAI_API_KEY", "the-key-at-openai");
    command
}

fn make_key(place: &Place, file: &Path, arguments: &[&str]) -> String {
    let made = command(place, file, &["keys", "create"])
        .args(arguments)
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    String::from_utf8(made.stdout).unwrap().trim().to_owned()
}

/// Where `cargo xtask test` installs clients.
pub(crate) fn installed() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    target.join("clients")
}

/// A program that runs clients, where it is installed.
#[expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "the test starts real clients, and says where there are none"
)]
pub(crate) fn client(program: &Path) -> Option<Command> {
    if !program.exists() {
        println!(
            "SKIPPED: {} is not there; `cargo xtask test clients` installs it",
            program.display()
        );
        return None;
    }
    let mut command = Command::new(program);
    command.env_clear().stdin(Stdio::null());
    Some(command)
}

/// Runs a program of cases, whose lines it prints; fails with the lines of those that failed.
#[expect(clippy::print_stdout, reason = "what went well is worth reading too")]
fn cases(mut program: Command, via: &str) {
    let platform = Platform::start();
    let home = tempfile::tempdir().unwrap();
    let output = program
        .env("HOME", home.path())
        .env("BASE", &platform.url)
        .env("KEY", &platform.key)
        .env("TIGHT_KEY", &platform.tight_key)
        .env("MOCK", &platform.mock.url)
        .env("VIA", via)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    let complaints = String::from_utf8_lossy(&output.stderr);
    println!("{told}{complaints}");
    let failed: Vec<&str> = told
        .lines()
        .filter(|line| line.starts_with("failed "))
        .collect();
    assert!(
        output.status.success() && told.contains("ok "),
        "{}\n{complaints}",
        failed.join("\n")
    );
}

fn python(generation: &str, program: &str, via: &str) {
    let python = installed().join(format!("{generation}-py/bin/python"));
    if let Some(mut command) = client(&python) {
        command.arg(programs().join(program));
        cases(command, via);
    }
}

fn node(generation: &str, program: &str, via: &str) {
    let place = installed().join(format!("{generation}-js"));
    // Programs find the SDKs in the folder that they are started in.
    let node = installed().join("newest-js/node_modules/node/bin/node");
    if let Some(mut command) = client(&node) {
        command.arg(programs().join(program)).current_dir(place);
        cases(command, via);
    }
}

fn programs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients")
}

#[test]
fn anthropics_newest_python_sdk() {
    python("newest", "anthropic_cases.py", VIA_MESSAGES);
}

#[test]
fn anthropics_python_sdk_before() {
    python("before", "anthropic_cases.py", VIA_MESSAGES);
}

#[test]
fn openais_newest_python_sdk() {
    python("newest", "openai_cases.py", VIA_RESPONSES);
}

#[test]
fn openais_python_sdk_before() {
    python("before", "openai_cases.py", VIA_RESPONSES);
}

#[test]
fn anthropics_newest_typescript_sdk() {
    node("newest", "anthropic_cases.mjs", VIA_MESSAGES);
}

#[test]
fn anthropics_typescript_sdk_before() {
    node("before", "anthropic_cases.mjs", VIA_MESSAGES);
}

#[test]
fn openais_newest_typescript_sdk() {
    node("newest", "openai_cases.mjs", VIA_RESPONSES);
}

#[test]
fn openais_typescript_sdk_before() {
    node("before", "openai_cases.mjs", VIA_RESPONSES);
}
