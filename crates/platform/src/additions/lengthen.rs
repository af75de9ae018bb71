//! An answer that the upstream cuts at its own limit is gone on with, up to the limit that the client gave.

use std::sync::Arc;

use quire_protocol::Usage;
use quire_translate::{Block, Delta, Event, Finish, Own, Part, Request, Role, Stop, Tally, Turn};

/// How often an answer is gone on with at most.
const MOST: u32 = 64;

/// An answer of several pieces, told as one.
pub(crate) struct Lengthened {
    /// What the upstream was asked. Its limit is the client's.
    request: Arc<Request>,
    /// The words of the text block that was cut, and of what it goes on with.
    text: String,
    open: Place,
    begun: bool,
    tally: Tally,
    pieces: u32,
    /// Whether the next piece goes on in the block that is open for the client.
    joins: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Between,
    Text,
    Other,
}

/// What follows a piece.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Next {
    /// More of this piece.
    More,
    /// Another piece: ask with this.
    Ask(Box<Request>),
    /// The answer is over.
    Over,
}

/// An answer to a request, to be gone on with.
pub(crate) fn lengthened(request: Arc<Request>) -> Lengthened {
    Lengthened {
        request,
        text: String::new(),
        open: Place::Between,
        begun: false,
        tally: Tally::default(),
        pieces: 0,
        joins: false,
    }
}

impl Lengthened {
    /// Takes an event of the piece at hand, gives the client's, and says what follows.
    pub(crate) fn take(&mut self, event: Event, out: &mut dyn FnMut(Event)) -> Next {
        match event {
            Event::Begin(begin) => {
                if !std::mem::replace(&mut self.begun, true) {
                    out(Event::Begin(begin));
                }
            }
            Event::Open(Block::Text(own)) => {
                self.open = Place::Text;
                if !std::mem::replace(&mut self.joins, false) {
                    self.text.clear();
                    out(Event::Open(Block::Text(own)));
                }
            }
            Event::Open(block) => {
                self.end_joined(out);
                self.open = Place::Other;
                out(Event::Open(block));
            }
            Event::Grow(Delta::Text(text)) if self.open == Place::Text => {
                self.text.push_str(&text);
                out(Event::Grow(Delta::Text(text)));
            }
            // Whether the text is over shows in how the piece ends.
            Event::Close(_) if self.open == Place::Text => {
                self.open = Place::Between;
                self.joins = true;
            }
            Event::Close(own) => {
                self.open = Place::Between;
                self.text.clear();
                out(Event::Close(own));
            }
            Event::Finish(finish) => return self.finish(finish, out),
            Event::Failed(refusal) => {
                out(Event::Failed(refusal));
                return Next::Over;
            }
            other @ (Event::Grow(_) | Event::Ping) => out(other),
        }
        Next::More
    }

    /// Closes a text for the client that turned out to be over.
    fn end_joined(&mut self, out: &mut dyn FnMut(Event)) {
        if std::mem::replace(&mut self.joins, false) {
            out(Event::Close(Own::new()));
        }
    }

    fn finish(&mut self, mut finish: Finish, out: &mut dyn FnMut(Event)) -> Next {
        self.pieces += 1;
        let produced = finish.tally.usage.output > 0 || !self.text.is_empty();
        self.add(&finish.tally);
        let left = self
            .request
            .max_output
            .map(|limit| limit.saturating_sub(self.tally.usage.output));
        let cut = finish.stop == Stop::MaxTokens && self.joins && !self.text.is_empty();
        if cut && produced && self.pieces < MOST && left != Some(0) {
            return Next::Ask(Box::new(self.next(left)));
        }
        self.end_joined(out);
        finish.tally = self.tally.clone();
        // They were charged one by one; for the client it is one answer.
        finish.tally.passes.clear();
        out(Event::Finish(finish));
        Next::Over
    }

    fn add(&mut self, piece: &Tally) {
        let passes = if piece.passes.is_empty() {
            vec![piece.usage]
        } else {
            piece.passes.clone()
        };
        let counted = piece.counted && (self.pieces == 1 || self.tally.counted);
        let before = std::mem::take(&mut self.tally);
        self.tally = piece.clone();
        self.tally.counted = counted;
        self.tally.passes = before.passes.into_iter().chain(passes).collect();
        self.tally.usage = self
            .tally
            .passes
            .iter()
            .copied()
            .fold(Usage::default(), |sum, pass| sum + pass);
    }

