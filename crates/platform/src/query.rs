//! The query of a path, as lists of both vendors read it.

use axum::extract::Query as Pairs;
use axum::http::Uri;
use quire_translate::{Reason, Refusal};

use crate::time;

/// The pairs of a query, in their order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    /// Reads what stands behind `?`. `include[]=x`, `include[0]=x` and `include=x` are the same list.
    pub(crate) fn read(uri: &Uri) -> Result<Self, Refusal> {
        let pairs = Pairs::<Vec<(String, String)>>::try_from_uri(uri);
        let Pairs(mut pairs) = pairs.map_err(|error| {
            Refusal::new(
                Reason::Invalid,
                format!("The query cannot be read: {error}"),
            )
        })?;
        for (name, _) in &mut pairs {
            if let Some(end) = name.find('[') {
                name.truncate(end);
            }
        }
        Ok(Self(pairs))
    }

    /// Refuses parameters that mean nothing here, where one that is passed over would change what is asked.
    pub(crate) fn only(&self, known: &[&str]) -> Result<(), Refusal> {
        let names = self.0.iter().map(|(name, _)| name.as_str());
        // Older SDKs send `beta` with everything.
        let mut strange = names.filter(|name| *name != "beta" && !known.contains(name));
        let Some(name) = strange.next() else {
            return Ok(());
        };
        let message = format!(
            "{name}: this server does not know this parameter here; it knows {}",
            known.join(", ")
        );
        Err(Refusal::new(Reason::Invalid, message).about(name))
    }

    /// All values of a name: `name=a&name=b`, `name[]=a&name[]=b`, `name=a,b`.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        let fits = |pair: &&(String, String)| pair.0 == name;
        let values = self
            .0
            .iter()
            .filter(fits)
            .flat_map(|pair| pair.1.split(','));
        values.filter(|value| !value.is_empty()).collect()
    }

    /// All values of a name, as owned texts.
    pub(crate) fn texts(&self, name: &str) -> Vec<String> {
        self.all(name).into_iter().map(str::to_owned).collect()
    }

    /// The value of a name; the last one where there are several.
    pub(crate) fn one(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().rev().find(|pair| pair.0 == name);
        found
            .map(|pair| pair.1.as_str())
            .filter(|value| !value.is_empty())
    }

    /// Whether something is so; not so when absent.
    pub(crate) fn flag(&self, name: &str) -> Result<bool, Refusal> {
        match self.one(name) {
            None | Some("false" | "0" | "False") => Ok(false),
            Some("true" | "1" | "True") => Ok(true),
            Some(_) => Err(wrong(name, "true or false")),
        }
    }

    /// A whole number.
    pub(crate) fn number(&self, name: &str) -> Result<Option<u64>, Refusal> {
        let read = |text: &str| text.parse().map_err(|_| wrong(name, "a whole number"));
        self.one(name).map(read).transpose()
    }

    /// A time in milliseconds since the Unix epoch.
    pub(crate) fn time(&self, name: &str) -> Result<Option<i64>, Refusal> {
        let read = |text: &str| {
            let what = "a time like 2026-11-25T00:00:00Z";
            time::read(text).ok_or_else(|| wrong(name, what))
        };
        self.one(name).map(read).transpose()
    }

    /// How many things are wanted at most.
    pub(crate) fn limit(&self, usual: u32, most: u32) -> Result<u32, Refusal> {
        match self.number("limit")? {
            None => Ok(usual),
            Some(limit) => u32::try_from(limit)
                .ok()
                .filter(|limit| (1..=most).contains(limit))
                .ok_or_else(|| wrong("limit", &format!("between 1 and {most}"))),
        }
    }

    /// Whether the newest come first (`order=desc`), as they do unless somebody says otherwise.
    pub(crate) fn newest_first(&self) -> Result<bool, Refusal> {
        match self.one("order") {
            Some("asc") => Ok(false),
            None | Some("desc") => Ok(true),
            Some(_) => Err(wrong("order", "asc or desc")),
        }
    }
}

fn wrong(name: &str, what: &str) -> Refusal {
    Refusal::new(Reason::Invalid, format!("{name}: it must be {what}")).about(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_of_all_clients_are_read() {
        let query = |text: &str| Query::read(&format!("/?{text}").parse().unwrap()).unwrap();
        let some =
            query("include[]=a.b&include%5B%5D=c&limit=7&order=asc&after=x%20y+z&stream=true");
        assert_eq!(some.all("include"), ["a.b", "c"]);
        assert_eq!(some.limit(20, 100), Ok(7));
        assert_eq!(some.newest_first(), Ok(false));
        assert_eq!(some.one("after"), Some("x y z"));
        assert_eq!(some.flag("stream"), Ok(true));
        assert_eq!(some.flag("other"), Ok(false));
        assert_eq!(query("").limit(20, 100), Ok(20));
        assert!(query("limit=0").limit(20, 100).is_err());
        assert!(query("limit=x").limit(20, 100).is_err());
    }

    #[test]
    fn lists_in_every_spelling() {
        let uri = "/?a[]=1&a[]=2&b=3,4&c=x&a=5&d[0]=6&beta=true&e=%2B%20&f=";
        let query = Query::read(&uri.parse().unwrap()).unwrap();
        assert_eq!(query.all("a"), ["1", "2", "5"]);
        assert_eq!(query.all("b"), ["3", "4"]);
        assert_eq!(query.all("d"), ["6"]);
        assert_eq!(query.one("a"), Some("5"));
        assert_eq!(query.one("e"), Some("+ "));
        assert!(query.all("f").is_empty() && query.all("g").is_empty());
        assert!(query.only(&["a", "b", "c", "d", "e", "f"]).is_ok());
        let refusal = query.only(&["a", "b"]).unwrap_err();
        assert_eq!(refusal.field.as_deref(), Some("c"));
    }

    #[test]
    fn bounds_are_told() {
        let query = |text: &str| Query::read(&format!("/?{text}").parse().unwrap()).unwrap();
        assert_eq!(query("limit=7").limit(20, 1_000).unwrap(), 7);
        for text in ["limit=0", "limit=1001", "limit=-1", "limit=x"] {
            assert!(query(text).limit(20, 1_000).is_err(), "{text}");
        }
        assert!(query("t=yesterday").time("t").is_err());
        assert!(query("t=maybe").flag("t").is_err());
    }
}
