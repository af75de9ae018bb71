//! Server-sent events: any bytes, and the same frames however they are cut.
#![no_main]

use libfuzzer_sys::fuzz_target;
use quire_dialect::sse::{Parser, TooLarge};

/// The last byte says into pieces of how many bytes the rest is cut.
fn frames(bytes: &[u8], size: usize) -> Result<Vec<(Vec<u8>, Vec<u8>)>, TooLarge> {
    let mut parser = Parser::new();
    let mut frames = Vec::new();
    for piece in bytes.chunks(size) {
        parser.push(piece, &mut |frame| {
            frames.push((frame.event.to_vec(), frame.data.to_vec()));
            Ok::<(), TooLarge>(())
        })?;
    }
    Ok(frames)
}

fuzz_target!(|bytes: &[u8]| {
    if let Some((size, rest)) = bytes.split_last() {
        let cut = frames(rest, usize::from(*size).max(1));
        assert_eq!(cut, frames(rest, rest.len().max(1)));
    }
});
