//! Token counts in the words of each API. Messages' `input_tokens` leave out what a cache took part in, and its
//! totals leave out passes that compacted; OpenAI's prompt counts hold everything.

use std::ops::Add;

use quire_dialect::Dialect;
use quire_protocol::Usage;
use serde_json::{Map, Value, json};

use crate::answer::Tally;
use crate::request::Own;

/// Most tokens that a count from outside is believed to be, so that sums cannot overflow.
const MOST: u64 = 1 << 40;

/// What `usage` says, all of it. Whether the answer's tokens are final is for the caller to know.
pub(crate) fn read(dialect: Dialect, usage: &Own) -> Tally {
    let mut own = usage.clone();
    own.retain(|_, value| !value.is_null());
    match dialect {
        Dialect::Messages => read_messages(own),
        Dialect::Responses => read_responses(own),
        Dialect::Chat => read_chat(own),
    }
}

/// Takes over every count that `later` has; they are cumulative.
pub(crate) fn overwrite(usage: &mut Own, later: Own) {
    for (key, value) in later {
        if !value.is_null() {
            usage.insert(key, value);
        }
    }
}

/// `usage` as an API says it. What only the API `from` has words for is left out of another's.
pub(crate) fn write(dialect: Dialect, from: Dialect, tally: &Tally) -> Own {
    let own = if dialect == from {
        tally.own.clone()
    } else {
        Own::new()
    };
    match dialect {
        Dialect::Messages => write_messages(from, tally, own),
        Dialect::Responses => write_responses(&tally.usage, own),
        Dialect::Chat => write_chat(&tally.usage, own),
    }
}

/// Takes a count out of an object.
fn count(object: &mut Own, key: &str) -> Option<u64> {
    let tokens = object.get(key)?.as_u64()?;
    object.shift_remove(key);
    Some(tokens.min(MOST))
}

/// Takes counts out of an object in an object, which goes too when nothing is left of it.
fn inner<const N: usize>(object: &mut Own, key: &str, counts: [&str; N]) -> [Option<u64>; N] {
    let Some(Value::Object(within)) = object.get_mut(key) else {
        return [None; N];
    };
    let found = counts.map(|name| count(within, name));
    within.retain(|_, value| !value.is_null());
    if within.is_empty() {
        object.shift_remove(key);
    }
    found
}

/// Takes a text out of an object.
fn text(object: &mut Own, key: &str) -> Option<String> {
    match object.get(key) {
        Some(Value::String(_)) => match object.shift_remove(key) {
            Some(Value::String(text)) => Some(text),
            _ => None,
        },
        _ => None,
    }
}

/// Whether an API's own iteration of a list compacted.
fn compacts(iteration: &Value) -> bool {
    iteration
        .get("type")
        .is_some_and(|kind| kind == "compaction")
}

/// Counts of the Messages API, taken out of `object`. Some servers send only the sum of what was written to the cache,
/// some only the parts.
fn counts(object: &mut Own) -> (Usage, bool) {
    let input = count(object, "input_tokens").unwrap_or(0);
    let cache_read = count(object, "cache_read_input_tokens").unwrap_or(0);
    let written = count(object, "cache_creation_input_tokens").unwrap_or(0);
    let [minutes, hour] = inner(
        object,
        "cache_creation",
        ["ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens"],
    );
    let hour = hour.unwrap_or(0);
    let output = count(object, "output_tokens");
    let usage = Usage {
        input,
        cache_read,
        cache_write_5m: written.saturating_sub(hour).max(minutes.unwrap_or(0)),
        cache_write_1h: hour,
        output: output.unwrap_or(0),
        thinking: 0,
    };
    (usage, output.is_some())
}

fn read_messages(mut own: Own) -> Tally {
    let [thinking] = inner(&mut own, "output_tokens_details", ["thinking_tokens"]);
    let (total, answered) = counts(&mut own);
    let iterations = match own.get("iterations") {
        Some(Value::Array(list)) => list.as_slice(),
        _ => &[],
    };
    let mut passes: Vec<Usage> = iterations
        .iter()
        .filter_map(Value::as_object)
        .map(|pass| counts(&mut pass.clone()).0)
        .collect();
    if iterations.iter().all(compacts) {
        passes.push(total);
    }
    if let Some(last) = passes.last_mut() {
        last.thinking = thinking.unwrap_or(0);
    }
    let usage = passes.iter().copied().fold(Usage::default(), Add::add);
    if passes.len() == 1 {
        passes.clear();
    }
    Tally {
        usage,
        passes,
        // No prompt is empty: where it counts nothing, the server does not count.
        counted: answered && usage.prompt() > 0,
        service_tier: text(&mut own, "service_tier"),
        region: text(&mut own, "inference_geo"),
        speed: text(&mut own, "speed"),
        own,
    }
}

