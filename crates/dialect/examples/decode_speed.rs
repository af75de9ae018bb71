//! How long an answer of 200,000 tiny deltas takes to read, for each dialect.

use std::fmt::Write;
use std::time::{Duration, Instant};

use quire_dialect::{Decoder, Dialect};
use quire_protocol::{Item, Prefix};

const DELTAS: usize = 200_000;
/// The best of so many rounds is shown: the others measured the machine.
const ROUNDS: usize = 10;
/// As a socket would deliver it.
const CHUNK: usize = 16 << 10;

#[expect(clippy::print_stdout, reason = "the figures are what it is for")]
fn main() {
    for dialect in Dialect::ALL {
        let stream = stream(dialect);
        let best = (0..ROUNDS)
            .map(|_| read(dialect, stream.as_bytes()))
            .min()
            .expect("at least one round");
        println!(
            "{:<10} {:>6.1} ms for {} bytes of SSE",
            dialect.name(),
            best.as_secs_f64() * 1e3,
            stream.len(),
        );
    }
}

fn read(dialect: Dialect, stream: &[u8]) -> Duration {
    let start = Instant::now();
    let mut decoder = Decoder::new(dialect, &Prefix::default());
    let mut deltas = Vec::new();
    for chunk in stream.chunks(CHUNK) {
        decoder.push(chunk, &mut deltas).expect("a sound stream");
        deltas.clear();
    }
    let answer = decoder.finish().expect("a whole answer");
    assert!(matches!(answer.items.first(), Some(Item::Assistant { text, .. }) if !text.is_empty()));
    start.elapsed()
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
data: {"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":200000}}

event: message_stop
data: {"type":"message_stop"}

"#;
const RESPONSES_DELTA: &str = r#"event: response.output_text.delta
data: {"type":"response.output_text.delta","item_id":"msg_0123456789abcdef","output_index":0,"content_index":0,"delta":"WORD","logprobs":[],"sequence_number":NUMBER,"obfuscation":"a1b2c3d4e5f6"}"#;
const RESPONSES_CLOSE: &str = r#"event: response.completed
data: {"type":"response.completed","response":{"id":"resp_1","status":"completed","output":[],"usage":{"input_tokens":1,"output_tokens":200000}}}

"#;
const CHAT_DELTA: &str = r#"data: {"id":"chatcmpl-0123456789abcdef","object":"chat.completion.chunk","created":1760000000,"model":"gpt-6-sol-2026-10-01","service_tier":"default","system_fingerprint":"fp_0123456789","choices":[{"index":0,"delta":{"content":"WORD"},"logprobs":null,"finish_reason":null}]}"#;
const CHAT_CLOSE: &str = r#"data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}

data: [DONE]

"#;
