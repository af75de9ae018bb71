//! Answers through readers and writers: generated ones and recorded ones.

mod generate;
mod order;
pub(crate) mod recorded;
mod round;

use quire_dialect::Dialect;

use super::*;
use crate::seal::Sealer;

/// A frame as a server would make it.
fn frame(from: Dialect) -> Frame {
    let mut frame = Frame::new(from, Sealer::new(b"secret"));
    frame.created = 1_790_000_000;
    frame.completed = Some(1_790_000_009);
    frame
}

/// A stream for a client of `to`.
fn stream(to: Dialect, frame: &Frame, answer: &Answer) -> Vec<u8> {
    let mut writer = Writer::new(to, frame.clone());
    let mut out = Vec::new();
    answer.tell(&mut |event| writer.write(&event, &mut out));
    out
}

/// What a stream means, in pieces of so many bytes.
fn events(dialect: Dialect, bytes: &[u8], size: usize) -> Vec<Event> {
    let mut reader = Reader::new(dialect);
    let mut events = Vec::new();
    for piece in bytes.chunks(size.max(1)) {
        reader.push(piece, &mut |event| events.push(event));
    }
    reader.finish(&mut |event| events.push(event));
    events
}

fn collect(dialect: Dialect, events: Vec<Event>) -> Result<Answer, crate::refusal::Refusal> {
    let mut collector = Collector::new(dialect);
    for event in events {
        collector.take(event);
    }
    collector.finish()
}

/// Checks what every sequence of events promises.
fn assert_order(events: &[Event]) {
    let mut open = false;
    for (at, event) in events.iter().enumerate() {
        let is_last = at + 1 == events.len();
        match event {
            Event::Begin(_) => assert_eq!(at, 0, "`Begin` comes first"),
            Event::Open(_) => assert!(!std::mem::replace(&mut open, true), "{at}: two are open"),
            Event::Grow(_) => assert!(open, "{at}: nothing is open"),
            Event::Close(_) => assert!(std::mem::replace(&mut open, false), "{at}: none is open"),
            Event::Finish(_) => assert!(is_last && !open, "{at}: `Finish` comes last"),
            Event::Failed(_) => assert!(is_last, "{at}: `Failed` comes last"),
            Event::Ping => {}
        }
    }
    assert!(
        matches!(events.last(), Some(Event::Finish(_) | Event::Failed(_))),
        "it has an end"
    );
}

/// Asks the validator.
fn validate(dialect: Dialect, bytes: &[u8]) -> Result<(), Fault> {
    let mut validator = Validator::new(dialect).expecting_usage();
    validator.push(bytes)?;
    validator.finish()
}
