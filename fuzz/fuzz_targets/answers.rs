//! Answers on their way through the platform: any bytes, in any API. However they are cut, they mean the same; the
//! order of what they mean holds; and a meter beside them agrees with itself.
#![no_main]

use libfuzzer_sys::fuzz_target;
use quire_dialect::Dialect;
use quire_translate::{Event, Frame, Meter, Reader, Sealer, Writer};

fuzz_target!(|bytes: &[u8]| {
    // The last byte says into pieces of how many bytes the rest is cut.
    let Some((size, rest)) = bytes.split_last() else {
        return;
    };
    for dialect in Dialect::ALL {
        let size = usize::from(*size).max(1);
        let whole = read(dialect, rest, rest.len().max(1));
        assert_eq!(read(dialect, rest, size), whole);
        assert_eq!(
            meter(dialect, rest, size),
            meter(dialect, rest, rest.len().max(1))
        );
        check(&whole);
        for client in Dialect::ALL {
            let mut writer = Writer::new(client, Frame::new(dialect, Sealer::new(b"fuzz")));
            let mut out = Vec::new();
            whole.iter().for_each(|event| writer.write(event, &mut out));
        }
        let _ = quire_translate::read_whole(dialect, rest);
        let _ = quire_translate::read_error(dialect, 500, None, rest);
        let _ = Meter::whole(dialect, rest);
    }
});

fn read(dialect: Dialect, bytes: &[u8], size: usize) -> Vec<Event> {
    let mut reader = Reader::new(dialect);
    let mut events = Vec::new();
    for piece in bytes.chunks(size) {
        reader.push(piece, &mut |event| events.push(event));
    }
    reader.finish(&mut |event| events.push(event));
    events
}

fn meter(dialect: Dialect, bytes: &[u8], size: usize) -> String {
    let mut meter = Meter::new(dialect);
    bytes.chunks(size).for_each(|piece| meter.push(piece));
    meter.finish();
    let (tally, stop, failure) = (meter.tally(), meter.stop(), meter.failure());
    let (estimate, next) = (meter.estimate(), meter.next_sequence());
    format!("{tally:?} {stop:?} {failure:?} {estimate} {next}")
}

/// What every sequence of events promises.
fn check(events: &[Event]) {
    let mut open = false;
    for (at, event) in events.iter().enumerate() {
        let is_last = at + 1 == events.len();
        match event {
            Event::Begin(_) => assert_eq!(at, 0),
            Event::Open(_) => assert!(!std::mem::replace(&mut open, true)),
            Event::Grow(_) => assert!(open),
            Event::Close(_) => assert!(std::mem::replace(&mut open, false)),
            Event::Finish(_) => assert!(is_last && !open),
            Event::Failed(_) => assert!(is_last),
            Event::Ping => {}
        }
    }
    assert!(matches!(
        events.last(),
        Some(Event::Finish(_) | Event::Failed(_))
    ));
}
