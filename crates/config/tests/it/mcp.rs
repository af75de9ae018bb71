//! `[mcp.NAME]`: servers of the person's own file and of a folder's.

use std::path::{Path, PathBuf};
use std::time::Duration;

use expect_test::expect;
use proptest::prelude::*;
use quire_config::{Layer, Layers, McpHttp, McpProcess, McpServer, McpTransport, Resolved, parse};

use crate::{check, pairs, project, trusting, user};

const ALL: &str = r#"
mcp_wait_s = 0

[mcp.github]
command = ["npx", "-y", "@modelcontextprotocol/server-github", ""]
environment = ["GITHUB_TOKEN"]
variables = { LOG_LEVEL = "chatty value" }
domains = ["api.github.com", "*.githubusercontent.com"]
writable = ["~/.npm", "/srv"]
tools = ["search_issues", "get_*"]
start_s = "2m"
timeout_s = 7

[mcp.plain]
command = ["server"]

[mcp.free-one]
command = ["/opt/server"]
sandbox = "off"
enabled = false

[mcp.far]
url = "https://example.org/mcp?team=query-value"
headers = { "X-Team" = "header-value" }
key_env = "FAR_TOKEN"
"#;

fn resolved(layers: &Layers) -> Resolved {
    layers.resolve().unwrap_or_else(|error| panic!("{error}"))
}

fn process(server: &McpServer) -> &McpProcess {
    match &server.transport {
        McpTransport::Process(process) => process,
        McpTransport::Http(http) => panic!("{http:?}"),
    }
}

fn http(server: &McpServer) -> &McpHttp {
    match &server.transport {
        McpTransport::Http(http) => http,
        McpTransport::Process(process) => panic!("{process:?}"),
    }
}

#[test]
fn servers_come_out_as_they_were_described() {
    let resolved = resolved(&user(ALL).environment(pairs(&[("FAR_TOKEN", " the-token\n")])));
    assert_eq!(resolved.notices(), []);
    assert_eq!(resolved.mcp_wait(), Duration::ZERO);
    let servers = resolved.mcp_servers();
    let names: Vec<&str> = servers.keys().map(String::as_str).collect();
    assert_eq!(names, ["far", "free-one", "github", "plain"]);

    let github = &servers["github"];
    let of = process(github);
    assert_eq!(of.command[2], "@modelcontextprotocol/server-github");
    assert_eq!(of.command.len(), 4);
    assert_eq!(of.environment, ["GITHUB_TOKEN"]);
    assert_eq!(of.variables["LOG_LEVEL"].expose(), "chatty value");
    assert_eq!(of.domains, ["api.github.com", "*.githubusercontent.com"]);
    assert_eq!(of.writable, [Path::new("/home/me/.npm"), Path::new("/srv")]);
    assert!(of.confined && github.enabled);
    assert_eq!(github.start, Duration::from_mins(2));
    assert_eq!(github.timeout, Duration::from_secs(7));
    assert_eq!(github.source.to_string(), "user.toml:4");

    let plain = &servers["plain"];
    assert_eq!(plain.start, Duration::from_secs(30));
    assert_eq!(plain.timeout, Duration::from_mins(5));
    assert!(process(plain).confined);
    assert!(!process(&servers["free-one"]).confined && !servers["free-one"].enabled);

    let far = http(&servers["far"]);
    assert_eq!(far.url, "https://example.org/mcp?team=query-value");
    assert_eq!(far.headers["X-Team"].expose(), "header-value");
    assert_eq!(far.key_env.as_deref(), Some("FAR_TOKEN"));
    let key = far.key.as_ref().unwrap();
    assert_eq!(key.value.expose(), "the-token");
    assert_eq!(key.source.variable(), Some("FAR_TOKEN"));
}