/// What the totals hold: the passes that did not compact. Where the API's list does not say which those are, the last.
fn answer_of(tally: &Tally, own: &Own) -> Usage {
    let Some(last) = tally.passes.last() else {
        return tally.usage;
    };
    match own.get("iterations") {
        Some(Value::Array(own)) if own.iter().any(|pass| !compacts(pass)) => tally
            .passes
            .iter()
            .zip(own)
            .filter(|(_, pass)| !compacts(pass))
            .fold(Usage::default(), |sum, (usage, _)| sum + *usage),
        _ => *last,
    }
}

fn write_counts(usage: &Usage) -> Own {
    let mut out = Own::new();
    let mut put = |key: &str, tokens: u64| {
        out.insert(key.to_owned(), tokens.into());
    };
    put("input_tokens", usage.input);
    put(
        "cache_creation_input_tokens",
        usage.cache_write_5m + usage.cache_write_1h,
    );
    put("cache_read_input_tokens", usage.cache_read);
    out.insert(
        "cache_creation".into(),
        json!({
            "ephemeral_5m_input_tokens": usage.cache_write_5m,
            "ephemeral_1h_input_tokens": usage.cache_write_1h,
        }),
    );
    out.insert("output_tokens".into(), usage.output.into());
    out
}

/// An entry of Messages' list of passes.
fn iteration(kind: &str, pass: &Usage) -> Value {
    let mut entry = Own::new();
    entry.insert("type".into(), kind.into());
    entry.extend(write_counts(pass));
    Value::Object(entry)
}

impl Tally {
    /// The count of a compaction that no answer came behind.
    #[must_use]
    pub fn of_compaction(compaction: &Usage) -> Self {
        let mut tally = Self {
            counted: true,
            own: Own::from_iter([("iterations".to_owned(), json!([]))]),
            ..Self::default()
        };
        tally.begin_with_compaction(compaction);
        tally
    }

    /// Counts a compaction that was made before the answer: a pass of its own, which Messages' totals leave out.
    pub fn begin_with_compaction(&mut self, compaction: &Usage) {
        if self.passes.is_empty() {
            self.passes.push(self.usage);
        }
        self.passes.insert(0, *compaction);
        self.usage += *compaction;
        if let Some(Value::Array(listed)) = self.own.get_mut("iterations") {
            listed.insert(0, iteration("compaction", compaction));
        }
    }
}

/// A service tier in this API's words.
fn messages_tier(from: Dialect, tier: &str) -> &str {
    match (from, tier) {
        (Dialect::Messages, tier) => tier,
        (Dialect::Responses | Dialect::Chat, "priority") => "priority",
        (Dialect::Responses | Dialect::Chat, _) => "standard",
    }
}

fn write_messages(from: Dialect, tally: &Tally, mut own: Own) -> Own {
    let answer = answer_of(tally, &own);
    let mut out = write_counts(&answer);
    if answer.thinking > 0 {
        out.insert(
            "output_tokens_details".into(),
            json!({ "thinking_tokens": answer.thinking }),
        );
    }
    if tally.passes.len() > 1 && !own.contains_key("iterations") {
        let last = tally.passes.len() - 1;
        let entries = tally.passes.iter().enumerate().map(|(at, pass)| {
            let kind = if at == last { "message" } else { "compaction" };
            iteration(kind, pass)
        });
        out.insert("iterations".into(), entries.collect());
    }
    let tier = tally.service_tier.as_deref();
    for (key, value) in [
        ("service_tier", tier.map(|tier| messages_tier(from, tier))),
        ("inference_geo", tally.region.as_deref()),
        ("speed", tally.speed.as_deref()),
    ] {
        if let Some(value) = value {
            out.insert(key.into(), value.into());
        }
    }
    merge(&mut out, &mut own, "cache_creation");
    merge(&mut out, &mut own, "output_tokens_details");
    out.extend(own);
    out
}

/// Puts what is left of an object in `own` to the object of the same name.
fn merge(out: &mut Own, own: &mut Own, key: &str) {
    if let Some(Value::Object(rest)) = own.shift_remove(key) {
        let slot = out
            .entry(key.to_owned())
            .or_insert_with(|| Value::Object(Map::new()));
        if let Value::Object(object) = slot {
            object.extend(rest);
        }
    }
}

