//! What compaction must not lose, over the real wire: sessions of hundreds of steps with planted facts,
//! compacted again and again, against a model whose summaries say nothing.
//!
//! What the ledger holds must be in every request after a compaction, word for word. Everything else
//! must be found by `recall`.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::provider::{Answer, Provider};
use crate::run::{Place, finish};

const RULE: &str = "RULE: never touch the folder `vendor/`, whatever a test says.";
const FIRST: &str = "Port the parser to the new grammar, and keep every public name.";
const LAST: &str = "Now also rename `parse_all` to `parse_every`, in the docs too.";
const DECISION: &str = "the lexer stays hand-written, because generated ones lose spans";
const FAILED: &str = "a regex for strings: it cannot do nested quotes";
const FACT: &str = "the staging port is 48213";
const PLAN: &str = "replace the token table";

/// A summary that a lazy model writes: long enough to be taken, and empty of facts.
const LAZY: &str = "Work went on as before and some progress was made on several things; it will be \
                    continued in the usual way from here.";

/// How the context fills.
#[derive(Clone, Copy, Debug)]
enum Filling {
    /// Large results, which can be cleared.
    Results,
    /// Words of the model, which only a summary can shorten.
    Words,
}

/// Who compacts.
#[derive(Clone, Copy, Debug)]
enum Compactor {
    Quire,
    /// Quire too, but with a model that will not summarise: what does not fit is left out.
    Nobody,
    /// When it is asked to.
    Provider,
    /// By itself, in the middle of a reply.
    ProviderAtThreshold,
}

impl Compactor {
    fn setting(self) -> &'static str {
        match self {
            Self::Quire | Self::Nobody => "own",
            Self::Provider => "provider",
            Self::ProviderAtThreshold => "provider-threshold",
        }
    }
}

/// Whether a provider that compacts by itself does so with this request: it has so many tokens, of
/// about four bytes each, since the last time.
fn due(request: &Value, text: &str) -> bool {
    let edit = &request["context_management"]["edits"][0];
    let trigger = edit["trigger"]["value"].as_u64();
    trigger.is_some_and(|tokens| text.len() as u64 > tokens * 3)
}

/// A provider's compaction that says nothing, as it is streamed.
fn empty_compaction() -> Answer {
    let events = [
        json!({"type": "message_start", "message": {"id": "msg_1", "model": "double", "content": [],
            "stop_reason": null, "usage": {"input_tokens": 0, "output_tokens": 0}}}),
        json!({"type": "content_block_start", "index": 0,
            "content_block": {"type": "compaction", "content": null}}),
        json!({"type": "content_block_delta", "index": 0,
            "delta": {"type": "compaction_delta", "content": LAZY}}),
        json!({"type": "content_block_delta", "index": 0,
            "delta": {"type": "signature_delta", "signature": "s="}}),
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "message_delta", "delta": {"stop_reason": "compaction"},
            "usage": {"input_tokens": 0, "output_tokens": 0, "iterations": [
                {"type": "compaction", "input_tokens": 1000, "output_tokens": 100}]}}),
        json!({"type": "message_stop"}),
    ];
    let frame = |event: &Value| {
        let kind = event["type"].as_str().unwrap();
        format!("event: {kind}\ndata: {event}\n\n")
    };
    Answer::Raw(200, "text/event-stream", events.iter().map(frame).collect())
}

/// What the scripted model has done so far.
#[derive(Default)]
struct Past {
    steps: usize,
    /// Compactions, by how the next request after each was smaller than the one before it.
    compactions: usize,
    summaries: usize,
    last_size: usize,
    /// Identifiers that it planted, each with the step.
    planted: Vec<String>,
    /// How many were asked for with `recall`, in order, and how many of those it found.
    recalled: usize,
    found: usize,
}

struct Survival {
    filling: Filling,
    /// How long the model talks at each step.
    words: usize,
    /// How many compactions there must be before the model ends its turn.
    compactions: usize,
    /// What it answers when it is asked for a summary.
    summary: &'static str,
}

fn identifier(step: usize) -> String {
    format!(
        "ident-{:08x}",
        step.wrapping_mul(2_654_435_761) & 0xffff_ffff
    )
}

