//! Every recorded answer means the same in every chunking, and what it meant before.

use std::fmt::Write;

use expect_test::{expect, expect_file};
use quire_dialect::{DecodeError, Decoded, Decoder, Dialect};
use quire_protocol::{Delta, Item, Usage};

use crate::fixtures::{all, folder, prefix};

/// What came of a stream.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    result: Result<Decoded, DecodeError>,
    complete: bool,
    usage: Usage,
    /// Text, thinking, and the calls that were being written.
    shown: [String; 3],
}

fn decode<'a>(dialect: Dialect, chunks: impl Iterator<Item = &'a [u8]>) -> Outcome {
    let mut decoder = Decoder::new(dialect, &prefix());
    let mut deltas = Vec::new();
    let mut failure = None;
    for chunk in chunks {
        if let Err(error) = decoder.push(chunk, &mut deltas) {
            failure = Some(error);
            break;
        }
    }
    Outcome {
        complete: decoder.is_complete(),
        usage: decoder.usage(),
        shown: shown(&deltas),
        result: match failure {
            Some(error) => Err(error),
            None => decoder.finish(),
        },
    }
}

/// What the deltas add up to, whatever the chunking.
fn shown(deltas: &[Delta]) -> [String; 3] {
    let mut shown = [String::new(), String::new(), String::new()];
    let mut last: Option<&str> = None;
    for delta in deltas {
        match delta {
            Delta::Text { text } => shown[0].push_str(text),
            Delta::Thinking { text } => shown[1].push_str(text),
            Delta::CallWriting { name, .. } => {
                if last != Some(name) {
                    write!(shown[2], "{name} ").expect("memory");
                }
                last = Some(name);
            }
            other => panic!("no such delta: {other:?}"),
        }
    }
    shown
}

/// Sizes that look random and are the same in every run.
fn ragged(bytes: &[u8], mut seed: u64) -> impl Iterator<Item = &[u8]> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let size = usize::try_from(seed >> 59).expect("small") + 1;
        let (chunk, after) = rest.split_at(size.min(rest.len()));
        rest = after;
        Some(chunk)
    })
}

#[test]
fn recordings_mean_what_they_meant() {
    for fixture in all() {
        let whole = decode(fixture.dialect, std::iter::once(fixture.bytes.as_slice()));
        expect_file![folder().join(format!("{}.txt", fixture.name))].assert_eq(&report(&whole));
    }
}

#[test]
fn chunking_changes_nothing() {
    for fixture in all() {
        let whole = decode(fixture.dialect, std::iter::once(fixture.bytes.as_slice()));
        let single = decode(fixture.dialect, fixture.bytes.chunks(1));
        assert_eq!(whole, single, "{} byte by byte", fixture.name);
        for seed in 0..50 {
            let ragged = decode(fixture.dialect, ragged(&fixture.bytes, seed));
            assert_eq!(whole, ragged, "{} with seed {seed}", fixture.name);
        }
    }
}

#[test]
fn line_endings_change_nothing() {
    for fixture in all() {
        let whole = decode(fixture.dialect, std::iter::once(fixture.bytes.as_slice()));
        let text = String::from_utf8(fixture.bytes.clone()).expect("UTF-8");
        for ending in ["\r\n", "\r"] {
            let other = text.replace('\n', ending);
            let decoded = decode(fixture.dialect, other.as_bytes().chunks(3));
            assert_eq!(whole, decoded, "{} with {ending:?}", fixture.name);
        }
    }
}

#[test]
fn one_push_shows_each_run_once() {
    let fixture = all()
        .into_iter()
        .find(|fixture| fixture.name == "messages_thinking_calls")
        .expect("the recording");
    let mut decoder = Decoder::new(fixture.dialect, &prefix());
    let mut deltas = vec![Delta::Thinking {
        text: "before".into(),
    }];
    decoder
        .push(&fixture.bytes, &mut deltas)
        .expect("a sound stream");
    let lines: Vec<String> = deltas.iter().map(|delta| format!("{delta:?}")).collect();
    expect![[r#"
        Thinking { text: "before" }
        Thinking { text: "Look first, then act." }
        Text { text: "I'll look." }
        CallWriting { name: "read", bytes: 33 }
        CallWriting { name: "list", bytes: 0 }
        CallWriting { name: "apply_patch", bytes: 44 }"#]]
    .assert_eq(&lines.join("\n"));
}

fn report(outcome: &Outcome) -> String {
    let mut out = String::new();
    let line = &mut out;
    writeln!(line, "complete: {}", outcome.complete).expect("memory");
    writeln!(line, "usage: {}", usage(&outcome.usage)).expect("memory");
    for (name, shown) in ["text", "thinking", "calls"].iter().zip(&outcome.shown) {
        if !shown.is_empty() {
            writeln!(line, "shown {name}: {shown:?}").expect("memory");
        }
    }
    match &outcome.result {
        Err(error) => {
            writeln!(
                line,
                "error: {error:#?}\nretryable: {:?}",
                error.retryable()
            )
            .expect("memory");
        }
        Ok(decoded) => {
            let sum = decoded
                .passes
                .iter()
                .fold(Usage::default(), |sum, pass| sum + *pass);
            assert_eq!(sum, decoded.usage, "the passes add up");
            writeln!(line, "model: {}\nstop: {:?}", decoded.model, decoded.stop).expect("memory");
            writeln!(line, "extra: {:?}", decoded.extra).expect("memory");
            if !decoded.counted {
                writeln!(line, "its use was not reported, or not all of it").expect("memory");
            }
            if decoded.passes.len() > 1 {
                for pass in &decoded.passes {
                    writeln!(line, "a pass: {}", usage(pass)).expect("memory");
                }
            }
            for item in &decoded.items {
                write_item(line, item);
            }
        }
    }
    out
}

fn usage(usage: &Usage) -> String {
    let Usage {
        input,
        cache_read,
        cache_write_5m,
        cache_write_1h,
        output,
        thinking,
    } = usage;
    format!(
        "input {input}, read {cache_read}, written {cache_write_5m} + {cache_write_1h}, \
         output {output}, thinking {thinking}"
    )
}

fn write_item(out: &mut String, item: &Item) {
    let (words, opaque) = match item {
        Item::Assistant { text, opaque } => (format!("assistant: {text:?}"), opaque.as_ref()),
        Item::Thinking { text, opaque } => (format!("thinking: {text:?}"), opaque.as_ref()),
        Item::Summary { text, opaque } => (format!("summary: {text:?}"), opaque.as_ref()),
        Item::Foreign { opaque } => ("foreign".into(), Some(opaque)),
        Item::ToolCall(call) => (
            format!(
                "call {}: {} as {:?} with {:?}",
                call.call, call.name, call.provider_id, call.arguments
            ),
            None,
        ),
        other => panic!("no such item in an answer: {other:?}"),
    };
    writeln!(out, "- {words}").expect("memory");
    if let Some(opaque) = opaque {
        writeln!(out, "  {}: {}", opaque.origin, opaque.json).expect("memory");
    }
}
