//! What the platform adds to what a model has: a request is changed before it is written for the upstream, and
//! the answer's events on their way back. Each addition is a setting of a route.

mod clear;
mod compact;
mod effort;
mod lengthen;
mod schema;
mod words;

use std::sync::Arc;

use quire_catalogue::ModelFacts;
use quire_dialect::Dialect;
use quire_translate::{Reason, Refusal, Request};

use crate::clock::new_id;
use crate::config::{Additions, ToolsBy};

pub(crate) use clear::{clear, clears};
pub(crate) use compact::{Cut, Then, alone, demanded, summarized, told, wanted};
pub(crate) use lengthen::{Lengthened, Next, lengthened};
pub(crate) use schema::Held;
pub(crate) use words::Listener;

/// What has to be done to the answer of a request that was changed.
pub(crate) struct Added {
    /// A schema that it must fit.
    pub(crate) held: Option<Held>,
    /// What reads its calls.
    pub(crate) listener: Option<Listener>,
}

/// Changes a request as a route says, for a model. A long conversation is copied only where something of it changes.
pub(crate) fn add(
    request: &mut Arc<Request>,
    add: &Additions,
    facts: &ModelFacts,
    dialect: Dialect,
) -> Result<Added, Refusal> {
    if effort::is_fitted(request, add) {
        effort::fit(Arc::make_mut(request), add, facts, dialect);
    }
    let mut held = None;
    if let Some(tries) = add.schema_tries.filter(|_| schema::has_one(request)) {
        held = schema::schema_of(Arc::make_mut(request), tries)
            .map_err(|wrong| Refusal::new(Reason::Invalid, wrong).about("response_format"))?;
    }
    let by_words = add.tools == Some(ToolsBy::Words);
    let listener =
        by_words.then(|| words::tell(Arc::make_mut(request), Box::new(|| new_id("call_"))));
    Ok(Added { held, listener })
}

#[cfg(test)]
mod tests {
    use quire_catalogue::Catalogue;
    use quire_translate::decode_request;
    use serde_json::json;

    use super::*;
    use crate::config::{Compaction, EffortBy};

    #[test]
    fn a_request_is_copied_only_where_it_changes() {
        let asked =
            json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]});
        let decoded = decode_request(Dialect::Messages, asked.to_string().as_bytes()).unwrap();
        let mut hard = decoded.clone();
        hard.effort = Some("high".to_owned());
        let (plain, hard) = (Arc::new(decoded), Arc::new(hard));
        let facts = Catalogue::builtin().facts("openai", "m");
        let compaction = Compaction {
            model: None,
            threshold: 1,
            keep: 1,
        };
        let none = Additions::default();
        let rows = [
            Additions {
                compaction: Some(compaction),
                ..none.clone()
            },
            Additions {
                continue_output: true,
                ..none.clone()
            },
            Additions {
                schema_tries: Some(3),
                ..none.clone()
            },
            Additions {
                effort: Some(EffortBy::Words),
                ..none.clone()
            },
            Additions {
                tools: Some(ToolsBy::Words),
                ..none
            },
        ];
        let copied = |request: &Arc<Request>, row: &Additions| {
            let mut changed = Arc::clone(request);
            add(&mut changed, row, &facts, Dialect::Chat).ok().unwrap();
            !Arc::ptr_eq(&changed, request)
        };
        let found = rows.each_ref().map(|row| copied(&plain, row));
        assert_eq!(found, [false, false, false, false, true]);
        let found = rows.each_ref().map(|row| copied(&hard, row));
        assert_eq!(found, [false, false, false, true, true]);
    }
}
