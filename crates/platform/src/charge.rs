//! What a request costs: noted before it goes upstream, while it streams, and in the end, once.

use std::sync::Arc;
use std::time::Instant;

use quire_catalogue::{Billing, Catalogue, ModelFacts};
use quire_depot::{ContextWindow, Rates, Spool, Ticket, UsageRow};
use quire_dialect::Dialect;
use quire_protocol::{CostSplit, Money, Usage};
use quire_translate::Tally;

use crate::clock::{day_of, now_ms};
use crate::keyring::Caller;
use crate::metrics::Metrics;
use crate::telemetry::Open;
use crate::watch::{Story, Watch};

/// What charges need of the server.
pub(crate) struct Till {
    pub(crate) spool: Spool,
    pub(crate) catalogue: Arc<Catalogue>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) watch: Watch,
}

/// What is known of a request before it is sent.
#[derive(Clone)]
pub(crate) struct Order {
    pub(crate) request: String,
    pub(crate) at: i64,
    pub(crate) caller: Arc<Caller>,
    /// The API by which it came.
    pub(crate) api: Dialect,
    pub(crate) model_asked: String,
    pub(crate) streamed: bool,
    /// Tokens of its prompt, estimated.
    pub(crate) prompt: u64,
    pub(crate) batch: bool,
    /// Where it must be computed. It is billed so unless the upstream reports another place.
    pub(crate) region: Option<String>,
    /// Tokens that were taken of the limits for it already.
    pub(crate) taken: u64,
    pub(crate) started: Instant,
    /// What is told of it.
    pub(crate) story: Arc<Story>,
}

/// A request that is being charged. Dropped without [`Charge::settle`], it is charged by what was noted of it.
pub(crate) struct Charge {
    till: Arc<Till>,
    order: Arc<Order>,
    ticket: Option<Ticket>,
    row: UsageRow,
    facts: ModelFacts,
    /// Tokens of the answer so far, estimated.
    output: u64,
    span: Option<Open>,
}

/// Where a request is sent.
#[derive(Clone, Copy)]
pub(crate) struct Destination<'a> {
    pub(crate) upstream: &'a str,
    /// Where the upstream is.
    pub(crate) address: &'a str,
    pub(crate) priced_as: &'a str,
    pub(crate) model: &'a str,
}

/// How a request ended.
pub(crate) struct Outcome<'a> {
    pub(crate) status: u16,
    pub(crate) tally: &'a Tally,
    /// The model that answered, by its report.
    pub(crate) model: Option<&'a str>,
    /// Tokens of the answer by our own count, where the upstream gave none.
    pub(crate) estimate: u64,
}

impl Order {
    /// The same order for another try, which is charged by itself: a row once recorded is never another one's.
    pub(crate) fn again(self: &Arc<Self>, tries: usize) -> Arc<Self> {
        if tries == 0 {
            return Arc::clone(self);
        }
        Arc::new(Self {
            request: format!("{}-{}", self.request, tries + 1),
            // The first try settles what was taken.
            taken: 0,
            ..Self::clone(self)
        })
    }
}

impl Charge {
    /// Notes a request before anything of it is sent.
    pub(crate) fn begin(
        till: &Arc<Till>,
        order: &Arc<Order>,
        to: Destination<'_>,
    ) -> Result<Self, quire_depot::Error> {
        let facts = till.catalogue.facts(to.priced_as, to.model);
        let row = row(order, to);
        order.story.tried();
        let trace = order.story.trace.as_ref();
        let span = trace.and_then(|trace| trace.begin(to.model, to.priced_as, to.address));
        let ticket = till.spool.begin(row.clone(), rates(&facts, order))?;
        Ok(Self {
            till: Arc::clone(till),
            order: Arc::clone(order),
            ticket: Some(ticket),
            row,
            facts,
            output: 0,
            span,
        })
    }

    /// Adds the trace by which the upstream goes on to what is sent there.
    pub(crate) fn trace(&self, headers: &mut axum::http::HeaderMap) {
        if let Some(trace) = &self.order.story.trace {
            trace.go_on(self.span.as_ref(), headers);
        }
    }

    /// Notes what the upstream is asked, in its API's words, for a trace that tells it.
    pub(crate) fn asked(&mut self, dialect: Dialect, body: &bytes::Bytes) {
        if let Some(span) = &mut self.span {
            span.asked(dialect, body);
        }
    }

    /// Notes what came of its answer, for the same.
    pub(crate) fn heard(&mut self, bytes: &[u8]) {
        if let Some(span) = &mut self.span {
            span.heard(bytes);
        }
    }