fn read_responses(mut own: Own) -> Tally {
    let prompt = count(&mut own, "input_tokens");
    let output = count(&mut own, "output_tokens");
    count(&mut own, "total_tokens");
    let mut long = None;
    if let Some(Value::Object(details)) = own.get_mut("input_tokens_details") {
        [long, _] = inner(
            details,
            "cache_write_tokens_details",
            ["ttl_12h_tokens", "ttl_30m_tokens"],
        );
    }
    let [cached, written] = inner(
        &mut own,
        "input_tokens_details",
        ["cached_tokens", "cache_write_tokens"],
    );
    let [thinking] = inner(&mut own, "output_tokens_details", ["reasoning_tokens"]);
    let usage = disjoint([prompt, cached, written, long, output, thinking]);
    tally(usage, prompt, output, own)
}

fn read_chat(mut own: Own) -> Tally {
    let prompt = count(&mut own, "prompt_tokens");
    let output = count(&mut own, "completion_tokens");
    count(&mut own, "total_tokens");
    let [cached, written] = inner(
        &mut own,
        "prompt_tokens_details",
        ["cached_tokens", "cache_write_tokens"],
    );
    let [thinking] = inner(&mut own, "completion_tokens_details", ["reasoning_tokens"]);
    // Some servers' word for the cached tokens.
    let hit = count(&mut own, "prompt_cache_hit_tokens");
    let usage = disjoint([prompt, cached.or(hit), written, None, output, thinking]);
    tally(usage, prompt, output, own)
}

/// Counts apart from one another, out of those of OpenAI: prompt, of it read and written and written for long; output,
/// of it thinking.
fn disjoint(counts: [Option<u64>; 6]) -> Usage {
    let [prompt, cached, written, long, output, thinking] = counts.map(|it| it.unwrap_or(0));
    Usage {
        input: prompt.saturating_sub(cached).saturating_sub(written),
        cache_read: cached,
        cache_write_5m: written.saturating_sub(long),
        cache_write_1h: long.min(written),
        output,
        thinking,
    }
}

fn tally(usage: Usage, prompt: Option<u64>, output: Option<u64>, own: Own) -> Tally {
    Tally {
        usage,
        counted: prompt.is_some_and(|tokens| tokens > 0) && output.is_some(),
        own,
        ..Tally::default()
    }
}

fn write_responses(usage: &Usage, mut own: Own) -> Own {
    let written = usage.cache_write_5m + usage.cache_write_1h;
    let mut input = json!({ "cached_tokens": usage.cache_read, "cache_write_tokens": written });
    if written > 0 {
        input["cache_write_tokens_details"] = json!({
            "ttl_30m_tokens": usage.cache_write_5m,
            "ttl_12h_tokens": usage.cache_write_1h,
        });
    }
    let mut out = Own::new();
    out.insert("input_tokens".into(), usage.prompt().into());
    out.insert("input_tokens_details".into(), input);
    out.insert("output_tokens".into(), usage.output.into());
    out.insert(
        "output_tokens_details".into(),
        json!({ "reasoning_tokens": usage.thinking }),
    );
    out.insert(
        "total_tokens".into(),
        (usage.prompt() + usage.output).into(),
    );
    merge(&mut out, &mut own, "input_tokens_details");
    merge(&mut out, &mut own, "output_tokens_details");
    out.extend(own);
    out
}

