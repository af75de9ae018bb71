//! Answers as each API can say them.

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use quire_dialect::Dialect;
use quire_protocol::Usage;
use serde_json::{Value, json};

use crate::answer::wire::own;
use crate::answer::{Answer, Begin, Finish, Stop, Tally};
use crate::request::{CallInput, Own, Part};

/// Any answer of an API.
pub(super) fn answer(dialect: Dialect) -> BoxedStrategy<Answer> {
    match dialect {
        Dialect::Messages => messages().boxed(),
        Dialect::Responses => responses().boxed(),
        Dialect::Chat => chat().boxed(),
    }
}

fn text() -> impl Strategy<Value = String> {
    "[a-z \"\\\\\\n\u{0}-\u{1f}é😀{}:]{1,12}"
}

fn word() -> impl Strategy<Value = String> {
    "[a-z]{1,6}"
}

fn own_text(key: &'static str) -> impl Strategy<Value = Own> {
    of(word()).prop_map(move |word| {
        word.into_iter()
            .map(|word| (key.to_owned(), word.into()))
            .collect()
    })
}

fn input() -> impl Strategy<Value = CallInput> {
    let json = (text(), any::<bool>()).prop_map(|(text, spaced)| {
        if spaced {
            format!("{{\"a\" : {}, \"n\":1.50}}", Value::String(text))
        } else {
            json!({ "a": text }).to_string()
        }
    });
    prop_oneof![Just("{}".to_owned()), json].prop_map(CallInput::Json)
}

fn call(
    input: impl Strategy<Value = CallInput>,
    own: impl Strategy<Value = Own>,
) -> impl Strategy<Value = Part> {
    (word(), word(), input, own).prop_map(|(id, name, input, own)| Part::Call {
        id,
        name,
        input,
        own,
    })
}

fn usage(long: u64) -> impl Strategy<Value = Usage> {
    [1..1000_u64, 0..1000, 0..1000, 0..long + 1, 1..1000, 0..2].prop_map(
        |[
            input,
            cache_read,
            cache_write_5m,
            cache_write_1h,
            output,
            thinking,
        ]| Usage {
            input,
            cache_read,
            cache_write_5m,
            cache_write_1h,
            output,
            thinking: thinking.min(output),
        },
    )
}

fn messages_part() -> impl Strategy<Value = Part> {
    let citation = word().prop_map(|word| json!({ "type": "char_location", "cited_text": word }));
    let block = prop_oneof![
        word().prop_map(|id| json!({
            "type": "server_tool_use", "id": id, "name": "web_search", "input": { "query": id }
        })),
        word().prop_map(|id| json!({ "type": "hologram", "data": { "n": id } })),
    ];
    prop_oneof![
        (of(text()), vec(citation, 0..3)).prop_map(|(text, notes)| Part::Text {
            text: text.unwrap_or_default(),
            own: if notes.is_empty() {
                Own::new()
            } else {
                own! { "citations": notes }
            },
        }),
        (of(text()), of(word())).prop_map(|(text, seal)| Part::Thinking {
            text: text.unwrap_or_default(),
            seal,
            own: Own::new(),
        }),
        word().prop_map(|data| Part::Thinking {
            text: String::new(),
            seal: Some(data),
            own: own! { "type": "redacted_thinking" },
        }),
        call(input(), own_text("toolset_name")),
        (of(text()), of(word()), own_text("signature"))
            .prop_map(|(text, seal, own)| Part::Compaction { text, seal, own }),
        block.prop_map(Part::Other),
    ]
}

fn messages_stop() -> impl Strategy<Value = Stop> {
    prop_oneof![
        Just(Stop::End),
        Just(Stop::Tools),
        Just(Stop::MaxTokens),
        Just(Stop::WindowFull),
        of(word()).prop_map(Stop::Sequence),
        Just(Stop::Refusal(None)),
        word().prop_map(|word| Stop::Refusal(Some(
            json!({ "type": "refusal", "explanation": word })
        ))),
        Just(Stop::Pause),
        Just(Stop::Compaction),
        word().prop_map(|word| Stop::Other(format!("new_{word}"))),
    ]
}

