//! Messages that reach the host: any bytes, and what is understood is understood the same when it is said
//! again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use quire_protocol::{Frame, Record};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

#[expect(
    dead_code,
    reason = "the words are the host's; here they are only read"
)]
#[path = "../../crates/server/src/wire.rs"]
mod wire;

fn again<T: Serialize + DeserializeOwned>(params: Option<&RawValue>) {
    let Ok(read) = wire::params::<T>(params) else {
        return;
    };
    let line = wire::request(1, "again", &read);
    let said: wire::Incoming<'_> = serde_json::from_slice(&line).expect("what is written is read");
    let second: T = wire::params(said.params).expect("what was understood is understood again");
    let value = |of: &T| serde_json::to_value(of).expect("these types are JSON");
    assert_eq!(value(&read), value(&second));
}

fuzz_target!(|bytes: &[u8]| {
    // Whatever is answered to it, something is.
    drop(wire::heard(bytes));
    let Ok(incoming) = serde_json::from_slice::<wire::Incoming<'_>>(bytes) else {
        return;
    };
    let params = incoming.params;
    again::<wire::Hello>(params);
    again::<wire::Start>(params);
    again::<wire::Named>(params);
    again::<wire::Fork>(params);
    again::<wire::Changes>(params);
    again::<wire::TakeBack>(params);
    again::<wire::Submit>(params);
    again::<wire::Watch>(params);
    again::<wire::Watched>(params);
    again::<wire::Search>(params);
    again::<wire::List>(params);
    again::<wire::Stop>(params);
    again::<wire::More>(params);
    again::<Record>(params);
    again::<Frame>(params);
    if let Some(id) = incoming.id {
        let failure = wire::Failure::new(wire::code::NO_METHOD, "no");
        let line = wire::answer(id, Err(failure));
        serde_json::from_slice::<wire::Incoming<'_>>(&line).expect("an answer is read");
    }
});