    /// Notes which fields of the request the upstream does not get.
    pub(crate) fn dropped(&self, fields: &[String]) {
        self.order.story.dropped(fields);
    }

    /// The API by which its request came.
    pub(crate) fn api(&self) -> Dialect {
        self.order.api
    }

    /// Where what becomes of it is counted.
    pub(crate) fn metrics(&self) -> &Metrics {
        &self.till.metrics
    }

    /// Notes about how many tokens of the answer went out, before they do.
    pub(crate) fn progress(&mut self, output: u64) {
        if let Some(span) = &mut self.span {
            span.answered();
        }
        if output == self.output {
            return;
        }
        self.output = output;
        let usage = Usage {
            output,
            ..self.row.usage
        };
        if let Some(ticket) = &mut self.ticket
            && ticket.progress(&usage).is_err()
        {
            self.till.metrics.spool_failed();
        }
    }

    /// It is over, and this is what was used.
    pub(crate) fn settle(mut self, outcome: &Outcome<'_>) {
        self.close(outcome);
    }

    /// Nothing was used: it never reached the upstream, or the upstream refused it.
    pub(crate) fn waive(mut self, status: u16) {
        let tally = Tally {
            counted: true,
            ..Tally::default()
        };
        self.close(&Outcome {
            status,
            tally: &tally,
            model: None,
            estimate: 0,
        });
    }

    /// It broke off, and nobody learns what was used: charged by what was noted of it.
    pub(crate) fn broke_off(mut self, status: u16) {
        self.close_as_noted(status);
    }

    fn close_as_noted(&mut self, status: u16) {
        let estimate = self.output;
        self.close(&Outcome {
            status,
            tally: &Tally::default(),
            model: None,
            estimate,
        });
    }

    fn close(&mut self, outcome: &Outcome<'_>) {
        let Some(ticket) = self.ticket.take() else {
            return;
        };
        let order = &self.order;
        let mut row = self.row.clone();
        let tally = outcome.tally;
        let mut passes = tally.passes.clone();
        if passes.is_empty() {
            passes.push(tally.usage);
        }
        row.estimated = !tally.counted;
        if row.estimated
            && let Some(last) = passes.last_mut()
        {
            if last.prompt() == 0 {
                last.input = order.prompt;
            }
            last.output = last.output.max(outcome.estimate);
        }
        row.usage = passes
            .iter()
            .copied()
            .fold(Usage::default(), |sum, pass| sum + pass);
        if let Some(model) = outcome.model {
            model.clone_into(&mut row.model_served);
        }
        row.status = outcome.status;
        tally
            .service_tier
            .as_ref()
            .inspect(|tier| row.service_tier.clone_from(tier));
        tally
            .region
            .as_ref()
            .inspect(|region| row.inference_geo.clone_from(region));
        tally
            .speed
            .as_ref()
            .inspect(|speed| row.speed.clone_from(speed));
        row.web_searches = web_searches(tally);
        row.context_window = ContextWindow::of(row.usage.prompt());
        row.latency_ms = u64::try_from(order.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let costs = passes
            .iter()
            .map(|pass| self.facts.split(pass, billing(&row, order.batch)));
        // A model without a price is free here; the metrics count such requests, and `check` warns of them.
        let costs = costs.map(Option::unwrap_or_default);
        let split = costs.fold(CostSplit::default(), |sum, cost| sum + cost);
        (row.cost, row.split) = (split.total(), Some(split));
        if ticket.close(&row).is_err() {
            self.till.metrics.spool_failed();
        }
        let now = now_ms();
        let beyond = signed(row.usage.prompt()) - signed(order.taken);
        for allowance in &order.caller.allowances {
            allowance.settle(beyond, row.usage.output, row.cost, now);
        }
        self.till.metrics.ended(&row, self.facts.prices.is_known());
        if let Some(span) = self.span.take() {
            self.till.watch.traces.tell(span.end(row.clone()));
        }
        self.order.story.ended(row);
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        // What the client had is charged; the upstream had the prompt in any case.
        self.close_as_noted(left());
    }
}

/// What logs call a request whose client went away.
const CLIENT_WENT: u16 = 499;
/// What they call one at which this server failed.
const FAILED: u16 = 500;

/// What a request is recorded with that is dropped in its middle: its client went away, unless this server panics.
pub(crate) fn left() -> u16 {
    if std::thread::panicking() {
        FAILED
    } else {
        CLIENT_WENT
    }
}

fn billing(row: &UsageRow, batch: bool) -> Billing<'_> {
    Billing {
        day: Some(day_of(row.at)),
        geo: Some(&row.inference_geo),
        speed: Some(&row.speed),
        tier: Some(if batch { "batch" } else { &row.service_tier }),
    }
}

