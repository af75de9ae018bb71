//! Lists by `after_id` and `before_id`, of which some things are left out.

use quire_depot::{Error, Listed, Page};
use serde_json::{Value, json};

use super::wire;
use crate::query::Query;
use crate::reply::Denial;

/// The parameters of such lists.
pub(super) const PARAMETERS: [&str; 3] = ["after_id", "before_id", "limit"];

/// A page that is full although some things are left out.
pub(super) struct Full<T> {
    items: Vec<T>,
    more: bool,
}

/// Reads on until a page is full of things that are to be kept, or nothing more is there.
pub(super) async fn full<T, F>(
    query: &Query,
    id: fn(&T) -> &str,
    keep: impl Fn(&T) -> bool,
    fetch: impl Fn(Page) -> F,
) -> Result<Full<T>, Denial>
where
    F: Future<Output = Result<Listed<T>, Error>>,
{
    let wanted = query.limit(20, 1_000)? as usize;
    let (after, before) = (query.one("after_id"), query.one("before_id"));
    if after.is_some() && before.is_some() {
        let message = "a page begins behind something or ends before something, not both";
        return Err(wire::wrong("before_id", message));
    }
    let backward = before.is_some();
    let mut page = Page::first(1_000);
    page.after = after.map(str::to_owned);
    page.before = before.map(str::to_owned);
    let mut items: Vec<T> = Vec::new();
    loop {
        let listed = fetch(page.clone()).await?;
        let last = if backward {
            listed.items.first()
        } else {
            listed.items.last()
        };
        let cursor = last.map(|item| id(item).to_owned());
        let mut kept: Vec<T> = listed.items.into_iter().filter(&keep).collect();
        if backward {
            kept.append(&mut items);
            items = kept;
        } else {
            items.append(&mut kept);
        }
        if items.len() > wanted || !listed.more || cursor.is_none() {
            break;
        }
        if backward {
            page.before = cursor;
        } else {
            page.after = cursor;
        }
    }
    let more = items.len() > wanted;
    if backward {
        items.drain(..items.len().saturating_sub(wanted));
    } else {
        items.truncate(wanted);
    }
    Ok(Full { items, more })
}

impl<T> Full<T> {
    /// As a response has it.
    pub(super) fn written(&self, id: fn(&T) -> &str, write: impl Fn(&T) -> Value) -> Value {
        json!({
            "data": self.items.iter().map(write).collect::<Vec<_>>(),
            "has_more": self.more,
            "first_id": self.items.first().map(id),
            "last_id": self.items.last().map(id),
        })
    }
}
