//! Requests of clients: any bytes. What is read is written again as it came, and what goes to another API can be read
//! there.
#![no_main]

use libfuzzer_sys::fuzz_target;
use quire_dialect::Dialect;
use quire_translate::{Target, decode_request, encode_request};
use serde_json::Value;

fuzz_target!(|bytes: &[u8]| {
    for from in Dialect::ALL {
        let Ok(request) = decode_request(from, bytes) else {
            continue;
        };
        let same = encode_request(&request, &Target::new(from, &request.model));
        let same = same.expect("what came can be said");
        // A seal of this server's that does not open is left out, and said to be.
        if same.dropped.is_empty() {
            assert_eq!(json(&same.body), json(bytes));
        }
        for to in Dialect::ALL {
            if let Ok(encoded) = encode_request(&request, &Target::new(to, "m")) {
                decode_request(to, &encoded.body).expect("what is written can be read");
            }
        }
    }
});

fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).expect("it is JSON")
}
