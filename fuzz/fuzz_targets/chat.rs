//! Answers in the OpenAI Chat Completions dialect: any bytes, and the same answer however they are cut.
#![no_main]

use libfuzzer_sys::fuzz_target;
use quire_dialect::Dialect;

mod decoding;

fuzz_target!(|bytes: &[u8]| decoding::check(Dialect::Chat, bytes));
