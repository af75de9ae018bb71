//! Why the cache missed, and how sessions went.

use expect_test::expect;
use quire_headless::*;
use quire_protocol::*;
use serde_json::Value;

use crate::events::{calls, reply, says};
use crate::journals::{DAY_ONE, Journals};
use crate::settings;

/// Events with the time between them: what one request after another was like.
struct Journal {
    at_ms: u64,
    requests: u32,
    events: Vec<(u64, Event)>,
}

impl Journal {
    fn new() -> Self {
        let mut journal = Self {
            at_ms: DAY_ONE,
            requests: 0,
            events: Vec::new(),
        };
        journal.event(configured("p/m", Effort::High));
        journal.event(prefix("the session began"));
        journal
    }

    fn event(&mut self, event: Event) {
        self.at_ms += 1_000;
        self.events.push((self.at_ms, event));
    }

    fn called(&mut self, purpose: Purpose, estimate: u64, chosen: Option<ChosenEffort>) {
        self.requests += 1;
        self.event(Event::ModelCalled {
            request: RequestId(self.requests),
            items: 1,
            purpose,
            estimate,
            chosen,
            worked_ms: u64::from(self.requests) * 10_000,
        });
    }

    /// A request whose prompt was read from the cache, written to it, or neither.
    fn request(&mut self, purpose: Purpose, read: u64, written: u64, input: u64) {
        self.called(purpose, 0, None);
        self.replied(usage(read, written, input), vec![says("ok")]);
    }

    fn replied(&mut self, used: Usage, items: Vec<Item>) {
        let mut event = reply(items);
        if let Event::ModelReplied { usage, .. } = &mut event {
            *usage = used;
        }
        self.event(event);
    }

    async fn explained(self) -> (CacheReport, Vec<(String, u64, Vec<String>)>) {
        let mut journals = Journals::default();
        journals.add("one", self.events);
        let price = |_: &str, _: Day, usage: &Usage| {
            let units = usage.cache_read + 10 * usage.input + 12 * usage.cache_write_5m;
            Some(Money::from_picos(units.cast_signed() * 1_000_000))
        };
        let report = explain_cache(&journals, &journals.0[0].0, &price).await;
        let json: Value = serde_json::from_str(&report.json()).unwrap();
        let steps = json["steps"].as_array().unwrap().iter().map(|step| {
            let reasons = step["reasons"].as_array().unwrap().iter();
            let reasons = reasons.map(|reason| reason["reason"].as_str().unwrap().to_owned());
            let cache = step["cache"].as_str().unwrap().to_owned();
            (
                cache,
                step["lost_tokens"].as_u64().unwrap(),
                reasons.collect(),
            )
        });
        let steps = steps.collect();
        (report, steps)
    }
}

fn usage(read: u64, written: u64, input: u64) -> Usage {
    Usage {
        input,
        cache_read: read,
        cache_write_5m: written,
        output: 10,
        ..Usage::default()
    }
}

fn configured(model: &str, effort: Effort) -> Event {
    Event::Configured {
        settings: Settings {
            model: model.into(),
            effort,
            ..settings()
        },
    }
}

fn prefix(reason: &str) -> Event {
    Event::PrefixSet {
        prefix: Prefix {
            instructions: reason.into(),
            ..Prefix::default()
        },
        reason: reason.into(),
    }
}

fn compacted(kind: CompactionKind) -> Event {
    Event::Compaction(CompactionStep::Done {
        compaction: Compaction {
            kind,
            cause: CompactionCause::Threshold,
            replaced: Span { from: 0, to: 9 },
            head: Vec::new(),
            cleared: Vec::new(),
            tail: Vec::new(),
            tokens_before: 90_000,
            tokens_after: 20_000,
        },
    })
}

/// A second request that missed after what `between` did.
async fn missed(between: impl FnOnce(&mut Journal)) -> Vec<String> {
    let mut journal = Journal::new();
    journal.request(Purpose::Work, 0, 20_000, 100);
    between(&mut journal);
    journal.request(Purpose::Work, 0, 21_000, 100);
    let (_, steps) = journal.explained().await;
    let (cache, lost, reasons) = steps.into_iter().last().unwrap();
    assert_eq!((cache.as_str(), lost), ("miss", 20_000), "{reasons:?}");
    reasons
}