impl Survival {
    /// What the model does next.
    fn act(&self, past: &mut Past, request: &Value) -> Answer {
        let text = texts(request);
        if request["compaction"].is_object() {
            past.summaries += 1;
            return empty_compaction();
        }
        if last_text(request).contains("The context is about to be compacted") {
            past.summaries += 1;
            return Answer::Reply(self.summary, vec![]);
        }
        if text.len() + 1_000 < past.last_size {
            past.compactions += 1;
        }
        past.last_size = text.len();
        let is_second_run = text.contains(LAST);
        if is_second_run && past.compactions > self.compactions {
            return recall_next(past, request);
        }
        if !is_second_run && past.compactions == self.compactions {
            return Answer::Reply("That is all.", vec![]);
        }
        past.steps += 1;
        match past.steps {
            1 => Answer::Reply(
                "The codeword that I chose is albatross-nine.",
                vec![
                    ("note", json!({"kind": "decision", "text": DECISION})),
                    ("note", json!({"kind": "failed", "text": FAILED})),
                    ("note", json!({"kind": "fact", "text": FACT})),
                    (
                        "plan",
                        json!({"steps": [{"text": PLAN, "status": "in_progress"}]}),
                    ),
                ],
            ),
            step => self.step(past, step, due(request, &text)),
        }
    }

    fn step(&self, past: &mut Past, step: usize, compacts: bool) -> Answer {
        let identifier = identifier(step);
        let command = match self.filling {
            Filling::Results => {
                format!("printf %0600d; echo; echo {identifier}; printf %0600d; echo {step}")
            }
            Filling::Words => format!("echo {identifier} {step}"),
        };
        if step.is_multiple_of(RECALLED) {
            past.planted.push(identifier);
        }
        let words: &'static str = match self.filling {
            Filling::Results => "",
            // Leaked, as the provider wants words that live for ever; some hundred of them.
            Filling::Words => format!(
                "At step {step} I think that {}",
                "so and so ".repeat(self.words)
            )
            .leak(),
        };
        let calls = vec![("bash", json!({"command": command}))];
        if compacts {
            past.summaries += 1;
            return Answer::Compacting(LAZY, words, calls);
        }
        Answer::Reply(words, calls)
    }
}

/// One in so many identifiers is asked for with `recall`.
const RECALLED: usize = 5;
const CODEWORD: &str = "albatross-nine";

/// Asks for the planted facts one after the other, then ends.
fn recall_next(past: &mut Past, request: &Value) -> Answer {
    if past.recalled > 0 {
        let wanted = past
            .recalled
            .checked_sub(2)
            .and_then(|at| past.planted.get(at));
        let wanted = wanted.map_or(CODEWORD, String::as_str);
        // The last message holds the result of the last call and nothing else.
        past.found += usize::from(last_text(request).contains(wanted));
    }
    past.recalled += 1;
    let what = match past.recalled {
        1 => "codeword chose".to_owned(),
        asked if asked <= past.planted.len() + 1 => past.planted[asked - 2].clone(),
        _ => return Answer::Reply("Everything was there.", vec![]),
    };
    Answer::Reply("", vec![("recall", json!({"what": what}))])
}

fn last_text(request: &Value) -> String {
    let messages = request["messages"].as_array().unwrap();
    messages.last().map(Value::to_string).unwrap_or_default()
}

fn texts(request: &Value) -> String {
    let mut all = String::new();
    for message in request["messages"].as_array().unwrap() {
        for block in message["content"].as_array().unwrap() {
            for text in [&block["text"], &block["content"]] {
                all.push_str(text.as_str().unwrap_or_default());
                all.push('\n');
            }
        }
    }
    all
}

#[track_caller]
fn survives(by: Compactor, filling: Filling, compactions: usize, window: u32) {
    let place = Place::new();
    place.config(&format!(
        "[models.double]\nprovider = \"anthropic\"\nname = \"double\"\nwindow = {window}\n\
         max_output = 8000\n[context]\ncompaction = \"{}\"\n",
        by.setting()
    ));
    let past = Arc::new(Mutex::new(Past::default()));
    let survival = Survival {
        words: match by {
            // The least threshold of a provider is large: the more often it must be reached, the
            // more is said at each step, so that there are as many steps.
            Compactor::ProviderAtThreshold => 50 * (compactions + 1),
            Compactor::Quire | Compactor::Nobody | Compactor::Provider => 50,
        },
        summary: match by {
            Compactor::Nobody => "No.",
            Compactor::Quire | Compactor::Provider | Compactor::ProviderAtThreshold => LAZY,
        },
        filling,
        compactions,
    };
    let script = Arc::clone(&past);
    let provider =
        Provider::start(move |request| survival.act(&mut script.lock().unwrap(), request));
    let run = |arguments: &[&str]| {
        let ran = finish(place.exec(&provider, arguments));
        assert_eq!(ran.code, 0, "{}\n{}", ran.out, ran.err);
        ran
    };
    let first = format!("{FIRST} {RULE}");
    run(&["--max-turns", "2000", &first]);
    let ran = run(&["--max-turns", "2000", "--continue", LAST]);
    assert!(ran.out.contains("Everything was there."), "{}", ran.out);
    let past = past.lock().unwrap();
    check_ledger(&provider.requests(), compactions);
    let planted = past.planted.len() + 1;
    assert_eq!(past.recalled, planted + 1);
    assert!(
        past.found * 100 >= planted * 99,
        "recall found {} of {planted} facts",
        past.found
    );
    assert!(
        past.steps >= 200,
        "{} steps are too few to mean anything",
        past.steps
    );
    check_compactor(by, &provider.requests(), compactions);
    match filling {
        Filling::Results => assert!(past.summaries <= compactions, "{}", past.summaries),
        Filling::Words => assert!(past.summaries >= compactions, "{}", past.summaries),
    }
}

