//! Which upstream serves a request: by model, region, rank and weight, leaving alone what is broken or full.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use quire_translate::{Reason, Refusal};

use crate::config::{Config, Model, Route, Upstream, pattern_covers};
use crate::upstream::Line;

/// The config with what is known of its upstreams by now.
pub(crate) struct Live {
    pub(crate) config: Config,
    upstreams: BTreeMap<String, Arc<Node>>,
    /// Grows with every choice, so that weights are kept in order rather than by luck.
    turn: AtomicU64,
}

/// An upstream at work.
pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) config: Upstream,
    pub(crate) line: Line,
    health: Mutex<Health>,
    at_work: AtomicUsize,
    requests: AtomicU32,
    retries: AtomicU32,
}

#[derive(Clone, Copy, Debug, Default)]
struct Health {
    failures: u32,
    /// Left alone until then.
    rests_until: Option<i64>,
    /// Whether the one request that tries it is under way.
    trying: bool,
}

/// What an upstream is fit for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// It is used.
    Healthy,
    /// It is left alone.
    Resting,
}

/// A place that may serve a request.
#[derive(Clone)]
pub(crate) struct Candidate {
    pub(crate) node: Arc<Node>,
    pub(crate) route: Route,
    /// The model's name there.
    pub(crate) model: String,
}

/// What a request asks of a route.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'a> {
    pub(crate) model: &'a str,
    pub(crate) region: Option<&'a str>,
    /// Regions that the key is held to; none for all.
    pub(crate) regions: &'a [String],
}

impl Config {
    /// What is configured for a name: by itself, or by the longest pattern that covers it.
    #[must_use]
    pub fn model(&self, name: &str) -> Option<&Model> {
        let exact = self.models.get(name);
        exact.or_else(|| {
            let covering = self
                .models
                .iter()
                .filter(|(pattern, _)| pattern_covers(pattern, name));
            covering
                .max_by_key(|(pattern, _)| pattern.len())
                .map(|(_, model)| model)
        })
    }
}

impl Live {
    /// Puts a config to work. What `before` knows of upstreams that stay the same goes on.
    pub(crate) fn new<E>(
        config: Config,
        before: Option<&Self>,
        line: impl Fn(&str, &Upstream) -> Result<Line, E>,
    ) -> Result<Self, E> {
        let node = |(name, upstream): (&String, &Upstream)| {
            let known = before.and_then(|before| before.upstreams.get(name));
            let node = match known.filter(|known| known.config == *upstream) {
                Some(known) => Arc::clone(known),
                None => Arc::new(Node::new(name, upstream, line(name, upstream)?)),
            };
            Ok((name.clone(), node))
        };
        Ok(Self {
            upstreams: config
                .upstreams
                .iter()
                .map(node)
                .collect::<Result<_, E>>()?,
            config,
            turn: AtomicU64::new(0),
        })
    }