/// What a token costs by which a request is charged that nobody hears of again.
fn rates(facts: &ModelFacts, order: &Order) -> Rates {
    let one = |usage: Usage| {
        let billing = Billing {
            day: Some(day_of(order.at)),
            geo: order.region.as_deref(),
            tier: order.batch.then_some("batch"),
            ..Billing::default()
        };
        facts.cost(&usage, billing).unwrap_or(Money::ZERO)
    };
    let none = Usage::default();
    Rates {
        input: one(Usage { input: 1, ..none }),
        cache_read: one(Usage {
            cache_read: 1,
            ..none
        }),
        cache_write_5m: one(Usage {
            cache_write_5m: 1,
            ..none
        }),
        cache_write_1h: one(Usage {
            cache_write_1h: 1,
            ..none
        }),
        output: one(Usage { output: 1, ..none }),
    }
}

fn row(order: &Order, to: Destination<'_>) -> UsageRow {
    UsageRow {
        request: order.request.clone().into(),
        at: order.at,
        organisation: order.caller.key.organisation.clone(),
        workspace: order.caller.key.workspace.clone(),
        key: order.caller.key.id.clone(),
        model_asked: order.model_asked.clone(),
        model_served: to.model.to_owned(),
        upstream: to.upstream.to_owned(),
        api: order.api.name().to_owned(),
        usage: Usage {
            input: order.prompt,
            ..Usage::default()
        },
        web_searches: 0,
        cost: Money::ZERO,
        split: None,
        service_tier: if order.batch { "batch" } else { "standard" }.to_owned(),
        inference_geo: order.region.clone().unwrap_or_else(|| "global".to_owned()),
        speed: "standard".to_owned(),
        batch: order.batch,
        context_window: ContextWindow::of(order.prompt),
        status: CLIENT_WENT,
        streamed: order.streamed,
        latency_ms: 0,
        estimated: true,
    }
}

fn web_searches(tally: &Tally) -> u64 {
    let tools = tally.own.get("server_tool_use");
    let searches = tools.and_then(|tools| tools.get("web_search_requests"));
    searches.and_then(serde_json::Value::as_u64).unwrap_or(0)
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use axum::http::Method;
    use serde_json::{Value, json};

    use super::*;
    use crate::testing::{Peer, World, config, http, reply};

    #[tokio::test]
    async fn what_the_upstream_reported_is_no_estimate() {
        let silent = json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "m",
            "content": [{"type": "text", "text": "hi"}], "stop_reason": "end_turn"});
        let silent = http("200 OK", "application/json", &silent.to_string());
        for (answer, told) in [(reply(), "false"), (silent, "true")] {
            let peer = Peer::new(&[answer]);
            let world = World::new(&config(peer.address, "")).await;
            let key = world.key("w").await;
            let asked = json!({"model": "claude-opus-5", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]});
            assert_eq!(world.messages(&key, &[], &asked).await.status, 200);
            world.app.tidy(1).await;
            let path = "/v1/organizations/usage_report/messages?starting_at=2020-01-01T00:00:00Z&format=csv";
            let report = world.admin(Method::GET, path, Value::Null).await;
            let (head, row) = report.text().trim_end().split_once("\r\n").unwrap();
            assert!(head.ends_with(",estimated"), "{head}");
            assert!(row.ends_with(&format!(",{told}")), "{told}: {row}");
        }
    }

    proptest! {
        /// Whatever is charged and however it was served.
        #[test]
        fn the_parts_of_a_price_are_the_whole(
            model in prop::sample::select(vec!["claude-opus-5", "claude-sonnet-4-5", "claude-haiku-4-5", "claude-opus-4-6"]),
            tokens in prop::array::uniform5(0_u64..300_000),
            geo in prop::sample::select(vec![None, Some("us"), Some("global")]),
            speed in prop::sample::select(vec![None, Some("fast")]),
            tier in prop::sample::select(vec![None, Some("batch"), Some("standard")]),
        ) {
            let [input, read, short, long, output] = tokens;
            let usage = Usage {
                input,
                cache_read: read,
                cache_write_5m: short,
                cache_write_1h: long,
                output,
                thinking: 0,
            };
            let billing = Billing { day: None, geo, speed, tier };
            let facts = Catalogue::builtin().facts("anthropic", model);
            if let Some(split) = facts.split(&usage, billing) {
                let parts = split.parts();
                prop_assert_eq!(Some(parts.into_iter().sum::<Money>()), facts.cost(&usage, billing));
                for (part, tokens) in parts.into_iter().zip(tokens) {
                    prop_assert_eq!(part > Money::ZERO, tokens > 0, "{:?}", split);
                }
            }
        }
    }
}
