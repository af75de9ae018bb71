//! How many bytes of words an event holds, found without parsing it.

use memchr::memmem::Finder;

const DELTA: &[u8] = b"\"delta\":";
const USAGE: &[u8] = b"\"usage\":";

/// What a scan of an event found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scan {
    /// So many bytes of words, escapes counted as they are written, and nothing else that counts.
    Words(u64),
    /// It must be parsed.
    Unclear,
}

/// Searches prepared once for a stream.
#[derive(Debug)]
pub(crate) struct Scanner {
    /// Where what an event adds begins.
    delta: Finder<'static>,
    usage: Finder<'static>,
    /// What stood before and behind the words of a chunk of Chat that held nothing else: most chunks have the same.
    head: Vec<u8>,
    tail: Vec<u8>,
}

impl Scanner {
    pub(crate) fn new() -> Self {
        Self {
            delta: Finder::new(DELTA),
            usage: Finder::new(USAGE),
            head: Vec::new(),
            tail: Vec::new(),
        }
    }

    /// A `content_block_delta`.
    pub(crate) fn messages(&self, data: &[u8]) -> Scan {
        let Some(at) = self.delta.find(data) else {
            return Scan::Unclear;
        };
        let words = [
            &b"{\"type\":\"text_delta\",\"text\":\""[..],
            b"{\"type\":\"thinking_delta\",\"thinking\":\"",
            b"{\"type\":\"input_json_delta\",\"partial_json\":\"",
        ]
        .into_iter()
        .find_map(|key| data[at + DELTA.len()..].strip_prefix(key))
        .and_then(|words| words.strip_suffix(b"\"}}"));
        match words {
            // A quote that is not escaped ends the words, and more members follow.
            Some(words) if is_one_string(words) => Scan::Words(words.len() as u64),
            _ => Scan::Unclear,
        }
    }

    /// A delta of Responses, whatever it is of.
    pub(crate) fn responses(&self, data: &[u8]) -> Scan {
        let Some(at) = self.delta.find(data) else {
            return Scan::Unclear;
        };
        match data[at + DELTA.len()..].split_first() {
            Some((b'"', rest)) => Scan::Words(string_len(rest) as u64),
            _ => Scan::Unclear,
        }
    }

    /// A chunk of Chat. Unclear where it holds usage, a reason to stop, a call's beginning, a refusal or no delta.
    pub(crate) fn chat(&mut self, data: &[u8]) -> Scan {
        if self.head.is_empty() || !data.starts_with(&self.head) {
            let Some(at) = self.delta.find(data) else {
                return Scan::Unclear;
            };
            let head = &data[..at + DELTA.len()];
            if data.starts_with(b"{\"error\"") || self.has_usage(head) {
                return Scan::Unclear;
            }
            self.head = head.to_vec();
        }
        let delta = &data[self.head.len()..];
        let words = [&b"{\"content\":\""[..], b"{\"reasoning_content\":\""]
            .into_iter()
            .find_map(|key| delta.strip_prefix(key));
        let Some(words) = words else {
            return walk(delta);
        };
        let (words, tail) = words.split_at(string_len(words));
        if tail == self.tail {
            return Scan::Words(words.len() as u64);
        }
        match walk(delta) {
            Scan::Words(all) => {
                if all == words.len() as u64 {
                    self.tail = tail.to_vec();
                }
                Scan::Words(all)
            }
            Scan::Unclear => Scan::Unclear,
        }
    }

    fn has_usage(&self, head: &[u8]) -> bool {
        let Some(at) = self.usage.find(head) else {
            return false;
        };
        let value = head[at + USAGE.len()..].trim_ascii_start();
        value.first() == Some(&b'{')
    }
}

/// A chunk from its delta on, string by string.
fn walk(mut rest: &[u8]) -> Scan {
    let mut words = 0;
    while let Some(open) = memchr::memchr(b'"', rest) {
        rest = &rest[open + 1..];
        let key = &rest[..string_len(rest)];
        rest = rest.get(key.len() + 1..).unwrap_or_default();
        let Some(value) = rest.strip_prefix(b":").map(<[u8]>::trim_ascii_start) else {
            continue;
        };
        match (key, value.first()) {
            (b"usage" | b"error", Some(b'{'))
            | (b"finish_reason" | b"error" | b"name" | b"refusal", Some(b'"')) => {
                return Scan::Unclear;
            }
            (_, Some(b'"')) => {
                let length = string_len(&value[1..]);
                if is_words(key) {
                    words += length as u64;
                }
                rest = value.get(length + 2..).unwrap_or_default();
            }
            _ => rest = value,
        }
    }
    Scan::Words(words)
}

/// Members of a chunk's delta that hold what a model produced.
fn is_words(key: &[u8]) -> bool {
    matches!(
        key,
        b"content" | b"reasoning_content" | b"reasoning" | b"arguments" | b"input"
    )
}

/// Bytes until the quote that ends a string, or all of them where none does.
fn string_len(text: &[u8]) -> usize {
    let mut at = 0;
    while let Some(next) = memchr::memchr2(b'"', b'\\', &text[at..]) {
        if text[at + next] == b'"' {
            return at + next;
        }
        at = (at + next + 2).min(text.len());
    }
    text.len()
}

/// Whether no quote in it ends a string.
fn is_one_string(text: &[u8]) -> bool {
    memchr::memchr(b'"', text).is_none() || string_len(text) == text.len()
}