    /// All upstreams.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = &Arc<Node>> {
        self.upstreams.values()
    }

    /// The places that may serve a request, in the order in which they are to be tried.
    pub(crate) fn candidates(
        &self,
        wanted: Wanted<'_>,
        now: i64,
    ) -> Result<Vec<Candidate>, Refusal> {
        let model = self
            .config
            .model(wanted.model)
            .ok_or_else(|| no_model(wanted.model))?;
        let placed: Vec<Candidate> = model
            .routes
            .iter()
            .filter(|route| route.weight > 0)
            .filter_map(|route| self.candidate(route, wanted.model))
            .filter(|candidate| candidate.is_placed(&wanted))
            .collect();
        if placed.is_empty() {
            return Err(nowhere(&wanted));
        }
        let mut candidates: Vec<Candidate> = placed
            .into_iter()
            .filter(|candidate| candidate.node.is_fit(now))
            .collect();
        if candidates.is_empty() {
            let message = format!(
                "Every upstream of `{}` has failed and is left alone for some seconds: try again then.",
                wanted.model
            );
            return Err(Refusal::new(Reason::Overloaded, message));
        }
        self.order(&mut candidates);
        Ok(candidates)
    }

    fn candidate(&self, route: &Route, asked: &str) -> Option<Candidate> {
        let node = self.upstreams.get(&route.upstream)?;
        Some(Candidate {
            node: Arc::clone(node),
            route: route.clone(),
            model: route.model.clone().unwrap_or_else(|| asked.to_owned()),
        })
    }

    /// By rank; within a rank the one whose turn it is by weight first, the heavier ones behind it.
    fn order(&self, candidates: &mut Vec<Candidate>) {
        candidates
            .sort_by_key(|candidate| (candidate.route.rank, u32::MAX - candidate.route.weight));
        let rank = candidates[0].route.rank;
        let alike = candidates
            .iter()
            .take_while(|candidate| candidate.route.rank == rank)
            .count();
        if alike < 2 {
            return;
        }
        let total: u64 = candidates[..alike]
            .iter()
            .map(|candidate| u64::from(candidate.route.weight))
            .sum();
        // A step that has no divisor in common with the total spreads the turns.
        let turn = self
            .turn
            .fetch_add(1, Ordering::Relaxed)
            .wrapping_mul(0x9E37_79B9_7F4A_7C15)
            >> 16;
        let mut left = turn % total;
        let chosen = candidates[..alike].iter().position(|candidate| {
            let weight = u64::from(candidate.route.weight);
            let is_it = left < weight;
            left = left.saturating_sub(weight);
            is_it
        });
        let first = candidates.remove(chosen.unwrap_or(0));
        candidates.insert(0, first);
    }
}

impl Candidate {
    fn is_placed(&self, wanted: &Wanted<'_>) -> bool {
        let config = &self.node.config;
        let asked = wanted
            .region
            .filter(|region| !region.eq_ignore_ascii_case("global"));
        let held = wanted.regions;
        asked.is_none_or(|region| config.computes_in(region))
            && (held.is_empty()
                || held.iter().any(|region| {
                    config
                        .regions
                        .iter()
                        .any(|tag| tag.eq_ignore_ascii_case(region))
                })
                || (config.placeable
                    && asked.is_some_and(|asked| {
                        held.iter().any(|tag| tag.eq_ignore_ascii_case(asked))
                    })))
    }
}

impl Node {
    fn new(name: &str, config: &Upstream, line: Line) -> Self {
        Self {
            name: name.to_owned(),
            config: config.clone(),
            line,
            health: Mutex::default(),
            at_work: AtomicUsize::new(0),
            requests: AtomicU32::new(0),
            retries: AtomicU32::new(0),
        }
    }

    /// Whether a request may be sent there: it is healthy, or has rested and nobody tries it yet.
    fn is_fit(&self, now: i64) -> bool {
        let health = self.health();
        health
            .rests_until
            .is_none_or(|until| until <= now && !health.trying)
    }