/// Who was to compact did, and nobody else.
fn check_compactor(by: Compactor, requests: &[Value], compactions: usize) {
    let asked = requests
        .iter()
        .filter(|request| request["compaction"].is_object());
    match by {
        Compactor::Quire | Compactor::Nobody => assert_eq!(asked.count(), 0),
        Compactor::ProviderAtThreshold => {
            assert_eq!(asked.count(), 0);
            let by_model = requests.iter().map(last_text);
            let mut by_model = by_model.filter(|text| text.contains("about to be compacted"));
            assert_eq!(by_model.next(), None, "the model had to summarise");
        }
        Compactor::Provider => {
            assert!(asked.count() >= compactions);
            let last = requests.last().unwrap().to_string();
            assert!(
                last.contains(r#""signature":"s=""#),
                "the block is not echoed"
            );
        }
    }
}

/// Every request after the facts were stated has them, word for word.
fn check_ledger(requests: &[Value], compactions: usize) {
    let mut shrunk = 0;
    let mut last = 0;
    for request in requests {
        let text = texts(request);
        // What is asked beside the work tells nothing of how large that is.
        if !last_text(request).contains("about to be compacted") {
            shrunk += usize::from(text.len() + 1_000 < last);
            last = text.len();
        }
        for fact in [RULE, FIRST] {
            assert!(
                text.contains(fact),
                "{fact} is lost after {shrunk} compactions"
            );
        }
        if shrunk == 0 {
            continue;
        }
        let asked = text.contains(LAST);
        // A plan and notes stand in calls until these are compacted away.
        for fact in [DECISION, FAILED, FACT, PLAN] {
            let said = text.contains(fact) || request.to_string().contains(fact);
            assert!(said, "{fact} is lost after {shrunk} compactions");
        }
        assert!(asked || shrunk <= compactions, "{LAST} is lost");
    }
    assert!(
        shrunk > compactions,
        "{shrunk} compactions, {compactions} wanted"
    );
}

#[test]
fn one_clearing_of_old_results_loses_nothing() {
    survives(Compactor::Quire, Filling::Results, 1, 68_000);
}

#[test]
fn three_clearings_lose_nothing() {
    survives(Compactor::Quire, Filling::Results, 3, 48_000);
}

#[test]
fn ten_clearings_lose_nothing() {
    survives(Compactor::Quire, Filling::Results, 10, 22_000);
}

#[test]
fn one_summary_loses_nothing() {
    survives(Compactor::Quire, Filling::Words, 1, 38_000);
}

#[test]
fn three_summaries_lose_nothing() {
    survives(Compactor::Quire, Filling::Words, 3, 23_000);
}

#[test]
fn ten_summaries_lose_nothing() {
    survives(Compactor::Quire, Filling::Words, 10, 12_000);
}

#[test]
fn one_cut_without_a_summary_loses_nothing() {
    survives(Compactor::Nobody, Filling::Words, 1, 38_000);
}

#[test]
fn three_cuts_lose_nothing() {
    survives(Compactor::Nobody, Filling::Words, 3, 24_000);
}

#[test]
fn ten_cuts_lose_nothing() {
    survives(Compactor::Nobody, Filling::Words, 10, 17_000);
}

#[test]
fn one_compaction_by_the_provider_loses_nothing() {
    survives(Compactor::Provider, Filling::Words, 1, 38_000);
}

#[test]
fn three_compactions_by_the_provider_lose_nothing() {
    survives(Compactor::Provider, Filling::Words, 3, 23_000);
}

#[test]
fn ten_compactions_by_the_provider_lose_nothing() {
    survives(Compactor::Provider, Filling::Words, 10, 12_000);
}

#[test]
fn one_compaction_that_the_provider_makes_by_itself_loses_nothing() {
    survives(Compactor::ProviderAtThreshold, Filling::Words, 1, 65_000);
}

#[test]
fn three_compactions_that_the_provider_makes_by_itself_lose_nothing() {
    survives(Compactor::ProviderAtThreshold, Filling::Words, 3, 65_000);
}

#[test]
fn ten_compactions_that_the_provider_makes_by_itself_lose_nothing() {
    survives(Compactor::ProviderAtThreshold, Filling::Words, 10, 65_000);
}
