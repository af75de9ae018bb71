//! JSON as an upstream gets it, written straight into its bytes: a body of 40 MB is not built twice.

use serde::Serialize;
use serde_json::Value;

use super::Own;
use super::read::mark;

/// An object that is being written.
pub(super) struct Object<'o> {
    bytes: &'o mut Vec<u8>,
    keys: Vec<&'static str>,
    empty: bool,
}

/// A list that is being written.
pub(super) struct List<'o> {
    bytes: &'o mut Vec<u8>,
    empty: bool,
}

fn json<T: Serialize + ?Sized>(bytes: &mut Vec<u8>, value: &T) {
    serde_json::to_writer(bytes, value).expect("JSON values are written to memory without failing");
}

/// The bytes of one object.
pub(super) fn object(bytes: &mut Vec<u8>, fill: impl FnOnce(&mut Object<'_>)) {
    bytes.push(b'{');
    fill(&mut Object {
        bytes,
        keys: Vec::new(),
        empty: true,
    });
    bytes.push(b'}');
}

fn list(bytes: &mut Vec<u8>, fill: impl FnOnce(&mut List<'_>)) {
    bytes.push(b'[');
    fill(&mut List { bytes, empty: true });
    bytes.push(b']');
}

impl Object<'_> {
    fn comma(&mut self) {
        if !std::mem::replace(&mut self.empty, false) {
            self.bytes.push(b',');
        }
    }

    fn key(&mut self, key: &'static str) {
        self.comma();
        self.keys.push(key);
        json(self.bytes, key);
        self.bytes.push(b':');
    }

    pub(super) fn put<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) {
        self.key(key);
        json(self.bytes, value);
    }

    pub(super) fn maybe<T: Serialize>(&mut self, key: &'static str, value: Option<T>) {
        if let Some(value) = value {
            self.put(key, &value);
        }
    }

    pub(super) fn object(&mut self, key: &'static str, fill: impl FnOnce(&mut Object<'_>)) {
        self.key(key);
        object(self.bytes, fill);
    }

    pub(super) fn list(&mut self, key: &'static str, fill: impl FnOnce(&mut List<'_>)) {
        self.key(key);
        list(self.bytes, fill);
    }

    /// The fields that only this API has, but for those that are written already and our marks.
    pub(super) fn own(&mut self, own: Option<&Own>) {
        for (key, value) in own.into_iter().flatten() {
            let name = match key.strip_prefix(mark::SIGN) {
                None => key.as_str(),
                Some(rest) if rest.starts_with(mark::SIGN) => rest,
                Some(_) => continue,
            };
            if self.keys.contains(&name) {
                continue;
            }
            self.comma();
            json(self.bytes, name);
            self.bytes.push(b':');
            json(self.bytes, value);
        }
    }

    /// The fields of an object as it came, but for those that are written already.
    pub(super) fn raw(&mut self, whole: Option<&Own>) {
        for (key, value) in whole.into_iter().flatten() {
            if !self.keys.contains(&key.as_str()) {
                self.comma();
                json(self.bytes, key);
                self.bytes.push(b':');
                json(self.bytes, value);
            }
        }
    }

    /// An object within the object: with what `fill` writes, where `wanted`, and with what is left of it in `own`.
    pub(super) fn nested(
        &mut self,
        key: &'static str,
        own: Option<&Own>,
        wanted: Wanted,
        fill: impl FnOnce(&mut Object<'_>),
    ) {
        let rest = own.and_then(|own| own.get(key)).and_then(Value::as_object);
        if wanted == Wanted::No && rest.is_none() {
            return;
        }
        self.object(key, |inner| {
            fill(inner);
            inner.own(rest);
        });
    }
}

/// Whether an object is written even where nothing is left of it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    Yes,
    No,
}

impl From<bool> for Wanted {
    fn from(yes: bool) -> Self {
        if yes { Self::Yes } else { Self::No }
    }
}

impl<'o> List<'o> {
    /// Writes one thing after another.
    pub(super) fn each<T>(
        &mut self,
        of: impl IntoIterator<Item = T>,
        mut write: impl FnMut(&mut List<'o>, T),
    ) {
        for one in of {
            write(self, one);
        }
    }

    fn comma(&mut self) {
        if !std::mem::replace(&mut self.empty, false) {
            self.bytes.push(b',');
        }
    }

    pub(super) fn push<T: Serialize + ?Sized>(&mut self, value: &T) {
        self.comma();
        json(self.bytes, value);
    }

    pub(super) fn object(&mut self, fill: impl FnOnce(&mut Object<'_>)) {
        self.comma();
        object(self.bytes, fill);
    }
}
