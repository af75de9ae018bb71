//! What holds for a decoder of any dialect.

use quire_dialect::{Decoder, Dialect};
use quire_protocol::Prefix;

/// The last byte says into pieces of how many bytes the rest is cut. The answer does not depend
/// on it, and asking a decoder for what it has so far is always allowed.
pub(crate) fn check(dialect: Dialect, bytes: &[u8]) {
    if let Some((size, rest)) = bytes.split_last() {
        let cut = decode(dialect, rest, usize::from(*size).max(1));
        assert_eq!(cut, decode(dialect, rest, rest.len().max(1)));
        let _ = quire_dialect::decode_whole(dialect, &Prefix::default(), rest);
    }
}

fn decode(dialect: Dialect, bytes: &[u8], size: usize) -> String {
    let mut decoder = Decoder::new(dialect, &Prefix::default());
    let mut deltas = Vec::new();
    for piece in bytes.chunks(size) {
        if let Err(error) = decoder.push(piece, &mut deltas) {
            return format!("{error:?} {:?}", decoder.usage());
        }
    }
    let _ = (decoder.is_complete(), decoder.is_whole());
    format!("{:?}", decoder.finish())
}
