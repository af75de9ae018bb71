//! Whatever comes in, nothing panics. These are the entry points that fuzzing uses too.

use proptest::collection::vec;
use proptest::prelude::*;
use quire_dialect::{Decoder, Dialect, decode_error, decode_whole, sse};

use crate::fixtures::{all, prefix};

fn run(dialect: Dialect, bytes: &[u8], size: usize) {
    let prefix = prefix();
    let mut decoder = Decoder::new(dialect, &prefix);
    let mut deltas = Vec::new();
    for chunk in bytes.chunks(size) {
        // On purpose not stopped by an error: the decoder must stand that too.
        let _ = decoder.push(chunk, &mut deltas);
    }
    let _ = decoder.usage().prompt();
    let _ = decoder.finish();
    let _ = decode_whole(dialect, &prefix, bytes);
    let _ = decode_error(dialect, 500, None, bytes);
}

fn parse(bytes: &[u8]) {
    let mut parser = sse::Parser::new();
    let mut each = |_: sse::Frame<'_>| -> Result<(), sse::TooLarge> { Ok(()) };
    assert_eq!(parser.push(bytes, &mut each), Ok(()));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(500) })]

    #[test]
    fn any_bytes(bytes in vec(any::<u8>(), 0..300), size in 1..40_usize) {
        parse(&bytes);
        for dialect in Dialect::ALL {
            run(dialect, &bytes, size);
        }
    }

    #[test]
    fn any_text_as_data(lines in vec("[\\[\\]{}\",:a-z0-9 ]{0,40}", 0..6)) {
        let stream = format!("data: {}\n\n", lines.join("\n\ndata: "));
        for dialect in Dialect::ALL {
            run(dialect, stream.as_bytes(), 1000);
        }
    }

    #[test]
    fn damaged_recordings(
        pick in any::<prop::sample::Index>(),
        damage in vec((any::<prop::sample::Index>(), any::<u8>(), 0..4_u8), 1..6),
        size in 1..400_usize,
    ) {
        let fixtures = all();
        let mut bytes = pick.get(&fixtures).bytes.clone();
        for (at, byte, kind) in damage {
            if bytes.is_empty() {
                break;
            }
            let at = at.index(bytes.len());
            match kind {
                0 => bytes[at] = byte,
                1 => bytes.truncate(at),
                2 => bytes.insert(at, byte),
                _ => {
                    bytes.remove(at);
                }
            }
        }
        for dialect in Dialect::ALL {
            run(dialect, &bytes, size);
        }
    }
}