fn messages_tally() -> impl Strategy<Value = Tally> {
    let one = usage(1000).prop_map(|usage| (usage, Vec::new(), Own::new()));
    let two = [usage(1000), usage(1000)].prop_map(|[mut first, last]| {
        first.thinking = 0;
        let listed = |kind: &str, usage: Usage| {
            json!({
                "type": kind,
                "input_tokens": usage.input,
                "cache_read_input_tokens": usage.cache_read,
                "cache_creation": {
                    "ephemeral_5m_input_tokens": usage.cache_write_5m,
                    "ephemeral_1h_input_tokens": usage.cache_write_1h,
                },
                "output_tokens": usage.output,
            })
        };
        let list = [listed("compaction", first), listed("message", last)];
        (first + last, vec![first, last], own! { "iterations": list })
    });
    (
        prop_oneof![3 => one, 1 => two],
        of(word()),
        of(word()),
        of(word()),
        own_text("fresh"),
    )
        .prop_map(
            |((usage, passes, listed), service_tier, region, speed, mut own)| {
                own.extend(listed);
                Tally {
                    usage,
                    passes,
                    counted: true,
                    service_tier,
                    region,
                    speed,
                    own,
                }
            },
        )
}

fn messages() -> impl Strategy<Value = Answer> {
    (
        (word(), word(), own_text("diagnostics")),
        vec(messages_part(), 0..6),
        messages_stop(),
        messages_tally(),
        (own_text("context_management"), own_text("container")),
    )
        .prop_map(
            |((id, model, own), parts, stop, tally, (last, container))| {
                let mut start = tally.clone();
                start.usage = Usage {
                    output: 1,
                    thinking: 0,
                    ..tally.usage
                };
                start.passes.clear();
                start.counted = false;
                start.own.clear();
                Answer {
                    begin: Begin {
                        id,
                        model,
                        tally: start,
                        own,
                    },
                    parts,
                    finish: Finish {
                        stop,
                        tally,
                        own: last.into_iter().chain(container).collect(),
                    },
                }
            },
        )
}

/// The reason that follows from what was said, where the API gives no other.
fn plain_stop(parts: &[Part]) -> Stop {
    if parts.iter().any(|part| matches!(part, Part::Call { .. })) {
        Stop::Tools
    } else if parts
        .iter()
        .any(|part| matches!(part, Part::Refusal { .. }))
    {
        Stop::Refusal(None)
    } else {
        Stop::End
    }
}

fn openai_stop() -> impl Strategy<Value = Option<Stop>> {
    of(prop_oneof![
        Just(Stop::MaxTokens),
        Just(Stop::Filtered),
        word().prop_map(|word| Stop::Other(format!("new_{word}"))),
    ])
}

fn words(own: Own) -> impl Strategy<Value = Part> {
    let note = word().prop_map(|word| json!({ "type": "url_citation", "url": word }));
    (of(text()), vec(note, 0..3), any::<bool>()).prop_map(move |(text, notes, refuses)| {
        let mut own = own.clone();
        let text = text.unwrap_or_default();
        if refuses {
            return Part::Refusal { text, own };
        }
        if !notes.is_empty() {
            own.insert("annotations".into(), notes.into());
        }
        Part::Text { text, own }
    })
}

fn message_item() -> impl Strategy<Value = Vec<Part>> {
    own_text("phase").prop_flat_map(|own| vec(words(own), 1..3))
}

