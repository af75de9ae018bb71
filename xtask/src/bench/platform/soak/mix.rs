//! What is asked in a soak: good requests and bad ones, in every API of every other, and what may come of each.

use std::fmt::Write as _;

use crate::bench::platform::answers::{Manner, Streamed};
use crate::bench::platform::cases::{self, Case, dialect_name};
use crate::bench::platform::faults::Fault;
use crate::bench::platform::load::{Ask, Target};
use crate::bench::wire::Dialect;

/// How the upstream answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manners {
    /// All at once.
    AtOnce,
    /// In pieces.
    Brisk,
    /// Some megabytes of stream at once.
    Large,
    /// Not as it should.
    Wrong(Fault),
}

/// How the client reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// To the end.
    ToTheEnd,
    /// Not at all for a while, with little room for what comes; then to the end.
    Slowly,
    /// A little, and then it is gone.
    NotToTheEnd,
}

/// Which answers are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    Streams,
    Wholes,
    Both,
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Outcome {
    /// It was answered to the end.
    Answered,
    /// It was refused, in JSON.
    Refused(String),
    /// Its stream ended with an error of its API.
    BrokeOff,
    /// The upstream's own words came, which are no answer.
    PassedOn,
    /// The client went.
    Left,
    /// None of these: a connection that broke, an answer without an end.
    Wrong(String),
}

/// One kind of request.
pub(super) struct Kind {
    pub(super) name: &'static str,
    /// Of all requests, so many in a thousand.
    pub(super) share: u64,
    pub(super) reading: Reading,
    manners: Manners,
    wanted: Wanted,
}

const fn kind(
    name: &'static str,
    share: u64,
    manners: Manners,
    wanted: Wanted,
    reading: Reading,
) -> Kind {
    Kind {
        name,
        share,
        reading,
        manners,
        wanted,
    }
}

const fn wrong(name: &'static str, share: u64, fault: Fault) -> Kind {
    kind(
        name,
        share,
        Manners::Wrong(fault),
        Wanted::Both,
        Reading::ToTheEnd,
    )
}

/// All kinds.
pub(super) const KINDS: [Kind; 15] = [
    kind(
        "good, whole",
        300,
        Manners::AtOnce,
        Wanted::Wholes,
        Reading::ToTheEnd,
    ),
    kind(
        "good, a stream at once",
        200,
        Manners::AtOnce,
        Wanted::Streams,
        Reading::ToTheEnd,
    ),
    kind(
        "good, a stream in pieces",
        165,
        Manners::Brisk,
        Wanted::Streams,
        Reading::ToTheEnd,
    ),
    kind(
        "a slow reader of 5 MB",
        5,
        Manners::Large,
        Wanted::Streams,
        Reading::Slowly,
    ),
    kind(
        "a client that goes in mid-stream",
        60,
        Manners::Brisk,
        Wanted::Streams,
        Reading::NotToTheEnd,
    ),
    wrong("upstream: never answers", 20, Fault::Hangs),
    wrong(
        "upstream: falls silent in the middle",
        20,
        Fault::HangsWithin,
    ),
    wrong("upstream: drops the connection", 40, Fault::Drops),
    wrong("upstream: a body cut short", 40, Fault::CutShort),
    wrong("upstream: malformed", 40, Fault::Malformed),
    wrong("upstream: 429", 20, Fault::Limited),
    wrong("upstream: 429 with retry-after", 20, Fault::LimitedFor),
    wrong("upstream: 529", 25, Fault::Overloaded),
    wrong("upstream: 500", 25, Fault::Broken),
    wrong("upstream: an HTML page", 20, Fault::Page),
];