#[test]
fn servers_are_listed_and_their_secrets_are_not() {
    let secrets = ["chatty value", "query-value", "header-value", "the-token"];
    let servers = |resolved: &Resolved| {
        let table = resolved.table();
        let lines = table.lines().filter(|line| line.starts_with("mcp "));
        let lines: String = lines.flat_map(|line| [line, "\n"]).collect();
        let own = parse(Layer::User, Path::new("user.toml"), ALL.as_bytes()).unwrap();
        for secret in secrets {
            assert!(!table.contains(secret), "{table}");
            assert!(!own.listing().contains(secret));
        }
        lines
    };
    let with_key = resolved(&user(ALL).environment(pairs(&[("FAR_TOKEN", "the-token")])));
    for secret in ["chatty value", "header-value", "the-token"] {
        assert!(!format!("{with_key:?}").contains(secret));
    }
    expect![[r#"
        mcp far: at https://example.org/mcp?…, with headers ["X-Team"], key from $FAR_TOKEN  user.toml:22
        mcp free-one: starts ["/opt/server"], in "/", without a sandbox, not enabled  user.toml:17
        mcp github: starts ["npx", "-y", "@modelcontextprotocol/server-github", ""], with variables ["GITHUB_TOKEN", "LOG_LEVEL"], reaches ["api.github.com", "*.githubusercontent.com"], writes ["/home/me/.npm", "/srv"], in "/", tools ["search_issues", "get_*"]  user.toml:4
        mcp plain: starts ["server"]  user.toml:14
    "#]]
    .assert_eq(&servers(&with_key));
    let without = resolved(&user(ALL).environment(pairs(&[("FAR_TOKEN", " \n")])));
    assert!(http(&without.mcp_servers()["far"]).key.is_none());
    assert!(servers(&without).contains("no key (FAR_TOKEN is not set)"));
}

#[test]
fn the_wait_for_servers_is_bounded() {
    assert_eq!(resolved(&user("")).mcp_wait(), Duration::from_secs(5));
    let flag = user("mcp_wait_s = 3\n").environment(pairs(&[("QUIRE_MCP_WAIT_S", "600")]));
    assert_eq!(resolved(&flag).mcp_wait(), Duration::from_mins(10));
    for wrong in ["601", "-1", "\"none\"", "2.5"] {
        check(
            &user(&format!("mcp_wait_s = {wrong}\n")),
            &expect![[r#"
                user.toml:1:14: `mcp_wait_s`: expected a whole number from 0 to 600
            "#]],
        );
    }
}

fn refused(cases: &[(&str, &str)]) {
    for (text, expected) in cases {
        let told = user(text).resolve().err().map(|error| error.to_string());
        assert_eq!(told, Some(format!("user.toml:{expected}")), "{text}");
    }
}

#[test]
fn a_server_without_a_way_to_it_is_refused_with_its_place() {
    let name = "expected a name of 1 to 32 of a-z, 0-9, - and _, which begins with a letter or digit, \
                does not end with _ and has no __ in it";
    let command = "`mcp.one.command`: expected a program and its arguments like [\"npx\", \"-y\", \"server\"]";
    let either = "`mcp.one`: expected either command = [\"…\"] or url = \"https://…\"";
    let url = "`mcp.one.url`: expected an address like https://example.org/mcp: http or https, a host, \
               no name or password";
    refused(&[
        ("mcp = 1", "1:1: `mcp`: expected a table"),
        (
            "[[mcp.one]]\ncommand = [\"a\"]",
            "1:7: `mcp.one`: expected a table",
        ),
        (
            "[mcp.a__b]\ncommand = [\"a\"]",
            &format!("1:6: `mcp.a__b`: {name}"),
        ),
        (
            "[mcp.\"\"]\ncommand = [\"a\"]",
            &format!("1:6: `mcp.`: {name}"),
        ),
        ("[mcp.one]\nenabled = false", &format!("1:6: {either}")),
        (
            "[mcp.one]\ncommand = [\"a\"]\nurl = \"https://a\"",
            &format!("1:6: {either}"),
        ),
        ("[mcp.one]\ncommand = []", &format!("2:11: {command}")),
        (
            "[mcp.one]\ncommand = [\" \", \"a\"]",
            &format!("2:11: {command}"),
        ),
        (
            "[mcp.one]\ncommand = [\"a\\u0000\"]",
            &format!("2:11: {command}"),
        ),
        (
            "[mcp.one]\ncommand = \"npx server\"",
            &format!("2:11: {command}"),
        ),
        ("[mcp.one]\nurl = \"ftp://a\"", &format!("2:7: {url}")),
        (
            "[mcp.one]\nurl = \"https://me:word@a\"",
            &format!("2:7: {url}"),
        ),
        ("[mcp.one]\nurl = [\"https://a\"]", &format!("2:7: {url}")),
    ]);
}

#[test]
fn a_wrong_value_of_a_server_is_refused_with_its_place() {
    let tools = "a list of names of tools like [\"search\", \"get_*\"]: a `*` stands at the end";
    let time = "a time of at least a second like 30, 90s or 5m";
    let variables = "variables with texts like { LOG_LEVEL = \"info\" }";
    let process = [
        ("tools = [\"get_*_one\"]", tools),
        ("tools = [\"a**\"]", tools),
        ("tools = [\"\"]", tools),
        ("tools = \"get_*\"", tools),
        (
            "sandbox = \"on\"",
            "\"off\"; leave it out, and the server is confined",
        ),
        (
            "environment = [\"A=B\"]",
            "a list of variable names like [\"JAVA_HOME\"]",
        ),
        ("variables = { PORT = 80 }", variables),
        ("variables = { \"A B\" = \"\" }", variables),
        ("variables = { A = \"\\u0000\" }", variables),
        (
            "domains = [\"https://a\"]",
            "a list of domains like [\"example.org\", \"*.example.org\"]",
        ),
        (
            "writable = [\"npm\"]",
            "a list of folders, absolute or from ~/, like [\"~/shared\"]",
        ),
        ("start_s = 0", time),
        ("timeout_s = \"none\"", time),
        ("timeout_s = 2.5", time),
        ("enabled = \"no\"", "true or false"),
    ];
    let headers = "headers like { x-team = \"blue\" }";
    let http = [
        (
            "key_env = \"a b\"",
            "the name of a variable like GITHUB_TOKEN",
        ),
        ("headers = { X-A = \"a\\r\\nX-B: b\" }", headers),
        ("headers = { \"X A\" = \"a\" }", headers),
        (
            "headers = { authorization = \"b\" }\nkey_env = \"A\"",
            "no Authorization beside key_env, which is sent as that",
        ),
    ];
    let of = |first: &'static str| move |(line, expected)| (first, line, expected);
    let process = process.map(of("command = [\"a\"]"));
    let http = http.map(of("url = \"https://a\""));
    for (first, line, expected) in process.into_iter().chain(http) {
        let (key, _): (&str, _) = line.split_once(" = ").unwrap();
        let column = key.len() + 4;
        let told = format!("3:{column}: `mcp.one.{key}`: expected {expected}");
        refused(&[(&format!("[mcp.one]\n{first}\n{line}\n"), &told)]);
    }
}

#[test]
fn what_counts_for_nothing_in_a_server_is_told() {
    let odd = "\
[mcp.one]
comand = [\"b\"]
command = [\"a\"]
key_env = \"A\"
environment = [\"A\", \"B\"]
variables = { B = \"b\" }
[mcp.two]
url = \"http://example.org/mcp\"
writable = [\"/srv\"]
[mcp.three]
command = [\"a\"]
sandbox = \"off\"
domains = [\"example.org\"]
[mcp.near]
url = \"http://127.0.0.1:9/mcp\"
[mcpp.one]
";
    let layers = user(odd);
    check(
        &layers,
        &expect![[r#"
            user.toml:2: there is no setting `mcp.one.comand`; did you mean `command`?
            user.toml:4: `mcp.one.key_env` is ignored: it is for a server that has a `url`
            user.toml:5: `mcp.one`: B is in variables too, and the value there counts
            user.toml:9: `mcp.two.writable` is ignored: it is for a server that `command` starts
            user.toml:8: `mcp.two.url`: by http whoever is on the way reads and changes what is said, keys too; use https
            user.toml:13: `mcp.three.domains` is ignored: without a sandbox it may do all that you may
            user.toml:16: there is no setting `mcpp`; did you mean `mcp`?
        "#]],
    );
    let resolved = resolved(&layers);
    let servers = resolved.mcp_servers();
    assert_eq!(process(&servers["one"]).environment, ["A"]);
    assert!(process(&servers["three"]).domains.is_empty());
}

/// What a folder may not say of a server, trusted or not.
const BOLD: &str = "\
[mcp.local]
command = [\"./server\"]
sandbox = \"off\"
environment = [\"GITHUB_TOKEN\"]
domains = [\"example.org\"]
[mcp.far]
url = \"https://example.org/mcp\"
headers = { X-A = \"a\" }
key_env = \"GITHUB_TOKEN\"
";

#[test]
fn a_trusted_folder_describes_servers_but_gives_them_nothing_of_yours() {
    let layers = trusting("", BOLD).environment(pairs(&[("GITHUB_TOKEN", "secret")]));
    check(
        &layers,
        &expect![[r#"
            project.toml:3: `mcp.local.sandbox` is ignored: only your own file may take a server out of the sandbox
            project.toml:4: `mcp.local.environment` is ignored: only your own file may give a server variables of yours
            project.toml:8: `mcp.far.headers` is ignored: only your own file may say what is sent with requests
            project.toml:9: `mcp.far.key_env` is ignored: only your own file may say where keys are sent
        "#]],
    );
    let resolved = resolved(&layers);
    let local = process(&resolved.mcp_servers()["local"]);
    assert!(local.confined && local.environment.is_empty());
    assert_eq!(local.domains, ["example.org"]);
    let far = http(&resolved.mcp_servers()["far"]);
    assert_eq!((far.key_env.as_ref(), far.key.as_ref()), (None, None));
    assert!(far.headers.is_empty());
}

#[test]
fn a_folder_that_is_not_trusted_starts_nothing() {
    let resolved = resolved(&project(user(""), BOLD));
    assert!(resolved.mcp_servers().is_empty());
    assert_eq!(resolved.notices().len(), 1, "{:?}", resolved.notices());
}

#[test]
fn of_two_servers_of_one_name_your_own_counts_whole() {
    let own = "[mcp.one]\nenabled = false\ncommand = [\"mine\"]\n";
    let folder =
        "[mcp.one]\ncommand = [\"theirs\"]\ndomains = [\"*\"]\n[mcp.two]\ncommand = [\"two\"]\n";
    let layers = trusting(own, folder);
    check(
        &layers,
        &expect![[r#"
            project.toml:1: ignored: the server one of your own file counts (user.toml:2)
        "#]],
    );
    let resolved = resolved(&layers);
    let servers = resolved.mcp_servers();
    assert_eq!(process(&servers["one"]).command, ["mine"]);
    assert!(!servers["one"].enabled && process(&servers["one"]).domains.is_empty());
    assert_eq!(servers["two"].source.to_string(), "project.toml:4");
}

#[test]
fn whoever_is_to_trust_a_folder_sees_what_it_would_start() {
    let more = "[mcp.idle]\nenabled = false\ncommand = [\"idle\\n! effort\"]\n";
    let text = format!("{BOLD}{more}");
    let file = parse(Layer::Project, Path::new("project.toml"), text.as_bytes()).unwrap();
    assert!(!file.is_empty());
    expect![[r#"
        ! mcp far: at https://example.org/mcp  project.toml:6: what the model gives to its tools is sent there
          mcp idle: starts ["idle\n! effort"], not enabled  project.toml:10
        ! mcp local: starts ["./server"], reaches ["example.org"]  project.toml:1: this program is started whenever you work here
          `mcp.local.sandbox` is ignored: only your own file may take a server out of the sandbox  project.toml:3
          `mcp.local.environment` is ignored: only your own file may give a server variables of yours  project.toml:4
          `mcp.far.headers` is ignored: only your own file may say what is sent with requests  project.toml:8
          `mcp.far.key_env` is ignored: only your own file may say where keys are sent  project.toml:9
    "#]]
    .assert_eq(&file.listing());
}

#[test]
fn a_file_that_describes_servers_is_changed_around_them() {
    let edited = quire_config::set(Path::new("f"), ALL, "mcp_wait_s", "9").unwrap();
    assert_eq!(edited, ALL.replace("mcp_wait_s = 0", "mcp_wait_s = 9"));
    let error = quire_config::set(Path::new("f"), ALL, "mcp.github.command", "a").unwrap_err();
    assert!(error.to_string().contains("there is no such setting"));
}

#[test]
fn without_a_home_folder_paths_stay_as_they_are_written() {
    let layers = Layers::new("/w").user(Path::new("user.toml"), ALL.as_bytes().to_vec());
    let resolved = resolved(&layers);
    let writable = &process(&resolved.mcp_servers()["github"]).writable;
    assert_eq!(writable, &[PathBuf::from("~/.npm"), PathBuf::from("/srv")]);
}

/// Tables of a server, nearly right.
fn nearly_a_server() -> impl Strategy<Value = String> {
    let name = prop::sample::select(vec!["a", "\"\"", "a__b", "A", "b-1", "\"é\""]);
    let key = prop::sample::select(vec![
        "command",
        "environment",
        "variables",
        "domains",
        "writable",
        "sandbox",
        "url",
        "headers",
        "key_env",
        "tools",
        "start_s",
        "timeout_s",
        "enabled",
        "comand",
        "variables.A",
        "headers.B",
    ]);
    let value = prop::sample::select(vec![
        "[]",
        "[\"a\"]",
        "[\"a*\"]",
        "[\"*a\"]",
        "[\"~/a\"]",
        "[\"A\"]",
        "[1]",
        "{}",
        "{ A = \"a\" }",
        "{ A = 1 }",
        "\"off\"",
        "\"A\"",
        "\"\"",
        "\"https://a\"",
        "\"http://a:9/\"",
        "\"http://[\"",
        "\"https://é\"",
        "\"http://:\"",
        "1",
        "-1",
        "1e400",
        "true",
        "[[\"a\"]]",
        "[{}]",
    ]);
    let lines = prop::collection::btree_map(key, value, 0..6);
    (name, lines).prop_map(|(name, lines)| {
        let lines = lines
            .iter()
            .map(|(key, value)| [key, " = ", value, "\n"].concat());
        format!("[mcp.{name}]\n{}", lines.collect::<Vec<_>>().concat())
    })
}

proptest! {
    #[test]
    fn any_server_is_read_or_refused(text in nearly_a_server()) {
        for layers in [user(&text), trusting("", &text), project(user(""), &text)] {
            if let Ok(resolved) = layers.resolve() {
                let _ = resolved.table();
            }
        }
    }

    #[test]
    fn no_server_of_a_folder_has_anything_of_yours(text in nearly_a_server()) {
        let layers = trusting("", &text).environment(pairs(&[("A", "secret")]));
        let Ok(resolved) = layers.resolve() else { return Ok(()) };
        for server in resolved.mcp_servers().values() {
            match &server.transport {
                McpTransport::Process(of) => prop_assert!(of.confined && of.environment.is_empty()),
                McpTransport::Http(of) => prop_assert!(of.key.is_none() && of.headers.is_empty()),
            }
        }
    }
}

#[test]
fn a_server_that_has_more_than_commands_starts_apart_from_the_folder() {
    let more = [
        "environment = [\"A\"]",
        "variables = { A = \"b\" }",
        "domains = [\"a.example\"]",
        "writable = [\"~/a\"]",
        "sandbox = \"off\"",
    ];
    let started_in = |layers: Layers| {
        process(&resolved(&layers).mcp_servers()["s"])
            .directory
            .clone()
    };
    let table = |line: &str| format!("[mcp.s]\ncommand = [\"s\"]\n{line}\n");
    let root = Some(PathBuf::from("/"));
    for line in more {
        assert_eq!(started_in(user(&table(line))), root, "{line}");
        let here = format!("{line}\ndirectory = \".\"");
        assert_eq!(started_in(user(&table(&here))), None, "{line}");
        let own = format!("{line}\ndirectory = \"~/s\"");
        let home = Some(PathBuf::from("/home/me/s"));
        assert_eq!(started_in(user(&table(&own))), home, "{line}");
    }
    assert_eq!(started_in(user(&table(""))), None, "it has no more");
    let domains = table("domains = [\"a.example\"]");
    assert_eq!(
        started_in(trusting("", &domains)),
        None,
        "its folder is trusted"
    );
    for wrong in ["a", "", "./a", "../a", "~"] {
        let text = table(&format!("directory = {wrong:?}"));
        assert!(user(&text).resolve().is_err(), "{wrong}");
    }
}
