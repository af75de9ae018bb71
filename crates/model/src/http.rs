//! A model behind HTTP: fits a request to the provider, tries, tries again, and sums up what all
//! attempts cost.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bytes::Bytes;
use futures_core::stream::BoxStream;
use quire_catalogue::{Catalogue, Images, ModelFacts, without_window};
use quire_dialect::{Clearing, Dialect};
use quire_net::{Options, Transport};
use quire_protocol::{
    Delta, Effort, Model, ModelError, ModelErrorKind, ModelEvent, ModelFailure, ModelRequest,
    Money, Purpose, Reply, Retry, Usage,
};

use crate::attempt::{Answer, Attempt, Broken, Used};
use crate::encoders::{Compacting, Encoders, Opening, Plan, Tail, holds_compaction};
use crate::failure::{failed, model_error};
use crate::flow::{Outlet, flow};
use crate::quirks::Quirks;
use crate::retry::{Failures, Verdict};
use crate::{Provider, RetryPolicy, region};

/// A provider's models. Cheap to clone; connections open with the first request.
#[derive(Clone)]
pub struct HttpModel {
    inner: Arc<Inner>,
}

struct Inner {
    provider: Provider,
    catalogue: Arc<Catalogue>,
    retry: RetryPolicy,
    transport: OnceLock<Transport>,
    encoders: Encoders,
    quirks: Mutex<HashMap<String, Quirks>>,
    dice: RandomState,
}

impl HttpModel {
    /// A provider's models. Nothing is read or opened yet.
    #[must_use]
    pub fn new(provider: Provider, catalogue: Arc<Catalogue>, retry: RetryPolicy) -> Self {
        Self {
            inner: Arc::new(Inner {
                provider,
                catalogue,
                retry,
                transport: OnceLock::new(),
                encoders: Encoders::default(),
                quirks: Mutex::default(),
                dice: RandomState::new(),
            }),
        }
    }
}

impl Model for HttpModel {
    fn respond(&self, request: ModelRequest) -> BoxStream<'static, ModelEvent> {
        let inner = Arc::clone(&self.inner);
        flow(move |outlet| async move { inner.run(request, &outlet).await })
    }
}

/// What became of a request so far.
#[derive(Clone, Default)]
pub(crate) struct Trail {
    pub(crate) usage: Usage,
    /// What each attempt that used something cost, as far as that is known.
    costs: Vec<Option<Money>>,
    retries: Vec<Retry>,
}

impl Trail {
    pub(crate) fn add(&mut self, usage: Usage, cost: Option<Money>) {
        self.usage += usage;
        self.costs.push(cost);
    }

    fn lose(&mut self, broken: &Broken, facts: &ModelFacts) {
        let usage = broken.used.usage();
        if usage != Usage::default() {
            self.add(usage, broken.used.cost(facts, broken.day));
        }
    }

    pub(crate) fn cost(&self) -> Option<Money> {
        if self.costs.is_empty() {
            return None;
        }
        self.costs.iter().copied().sum()
    }

    fn failed(self, error: ModelError) -> ModelEvent {
        ModelEvent::Failed(ModelFailure {
            error,
            usage: self.usage,
            cost: self.cost(),
            retries: self.retries,
        })
    }

    fn finished(mut self, answer: Answer, facts: &ModelFacts, asked: String) -> ModelEvent {
        let Answer { decoded, day } = answer;
        // Without a whole report nobody knows the cost, unless it is nothing whatever was used.
        let known = decoded.counted || facts.prices.are_zero();
        let cost = Used::of(&decoded).cost(facts, day);
        self.add(decoded.usage, cost.filter(|_| known));
        ModelEvent::Finished(Reply {
            model: if decoded.model.is_empty() {
                asked
            } else {
                decoded.model
            },
            items: decoded.items,
            stop: decoded.stop,
            usage: self.usage,
            cost: self.cost(),
            retries: self.retries,
        })
    }
}

impl Inner {
    async fn run(&self, request: ModelRequest, outlet: &Outlet) -> ModelEvent {
        let model = self.model_of(&request);
        let facts = self.catalogue.facts(&self.provider.name, model);
        let ready = || {
            let wanted = request.region.as_deref();
            let region = region::told(&self.provider, model, &facts, wanted)?;
            let attempt = self.attempt(&request, &facts)?;
            Ok((region, attempt, self.provider.header_map()?))
        };
        let (region, attempt, headers) = match ready() {
            Ok(ready) => ready,
            Err(error) => return failed(error),
        };
        let mut trail = Trail::default();
        let mut failures = Failures::default();
        loop {
            let mut plan = self.plan(&request, model, &facts);
            plan.tail.region = region;
            let body = self.body(&request, &plan);
            let headers = plan.headers(&headers);
            let broken = match attempt.run(headers, body, &trail, outlet).await {
                Ok(answer) => return trail.finished(answer, &facts, model.to_owned()),
                Err(broken) => broken,
            };
            trail.lose(&broken, &facts);
            let retry = match self.after(model, &plan, broken, &mut failures) {
                Ok(retry) => retry,
                Err(error) => return trail.failed(error),
            };
            trail.retries.push(retry.clone());
            let wait = std::time::Duration::from_millis(retry.wait_ms);
            outlet.send([Delta::Retrying { retry }]).await;
            tokio::time::sleep(wait).await;
            outlet.used(trail.usage, trail.cost());
        }
    }