#[tokio::test]
async fn a_miss_has_its_reason_from_the_journal() {
    let reasons = missed(|_| {}).await;
    assert_eq!(reasons, ["unexplained"]);
    let reasons = missed(|journal| journal.event(prefix("other tools"))).await;
    assert_eq!(reasons, ["prefix_set"]);
    let late = |journal: &mut Journal| {
        journal.event(Event::PrefixSet {
            prefix: Prefix {
                instructions: "the session began".into(),
                late: vec![ToolSpec {
                    name: "late".into(),
                    description: String::new(),
                    input: ToolInput::Text {
                        grammar: String::new(),
                    },
                }],
                ..Prefix::default()
            },
            reason: "tools came".into(),
        });
    };
    assert_eq!(missed(late).await, ["unexplained"], "late tools are none");
    let reasons = missed(|journal| journal.event(configured("p/n", Effort::High))).await;
    assert_eq!(reasons, ["model_changed"]);
    let reasons = missed(|journal| journal.event(configured("p/m", Effort::Max))).await;
    assert_eq!(reasons, ["effort_changed"]);
    let reasons = missed(|journal| journal.event(compacted(CompactionKind::Cut))).await;
    assert_eq!(reasons, ["context_changed"]);
    let undone = Event::Compaction(CompactionStep::Undone);
    let reasons = missed(|journal| journal.event(undone)).await;
    assert_eq!(reasons, ["context_changed"]);
    let reasons = missed(|journal| journal.at_ms += 301_000).await;
    assert_eq!(reasons, ["idle"]);
    let reasons = missed(|journal| journal.request(Purpose::Judge, 0, 0, 900)).await;
    assert_eq!(reasons, ["another_request_between"]);
}

#[tokio::test]
async fn what_changed_before_a_request_that_failed_explains_the_next_one() {
    let reasons = missed(|journal| {
        journal.event(prefix("other tools"));
        journal.called(Purpose::Work, 0, None);
        journal.event(Event::ModelFailed {
            request: RequestId(2),
            error: ModelError {
                kind: ModelErrorKind::Network,
                message: "no".into(),
                hint: String::new(),
                status: None,
            },
            usage: Usage::default(),
            cost: None,
            retries: Vec::new(),
        });
    });
    assert_eq!(reasons.await, ["prefix_set"]);
}

#[tokio::test]
async fn a_cache_that_was_written_for_an_hour_lives_an_hour() {
    for (idle_ms, reason) in [(3_500_000, "unexplained"), (3_700_000, "idle")] {
        let mut journal = Journal::new();
        journal.called(Purpose::Work, 0, None);
        let long = Usage {
            cache_write_1h: 20_000,
            ..usage(0, 0, 100)
        };
        journal.replied(long, vec![says("ok")]);
        journal.at_ms += idle_ms;
        journal.request(Purpose::Work, 0, 21_000, 100);
        let (_, steps) = journal.explained().await;
        assert_eq!(steps[1].2, [reason]);
    }
}

#[tokio::test]
async fn providers_that_say_little_are_not_blamed() {
    // One that never speaks of a cache.
    let mut journal = Journal::new();
    journal.request(Purpose::Work, 0, 0, 20_000);
    journal.request(Purpose::Work, 0, 0, 21_000);
    let (_, steps) = journal.explained().await;
    assert_eq!(steps[1], ("untold".into(), 0, vec!["not_reported".into()]));
    // One that tells reads and no writes, and caches whole blocks only.
    let mut journal = Journal::new();
    journal.request(Purpose::Work, 0, 0, 20_000);
    journal.request(Purpose::Work, 19_200, 0, 1_800);
    journal.request(Purpose::Work, 4_096, 0, 19_000);
    let (_, steps) = journal.explained().await;
    assert_eq!(steps[0], ("miss".into(), 0, vec!["first_request".into()]));
    assert_eq!(steps[1], ("hit".into(), 0, vec![]));
    assert_eq!(steps[2].0, "part");
    assert_eq!(steps[2].1, 21_000 - 4_096);
    // Prompts that are too small for one.
    let mut journal = Journal::new();
    journal.request(Purpose::Work, 0, 0, 900);
    journal.request(Purpose::Work, 0, 5_000, 0);
    let (_, steps) = journal.explained().await;
    assert_eq!(steps[1], ("miss".into(), 0, vec!["too_small".into()]));
}

