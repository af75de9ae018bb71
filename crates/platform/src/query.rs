//! The query of a path, as lists of both vendors read it.

use axum::extract::Query as Pairs;
use axum::http::Uri;
use quire_translate::{Reason, Refusal};

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

    /// All values of a name.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let fits = move |pair: &&(String, String)| pair.0 == name;
        self.0.iter().filter(fits).map(|pair| pair.1.as_str())
    }

    /// The value of a name.
    pub(crate) fn one<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        self.all(name).next().filter(|value| !value.is_empty())
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
        assert_eq!(some.all("include").collect::<Vec<_>>(), ["a.b", "c"]);
        assert_eq!(some.limit(20, 100), Ok(7));
        assert_eq!(some.newest_first(), Ok(false));
        assert_eq!(some.one("after"), Some("x y z"));
        assert_eq!(some.flag("stream"), Ok(true));
        assert_eq!(some.flag("other"), Ok(false));
        assert_eq!(query("").limit(20, 100), Ok(20));
        assert!(query("limit=0").limit(20, 100).is_err());
        assert!(query("limit=x").limit(20, 100).is_err());
    }
}