    /// The body of a request. One that is no part of the session's own context is made on the side,
    /// so that the session's body is kept.
    fn body(&self, request: &ModelRequest, plan: &Plan) -> Vec<Bytes> {
        let items = request.transcript.items();
        match request.purpose {
            Purpose::Judge => plan.body(items),
            Purpose::Work | Purpose::Summary | Purpose::Compact { .. } => {
                self.encoders.body(&request.session, plan, items)
            }
        }
    }

    /// What follows a failed attempt: another one, or this error.
    fn after(
        &self,
        model: &str,
        plan: &Plan,
        broken: Broken,
        failures: &mut Failures,
    ) -> Result<Retry, ModelError> {
        let Broken {
            mut error, advice, ..
        } = broken;
        if let Some(reason) = self.learn(model, plan, &error) {
            return Ok(Retry { reason, wait_ms: 0 });
        }
        failures.count(&error);
        let dice = self
            .dice
            .hash_one((std::time::Instant::now(), failures.all()));
        match self.retry.judge(&error, advice, *failures, dice) {
            Verdict::Again(wait) => Ok(Retry {
                reason: error.message,
                wait_ms: u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
            }),
            Verdict::GiveUp(None) => Err(error),
            Verdict::GiveUp(Some(why)) => {
                error.message = format!("{} ({why})", error.message);
                Err(error)
            }
        }
    }

    fn learn(&self, model: &str, plan: &Plan, error: &ModelError) -> Option<String> {
        let mut all = self.quirks.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(quirks) = all.get_mut(model) {
            return quirks.learn(plan, error);
        }
        let mut quirks = Quirks::default();
        let learnt = quirks.learn(plan, error)?;
        all.insert(model.to_owned(), quirks);
        Some(learnt)
    }

    fn attempt<'a>(
        &'a self,
        request: &'a ModelRequest,
        facts: &'a ModelFacts,
    ) -> Result<Attempt<'a>, ModelError> {
        let provider = &self.provider;
        let path = match &request.purpose {
            Purpose::Compact { .. } => provider.dialect.compaction_path(),
            Purpose::Work | Purpose::Summary | Purpose::Judge => Some(provider.dialect.path()),
        };
        let path = path.ok_or_else(|| {
            model_error(
                ModelErrorKind::BadRequest,
                format!(
                    "{} cannot compact: {} has no such request",
                    provider.name, provider.dialect
                ),
                "Leave it to Quire, which summarises by itself.",
            )
        })?;
        let new = || {
            let options = Options {
                connect_timeout: self.retry.connect_timeout,
                ..Options::default()
            };
            Transport::new(&provider.proxies, options)
        };
        Ok(Attempt {
            transport: self.transport.get_or_init(new),
            provider,
            prefix: &request.prefix,
            url: provider.url(path),
            idle_timeout: self.retry.idle_timeout,
            facts,
            region: request.region.as_deref(),
        })
    }

    /// The model's name without this provider's.
    fn model_of<'a>(&self, request: &'a ModelRequest) -> &'a str {
        let full = &request.model;
        full.strip_prefix(&self.provider.name)
            .and_then(|rest| rest.strip_prefix('/'))
            .unwrap_or(full)
    }

    fn plan(&self, request: &ModelRequest, model: &str, facts: &ModelFacts) -> Plan {
        let provider = &self.provider;
        let asked = facts.asked(request.effort, provider.dialect);
        let (behind_prompt, behind_items) = match provider.dialect {
            Dialect::Messages => (asked.words, ""),
            Dialect::Responses | Dialect::Chat => ("", asked.words),
        };
        // Messages must be told a limit; elsewhere a guess would only cut answers short.
        let limited = provider.dialect == Dialect::Messages || facts.known;
        let most = [limited.then_some(facts.max_output), asked.max_output];
        let most = most.into_iter().flatten().min();
        let mut plan = Plan {
            opening: Opening {
                dialect: provider.dialect,
                model: without_window(model).0.to_owned(),
                prefix: Arc::clone(&request.prefix),
                words: behind_prompt,
                caching: provider.caching,
                api_version: provider.api_version,
                features: provider.features(),
                takes_images: facts.images == Images::Taken,
                takes_compactions: true,
            },
            tail: Tail {
                max_output: most,
                thinking: asked.thinking,
                effort: asked.level.map(Effort::name),
                words: behind_items,
                schema: request.output_schema.clone(),
                // Agents open with the bytes of who gave them work.
                cache_key: request.session.root().to_string(),
                window_beta: facts.window_beta,
                region: None,
                compaction: compacting(request),
                clearing: if request.purpose.is_work() {
                    provider.clearing
                } else {
                    Clearing::default()
                },
            },
            compacted: holds_compaction(provider.dialect, request.transcript.items()),
        };
        let all = self.quirks.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(quirks) = all.get(model) {
            quirks.apply(&mut plan);
        }
        plan
    }
}

/// What a request wants the provider to do about a long context.
fn compacting(request: &ModelRequest) -> Compacting {
    match (&request.purpose, request.provider_compaction) {
        (Purpose::Compact { focus }, _) => Compacting::Now(focus.clone()),
        (Purpose::Work, Some(tokens)) => Compacting::From(tokens),
        (Purpose::Work, None) | (Purpose::Summary | Purpose::Judge, _) => Compacting::Never,
    }
}