    fn next(&self, left: Option<u64>) -> Request {
        let mut next = Request::clone(&self.request);
        next.max_output = left;
        let say = |role, text: &str| Turn {
            role,
            parts: vec![Part::Text {
                text: text.to_owned(),
                own: Own::new(),
            }],
            own: Own::new(),
        };
        next.turns.push(say(Role::Assistant, &self.text));
        next.turns.push(say(
            Role::User,
            "Your answer was cut off at a limit. Go on exactly where it stops, in the middle of the word if need be. \
             Repeat nothing and explain nothing.",
        ));
        next
    }
}

#[cfg(test)]
mod tests {
    use quire_dialect::Dialect;
    use quire_translate::{Begin, decode_request};

    use super::*;

    fn request(limit: u64) -> Request {
        let body = format!(
            r#"{{"model":"m","max_tokens":{limit},"messages":[{{"role":"user","content":"write"}}]}}"#
        );
        decode_request(Dialect::Messages, body.as_bytes()).unwrap()
    }

    fn piece(text: &str, stop: Stop, output: u64) -> Vec<Event> {
        vec![
            Event::Begin(Begin::default()),
            Event::Open(Block::Text(Own::new())),
            Event::Grow(Delta::Text(text.to_owned())),
            Event::Close(Own::new()),
            Event::Finish(Finish {
                stop,
                tally: Tally {
                    usage: Usage {
                        input: 10,
                        output,
                        ..Usage::default()
                    },
                    counted: true,
                    ..Tally::default()
                },
                own: Own::new(),
            }),
        ]
    }

    fn run(limit: u64, pieces: Vec<Vec<Event>>) -> (Vec<Event>, Vec<Request>) {
        let mut lengthened = lengthened(Arc::new(request(limit)));
        let (mut told, mut asked) = (Vec::new(), Vec::new());
        for piece in pieces {
            for event in piece {
                match lengthened.take(event, &mut |event| told.push(event)) {
                    Next::More => {}
                    Next::Ask(next) => asked.push(*next),
                    Next::Over => return (told, asked),
                }
            }
        }
        (told, asked)
    }

    #[test]
    fn pieces_are_told_as_one_answer() {
        let (told, asked) = run(
            1_000,
            vec![
                piece("Once up", Stop::MaxTokens, 300),
                piece("on a time", Stop::End, 100),
            ],
        );
        let text: String = told
            .iter()
            .filter_map(|event| match event {
                Event::Grow(Delta::Text(text)) => Some(text.as_str()),
                _ => None,
            })
            .collect();
        assert_eq!(text, "Once upon a time");
        let count = |is: fn(&Event) -> bool| told.iter().filter(|event| is(event)).count();
        assert_eq!(count(|event| matches!(event, Event::Begin(_))), 1);
        assert_eq!(count(|event| matches!(event, Event::Open(_))), 1);
        assert_eq!(count(|event| matches!(event, Event::Close(_))), 1);
        let Some(Event::Finish(finish)) = told.last() else {
            panic!("{told:?}");
        };
        assert_eq!(finish.stop, Stop::End);
        assert_eq!(
            (finish.tally.usage.input, finish.tally.usage.output),
            (20, 400)
        );
        assert!(finish.tally.passes.is_empty());
        assert_eq!(asked.len(), 1);
        assert_eq!(asked[0].max_output, Some(700));
        assert_eq!(asked[0].turns.len(), 3);
    }

    #[test]
    fn the_clients_own_limit_ends_it() {
        let (told, asked) = run(300, vec![piece("Once up", Stop::MaxTokens, 300)]);
        assert!(asked.is_empty());
        assert!(
            matches!(told.last(), Some(Event::Finish(finish)) if finish.stop == Stop::MaxTokens)
        );
    }

    #[test]
    fn what_produces_nothing_more_ends() {
        let (told, asked) = run(1_000, vec![piece("", Stop::MaxTokens, 0)]);
        assert!(asked.is_empty());
        assert!(matches!(told.last(), Some(Event::Finish(_))));
    }
}