fn write_chat(usage: &Usage, mut own: Own) -> Own {
    let mut out = Own::new();
    out.insert("prompt_tokens".into(), usage.prompt().into());
    out.insert("completion_tokens".into(), usage.output.into());
    out.insert(
        "total_tokens".into(),
        (usage.prompt() + usage.output).into(),
    );
    out.insert(
        "prompt_tokens_details".into(),
        json!({
            "cached_tokens": usage.cache_read,
            "cache_write_tokens": usage.cache_write_5m + usage.cache_write_1h,
        }),
    );
    out.insert(
        "completion_tokens_details".into(),
        json!({ "reasoning_tokens": usage.thinking }),
    );
    merge(&mut out, &mut own, "prompt_tokens_details");
    merge(&mut out, &mut own, "completion_tokens_details");
    out.extend(own);
    out
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use expect_test::{Expect, expect};

    use super::*;

    fn object(json: &str) -> Own {
        serde_json::from_str(json).unwrap()
    }

    fn check(from: Dialect, usage: &str, expected: &Expect) {
        let tally = read(from, &object(usage));
        let mut shown = format!("{:?}\n", tally.usage);
        for dialect in Dialect::ALL {
            let json = Value::Object(write(dialect, from, &tally));
            writeln!(shown, "{dialect}: {json}").unwrap();
        }
        expected.assert_eq(&shown);
        let again = read(from, &write(from, from, &tally));
        assert_eq!(again, tally, "the way there and back");
    }

    #[test]
    fn input_leaves_the_cache_out_here_and_holds_it_there() {
        check(
            Dialect::Messages,
            r#"{"input_tokens":10,"cache_read_input_tokens":100,"cache_creation_input_tokens":30,"cache_creation":{"ephemeral_5m_input_tokens":20,"ephemeral_1h_input_tokens":10},"output_tokens":7,"output_tokens_details":{"thinking_tokens":3},"service_tier":"standard","server_tool_use":{"web_search_requests":1}}"#,
            &expect![[r#"
                Usage { input: 10, cache_read: 100, cache_write_5m: 20, cache_write_1h: 10, output: 7, thinking: 3 }
                messages: {"input_tokens":10,"cache_creation_input_tokens":30,"cache_read_input_tokens":100,"cache_creation":{"ephemeral_5m_input_tokens":20,"ephemeral_1h_input_tokens":10},"output_tokens":7,"output_tokens_details":{"thinking_tokens":3},"service_tier":"standard","server_tool_use":{"web_search_requests":1}}
                responses: {"input_tokens":140,"input_tokens_details":{"cached_tokens":100,"cache_write_tokens":30,"cache_write_tokens_details":{"ttl_30m_tokens":20,"ttl_12h_tokens":10}},"output_tokens":7,"output_tokens_details":{"reasoning_tokens":3},"total_tokens":147}
                chat: {"prompt_tokens":140,"completion_tokens":7,"total_tokens":147,"prompt_tokens_details":{"cached_tokens":100,"cache_write_tokens":30},"completion_tokens_details":{"reasoning_tokens":3}}
            "#]],
        );
        check(
            Dialect::Responses,
            r#"{"input_tokens":1000,"input_tokens_details":{"cached_tokens":600,"cache_write_tokens":150,"cache_write_tokens_details":{"ttl_30m_tokens":100,"ttl_12h_tokens":50}},"output_tokens":80,"output_tokens_details":{"reasoning_tokens":30},"total_tokens":1080}"#,
            &expect![[r#"
                Usage { input: 250, cache_read: 600, cache_write_5m: 100, cache_write_1h: 50, output: 80, thinking: 30 }
                messages: {"input_tokens":250,"cache_creation_input_tokens":150,"cache_read_input_tokens":600,"cache_creation":{"ephemeral_5m_input_tokens":100,"ephemeral_1h_input_tokens":50},"output_tokens":80,"output_tokens_details":{"thinking_tokens":30}}
                responses: {"input_tokens":1000,"input_tokens_details":{"cached_tokens":600,"cache_write_tokens":150,"cache_write_tokens_details":{"ttl_30m_tokens":100,"ttl_12h_tokens":50}},"output_tokens":80,"output_tokens_details":{"reasoning_tokens":30},"total_tokens":1080}
                chat: {"prompt_tokens":1000,"completion_tokens":80,"total_tokens":1080,"prompt_tokens_details":{"cached_tokens":600,"cache_write_tokens":150},"completion_tokens_details":{"reasoning_tokens":30}}
            "#]],
        );
        check(
            Dialect::Chat,
            r#"{"prompt_tokens":1000,"completion_tokens":80,"total_tokens":1080,"prompt_tokens_details":{"cached_tokens":600,"audio_tokens":1},"completion_tokens_details":null}"#,
            &expect![[r#"
                Usage { input: 400, cache_read: 600, cache_write_5m: 0, cache_write_1h: 0, output: 80, thinking: 0 }
                messages: {"input_tokens":400,"cache_creation_input_tokens":0,"cache_read_input_tokens":600,"cache_creation":{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":0},"output_tokens":80}
                responses: {"input_tokens":1000,"input_tokens_details":{"cached_tokens":600,"cache_write_tokens":0},"output_tokens":80,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":1080}
                chat: {"prompt_tokens":1000,"completion_tokens":80,"total_tokens":1080,"prompt_tokens_details":{"cached_tokens":600,"cache_write_tokens":0,"audio_tokens":1},"completion_tokens_details":{"reasoning_tokens":0}}
            "#]],
        );
    }

    #[test]
    fn totals_of_messages_leave_compactions_out() {
        check(
            Dialect::Messages,
            r#"{"input_tokens":100,"output_tokens":20,"iterations":[{"type":"compaction","input_tokens":60000,"output_tokens":3000},{"type":"message","input_tokens":100,"output_tokens":20}]}"#,
            &expect![[r#"
                Usage { input: 60100, cache_read: 0, cache_write_5m: 0, cache_write_1h: 0, output: 3020, thinking: 0 }
                messages: {"input_tokens":100,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"cache_creation":{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":0},"output_tokens":20,"iterations":[{"type":"compaction","input_tokens":60000,"output_tokens":3000},{"type":"message","input_tokens":100,"output_tokens":20}]}
                responses: {"input_tokens":60100,"input_tokens_details":{"cached_tokens":0,"cache_write_tokens":0},"output_tokens":3020,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":63120}
                chat: {"prompt_tokens":60100,"completion_tokens":3020,"total_tokens":63120,"prompt_tokens_details":{"cached_tokens":0,"cache_write_tokens":0},"completion_tokens_details":{"reasoning_tokens":0}}
            "#]],
        );
    }

    #[test]
    fn passes_of_another_api_are_compactions_and_the_answer() {
        let pass = |input, output| Usage {
            input,
            output,
            ..Usage::default()
        };
        let tally = Tally {
            usage: pass(110, 12),
            passes: vec![pass(100, 10), pass(10, 2)],
            counted: true,
            ..Tally::default()
        };
        let written = write(Dialect::Messages, Dialect::Chat, &tally);
        assert_eq!(written["input_tokens"], 10);
        assert_eq!(written["iterations"][0]["type"], "compaction");
        assert_eq!(read(Dialect::Messages, &written).passes, tally.passes);
    }

    #[test]
    fn a_compaction_before_the_answer_is_listed_and_not_in_the_totals() {
        let pass = |input, output| Usage {
            input,
            output,
            ..Usage::default()
        };
        let listed = r#"{"input_tokens":10,"output_tokens":2,"iterations":[{"type":"message","input_tokens":10,"output_tokens":2}]}"#;
        for (from, usage) in [
            (
                Dialect::Chat,
                r#"{"prompt_tokens":10,"completion_tokens":2}"#,
            ),
            (
                Dialect::Messages,
                r#"{"input_tokens":10,"output_tokens":2}"#,
            ),
            (Dialect::Messages, listed),
        ] {
            let mut tally = read(from, &object(usage));
            tally.begin_with_compaction(&pass(100, 9));
            assert_eq!(tally.usage, pass(110, 11));
            let written = write(Dialect::Messages, from, &tally);
            assert_eq!(
                (&written["input_tokens"], &written["output_tokens"]),
                (&json!(10), &json!(2))
            );
            let [first, last] = written["iterations"].as_array().unwrap().as_slice() else {
                panic!("{written:?}");
            };
            assert_eq!(
                (
                    &first["type"],
                    &first["input_tokens"],
                    &first["output_tokens"]
                ),
                (&json!("compaction"), &json!(100), &json!(9))
            );
            assert_eq!(
                (&last["type"], &last["input_tokens"]),
                (&json!("message"), &json!(10))
            );
        }
        let alone = Tally::of_compaction(&pass(100, 9));
        let written = write(Dialect::Messages, Dialect::Messages, &alone);
        assert_eq!(
            (&written["input_tokens"], &written["output_tokens"]),
            (&json!(0), &json!(0))
        );
        assert_eq!(written["iterations"].as_array().map(Vec::len), Some(1));
        assert_eq!(read(Dialect::Messages, &written), alone);
    }

    #[test]
    fn a_server_that_counts_nothing_is_not_believed() {
        for (dialect, usage) in [
            (Dialect::Messages, r#"{"input_tokens":0,"output_tokens":5}"#),
            (Dialect::Responses, r#"{"input_tokens":5}"#),
            (
                Dialect::Chat,
                r#"{"prompt_tokens":0,"completion_tokens":9}"#,
            ),
        ] {
            assert!(!read(dialect, &object(usage)).counted);
        }
        let absurd = object(r#"{"prompt_tokens":18446744073709551615,"completion_tokens":1}"#);
        assert_eq!(read(Dialect::Chat, &absurd).usage.input, MOST);
    }
}
