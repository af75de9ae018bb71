//! Recorded streams: what they mean, the same in every chunking, and as every API would say it.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use expect_test::expect_file;
use proptest::prelude::*;
use quire_dialect::Dialect;

use super::*;

/// Recordings of which it is kept how every API would say them.
const TELLING: &[&str] = &[
    "chat_calls",
    "chat_error",
    "chat_reasoning_details",
    "chat_refusal",
    "messages_compaction",
    "messages_overloaded",
    "messages_server_tools",
    "messages_thinking_calls",
    "responses_compaction",
    "responses_error_flat",
    "responses_incomplete",
    "responses_reasoning_calls",
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// Streams of the crate that reads them for the agent.
macro_rules! recordings {
    ($($name:literal),* $(,)?) => {
        &[$((
            $name,
            include_bytes!(concat!("../../../../dialect/tests/golden/", $name, ".sse")),
        )),*]
    };
}

const RECORDINGS: &[(&str, &[u8])] = recordings![
    "chat_calls",
    "chat_calls_all_zero",
    "chat_calls_no_index",
    "chat_calls_objects",
    "chat_cut",
    "chat_error",
    "chat_error_text",
    "chat_filtered",
    "chat_no_end",
    "chat_reasoning_content",
    "chat_reasoning_details",
    "chat_refusal",
    "chat_text",
    "messages_compaction",
    "messages_compaction_failed",
    "messages_compaction_on_demand",
    "messages_cut",
    "messages_cut_call",
    "messages_no_stop",
    "messages_no_usage",
    "messages_overloaded",
    "messages_refusal",
    "messages_server_tools",
    "messages_text",
    "messages_thinking_calls",
    "messages_thinking_omitted",
    "responses_compaction",
    "responses_cut",
    "responses_deltas_only",
    "responses_error_flat",
    "responses_error_nested",
    "responses_failed",
    "responses_incomplete",
    "responses_minimal",
    "responses_output_only",
    "responses_reasoning_calls",
    "responses_refusal",
    "responses_text",
];

/// All of them, each with its API.
pub(crate) fn all() -> Vec<(Dialect, &'static str, &'static [u8])> {
    let dialect = |name: &str| {
        Dialect::ALL
            .into_iter()
            .find(|dialect| name.starts_with(dialect.name()))
            .unwrap()
    };
    RECORDINGS
        .iter()
        .map(|(name, bytes)| (dialect(name), *name, *bytes))
        .collect()
}

#[test]
fn recordings_mean_the_same_in_every_chunking() {
    for (dialect, name, bytes) in all() {
        let whole = events(dialect, bytes, bytes.len());
        assert_order(&whole);
        let mut shown = String::new();
        for event in &whole {
            writeln!(shown, "{event:?}").unwrap();
        }
        expect_file![folder().join(format!("events/{name}.txt"))].assert_eq(&shown);
        for size in [1, 7, 64] {
            assert_eq!(events(dialect, bytes, size), whole, "{name} by {size}");
        }
        let text = String::from_utf8(bytes.to_vec())
            .unwrap()
            .replace('\n', "\r\n");
        assert_eq!(events(dialect, text.as_bytes(), 5), whole, "{name} with CR");
    }
}

#[test]
fn recordings_are_told_to_clients_of_every_api() {
    for (from, name, bytes) in all() {
        for to in Dialect::ALL {
            let mut frame = frame(from);
            frame.tools.insert(
                "apply_patch".into(),
                ClientTool {
                    name: "apply_patch".into(),
                    namespace: None,
                    free: true,
                },
            );
            let mut writer = Writer::new(to, frame);
            let mut out = Vec::new();
            let told = events(from, bytes, bytes.len());
            for event in &told {
                writer.write(event, &mut out);
            }
            let text = String::from_utf8(out).unwrap();
            if TELLING.contains(&name) {
                expect_file![folder().join(format!("streams/{name}.{to}.sse"))].assert_eq(&text);
            }
            if matches!(told.last(), Some(Event::Finish(_))) && name != "messages_cut_call" {
                let mut validator = Validator::new(to);
                let verdict = validator
                    .push(text.as_bytes())
                    .and_then(|()| validator.finish());
                assert_eq!(verdict, Ok(()), "{name} for {to}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn whatever_a_server_sends_has_one_meaning_and_one_end(
        which in any::<prop::sample::Index>(),
        as_if in prop::sample::select(&Dialect::ALL[..]),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0_usize..40), 0..4),
        size in 1_usize..300,
    ) {
        let all = all();
        let (_, _, bytes) = which.get(&all);
        let mut bytes = bytes.to_vec();
        for (at, byte, length) in changes {
            let at = at.index(bytes.len());
            let end = (at + length).min(bytes.len());
            bytes.splice(at..end, [byte]);
            if bytes.is_empty() {
                break;
            }
        }
        let whole = events(as_if, &bytes, bytes.len());
        assert_order(&whole);
        prop_assert_eq!(&events(as_if, &bytes, size), &whole);
        for to in Dialect::ALL {
            let mut writer = Writer::new(to, frame(as_if));
            let mut out = Vec::new();
            for event in &whole {
                writer.write(event, &mut out);
            }
        }
        let (mut one, mut other) = (Meter::new(as_if), Meter::new(as_if));
        one.push(&bytes);
        bytes.chunks(size).for_each(|piece| other.push(piece));
        one.finish();
        other.finish();
        prop_assert_eq!(one.tally(), other.tally());
        prop_assert_eq!(one.estimate(), other.estimate());
    }
}
