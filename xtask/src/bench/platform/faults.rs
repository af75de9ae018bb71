//! What an upstream can do wrong. Which of it an answer is to suffer stands in the path, before the answer's manner.

use std::io;

use super::answers::{Answers, Streamed};
use super::http::{Framing, Wire, find};

/// A way to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// No byte of an answer ever comes.
    Hangs,
    /// Half an answer comes, and nothing more.
    HangsWithin,
    /// Half an answer comes, and the connection is closed.
    Drops,
    /// An answer ends in order, before all of it has come.
    CutShort,
    /// What comes cannot be read.
    Malformed,
    /// 429, without a word on when to come again.
    Limited,
    /// 429, for a second.
    LimitedFor,
    /// 529.
    Overloaded,
    /// 500.
    Broken,
    /// A web page that says that all is well.
    Page,
}

impl Fault {
    pub(super) const ALL: [Self; 10] = [
        Self::Hangs,
        Self::HangsWithin,
        Self::Drops,
        Self::CutShort,
        Self::Malformed,
        Self::Limited,
        Self::LimitedFor,
        Self::Overloaded,
        Self::Broken,
        Self::Page,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Hangs => "hangs",
            Self::HangsWithin => "hangs-within",
            Self::Drops => "drops",
            Self::CutShort => "cut-short",
            Self::Malformed => "malformed",
            Self::Limited => "limited",
            Self::LimitedFor => "limited-for",
            Self::Overloaded => "overloaded",
            Self::Broken => "broken",
            Self::Page => "page",
        }
    }

    /// The start of a path that asks for this.
    pub(super) fn path(self) -> String {
        format!("/wrong/{}", self.name())
    }

    /// What a path asks for, and the rest of it.
    pub(super) fn split(path: &str) -> (Option<Self>, &str) {
        let found = path.strip_prefix("/wrong/").and_then(|rest| {
            let (name, _) = rest.split_once('/')?;
            let fault = Self::ALL.into_iter().find(|fault| fault.name() == name)?;
            Some((Some(fault), &rest[name.len()..]))
        });
        found.unwrap_or((None, path))
    }

    /// Answers so. An error ends the connection.
    pub(super) async fn commit(
        self,
        wire: &mut Wire,
        answers: &Answers,
        streamed: Streamed,
        number: u64,
    ) -> io::Result<()> {
        let whole = answers.at_once(streamed, number);
        match self {
            Self::Hangs => silence(wire).await,
            Self::HangsWithin => {
                wire.send(&whole[..whole.len() / 2]).await?;
                silence(wire).await
            }
            Self::Drops => {
                wire.send(&whole[..whole.len() / 2]).await?;
                Err(io::ErrorKind::ConnectionAborted.into())
            }
            Self::CutShort => wire.send(&cut_short(&whole, streamed)).await,
            Self::Malformed => wire.send(&malformed(&whole, streamed)).await,
            Self::Limited => {
                wire.send(&error("429 Too Many Requests", "rate_limit_error", ""))
                    .await
            }
            Self::LimitedFor => {
                let again = "retry-after: 1\r\n";
                wire.send(&error("429 Too Many Requests", "rate_limit_error", again))
                    .await
            }
            Self::Overloaded => {
                wire.send(&error("529 Overloaded", "overloaded_error", ""))
                    .await
            }
            Self::Broken => wire.send(&error("500 Oh", "api_error", "")).await,
            Self::Page => wire.send(&json_or("text/html", "200 OK", "", PAGE)).await,
        }
    }
}

const PAGE: &str = "<html><head><title>Welcome</title></head><body>This is a page.</body></html>";

/// Says nothing until the other side has enough of it.
async fn silence(wire: &mut Wire) -> io::Result<()> {
    wire.head(Framing::Length(0)).await?;
    Err(io::ErrorKind::ConnectionAborted.into())
}

/// An answer whose framing is right, and which is not all there.
fn cut_short(whole: &[u8], streamed: Streamed) -> Vec<u8> {
    match streamed {
        Streamed::Yes => [first_chunk(whole), b"0\r\n\r\n"].concat(),
        Streamed::No => {
            let body = body(whole);
            let half = String::from_utf8_lossy(&body[..body.len() / 2]);
            json_or("application/json", "200 OK", "", &half)
        }
    }
}

/// An answer with things in it that mean nothing.
fn malformed(whole: &[u8], streamed: Streamed) -> Vec<u8> {
    const NOISE: &str =
        "data: {\"oops\": \n\ndata\n\nevent: nothing\n: \n\ndata: [[[\n\n\u{0}\u{1}\n\n";
    match streamed {
        Streamed::Yes => {
            let first = first_chunk(whole);
            let noise = format!("{:x}\r\n{NOISE}\r\n", NOISE.len());
            [first, noise.as_bytes(), &whole[first.len()..]].concat()
        }
        Streamed::No => json_or(
            "application/json",
            "200 OK",
            "",
            "{\"id\": \"x\", \"content\": [,",
        ),
    }
}

fn error(status: &str, kind: &str, more: &str) -> Vec<u8> {
    let said = format!(
        "{{\"type\":\"error\",\"error\":{{\"type\":\"{kind}\",\"message\":\"not now\",\"code\":null,\"param\":null}}}}"
    );
    json_or("application/json", status, more, &said)
}

fn json_or(kind: &str, status: &str, more: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\n{more}content-length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

fn body(whole: &[u8]) -> &[u8] {
    let at = find(whole, b"\r\n\r\n").map_or(whole.len(), |at| at + 4);
    &whole[at..]
}

/// The head and the first chunk, which lacks the end of the stream.
fn first_chunk(whole: &[u8]) -> &[u8] {
    let body = body(whole);
    let line = find(body, b"\r\n").unwrap_or(0);
    let size = std::str::from_utf8(&body[..line]).unwrap_or_default();
    let size = usize::from_str_radix(size, 16).unwrap_or(0);
    let end = whole.len() - body.len() + line + 2 + size + 2;
    &whole[..end.min(whole.len())]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::platform::answers::{Manner, check};
    use crate::bench::wire::Dialect;

    fn answers() -> Answers {
        let manner = Manner {
            model: "m".to_owned(),
            pieces: 3,
            pause_ms: 0,
        };
        Answers::of(&(manner.path() + "/v1/messages")).unwrap()
    }

    #[test]
    fn a_path_says_what_goes_wrong() {
        for fault in Fault::ALL {
            let path = fault.path() + "/as/m/3/0/v1/messages";
            assert_eq!(Fault::split(&path), (Some(fault), "/as/m/3/0/v1/messages"));
        }
        for path in ["/as/m/3/0/v1/messages", "/wrong/nothing/as", "/wrong/"] {
            assert_eq!(Fault::split(path), (None, path));
        }
    }

    #[test]
    fn what_is_cut_short_has_the_right_frame_and_no_end() {
        let whole = answers().at_once(Streamed::Yes, 7);
        check(Dialect::Messages, Streamed::Yes, &whole).unwrap();
        let cut = cut_short(&whole, Streamed::Yes);
        assert!(cut.ends_with(b"\r\n0\r\n\r\n") && cut.len() < whole.len());
        check(Dialect::Messages, Streamed::Yes, &cut).unwrap_err();
        let odd = malformed(&whole, Streamed::Yes);
        assert!(odd.len() > whole.len());
        check(Dialect::Messages, Streamed::Yes, &odd).unwrap();
        let whole = answers().at_once(Streamed::No, 7);
        assert!(cut_short(&whole, Streamed::No).len() < whole.len());
    }
}
