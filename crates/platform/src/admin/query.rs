//! What stands behind the `?`: single values, and lists in any of the spellings that clients use.

use axum::extract::Query as Pairs;
use axum::http::Uri;

use super::{time, wire};
use crate::reply::Denial;

/// The parameters of a request.
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    pub(super) fn of(uri: &Uri) -> Result<Self, Denial> {
        let pairs: Pairs<Vec<(String, String)>> = Pairs::try_from_uri(uri)
            .map_err(|error| wire::invalid(format!("The query cannot be read: {error}")))?;
        Ok(Self(pairs.0))
    }

    /// Refuses parameters that mean nothing here: one that is passed over would change what is asked.
    pub(super) fn only(&self, known: &[&str]) -> Result<(), Denial> {
        let strange = self
            .0
            .iter()
            .map(|(name, _)| plain(name))
            // Older SDKs send it with everything.
            .find(|name| *name != "beta" && !known.contains(name));
        let Some(name) = strange else {
            return Ok(());
        };
        let message = format!(
            "this server does not know this parameter here; it knows {}",
            known.join(", ")
        );
        Err(wire::wrong(name, message))
    }

    /// A value, the last one where there are several.
    pub(super) fn one(&self, name: &str) -> Option<&str> {
        let mut found = self.0.iter().rev().filter(|(key, _)| plain(key) == name);
        found.next().map(|(_, value)| value.as_str())
    }

    /// A list: `name=a&name=b`, `name[]=a&name[]=b`, `name=a,b`.
    pub(super) fn all(&self, name: &str) -> Vec<&str> {
        self.0
            .iter()
            .filter(|(key, _)| plain(key) == name)
            .flat_map(|(_, value)| value.split(','))
            .filter(|value| !value.is_empty())
            .collect()
    }

    /// A list as owned texts.
    pub(super) fn texts(&self, name: &str) -> Vec<String> {
        self.all(name).into_iter().map(str::to_owned).collect()
    }

    /// How many are wanted, between 1 and `most`.
    pub(super) fn limit(&self, usual: u32, most: u32) -> Result<u32, Denial> {
        let Some(text) = self.one("limit") else {
            return Ok(usual);
        };
        let limit = text.parse().ok();
        limit
            .filter(|limit| (1..=most).contains(limit))
            .ok_or_else(|| wire::wrong("limit", format!("it must be between 1 and {most}")))
    }

    /// A time.
    pub(super) fn time(&self, name: &str) -> Result<Option<i64>, Denial> {
        let read = |text| {
            time::read(text).ok_or_else(|| {
                wire::wrong(
                    name,
                    format!("`{text}` is no time: write it like 2026-11-25T00:00:00Z"),
                )
            })
        };
        self.one(name).map(read).transpose()
    }

    /// A yes or no, where no is usual.
    pub(super) fn is(&self, name: &str) -> Result<bool, Denial> {
        match self.one(name) {
            None | Some("false" | "0" | "False") => Ok(false),
            Some("true" | "1" | "True") => Ok(true),
            Some(_) => Err(wire::wrong(name, "it must be true or false")),
        }
    }
}

/// A name without the brackets of a list.
fn plain(name: &str) -> &str {
    name.split('[').next().unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_in_every_spelling() {
        let uri = "/?a[]=1&a[]=2&b=3,4&c=x&a=5&d[0]=6&beta=true&e=%2B%20&f=";
        let query = Query::of(&uri.parse().unwrap()).unwrap();
        assert_eq!(query.all("a"), ["1", "2", "5"]);
        assert_eq!(query.all("b"), ["3", "4"]);
        assert_eq!(query.all("d"), ["6"]);
        assert_eq!(query.one("a"), Some("5"));
        assert_eq!(query.one("e"), Some("+ "));
        assert!(query.all("f").is_empty() && query.all("g").is_empty());
        assert!(query.only(&["a", "b", "c", "d", "e", "f"]).is_ok());
        let denial = query.only(&["a", "b"]).unwrap_err();
        assert_eq!(denial.refusal.field.as_deref(), Some("c"));
    }

    #[test]
    fn bounds_are_told() {
        let query = |text: &str| Query::of(&format!("/?{text}").parse().unwrap()).unwrap();
        assert_eq!(query("").limit(20, 1_000).unwrap(), 20);
        assert_eq!(query("limit=7").limit(20, 1_000).unwrap(), 7);
        for text in ["limit=0", "limit=1001", "limit=-1", "limit=x"] {
            assert!(query(text).limit(20, 1_000).is_err(), "{text}");
        }
        assert!(query("t=yesterday").time("t").is_err());
        assert!(query("t=maybe").is("t").is_err());
    }
}
