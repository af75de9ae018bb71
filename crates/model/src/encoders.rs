//! Request bodies that are kept between the steps of a session, so that a step costs what is new
//! in it. A body that does not fit the next request any more is built anew.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use hyper::HeaderMap;
use quire_dialect::{
    ApiVersion, COMPACTION_BETAS, Caching, Clearing, Compaction, Dialect, Encoder, Features, Head,
    Options, Thinking,
};
use quire_protocol::{Item, Prefix, SessionId};
use serde_json::Value;

use crate::Provider;

/// How many sessions' bodies are kept.
const KEPT: usize = 32;

/// A request as it is fitted to the provider.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) opening: Opening,
    pub(crate) tail: Tail,
    /// Whether something that the provider compacted is among the items.
    pub(crate) compacted: bool,
}

/// What opens a body, owned: two equal openings make equal opening bytes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Opening {
    pub(crate) dialect: Dialect,
    pub(crate) model: String,
    pub(crate) prefix: Arc<Prefix>,
    /// Words behind the system prompt, for Messages alone.
    pub(crate) words: &'static str,
    pub(crate) caching: Caching,
    pub(crate) api_version: ApiVersion,
    pub(crate) features: Features,
    pub(crate) takes_images: bool,
    pub(crate) takes_compactions: bool,
}

/// What stands behind the items, and so may change from request to request at no cost.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tail {
    pub(crate) max_output: Option<u32>,
    pub(crate) thinking: Thinking,
    pub(crate) effort: Option<&'static str>,
    /// Words behind the last item, for the other dialects.
    pub(crate) words: &'static str,
    pub(crate) schema: Option<Arc<Value>>,
    pub(crate) cache_key: String,
    /// What the model's window needs in `anthropic-beta`.
    pub(crate) window_beta: Option<&'static str>,
    pub(crate) compaction: Compacting,
    pub(crate) clearing: Clearing,
    /// Where the provider is told to compute.
    pub(crate) region: Option<&'static str>,
}

/// What the provider is to do about a long context.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Compacting {
    /// Nothing.
    #[default]
    Never,
    /// Compact by itself from so many tokens on.
    From(u64),
    /// Compact now and do nothing else, dwelling on this.
    Now(String),
}

impl Opening {
    fn head(&self) -> Head<'_> {
        Head {
            words: self.words,
            cache: self.caching,
            api_version: self.api_version,
            features: self.features,
            takes_images: self.takes_images,
            takes_compactions: self.takes_compactions,
            ..Head::new(self.dialect, &self.model, &self.prefix)
        }
    }
}

impl Tail {
    pub(crate) fn options(&self) -> Options<'_> {
        Options {
            max_output_tokens: self.max_output,
            thinking: self.thinking,
            effort: self.effort,
            words: self.words,
            output_schema: self.schema.as_deref(),
            cache_key: &self.cache_key,
            compaction: match &self.compaction {
                Compacting::Never => Compaction::Never,
                Compacting::From(tokens) => Compaction::From(*tokens),
                Compacting::Now(focus) => Compaction::Now { focus },
            },
            clearing: self.clearing,
            region: self.region,
        }
    }
}

impl Plan {
    /// The headers of a request, from those that all have.
    pub(crate) fn headers(&self, plain: &HeaderMap) -> HeaderMap {
        let dialect = self.opening.dialect;
        let mut betas = self.tail.options().betas(dialect);
        // What the provider compacted stays in the context, and is taken back with these alone.
        if dialect == Dialect::Messages && self.compacted && self.opening.takes_compactions {
            betas.extend(COMPACTION_BETAS);
        }
        if dialect == Dialect::Messages {
            betas.extend(self.tail.window_beta);
        }
        let mut headers = plain.clone();
        Provider::add_betas(&mut headers, &betas);
        headers
    }

    /// The body of a request that has nothing to do with those before and after it.
    pub(crate) fn body(&self, items: &[Arc<Item>]) -> Vec<Bytes> {
        let mut encoder = Encoder::new(&self.opening.head());
        for item in items {
            encoder.push(item);
        }
        encoder.body(&self.tail.options())
    }
}

/// Whether something that a provider of this dialect compacted is among the items.
pub(crate) fn holds_compaction(dialect: Dialect, items: &[Arc<Item>]) -> bool {
    items.iter().any(|item| {
        matches!(item.as_ref(), Item::Summary { opaque: Some(opaque), .. }
            if opaque.origin == dialect.name())
    })
}

/// The bodies, the least recently used first.
#[derive(Debug, Default)]
pub(crate) struct Encoders {
    kept: Mutex<VecDeque<(SessionId, Kept)>>,
}

#[derive(Debug)]
struct Kept {
    opening: Opening,
    encoder: Encoder,
    pushed: Vec<Arc<Item>>,
}

