//! A body's fields, in their order, each value as the bytes that came: what is not touched goes on as it was.

use std::borrow::Cow;
use std::fmt;

use quire_translate::{Reason, Refusal};
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// The fields of a JSON object.
#[derive(Clone, Debug)]
pub(crate) struct Fields<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Fields<'a> {
    /// Reads a body.
    pub(crate) fn read(body: &'a [u8]) -> Result<Self, Refusal> {
        serde_json::from_slice(body).map_err(|error| {
            Refusal::new(
                Reason::Invalid,
                format!("The request's body is not as it should be: {error}"),
            )
        })
    }

    /// A field's JSON; none where it is null.
    pub(crate) fn raw(&self, name: &str) -> Option<&str> {
        let (_, raw) = self.0.iter().find(|(field, _)| field == name)?;
        Some(raw.as_ref()).filter(|raw| *raw != "null")
    }

    /// A field that is to be of a type.
    pub(crate) fn get<T: serde::de::DeserializeOwned>(
        &self,
        name: &str,
    ) -> Result<Option<T>, Refusal> {
        let read = |raw| {
            serde_json::from_str(raw).map_err(|error| {
                Refusal::new(Reason::Invalid, format!("{name}: {error}")).about(name)
            })
        };
        self.raw(name).map(read).transpose()
    }

    /// Sets a field, in its place if it is there.
    pub(crate) fn set(&mut self, name: &'static str, raw: String) {
        match self.0.iter_mut().find(|(field, _)| field == name) {
            Some((_, place)) => *place = raw.into(),
            None => self.0.push((name.into(), raw.into())),
        }
    }

    /// Takes fields out.
    pub(crate) fn remove(&mut self, names: &[&str]) {
        self.0.retain(|(field, _)| !names.contains(&field.as_ref()));
    }

    /// The object, as JSON.
    pub(crate) fn write(&self) -> String {
        let length: usize = self
            .0
            .iter()
            .map(|(name, raw)| name.len() + raw.len() + 4)
            .sum();
        let mut body = String::with_capacity(length + 2);
        body.push('{');
        for (index, (name, raw)) in self.0.iter().enumerate() {
            if index > 0 {
                body.push(',');
            }
            body.push_str(&quoted(name));
            body.push(':');
            body.push_str(raw);
        }
        body.push('}');
        body
    }
}

/// A text as JSON.
pub(crate) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Each;
        impl<'de> Visitor<'de> for Each {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::new();
                while let Some((name, raw)) = map.next_entry::<Name<'de>, &'de RawValue>()? {
                    fields.push((name.0, raw.get().into()));
                }
                Ok(Fields(fields))
            }
        }
        from.deserialize_map(Each)
    }
}

#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_touched_stays_as_it_was() {
        let body = br#"{ "a\u0062" : 1.50, "input": [ {"x" : 1e3} ] ,"store":true, "n":null}"#;
        let mut fields = Fields::read(body).unwrap();
        assert_eq!(fields.raw("n"), None);
        assert_eq!(fields.get::<bool>("store").unwrap(), Some(true));
        fields.set("store", "false".to_owned());
        fields.set("more", "[]".to_owned());
        fields.remove(&["n"]);
        assert_eq!(
            fields.write(),
            r#"{"ab":1.50,"input":[ {"x" : 1e3} ],"store":false,"more":[]}"#
        );
        assert!(Fields::read(b"[]").is_err());
    }
}