impl Kind {
    /// Whether this may come of it.
    pub(super) fn allows(&self, outcome: &Outcome) -> bool {
        let Manners::Wrong(fault) = self.manners else {
            let expected = match self.reading {
                Reading::ToTheEnd | Reading::Slowly => Outcome::Answered,
                Reading::NotToTheEnd => Outcome::Left,
            };
            return *outcome == expected;
        };
        match outcome {
            Outcome::Refused(status) => match fault {
                Fault::Limited | Fault::LimitedFor => status == "429",
                Fault::Hangs => status == "504" || status == "408",
                Fault::Overloaded => status == "529" || status == "503",
                Fault::HangsWithin
                | Fault::Drops
                | Fault::CutShort
                | Fault::Malformed
                | Fault::Broken
                | Fault::Page => status.starts_with('5'),
            },
            Outcome::BrokeOff => matches!(
                fault,
                Fault::HangsWithin | Fault::Drops | Fault::CutShort | Fault::Malformed
            ),
            // The same API on both sides is not decoded.
            Outcome::PassedOn => matches!(fault, Fault::CutShort | Fault::Malformed),
            Outcome::Answered => fault == Fault::Malformed,
            Outcome::Left | Outcome::Wrong(_) => false,
        }
    }

    fn slug(&self) -> String {
        match self.manners {
            Manners::AtOnce => "at-once".to_owned(),
            Manners::Brisk => "brisk".to_owned(),
            Manners::Large => "large".to_owned(),
            Manners::Wrong(fault) => fault.name().to_owned(),
        }
    }

    fn model(&self, upstream: Dialect) -> String {
        format!("{}-{}", dialect_name(upstream).to_lowercase(), self.slug())
    }

    fn path(&self, upstream: Dialect) -> String {
        let (pieces, pause_ms) = match self.manners {
            Manners::AtOnce | Manners::Wrong(_) => (20, 0),
            Manners::Brisk => (10, 20),
            Manners::Large => (40_000, 0),
        };
        let manner = Manner {
            model: self.model(upstream),
            pieces,
            pause_ms,
        };
        let wrong = match self.manners {
            Manners::Wrong(fault) => fault.path(),
            Manners::AtOnce | Manners::Brisk | Manners::Large => String::new(),
        };
        wrong + &manner.path()
    }

    /// All requests of this kind, ready to be sent.
    pub(super) fn asks(&self, target: &Target) -> Vec<Ask> {
        let wanted: &[Streamed] = match self.wanted {
            Wanted::Streams => &[Streamed::Yes],
            Wanted::Wholes => &[Streamed::No],
            Wanted::Both => &[Streamed::No, Streamed::Yes],
        };
        let cases = cases::same().chain(cases::across());
        let asks = cases.flat_map(|Case { client, upstream }| {
            let model = self.model(upstream);
            wanted
                .iter()
                .map(move |streamed| Ask::new(target, "", client, &model, *streamed, 0))
        });
        asks.collect()
    }
}

/// The platform's upstreams and models, as its config file has them.
pub(super) fn config(upstream: &Target) -> String {
    let mut text = String::new();
    let mut done = Vec::new();
    for kind in &KINDS {
        for case in cases::same() {
            let name = kind.model(case.upstream);
            if done.contains(&name) {
                continue;
            }
            let dialect = dialect_name(case.upstream).to_lowercase();
            let version = cases::version(case.upstream);
            let (address, path) = (upstream.address, kind.path(case.upstream));
            // None of them is ever given up: every request is to reach its upstream.
            write!(
                text,
                "[upstreams.{name}]\ndialect = \"{dialect}\"\nbase_url = \"http://{address}{path}{version}\"\n\
                 first_byte_s = 2\nidle_s = 2\nbreaker = {{ failures = {} }}\n\
                 [models.{name}]\nroutes = [{{ upstream = \"{name}\" }}]\n",
                u32::MAX
            )
            .expect("a String takes everything");
            done.push(name);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shares_are_of_a_thousand_and_each_kind_allows_something() {
        assert_eq!(KINDS.iter().map(|kind| kind.share).sum::<u64>(), 1_000);
        let outcomes =
            ["429", "500", "504", "529"].map(|status| Outcome::Refused(status.to_owned()));
        let others = [Outcome::Answered, Outcome::Left];
        for kind in &KINDS {
            assert!(
                outcomes
                    .iter()
                    .chain(&others)
                    .any(|outcome| kind.allows(outcome)),
                "{}",
                kind.name
            );
            assert!(!kind.allows(&Outcome::Wrong(String::new())));
        }
    }
}