impl Encoders {
    /// The body of a session's next request.
    pub(crate) fn body(&self, session: &SessionId, plan: &Plan, items: &[Arc<Item>]) -> Vec<Bytes> {
        // Taken out while it is worked on, so that sessions do not wait for each other.
        let kept = self
            .take(session)
            .filter(|kept| kept.leads_to(&plan.opening, items));
        let mut kept = kept.unwrap_or_else(|| Kept {
            opening: plan.opening.clone(),
            encoder: Encoder::new(&plan.opening.head()),
            pushed: Vec::new(),
        });
        for item in items.iter().skip(kept.pushed.len()) {
            kept.encoder.push(item);
            kept.pushed.push(Arc::clone(item));
        }
        let body = kept.encoder.body(&plan.tail.options());
        self.put(session.clone(), kept);
        body
    }

    fn take(&self, session: &SessionId) -> Option<Kept> {
        let mut all = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let at = all.iter().position(|(whose, _)| whose == session)?;
        all.remove(at).map(|(_, kept)| kept)
    }

    fn put(&self, session: SessionId, kept: Kept) {
        let mut all = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= KEPT {
            all.pop_front();
        }
        all.push_back((session, kept));
    }
}

impl Kept {
    /// Whether appending to it can make the body of this request. Pointers are compared, not
    /// items: a few nanoseconds each.
    fn leads_to(&self, opening: &Opening, items: &[Arc<Item>]) -> bool {
        self.opening == *opening
            && self.pushed.len() <= items.len()
            && self
                .pushed
                .iter()
                .zip(items)
                .all(|(a, b)| Arc::ptr_eq(a, b))
    }
}

#[cfg(test)]
mod tests {
    use quire_protocol::{Content, MessageId, Transcript};

    use super::*;

    fn plan() -> Plan {
        Plan {
            opening: Opening {
                dialect: Dialect::Messages,
                model: "m".into(),
                prefix: Arc::new(Prefix::default()),
                words: "",
                caching: Caching::Automatic,
                api_version: ApiVersion::default(),
                features: Features::default(),
                takes_images: true,
                takes_compactions: true,
            },
            tail: Tail::default(),
            compacted: false,
        }
    }

    fn user(text: &str) -> Item {
        Item::User {
            message: MessageId::new(text),
            content: vec![Content::text(text)],
        }
    }

    fn text(body: &[Bytes]) -> String {
        String::from_utf8(body.concat()).unwrap()
    }

    fn fresh(plan: &Plan, items: &[Arc<Item>]) -> String {
        text(&plan.body(items))
    }

    #[test]
    fn a_kept_body_equals_a_fresh_one() {
        let (encoders, session, plan) = (Encoders::default(), SessionId::new("s"), plan());
        let mut transcript = Transcript::default();
        for step in 0..5 {
            transcript.push(user(&format!("step {step}")));
            let body = encoders.body(&session, &plan, transcript.items());
            assert_eq!(text(&body), fresh(&plan, transcript.items()));
        }
        // Nothing new: a retry. Then a compaction that leaves as many items, then another head.
        let again = encoders.body(&session, &plan, transcript.items());
        assert_eq!(text(&again), fresh(&plan, transcript.items()));
        let mut items = transcript.items().to_vec();
        items[1] = Arc::new(user("summary"));
        let compacted = encoders.body(&session, &plan, &items);
        assert_eq!(text(&compacted), fresh(&plan, &items));
        let mut other = plan;
        other.opening.model = "n".into();
        assert_eq!(
            text(&encoders.body(&session, &other, &items)),
            fresh(&other, &items)
        );
    }

    #[test]
    fn a_kept_body_survives_a_change_of_effort_and_a_judgement() {
        let (encoders, session, mut plan) = (Encoders::default(), SessionId::new("s"), plan());
        let items = [Arc::new(user("a")), Arc::new(user("b"))];
        encoders.body(&session, &plan, &items[..1]);
        let written = |encoders: &Encoders| {
            let kept = encoders.kept.lock().unwrap();
            kept.back().map(|(_, kept)| kept.pushed.len())
        };
        plan.tail.effort = Some("low");
        plan.tail.schema = Some(Arc::new(serde_json::json!({})));
        let kept = encoders.take(&session).unwrap();
        assert!(kept.leads_to(&plan.opening, &items));
        encoders.put(session.clone(), kept);
        assert_eq!(
            text(&encoders.body(&session, &plan, &items)),
            fresh(&plan, &items)
        );
        let mut judge = plan;
        judge.opening.prefix = Arc::new(Prefix {
            instructions: "Judge.".into(),
            tools: Vec::new(),
            ..Prefix::default()
        });
        let body = judge.body(&[Arc::new(user("judge"))]);
        assert!(text(&body).contains("Judge."));
        assert_eq!(written(&encoders), Some(2));
    }

    #[test]
    fn few_bodies_are_kept() {
        let (encoders, plan) = (Encoders::default(), plan());
        let items = [Arc::new(user("hi"))];
        for number in 0..100 {
            encoders.body(&SessionId::new(format!("s{number}")), &plan, &items);
        }
        let kept = encoders.kept.lock().unwrap();
        assert_eq!(kept.len(), KEPT);
        assert_eq!(kept.back().unwrap().0.as_str(), "s99");
    }
}
