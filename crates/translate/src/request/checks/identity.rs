//! Within an API, what is read is written again as it came.

use proptest::prelude::*;
use quire_dialect::Dialect;
use serde_json::Value;

use super::bodies::body;
use crate::request::{Target, decode_request, encode_request};

/// What a body becomes in the API it came in.
fn again(dialect: Dialect, body: &Value) -> Value {
    let request = decode_request(dialect, body.to_string().as_bytes());
    let request = request.unwrap_or_else(|refusal| panic!("{refusal:?} {body:#}"));
    let model = request.model.clone();
    let encoded = encode_request(&request, &Target::new(dialect, &model)).unwrap();
    assert_eq!(encoded.dropped, [], "{body:#}");
    serde_json::from_slice(&encoded.body).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn messages_come_out_as_they_came(body in body(Dialect::Messages)) {
        prop_assert_eq!(again(Dialect::Messages, &body), body);
    }

    #[test]
    fn responses_come_out_as_they_came(body in body(Dialect::Responses)) {
        prop_assert_eq!(again(Dialect::Responses, &body), body);
    }

    #[test]
    fn chat_comes_out_as_it_came(body in body(Dialect::Chat)) {
        prop_assert_eq!(again(Dialect::Chat, &body), body);
    }
}
