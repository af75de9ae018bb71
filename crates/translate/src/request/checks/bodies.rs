//! Generated bodies of each API: what it has words for, with fields, blocks and tools that nobody knows.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use quire_dialect::Dialect;
use serde_json::{Map, Value, json};

mod chat;
mod messages;
mod responses;

type Field = (&'static str, BoxedStrategy<Option<Value>>);

/// A body of an API.
pub(super) fn body(dialect: Dialect) -> BoxedStrategy<Value> {
    match dialect {
        Dialect::Messages => messages::messages(),
        Dialect::Responses => responses::responses(),
        Dialect::Chat => chat::chat(),
    }
}

/// A field that is there.
fn must(of: impl Strategy<Value = Value> + 'static) -> BoxedStrategy<Option<Value>> {
    of.prop_map(Some).boxed()
}

/// A field that may be absent or null.
fn may(of: impl Strategy<Value = Value> + 'static) -> BoxedStrategy<Option<Value>> {
    prop_oneof![3 => Just(None), 1 => Just(Some(Value::Null)), 4 => of.prop_map(Some)].boxed()
}

fn is(value: impl Into<Value>) -> BoxedStrategy<Option<Value>> {
    let value = value.into();
    Just(Some(value)).boxed()
}

/// An object of fields, with some that no API has.
fn object(fields: Vec<Field>) -> BoxedStrategy<Value> {
    let (keys, values): (Vec<_>, Vec<_>) = fields.into_iter().unzip();
    (values, option::weighted(0.2, (unknown_key(), any_json())))
        .prop_map(move |(values, more)| {
            let known = keys.iter().map(|key| (*key).to_owned()).zip(values);
            let known = known.filter_map(|(key, value)| Some((key, value?)));
            let mut map: Map<String, Value> = known.collect();
            if let Some((key, value)) = more {
                map.entry(key).or_insert(value);
            }
            Value::Object(map)
        })
        .boxed()
}

fn unknown_key() -> BoxedStrategy<String> {
    prop_oneof![
        "x_[a-z]{1,6}",
        Just("$text".to_owned()),
        Just("$at".to_owned()),
        Just("$$item".to_owned()),
        Just("cache_control".to_owned()),
    ]
    .boxed()
}

fn any_json() -> BoxedStrategy<Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1e6..1e6).prop_map(Value::from),
        text(),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(Value::from),
            vec(("[a-z$]{1,4}", inner), 0..3)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
    .boxed()
}

fn text() -> BoxedStrategy<Value> {
    "[a-zA-Zäß \n\"\\\\{}]{0,12}".prop_map(Value::from).boxed()
}

fn one_of(names: &'static [&'static str]) -> BoxedStrategy<Value> {
    prop::sample::select(names).prop_map(Value::from).boxed()
}

fn flag() -> BoxedStrategy<Value> {
    any::<bool>().prop_map(Value::from).boxed()
}

fn count() -> BoxedStrategy<Value> {
    (0_u64..200_000).prop_map(Value::from).boxed()
}

fn number() -> BoxedStrategy<Value> {
    (0.0..1.0).prop_map(Value::from).boxed()
}

fn id() -> BoxedStrategy<Value> {
    prop_oneof![
        "[a-zA-Z0-9_-]{1,20}",
        "[a-z:.ü]{1,12}",
        "qid_[a-zA-Z0-9]{2,6}"
    ]
    .prop_map(Value::from)
    .boxed()
}

fn name() -> BoxedStrategy<Value> {
    "[a-z][a-z_]{0,10}".prop_map(Value::from).boxed()
}

fn list(of: BoxedStrategy<Value>, most: usize) -> BoxedStrategy<Value> {
    vec(of, 0..=most).prop_map(Value::from).boxed()
}

fn text_or(of: BoxedStrategy<Value>) -> BoxedStrategy<Value> {
    prop_oneof![text(), list(of, 3)].boxed()
}

fn schema() -> BoxedStrategy<Value> {
    prop_oneof![
        Just(json!({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": false})),
        Just(json!({"type": "object", "properties": {"b": {"type": "integer"}}})),
        Just(json!({"type": "object", "properties": {}})),
    ]
    .boxed()
}

/// The text of an input, right or broken.
fn arguments() -> BoxedStrategy<Value> {
    prop_oneof![
        Just(Value::from("{}")),
        Just(Value::from("{\"a\":1}")),
        Just(Value::from("{\"invalid_json\":\"{\"}")),
        Just(Value::from("{\"a\": ")),
        Just(Value::from("[1]")),
        Just(Value::from("")),
    ]
    .boxed()
}

fn data_url() -> BoxedStrategy<Value> {
    one_of(&[
        "https://example.com/a.png",
        "data:image/png;base64,iVBORw0KGgo=",
        "data:image/png,raw",
        "data:;base64,AAAA",
    ])
}

fn cache() -> BoxedStrategy<Option<Value>> {
    may(Just(json!({"type": "ephemeral", "ttl": "1h"})))
}
