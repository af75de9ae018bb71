//! How long a meter takes for a delta of a stream that is passed on as it is, for each API.

use std::fmt::Write;
use std::time::{Duration, Instant};

use quire_dialect::{Dialect, sse};
use quire_translate::Meter;

/// Few enough for a round that nothing interrupts.
const DELTAS: u32 = 2_000;
/// The best of so many rounds is shown: the others measured the machine.
const ROUNDS: usize = 100;
/// As a socket would deliver it.
const CHUNK: usize = 16 << 10;
/// Of a body that came whole.
const WORDS: usize = 1 << 20;

#[expect(clippy::print_stdout, reason = "the figures are what it is for")]
fn main() {
    for dialect in Dialect::ALL {
        let stream = stream(dialect);
        let metered = best(|| meter(dialect, stream.as_bytes()));
        let framed = best(|| frames(stream.as_bytes()));
        let body = body(dialect);
        let whole = best(|| {
            assert!(Meter::whole(dialect, body.as_bytes()).tally().counted);
        });
        println!(
            "{:<10} {:>5.0} ns a delta of {} bytes ({:.0} ns of it for its frame), {:.1} ms for a body of {} bytes",
            dialect.name(),
            nanoseconds(metered),
            stream.len() / DELTAS as usize,
            nanoseconds(framed),
            whole.as_secs_f64() * 1e3,
            body.len(),
        );
    }
}

fn best(mut run: impl FnMut()) -> Duration {
    (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            run();
            start.elapsed()
        })
        .min()
        .expect("at least one round")
}

fn nanoseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e9 / f64::from(DELTAS)
}

fn meter(dialect: Dialect, stream: &[u8]) {
    let mut meter = Meter::new(dialect);
    stream.chunks(CHUNK).for_each(|chunk| meter.push(chunk));
    assert!(meter.has_ended() && meter.estimate() >= u64::from(DELTAS));
}

fn frames(stream: &[u8]) {
    let mut parser = sse::Parser::new();
    let mut bytes = 0;
    for chunk in stream.chunks(CHUNK) {
        let taken: Result<(), sse::TooLarge> = parser.push(chunk, &mut |frame| {
            bytes += frame.data.len();
            Ok(())
        });
        taken.expect("a sound stream");
    }
    assert!(bytes > 0);
}

fn body(dialect: Dialect) -> String {
    let words = "word ".repeat(WORDS / 5);
    match dialect {
        Dialect::Messages => format!(
            r#"{{"id":"msg_1","model":"m","content":[{{"type":"text","text":"{words}"}}],"stop_reason":"end_turn","usage":{{"input_tokens":1,"output_tokens":9}}}}"#
        ),
        Dialect::Responses => format!(
            r#"{{"id":"resp_1","model":"m","status":"completed","output":[{{"type":"message","content":[{{"type":"output_text","text":"{words}"}}]}}],"usage":{{"input_tokens":1,"output_tokens":9}}}}"#
        ),
        Dialect::Chat => format!(
            r#"{{"id":"c","model":"m","choices":[{{"message":{{"content":"{words}"}},"finish_reason":"stop"}}],"usage":{{"prompt_tokens":1,"completion_tokens":9}}}}"#
        ),
    }
}

fn stream(dialect: Dialect) -> String {
    let mut out = String::new();
    let (open, delta, close) = match dialect {
        Dialect::Messages => (MESSAGES_OPEN, MESSAGES_DELTA, MESSAGES_CLOSE),
        Dialect::Responses => ("", RESPONSES_DELTA, RESPONSES_CLOSE),
        Dialect::Chat => ("", CHAT_DELTA, CHAT_CLOSE),
    };
    out.push_str(open);
    for number in 0..DELTAS {
        let word = if number % 20 == 0 { "\\nend" } else { " word" };
        let delta = delta.replace("WORD", word);
        write!(out, "{}\n\n", delta.replace("NUMBER", &number.to_string())).expect("memory");
    }
    out.push_str(close);
    out
}

const MESSAGES_OPEN: &str = r#"event: message_start
data: {"type":"message_start","message":{"id":"msg_1","model":"m","content":[],"usage":{"input_tokens":1,"output_tokens":1}}}

event: content_block_start
data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}

"#;
const MESSAGES_DELTA: &str = r#"event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"WORD"}}"#;
const MESSAGES_CLOSE: &str = r#"event: message_delta
data: {"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":2000}}

event: message_stop
data: {"type":"message_stop"}

"#;
const RESPONSES_DELTA: &str = r#"event: response.output_text.delta
data: {"type":"response.output_text.delta","item_id":"msg_0123456789abcdef","output_index":0,"content_index":0,"delta":"WORD","logprobs":[],"sequence_number":NUMBER,"obfuscation":"a1b2c3d4e5f6"}"#;
const RESPONSES_CLOSE: &str = r#"event: response.completed
data: {"type":"response.completed","response":{"id":"resp_1","status":"completed","output":[],"usage":{"input_tokens":1,"output_tokens":2000}}}

"#;
const CHAT_DELTA: &str = r#"data: {"id":"chatcmpl-0123456789abcdef","object":"chat.completion.chunk","created":1760000000,"model":"gpt-6-sol-2026-10-01","service_tier":"default","system_fingerprint":"fp_0123456789","choices":[{"index":0,"delta":{"content":"WORD"},"logprobs":null,"finish_reason":null}],"usage":null}"#;
const CHAT_CLOSE: &str = r#"data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}

data: [DONE]

"#;