fn responses_parts() -> impl Strategy<Value = Vec<Part>> {
    let thinking = (vec(text(), 0..3), of(word()), any::<bool>()).prop_map(|(texts, seal, raw)| {
        let mut own = Own::new();
        if texts.len() > 1 {
            let parts = texts
                .iter()
                .map(|text| json!({ "type": "summary_text", "text": text }));
            own.insert("summary".into(), parts.collect());
        }
        if raw && !texts.is_empty() {
            own.insert("shown".into(), "content".into());
        }
        Part::Thinking {
            text: texts.join("\n\n"),
            seal,
            own,
        }
    });
    let free = text().prop_map(CallInput::Free);
    let item = prop_oneof![
        message_item(),
        thinking.prop_map(|part| vec![part]),
        call(prop_oneof![input(), free], own_text("namespace")).prop_map(|part| vec![part]),
        word().prop_map(|seal| vec![Part::Compaction {
            text: None,
            seal: Some(seal),
            own: Own::new(),
        }]),
        word().prop_map(|query| vec![Part::Other(json!({
            "type": "web_search_call", "status": "completed", "action": { "query": query }
        }))]),
    ];
    // Every item has an id of its own.
    vec(item, 0..5).prop_map(|items| {
        let mut all = Vec::new();
        for (at, item) in items.into_iter().enumerate() {
            for mut part in item {
                let id = Value::from(format!("item_{at}"));
                match &mut part {
                    Part::Text { own, .. }
                    | Part::Refusal { own, .. }
                    | Part::Thinking { own, .. }
                    | Part::Call { own, .. }
                    | Part::Compaction { own, .. } => drop(own.insert("id".into(), id)),
                    Part::Other(item) => item["id"] = id,
                    Part::Image { .. } | Part::Document { .. } | Part::Result { .. } => {}
                }
                all.push(part);
            }
        }
        all
    })
}

fn responses() -> impl Strategy<Value = Answer> {
    (
        (word(), word(), own_text("user")),
        responses_parts(),
        openai_stop(),
        (usage(1000), word()),
    )
        .prop_map(|((id, model, own), parts, stop, (usage, tier))| Answer {
            begin: Begin {
                id,
                model,
                tally: Tally::default(),
                own,
            },
            finish: Finish {
                stop: stop.unwrap_or_else(|| plain_stop(&parts)),
                tally: Tally {
                    usage,
                    counted: true,
                    service_tier: Some(tier),
                    ..Tally::default()
                },
                own: own! { "completed_at": 1_790_000_009 },
            },
            parts,
        })
}

fn chat() -> impl Strategy<Value = Answer> {
    let thinking =
        (text(), of(word()), any::<bool>()).prop_map(|(text, seal, plain)| Part::Thinking {
            text,
            seal: seal
                .map(|data| json!([{ "type": "reasoning.encrypted", "data": data }]).to_string()),
            own: if plain {
                own! { "field": "reasoning" }
            } else {
                Own::new()
            },
        });
    let notes = vec(
        word().prop_map(|word| json!({ "type": "url_citation", "url_citation": { "url": word } })),
        0..2,
    );
    let words = (text(), notes).prop_map(|(text, notes)| Part::Text {
        text,
        own: if notes.is_empty() {
            Own::new()
        } else {
            own! { "annotations": notes }
        },
    });
    let refusal = text().prop_map(|text| Part::Refusal {
        text,
        own: Own::new(),
    });
    let free = text().prop_map(CallInput::Free);
    let calls = vec(call(prop_oneof![input(), free], Just(Own::new())), 0..4);
    (
        (word(), word(), own_text("system_fingerprint")),
        (of(thinking), of(words), of(refusal), calls),
        openai_stop(),
        (usage(0), of(word())),
    )
        .prop_map(
            |((id, model, own), (thinking, words, refusal, calls), stop, (usage, tier))| {
                let mut parts: Vec<Part> =
                    [thinking, words, refusal].into_iter().flatten().collect();
                // Ids are quoted by results: each is there once.
                for (at, mut call) in calls.into_iter().enumerate() {
                    if let Part::Call { id, .. } = &mut call {
                        *id = format!("call_{at}{id}");
                    }
                    parts.push(call);
                }
                Answer {
                    begin: Begin {
                        id,
                        model,
                        tally: Tally::default(),
                        own,
                    },
                    finish: Finish {
                        stop: stop.unwrap_or_else(|| plain_stop(&parts)),
                        tally: Tally {
                            usage,
                            counted: true,
                            service_tier: tier,
                            ..Tally::default()
                        },
                        own: Own::new(),
                    },
                    parts,
                }
            },
        )
}