    /// Takes a place there; none where it is full, or broken. Of those that come after a rest the first tries it.
    pub(crate) fn enter(self: &Arc<Self>, now: i64) -> Option<Place> {
        let most = self.config.concurrency;
        let enter = |at_work: usize| (at_work < most).then_some(at_work + 1);
        self.at_work
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, enter)
            .ok()?;
        let mut place = Place {
            node: Arc::clone(self),
            tries: false,
        };
        let mut health = self.health();
        if let Some(until) = health.rests_until {
            if now < until || health.trying {
                drop(health);
                return None;
            }
            health.trying = true;
            place.tries = true;
        }
        self.requests.fetch_add(1, Ordering::Relaxed);
        Some(place)
    }

    fn health(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It served. What a client got wrong counts as served.
    pub(crate) fn succeeded(&self) {
        let mut health = self.health();
        *health = Health::default();
    }

    /// It failed.
    pub(crate) fn failed(&self, now: i64) {
        let mut health = self.health();
        health.failures = health.failures.saturating_add(1);
        let breaker = &self.config.breaker;
        if health.trying || health.failures >= breaker.failures.max(1) {
            let rest = i64::try_from(breaker.rest_s)
                .unwrap_or(i64::MAX)
                .saturating_mul(1_000);
            health.rests_until = Some(now.saturating_add(rest));
            health.trying = false;
        }
    }

    /// Whether a request that failed elsewhere may be sent here too: there is a budget of such.
    pub(crate) fn may_retry(&self) -> bool {
        let requests = self.requests.load(Ordering::Relaxed);
        let retries = self.retries.load(Ordering::Relaxed);
        // The first few are free, so that a quiet server may retry at all.
        let allowed =
            10 + u64::from(requests) * u64::from(self.config.breaker.retries_percent) / 100;
        if u64::from(retries) >= allowed {
            return false;
        }
        self.retries.fetch_add(1, Ordering::Relaxed);
        true
    }

    /// Counts anew, so that what was long ago weighs less. Called once a minute.
    pub(crate) fn age(&self) {
        for count in [&self.requests, &self.retries] {
            let _ = count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| {
                Some(count / 2)
            });
        }
    }

    /// What it is fit for, and how many requests it has at work.
    pub(crate) fn state(&self, now: i64) -> (State, usize) {
        let health = self.health();
        let state = match health.rests_until {
            Some(until) if now < until || health.trying => State::Resting,
            Some(_) | None => State::Healthy,
        };
        (state, self.at_work.load(Ordering::Relaxed))
    }
}

/// A place at an upstream; dropping it gives it back.
pub(crate) struct Place {
    node: Arc<Node>,
    /// Whether it is the one that tries whether the upstream is well again.
    tries: bool,
}

impl Place {
    /// An answer begins there: who tries whether it is well again need not wait for the answer's end.
    pub(crate) fn answers(&self) {
        if self.tries {
            self.node.succeeded();
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.tries {
            // What was not heard to the end says nothing: the next one tries.
            self.node.health().trying = false;
        }
        self.node.at_work.fetch_sub(1, Ordering::AcqRel);
    }
}

/// In each vendor's words.
pub(crate) fn no_model(model: &str) -> Refusal {
    Refusal::new(Reason::NotFound, format!("model: {model}"))
        .about("model")
        .coded("model_not_found")
}

fn nowhere(wanted: &Wanted<'_>) -> Refusal {
    let message = match wanted.region {
        Some(region) => format!(
            "No upstream of `{}` computes in `{region}` and nowhere else; nothing was sent. Leave inference_geo out, \
             or have an upstream tagged with the region.",
            wanted.model
        ),
        None => format!(
            "This API key is held to {}, and no upstream of `{}` computes there; nothing was sent.",
            wanted.regions.join(", "),
            wanted.model
        ),
    };
    Refusal::new(Reason::Invalid, message).about("inference_geo")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(config: Config, before: Option<&Live>) -> Live {
        Live::new(config, before, |_, _| Ok::<_, ()>(Line::nowhere())).unwrap()
    }

    fn live(text: &str) -> Live {
        put(Config::parse(text).unwrap(), None)
    }

    const TWO: &str = r#"
        [upstreams.a]
        dialect = "messages"
        base_url = "http://127.0.0.1:1"
        breaker = { failures = 2, rest_s = 10 }
        [upstreams.b]
        dialect = "messages"
        base_url = "http://127.0.0.1:2"
        regions = ["us"]
        [models."claude-*"]
        routes = [{ upstream = "a", weight = 3 }, { upstream = "b", weight = 1 }]
        [models."claude-opus-5"]
        routes = [{ upstream = "a" }, { upstream = "b", rank = 1, model = "opus" }]
    "#;

    fn wanted(model: &str) -> Wanted<'_> {
        Wanted {
            model,
            region: None,
            regions: &[],
        }
    }

    fn names(candidates: &[Candidate]) -> Vec<&str> {
        candidates
            .iter()
            .map(|candidate| candidate.node.name.as_str())
            .collect()
    }

