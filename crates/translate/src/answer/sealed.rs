//! Opaque texts of one API in an answer of another. What a seal's text holds is told by its first byte: `{` begins a
//! whole block or item as JSON, `[` the reasoning details of Chat, anything else is the bare text.

use quire_dialect::Dialect;
use serde_json::Value;

use crate::answer::Frame;
use crate::request::Own;
use crate::seal::Seal;

/// The proof of thinking, for a client of the API `client`. Where the upstream has none, one of ours says so.
pub(crate) fn thinking(
    client: Dialect,
    frame: &Frame,
    own: &Own,
    seal: Option<&str>,
) -> Option<String> {
    if client == frame.from {
        return seal.map(ToOwned::to_owned);
    }
    let kind = own.get("type").and_then(Value::as_str);
    let text = match (kind, seal) {
        (Some("redacted_thinking"), Some(data)) => {
            let mut block = own.clone();
            block.insert("data".into(), data.into());
            Value::Object(block).to_string()
        }
        (_, seal) => seal.unwrap_or_default().to_owned(),
    };
    Some(sealed(frame, text))
}

/// A compaction whole, for a client of another API.
pub(crate) fn compaction(
    frame: &Frame,
    own: &Own,
    text: Option<&str>,
    seal: Option<&str>,
) -> String {
    let mut block = Own::new();
    block.insert("type".into(), "compaction".into());
    if frame.from == Dialect::Messages {
        block.insert("content".into(), text.into());
    }
    block.insert("encrypted_content".into(), seal.into());
    block.extend(own.clone());
    sealed(frame, Value::Object(block).to_string())
}

fn sealed(frame: &Frame, text: String) -> String {
    frame.sealer.seal(&Seal {
        from: frame.from,
        text,
    })
}
