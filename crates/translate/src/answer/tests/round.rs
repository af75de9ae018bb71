//! What is written is read again: within an API all of it, across two of them what both can say.

use proptest::prelude::*;
use quire_dialect::Dialect;

use super::generate::answer;
use super::*;
use crate::request::{CallInput, Part};
use crate::seal::Seal;

/// An answer of any API, and which.
fn any_answer() -> impl Strategy<Value = (Dialect, Answer)> {
    prop::sample::select(&Dialect::ALL[..])
        .prop_flat_map(|dialect| (Just(dialect), answer(dialect)))
}

fn any_dialect() -> impl Strategy<Value = Dialect> {
    prop::sample::select(&Dialect::ALL[..])
}

/// What every API can say of an answer.
#[derive(Debug, PartialEq)]
struct Common {
    words: String,
    thinking: String,
    calls: Vec<(String, String, CallInput)>,
    usage: [u64; 5],
}

fn common(answer: &Answer) -> Common {
    let mut common = Common {
        words: String::new(),
        thinking: String::new(),
        calls: Vec::new(),
        usage: {
            let usage = answer.finish.tally.usage;
            let written = usage.cache_write_5m + usage.cache_write_1h;
            [
                usage.input,
                usage.cache_read,
                written,
                usage.output,
                usage.thinking,
            ]
        },
    };
    for part in &answer.parts {
        match part {
            Part::Text { text, .. } | Part::Refusal { text, .. } => common.words.push_str(text),
            Part::Thinking { text, .. } => common.thinking.push_str(text),
            Part::Call {
                id, name, input, ..
            } => {
                common.calls.push((id.clone(), name.clone(), input.clone()));
            }
            Part::Compaction { .. }
            | Part::Other(_)
            | Part::Image { .. }
            | Part::Document { .. }
            | Part::Result { .. } => {}
        }
    }
    common
}

/// The same, where words and words of refusal mingle: one API keeps them in two fields.
fn unordered(mut common: Common) -> Common {
    let mut words: Vec<char> = common.words.chars().collect();
    words.sort_unstable();
    common.words = words.into_iter().collect();
    common
}

/// What both must agree on, given the first answer.
fn assert_common(one: &Answer, other: &Answer, first: &Answer) -> Result<(), TestCaseError> {
    let (mut one, mut other) = (common(one), common(other));
    if first
        .parts
        .iter()
        .any(|part| matches!(part, Part::Refusal { .. }))
    {
        (one, other) = (unordered(one), unordered(other));
    }
    prop_assert_eq!(one, other);
    Ok(())
}

/// The names of tools that take free text, as the server of a client would know them.
fn with_tools(mut frame: Frame, answer: &Answer) -> Frame {
    for part in &answer.parts {
        if let Part::Call {
            name,
            input: CallInput::Free(_),
            ..
        } = part
        {
            frame.tools.insert(
                name.clone(),
                ClientTool {
                    name: name.clone(),
                    namespace: None,
                    free: true,
                },
            );
        }
    }
    frame
}

/// Free text and JSON of one name: a client knows a tool as the one or the other.
fn is_sound(answer: &Answer) -> bool {
    let frees = |free: bool| {
        answer.parts.iter().filter_map(move |part| match part {
            Part::Call { name, input, .. } if matches!(input, CallInput::Free(_)) == free => {
                Some(name)
            }
            _ => None,
        })
    };
    frees(true).all(|name| frees(false).all(|other| other != name))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn a_stream_says_all_of_an_answer((dialect, answer) in any_answer(), size in 1_usize..99) {
        let frame = frame(dialect);
        let bytes = stream(dialect, &frame, &answer);
        prop_assert_eq!(validate(dialect, &bytes), Ok(()));
        let told = events(dialect, &bytes, size);
        assert_order(&told);
        prop_assert_eq!(&told, &events(dialect, &bytes, bytes.len()));
        let again = collect(dialect, told).unwrap();
        prop_assert_eq!(&again.parts, &answer.parts);
        prop_assert_eq!(&again.finish, &answer.finish);
        prop_assert_eq!(&again.begin.id, &answer.begin.id);
        prop_assert_eq!(&again.begin.model, &answer.begin.model);
        prop_assert_eq!(&again.begin.tally, &answer.begin.tally);
        for (key, value) in &answer.begin.own {
            prop_assert_eq!(again.begin.own.get(key), Some(value));
        }
        let twice = stream(dialect, &frame, &again);
        prop_assert_eq!(String::from_utf8(twice), String::from_utf8(stream(dialect, &frame, &answer)));
    }

    #[test]
    fn a_body_says_all_of_an_answer((dialect, answer) in any_answer()) {
        let body = write_whole(dialect, &frame(dialect), &answer);
        let again = read_whole(dialect, &body).unwrap();
        prop_assert_eq!(&again.parts, &answer.parts);
        prop_assert_eq!(&again.finish.stop, &answer.finish.stop);
        prop_assert_eq!(&again.finish.tally, &answer.finish.tally);
        for (key, value) in answer.begin.own.iter().chain(&answer.finish.own) {
            let said = again.begin.own.get(key).or(again.finish.own.get(key));
            prop_assert_eq!(said, Some(value));
        }
    }

    #[test]
    fn a_stream_adds_up_to_the_body((from, answer) in any_answer(), to in any_dialect()) {
        let frame = frame(from);
        let streamed = collect(to, events(to, &stream(to, &frame, &answer), 4096)).unwrap();
        let whole = read_whole(to, &write_whole(to, &frame, &answer)).unwrap();
        assert_common(&streamed, &whole, &answer)?;
        prop_assert_eq!(streamed.finish.stop, whole.finish.stop);
        prop_assert_eq!(streamed.finish.tally, whole.finish.tally);
    }

    #[test]
    fn what_both_can_say_comes_back((from, answer) in any_answer(), to in any_dialect()) {
        prop_assume!(is_sound(&answer));
        let there = stream(to, &frame(from), &answer);
        prop_assert_eq!(validate(to, &there), Ok(()));
        let told = collect(to, events(to, &there, 50)).unwrap();
        let back = stream(from, &with_tools(frame(to), &answer), &told);
        prop_assert_eq!(validate(from, &back), Ok(()));
        let again = collect(from, events(from, &back, 50)).unwrap();
        assert_common(&again, &answer, &answer)?;
    }

    #[test]
    fn seals_of_thinking_open_on_the_way_back((from, answer) in any_answer(), to in any_dialect()) {
        prop_assume!(from != to);
        let told = collect(to, events(to, &stream(to, &frame(from), &answer), 50)).unwrap();
        let sealed: Vec<Seal> = told.parts.iter().filter_map(|part| match part {
            Part::Thinking { seal: Some(seal), .. } => {
                let seal = match to {
                    Dialect::Chat => serde_json::from_str::<serde_json::Value>(seal).unwrap()[0]["data"]
                        .as_str().unwrap().to_owned(),
                    Dialect::Messages | Dialect::Responses => seal.clone(),
                };
                frame(from).sealer.open(&seal)
            }
            _ => None,
        }).collect();
        for part in &answer.parts {
            if let Part::Thinking { seal: Some(seal), own, .. } = part {
                let text = if own.contains_key("type") {
                    serde_json::json!({ "type": "redacted_thinking", "data": seal }).to_string()
                } else {
                    seal.clone()
                };
                let expected = Seal { from, text };
                // Chat joins what stands side by side, and gives each proof its place in one list.
                prop_assert!(to == Dialect::Chat || sealed.contains(&expected), "{:?} {:?}", sealed, expected);
            }
        }
    }
}
