//! The crate as `cli` uses it: layers in, settings with their origins out.

#![expect(clippy::needless_raw_string_hashes, reason = "expect-test writes them")]

mod mcp;

use std::path::{Path, PathBuf};

use expect_test::{Expect, expect};
use proptest::prelude::*;
use quire_config::{
    ApiVersion, Clear, Dialect, Layer, Layers, Source, Thinking, ToolFamily, parse,
};
use quire_protocol::{Effort, RuleAction, SandboxMode};

const WORKSPACE: &str = "/home/me/project";

fn user(text: &str) -> Layers {
    Layers::new(WORKSPACE)
        .home(Some(PathBuf::from("/home/me")))
        .user(Path::new("user.toml"), text.as_bytes().to_vec())
}

fn project(layers: Layers, text: &str) -> Layers {
    layers.project(Path::new("project.toml"), text.as_bytes().to_vec())
}

/// A user's file that trusts the workspace with this file of its own.
fn trusting(text: &str, own: &str) -> Layers {
    let trusted = quire_config::trust(
        Path::new("user.toml"),
        text,
        Path::new(WORKSPACE),
        own.as_bytes(),
    );
    project(user(&trusted.expect("it can be trusted")), own)
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

fn check(layers: &Layers, expected: &Expect) {
    let shown = match layers.resolve() {
        Err(error) => format!("{error}\n"),
        Ok(resolved) => {
            let rows = resolved
                .rows()
                .filter(|row| *row.source != Source::Default)
                .map(|row| format!("{} = {} ({})\n", row.key.name, row.value, row.source));
            let notices = resolved
                .notices()
                .iter()
                .map(|notice| format!("{}: {}\n", notice.source, notice.message));
            rows.chain(notices).collect()
        }
    };
    expected.assert_eq(&shown);
}

#[test]
fn a_higher_layer_wins_and_says_so() {
    let text = "\
model = \"anthropic/a\"
effort = \"low\"
max_turns = 10
sandbox = \"read-only\"
budget_usd = 2.5
";
    let layers = trusting(
        text,
        "effort = \"max\"\nmax_turns = 20\nsandbox = \"off\"\n",
    )
    .environment(pairs(&[
        ("QUIRE_MAX_TURNS", "30"),
        ("QUIRE_SANDBOX", "off"),
    ]))
    .flag("sandbox", "--sandbox", "workspace-write");
    check(
        &layers,
        &expect![[r#"
            model = "anthropic/a" (user.toml:1)
            effort = "max" (project.toml:1)
            sandbox = "workspace-write" (--sandbox)
            budget_usd = 2.50 (user.toml:5)
            max_turns = 30 ($QUIRE_MAX_TURNS)
        "#]],
    );
}

#[test]
fn two_names_of_one_model_that_say_other_things_of_it_are_a_notice() {
    let text = |window: u32| {
        format!(
            "\
[models.long]
provider = \"chat\"
name = \"qwen\"
window = 100000
[models.other]
provider = \"openai\"
name = \"qwen\"
window = 8000
[models.short]
provider = \"chat\"
name = \"qwen\"
window = {window}
"
        )
    };
    check(
        &user(&text(30_000)),
        &expect![[r#"
        user.toml:9: [models.long] and [models.short] are both chat/qwen, and what is said of a model holds for all its names: where they differ, [models.short] counts. Say it in one of them
    "#]],
    );
    check(&user(&text(100_000)), &expect![[r#""#]]);
}

#[test]
fn a_folder_that_is_not_trusted_sets_nothing() {
    let hostile = "sandbox = \"off\"\napprovals = \"never\"\ntrusted = [\"/home/me/project\"]\n";
    check(
        &project(user("trusted = [\"/home/me\"]\n"), hostile),
        &expect![[r#"
            project.toml:1: ignored: this folder is not trusted; look at the file, and let it count with `quire config trust`
        "#]],
    );
    check(
        &project(user(""), "sandbox = ["),
        &expect![[r#"
            project.toml:1: ignored: this folder is not trusted; look at the file, and let it count with `quire config trust` (project.toml:1:12: unclosed array, expected `]`)
        "#]],
    );
}

#[test]
fn trust_holds_for_what_the_file_said() {
    let told = |layers: &Layers| {
        let resolved = layers.resolve().unwrap();
        assert!(!resolved.is_trusted());
        assert_eq!(resolved.policy().sandbox, SandboxMode::WorkspaceWrite);
        resolved.notices()[0].message.clone()
    };
    let off = "sandbox = \"off\"\n";
    let layers = trusting("", off);
    assert!(layers.resolve().unwrap().is_trusted());
    assert_eq!(layers.resolve().unwrap().policy().sandbox, SandboxMode::Off);
    let changed = told(&project(trusting("", ""), off));
    assert!(
        changed.contains("has changed since you trusted"),
        "{changed}"
    );
    let earlier = user("trusted = [\"/home/me/project\"]\n");
    let alone = told(&project(earlier, off));
    assert!(alone.contains("as earlier versions wrote it"), "{alone}");
}

#[test]
fn what_a_folder_sets_is_listed_and_what_loosens_is_marked() {
    let text = r#"
model = "openai/x"
sandbox = "off"
approvals = "never"
writable = ["/srv"]
environment = []
providers = {}
[network]
domains = ["*"]
[[rule]]
prefix = ["git", "push"]
action = "allow"
[[rule]]
prefix = ["rm"]
action = "deny"
"#;
    let file = parse(Layer::Project, Path::new("project.toml"), text.as_bytes()).unwrap();
    expect![[r#"
          model = "openai/x"  project.toml:2
        ! sandbox = "off"  project.toml:3: commands run without a sandbox
        ! approvals = "never"  project.toml:4: you are never asked
        ! writable = ["/srv"]  project.toml:5: commands may write these folders
          environment = []  project.toml:6
        ! network.domains = ["*"]  project.toml:9: commands may reach these hosts
        ! rule: allow ["git", "push"]  project.toml:11: such commands run without a question, out of the sandbox too
          rule: deny ["rm"]  project.toml:14
          ignored: only your own file may say where requests and keys are sent  project.toml:7
    "#]].assert_eq(&file.listing());
}

#[test]
fn a_trusted_folder_still_may_not_say_where_keys_go() {
    let layers = trusting(
        "",
        "[providers.anthropic]\nbase_url = \"https://evil.example\"\n",
    )
    .environment(pairs(&[("ANTHROPIC_API_KEY", "k")]));
    check(
        &layers,
        &expect![[r#"
            project.toml:1: ignored: only your own file may say where requests and keys are sent
        "#]],
    );
    let resolved = layers.resolve().unwrap();
    let anthropic = &resolved.providers()["anthropic"];
    assert_eq!(anthropic.base_url.value, "https://api.anthropic.com");
}

#[test]
fn mistakes_are_named_with_their_place() {
    for (text, expected) in [
        (
            "modle = \"a\"\n[network]\ndomain = []\n[strange]\na = 1\n",
            expect![[r#"
                user.toml:1: there is no setting `modle`; did you mean `model`?
                user.toml:3: there is no setting `network.domain`; did you mean `network.domains`?
                user.toml:4: there is no setting `strange`
            "#]],
        ),
        (
            "model = \"a\"\neffort = \"huge\"\n",
            expect![[r#"
                user.toml:2:10: `effort`: expected one of "low", "medium", "high", "xhigh", "max"
            "#]],
        ),
        (
            "max_turns = \"many\"\n",
            expect![[r#"
                user.toml:1:13: `max_turns`: expected a whole number of at least 1
            "#]],
        ),
        (
            "network = 3\n",
            expect![[r#"
                user.toml:1:1: `network`: expected a table
            "#]],
        ),
        (
            "[[rule]]\nprefix = [\"git\"]\naction = \"maybe\"\n",
            expect![[r#"
                user.toml:3:10: `rule.action`: expected "allow", "ask" or "deny"
            "#]],
        ),
        (
            "[providers.mine]\ndialect = \"chat\"\n",
            expect![[r#"
                user.toml:1:12: `providers.mine`: expected dialect = "messages", "responses" or "chat", and base_url = "https://…"
            "#]],
        ),
        (
            "[providers.anthropic]\napi_version = \"2026-10-22\"\n",
            expect![[r#"
                user.toml:2:15: `providers.anthropic.api_version`: expected "2023-06-01" or "2026-10-21"
            "#]],
        ),
        (
            "[models.mine]\nprovider = \"chat\"\nname = \"x\"\nefforts = [\"low\", \"much\"]\n",
            expect![[r#"
                user.toml:4:11: `models.mine.efforts`: expected a list of "low", "medium", "high", "xhigh", "max"
            "#]],
        ),
        (
            "[models.mine]\nprovider = \"chat\"\nname = \"x\"\nthinking = \"hard\"\n",
            expect![[r#"
                user.toml:4:12: `models.mine.thinking`: expected "adaptive", "budget" or "none"
            "#]],
        ),
        (
            "[models.mine]\nprovider = \"chat\"\nname = \"x\"\nprice_input = 1\n",
            expect![[r#"
                user.toml:1:9: `models.mine`: expected price_input and price_output together
            "#]],
        ),
    ] {
        check(&user(text), &expected);
    }
}

#[test]
fn other_layers_name_their_mistakes_too() {
    check(
        &user("").environment(pairs(&[("QUIRE_MAX_TURNS", "x")])),
        &expect![[r#"
            environment variable QUIRE_MAX_TURNS: `x` does not fit; expected a whole number of at least 1
        "#]],
    );
    check(
        &user("").environment(pairs(&[("QUIRE_MODLE", "x"), ("QUIRE_ELSEWHERE", "x")])),
        &expect![[r#"
            $QUIRE_MODLE: sets nothing; did you mean `QUIRE_MODEL`?
        "#]],
    );
    let ours = [("QUIRE_HOST_TOKEN", "x"), ("QUIRE_HOME", "/q")];
    let resolved = user("").environment(pairs(&ours)).resolve().unwrap();
    assert_eq!(resolved.notices(), []);
    check(
        &user("").flag("effort", "--effort", "most"),
        &expect![[r#"
            --effort: `most` does not fit; expected one of "low", "medium", "high", "xhigh", "max"
        "#]],
    );
    check(
        &Layers::new(WORKSPACE).user(Path::new("user.toml"), b"a = 1\nb = \xff".to_vec()),
        &expect![[r#"
            user.toml:2:5: this is not UTF-8 text; save it as UTF-8
        "#]],
    );
}

#[test]
fn policy_and_limits_come_out_typed() {
    let text = "\
sandbox = \"read-only\"
budget_usd = \"0.000000000001\"
timeout_s = 90
writable = [\"~/shared\", \"/data\"]
network.domains = [\"*.example.org\"]
[[rule]]
prefix = [\"git\", \"push\"]
action = \"deny\"
";
    let resolved = user(text).resolve().unwrap();
    let policy = resolved.policy();
    assert_eq!(policy.sandbox, SandboxMode::ReadOnly);
    assert_eq!(policy.domains, ["*.example.org"]);
    assert_eq!(
        policy.writable,
        [Path::new("/home/me/shared"), Path::new("/data")]
    );
    assert_eq!(policy.rules[0].action, RuleAction::Deny);
    assert_eq!(resolved.rules()[0].source.to_string(), "user.toml:7");
    assert_eq!(resolved.limits().budget.unwrap().picos(), 1);
    assert_eq!(resolved.limits().requests_per_turn, 500);
    assert_eq!(resolved.timeout().unwrap().as_secs(), 90);
}

#[test]
fn lists_of_a_provider_are_checked() {
    check(
        &user("[providers.openai]\nregions = [\"\"]\n"),
        &expect![[r#"
            user.toml:2:11: `providers.openai.regions`: expected a list of regions, like ["us"]
        "#]],
    );
    check(
        &user("[providers.openai]\nclear = [\"all\"]\n"),
        &expect![[r#"
            user.toml:2:9: `providers.openai.clear`: expected a list of "tool_uses", "thinking"
        "#]],
    );
}

#[test]
fn regions_hold_for_the_address_that_they_were_written_for() {
    let text = "\
[providers.anthropic]
regions = [\"us\"]
clear = [\"tool_uses\", \"thinking\"]
[providers.lab]
dialect = \"chat\"
base_url = \"http://10.0.0.7/v1\"
regions = [\" us \", \"eu\"]
";
    let plain = user(text).resolve().unwrap();
    assert_eq!(plain.providers()["anthropic"].regions, ["us"]);
    assert_eq!(plain.providers()["lab"].regions, ["us", "eu"]);
    let clear = &plain.providers()["anthropic"].clear;
    assert_eq!(clear, &[Clear::ToolUses, Clear::Thinking]);
    let elsewhere = user(text)
        .environment(pairs(&[("ANTHROPIC_BASE_URL", "http://127.0.0.1:9")]))
        .resolve()
        .unwrap();
    let anthropic = &elsewhere.providers()["anthropic"];
    assert!(anthropic.regions.is_empty());
    let variable = anthropic.base_url.source.variable();
    assert_eq!(variable, Some("ANTHROPIC_BASE_URL"));
}

#[test]
fn providers_are_found_with_their_keys() {
    let text = "\
[providers.local]
dialect = \"chat\"
base_url = \"http://127.0.0.1:8080/v1/\"
[providers.openai]
key = \"from file\"
headers = { x-team = \"blue\" }
[models.small]
provider = \"local\"
name = \"llama\"
window = 32_000
price_input = 0.25
price_output = 1
";
    let resolved = user(text)
        .environment(pairs(&[
            ("ANTHROPIC_API_KEY", " secret\n"),
            ("ANTHROPIC_BASE_URL", "http://127.0.0.1:9"),
        ]))
        .resolve()
        .unwrap();
    let providers = resolved.providers();
    let names: Vec<&str> = providers.keys().map(String::as_str).collect();
    assert_eq!(names, ["anthropic", "chat", "local", "openai"]);
    let anthropic = &providers["anthropic"];
    assert_eq!(anthropic.dialect, Dialect::Messages);
    assert_eq!(anthropic.base_url.value, "http://127.0.0.1:9");
    assert_eq!(anthropic.base_url.source.to_string(), "$ANTHROPIC_BASE_URL");
    assert_eq!(anthropic.key.as_ref().unwrap().value.expose(), "secret");
    assert_eq!(
        providers["local"].base_url.value,
        "http://127.0.0.1:8080/v1"
    );
    assert!(providers["local"].key.is_none());
    let openai = &providers["openai"];
    assert_eq!(
        openai.key.as_ref().unwrap().source.to_string(),
        "user.toml:5"
    );
    assert!(!format!("{resolved:?}").contains("secret"));
    assert!(!format!("{resolved:?}").contains("from file"));
    let small = &resolved.models()["small"];
    assert_eq!(small.window, Some(32_000));
    assert_eq!(small.prices.unwrap().input.to_string(), "0.25");
}

#[test]
fn a_model_is_described_in_full() {
    let text = "\
[models.small]
provider = \"anthropic\"
name = \"m\"
efforts = [\"low\", \"high\"]
thinking = \"none\"
tools = \"gpt\"
images = false
[providers.anthropic]
api_version = \"2026-10-21\"
";
    let resolved = user(text).resolve().unwrap();
    let small = &resolved.models()["small"];
    let efforts = small.efforts.as_deref();
    assert_eq!(efforts, Some([Effort::Low, Effort::High].as_slice()));
    assert_eq!(small.thinking, Some(Thinking::Unset));
    assert_eq!(small.tools, Some(ToolFamily::Gpt));
    assert_eq!(small.images, Some(false));
    let anthropic = &resolved.providers()["anthropic"];
    assert_eq!(anthropic.api_version, Some(ApiVersion::V20261021));
}

/// Lines that are near enough to a settings file to get deep into it.
fn nearly_settings() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "model",
        "effort",
        "rule",
        "prefix",
        "action",
        "network",
        "domains",
        "providers",
        "models",
        "mcp",
        "command",
        "url",
        "trusted",
        "budget_usd",
        "mine",
        "headers",
        "=",
        ".",
        "[",
        "]",
        "[[",
        "]]",
        "{",
        "}",
        ",",
        "\"a\"",
        "\"/a\"",
        "1",
        "-1",
        "1e400",
        "2.5",
        "true",
        "\n",
        " ",
        "#",
        "'",
        "é",
        "\u{0}",
    ]);
    prop::collection::vec(pieces, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..256)) {
        let _ = parse(Layer::User, Path::new("f"), &bytes);
    }

    #[test]
    fn any_text_is_read_or_refused(text in nearly_settings()) {
        for layer in [Layer::User, Layer::Project] {
            let _ = parse(layer, Path::new("f"), text.as_bytes());
        }
    }

    #[test]
    fn what_is_set_is_read_back(text in nearly_settings(), turns in 1_u32..) {
        let path = Path::new("f");
        if let Ok(edited) = quire_config::set(path, &text, "max_turns", &turns.to_string()) {
            let resolved = user(&edited).resolve().unwrap();
            prop_assert_eq!(resolved.limits().requests_per_turn, turns);
        }
    }
}
