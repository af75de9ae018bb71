//! Settings files: any bytes, and what is set in a good file can be read back.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use quire_config::{Layer, Layers, parse, set};

fuzz_target!(|bytes: &[u8]| {
    let path = Path::new("config.toml");
    let _ = parse(Layer::Project, path, bytes);
    if parse(Layer::User, path, bytes).is_err() {
        return;
    }
    let text = std::str::from_utf8(bytes).expect("a good file is UTF-8");
    let edited = set(path, text, "max_turns", "7").expect("a good file can be changed");
    let resolved = Layers::new("/w").user(path, edited.into_bytes()).resolve();
    let limits = resolved.expect("a changed file is good").limits();
    assert_eq!(limits.requests_per_turn, 7);
});