#[tokio::test]
async fn the_cache_in_a_table() {
    let mut journal = Journal::new();
    journal.request(Purpose::Work, 0, 20_000, 100);
    journal.request(Purpose::Work, 20_000, 1_000, 50);
    journal.event(prefix("the settings changed to a model with other tools"));
    journal.request(Purpose::Work, 0, 22_000, 50);
    let (report, _) = journal.explained().await;
    expect![[r#"
        REQUEST  FOR   PROMPT    READ  WRITTEN  NOT CACHED  CACHE    LOST  COST OF IT  WHY
              1  work  20,100       0   20,000         100  miss                       the first request
              2  work  21,050  20,000    1,000          50  hit
              3  work  22,050       0   22,000          50  miss   21,000      $0.231  the instructions or tools changed: the settings changed to a model with other tools

        20,000 of 63,200 tokens of prompts were read from the cache (31 %)
        1 request lost 21,000 tokens that the cache had held: $0.231 more than read from it, at list prices
    "#]].assert_eq(&report.text(Style::default()));
}

#[tokio::test]
async fn a_request_that_is_no_work_says_what_it_was() {
    for (purpose, words) in [
        (Purpose::Summary, "a summary for a compaction"),
        (Purpose::Judge, "a judgement of the goal"),
        (
            Purpose::Compact {
                focus: String::new(),
            },
            "a compaction by the provider",
        ),
    ] {
        let mut journal = Journal::new();
        journal.request(Purpose::Work, 0, 20_000, 100);
        journal.request(purpose, 0, 0, 20_000);
        let (report, steps) = journal.explained().await;
        assert_eq!(steps[1].2, ["another_purpose"]);
        let told = report.text(Style::default());
        assert!(told.contains(words), "{told}");
    }
}

fn ended(call: u32, status: ToolStatus, code: Option<i32>) -> Event {
    Event::ToolEnded {
        call: CallId(call),
        outcome: ToolOutcome {
            end: code.map(|code| CommandEnd::Exited { code }),
            ..ToolOutcome::text(status, "x")
        },
    }
}

#[tokio::test]
async fn how_a_session_went() {
    let mut journal = Journal::new();
    journal.event(Event::TurnStarted { turn: TurnId(1) });
    for (estimate, prompt, chosen) in [
        (1_000, 1_000, None),
        (1_100, 1_000, Some("something failed")),
        (1_000, 2_000, Some("something failed")),
    ] {
        let chosen = chosen.map(|reason| ChosenEffort {
            effort: Effort::Xhigh,
            reason: reason.into(),
        });
        journal.called(Purpose::Work, estimate, chosen);
        let (one, two) = (journal.requests * 2, journal.requests * 2 + 1);
        let items = vec![calls(one, "bash", "{}"), calls(two, "edit", "{}")];
        journal.replied(usage(0, 0, prompt), items);
        journal.event(ended(one, ToolStatus::Done, Some(101)));
        journal.event(ended(two, ToolStatus::Failed, None));
    }
    journal.event(compacted(CompactionKind::Summary));
    journal.event(Event::Compaction(CompactionStep::Undone));
    let mut journals = Journals::default();
    journals.add("one", journal.events);
    let stats = stats(&journals, SessionQuery::default()).await.unwrap();
    expect![[r#"
        1 session, 1 turn, 3 steps, worked for 31 s
        estimates of prompts: 10.0 % off in the median of 3 requests, at worst 50.0 % too low
        1 compaction, 1 taken back
          compacted (the context got large): 9 items summarised by the model; about 90,000 tokens before, 20,000 after

        EFFORT  STEPS  WHY
        high        1  the session's
        xhigh       2  something failed

        TOOL  CALLS  FAILED  EXIT NOT 0  REFUSED  CUT OFF
        bash      3       0           3        0        0
        edit      3       3           0        0        0
    "#]].assert_eq(&stats.text(Style::default()));
    expect![[r#"
        {"sessions":1,"turns":1,"pauses":0,"steps":3,"worked_ms":31000,"estimates":{"compared":3,"median_error_per_mille":100,"worst_error_per_mille":-500},"compactions":[{"kind":"summary","cause":"threshold","tokens_before":90000,"tokens_after":20000}],"compactions_failed":{},"compactions_undone":1,"efforts":[{"effort":"high","reason":"the session's","steps":1},{"effort":"xhigh","reason":"something failed","steps":2}],"tools":[{"tool":"bash","calls":3,"failed":0,"unsuccessful":3,"refused":0,"cut_off":0},{"tool":"edit","calls":3,"failed":3,"unsuccessful":0,"refused":0,"cut_off":0}]}
    "#]].assert_eq(&stats.json());
}
