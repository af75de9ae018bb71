//! Commands that explain what work was done and what it cost.

use serde_json::Value;

use crate::provider::{Answer, Provider};
use crate::run::{Place, Ran, finish};

/// A place where a model with a price and one without have each answered once.
fn worked() -> Place {
    let place = Place::new();
    let provider = Provider::start(|_| Answer::Reply("Done.", Vec::new()));
    for model in ["anthropic/claude-opus-5-5", "anthropic/double"] {
        let mut command = place.command(&["exec", "-m", model, "hi"]);
        command
            .env("ANTHROPIC_BASE_URL", &provider.url)
            .env("ANTHROPIC_API_KEY", "key");
        finish(command).says(0, &["Done."]);
    }
    place
}

fn quire(place: &Place, arguments: &[&str]) -> Ran {
    finish(place.command(arguments))
}

fn json(ran: &Ran) -> Value {
    serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error}: {}", ran.out))
}

#[test]
fn costs_by_what_one_asks_for() {
    let place = worked();
    let words = ["$0.00044", "unknown", "at least $0.00044", "total"];
    for by in ["session", "day", "model"] {
        let by = quire(&place, &["cost", "--by", by]);
        let words = if by.out.starts_with("DAY (UTC)") {
            &words[2..3]
        } else {
            &words
        };
        by.says(0, words);
    }
    let models = json(&quire(
        &place,
        &["cost", "--by", "model", "--here", "--json"],
    ));
    assert_eq!(models["rows"][0]["model"], "anthropic/claude-opus-5-5");
    assert_eq!(models["rows"][0]["cost_usd"], "0.00044");
    assert_eq!(models["rows"][1]["cost_usd"], Value::Null);
    quire(&place, &["cost", "--until", "2020-01-01"]).says(0, &["nothing was asked"]);
    quire(&place, &["cost", "--since", "yesterday"]).says(2, &["2026-11-25"]);
    quire(&place, &["cost", "nosuch"]).says(2, &["no session `nosuch`"]);
}

#[test]
fn how_it_went_and_what_the_cache_did() {
    let place = worked();
    quire(&place, &["stats"]).says(0, &["2 sessions, 2 turns, 2 steps", "the session's"]);
    let newest = json(&quire(&place, &["cost", "--json"]))["rows"][0]["session"].clone();
    let id = newest.as_str().unwrap();
    let stats = json(&quire(&place, &["stats", id, "--json"]));
    assert_eq!(
        (&stats["sessions"], &stats["steps"]),
        (&1.into(), &1.into())
    );
    quire(&place, &["cache", "explain", id]).says(0, &["reports no use of a cache"]);
    let explained = json(&quire(&place, &["cache", "explain", id, "--json"]));
    assert_eq!(explained["steps"][0]["cache"], "untold");
    quire(&place, &["cache", "explain", "nosuch"]).says(2, &["no session `nosuch`"]);
}

#[test]
fn what_is_known_of_models_and_from_where() {
    let place = Place::new();
    place.config("[models.fast]\nprovider = \"chat\"\nname = \"tiny\"\nwindow = 4096\n");
    let list = quire(&place, &["models"]);
    list.says(
        0,
        &[
            "anthropic/claude-opus-5-5",
            "openai/gpt-5",
            "fast = chat/tiny",
        ],
    );
    let tiny = list.out.lines().find(|line| line.contains("tiny")).unwrap();
    assert!(tiny.contains("4,096") && tiny.contains('?'), "{tiny}");
    let opus = quire(&place, &["models", "show", "claude-opus-4-6"]);
    opus.says(
        0,
        &[
            "from 2026-02-05 on",
            "more than 200000 tokens",
            "$37.5",
            "built-in",
        ],
    );
    opus.says(0, &["effort xhigh", "this model has no `xhigh`"]);
    opus.says(0, &["from 50000 tokens on", "provider-threshold"]);
    quire(&place, &["models", "show", "fast"]).says(0, &["4096 tokens", "config", "guess"]);
    quire(&place, &["models", "show", "nosuch"]).says(2, &["no model `nosuch`"]);
}

#[test]
fn a_context_is_compacted_and_taken_back_and_a_goal_set() {
    let place = Place::new();
    let said = "The parser was wrong at its third line; it is mended and the tests pass.";
    let long: &str = said.repeat(20).leak();
    let provider = Provider::start(move |request| {
        let summarises = request.to_string().contains("about to be compacted");
        Answer::Reply(if summarises { said } else { long }, Vec::new())
    });
    finish(place.exec(&provider, &["hi"])).says(0, &["mended"]);
    let sessions = json(&quire(&place, &["cost", "--json"]));
    let id = sessions["rows"][0]["session"].as_str().unwrap();
    let sessions = |arguments: &[&str]| {
        let (command, rest) = arguments.split_first().unwrap();
        let mut command = place.command(&[&["sessions", command, id], rest].concat());
        command
            .env("ANTHROPIC_BASE_URL", &provider.url)
            .env("ANTHROPIC_API_KEY", "key");
        finish(command)
    };
    sessions(&["undo"]).says(1, &["no compaction to take back"]);
    sessions(&["compact", "--up-to", "m9"]).says(1, &["no message `m9`"]);
    sessions(&["compact"]).says(0, &["summarised by the model"]);
    sessions(&["compact"]).says(1, &["nothing that a summary could replace"]);
    sessions(&["undo"]).says(0, &["taken back"]);
    let compacted = sessions(&["compact", "--from", "exec-0", "--focus", "the parser"]);
    compacted.says(0, &["summarised by the model", "tokens before"]);
    sessions(&["show"]).says(0, &["compacted (as asked)", said]);
    sessions(&["undo"]).says(0, &["taken back"]);
    sessions(&["goal"]).says(0, &["there is no goal"]);
    sessions(&["goal", "all green", "--check", "true"]).says(0, &["goal set: all green"]);
    sessions(&["goal"]).says(0, &["goal: all green", "check: true"]);
    sessions(&["goal", "--drop"]).says(0, &["the goal is dropped"]);
    sessions(&["goal", "--drop"]).says(1, &["there is no goal"]);
    quire(&place, &["cost"]).says(0, &["compaction: unknown, 2 requests"]);
}

#[test]
fn a_limit_that_forbids_a_compaction_is_raised_without_words() {
    let place = Place::new();
    let said = "The parser was wrong at its third line; it is mended and the tests pass.";
    // Much more than its summary.
    let all: &str = format!("{said} ").repeat(100).leak();
    let provider = Provider::start(move |request| {
        let asked = request["messages"].as_array().unwrap().len();
        Answer::Reply(if asked == 1 { all } else { said }, Vec::new())
    });
    finish(place.exec(&provider, &["hi", "--budget-turns", "1"])).says(0, &["mended"]);
    let sessions = json(&quire(&place, &["cost", "--json"]));
    let id = sessions["rows"][0]["session"].as_str().unwrap();
    let compact = || {
        let mut command = place.command(&["sessions", "compact", id]);
        command
            .env("ANTHROPIC_BASE_URL", &provider.url)
            .env("ANTHROPIC_API_KEY", "key");
        finish(command)
    };
    let advice = format!("raise the limit to go on: `quire exec --resume {id} --budget-turns N`");
    compact().says(1, &[&advice]);
    finish(place.exec(&provider, &["--resume", id, "--budget-turns", "5"]))
        .says(0, &["limits are now 5 turns", "give it a prompt"]);
    compact().says(0, &["summarised by the model"]);
}