    #[test]
    fn ranks_and_weights() {
        let live = live(TWO);
        let found = live.candidates(wanted("claude-opus-5"), 0).unwrap();
        assert_eq!(names(&found), ["a", "b"]);
        assert_eq!(
            (found[0].model.as_str(), found[1].model.as_str()),
            ("claude-opus-5", "opus")
        );
        let firsts = (0..4_000).filter(|_| {
            let found = live.candidates(wanted("claude-haiku"), 0).unwrap();
            assert_eq!(found.len(), 2);
            found[0].node.name == "a"
        });
        let share = firsts.count();
        assert!((2_900..3_100).contains(&share), "{share}");
        let refused = live.candidates(wanted("gpt"), 0).err().unwrap();
        assert_eq!(
            (refused.reason, refused.message.as_str()),
            (Reason::NotFound, "model: gpt")
        );
    }

    #[test]
    fn a_region_is_kept_or_nothing_is_sent() {
        let live = live(TWO);
        let mut us = wanted("claude-opus-5");
        us.region = Some("us");
        assert_eq!(names(&live.candidates(us, 0).unwrap()), ["b"]);
        us.region = Some("eu");
        let refused = live.candidates(us, 0).err().unwrap();
        assert!(refused.message.contains("nothing was sent"), "{refused}");
        us.region = Some("global");
        assert_eq!(live.candidates(us, 0).unwrap().len(), 2);
        let held = ["us".to_owned()];
        us.regions = &held;
        assert_eq!(names(&live.candidates(us, 0).unwrap()), ["b"]);
    }

    #[test]
    fn what_fails_is_left_alone_and_tried_by_one() {
        let live = live(TWO);
        let first = |now| {
            live.candidates(wanted("claude-opus-5"), now)
                .map(|found| found[0].node.name.clone())
        };
        let a = Arc::clone(&live.upstreams["a"]);
        a.failed(0);
        assert_eq!(first(0).unwrap(), "a");
        a.failed(0);
        assert_eq!(first(1).unwrap(), "b");
        assert_eq!(a.state(1).0, State::Resting);
        assert!(a.enter(1).is_none());
        // One tries it; the others wait for what it finds.
        assert_eq!(first(10_000).unwrap(), "a");
        let place = a.enter(10_000).unwrap();
        assert!(a.enter(10_000).is_none());
        assert_eq!(first(10_000).unwrap(), "b");
        a.failed(10_001);
        drop(place);
        assert_eq!(first(15_000).unwrap(), "b");
        // Who goes away without an answer leaves it to the next one.
        drop(a.enter(20_001).unwrap());
        let place = a.enter(20_001).unwrap();
        a.succeeded();
        drop(place);
        assert_eq!(first(20_002).unwrap(), "a");
        assert!(a.enter(20_002).is_some() && a.enter(20_002).is_some());
    }

    #[test]
    fn a_full_upstream_takes_no_more() {
        let text = TWO.replace("regions = [\"us\"]", "concurrency = 1");
        let live = live(&text);
        let b = &live.upstreams["b"];
        let place = b.enter(0).unwrap();
        assert!(b.enter(0).is_none());
        drop(place);
        assert!(b.enter(0).is_some());
    }

    #[test]
    fn retries_have_a_budget() {
        let live = live(TWO);
        let b = &live.upstreams["b"];
        assert_eq!((0..100).filter(|_| b.may_retry()).count(), 10);
        for _ in 0..100 {
            drop(b.enter(0));
        }
        assert_eq!((0..100).filter(|_| b.may_retry()).count(), 20);
    }

    #[test]
    fn a_new_config_keeps_what_is_known_of_the_same_upstreams() {
        let before = live(TWO);
        before.upstreams["a"].failed(0);
        before.upstreams["a"].failed(0);
        let config = Config::parse(&TWO.replace(":2\"", ":3\"")).unwrap();
        let after = put(config, Some(&before));
        assert!(Arc::ptr_eq(&after.upstreams["a"], &before.upstreams["a"]));
        assert!(!Arc::ptr_eq(&after.upstreams["b"], &before.upstreams["b"]));
    }
}
