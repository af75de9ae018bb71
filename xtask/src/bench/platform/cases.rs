//! Which requests are measured: who asks in which dialect, what the upstream speaks, and how its answers
//! come. Each kind of answer has a model of its own, so that whoever is in between can be told by name.

use std::fmt::Write as _;

use super::answers::Manner;
use super::litellm;
use super::load::Target;
use crate::bench::wire::Dialect;

/// How answers come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pace {
    /// All of it as soon as the request is in.
    AtOnce,
    /// In pieces a few milliseconds apart.
    Brisk,
    /// In pieces half a second apart.
    Slow,
}

impl Pace {
    /// Into how many pieces an answer is cut.
    pub(super) const fn pieces(self) -> usize {
        match self {
            Self::AtOnce | Self::Slow => 20,
            Self::Brisk => 8,
        }
    }

    const fn pause_ms(self) -> u64 {
        match self {
            Self::AtOnce => 0,
            Self::Brisk => 4,
            Self::Slow => 500,
        }
    }
}

/// What a client speaks, and what the upstream does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Case {
    pub(super) client: Dialect,
    pub(super) upstream: Dialect,
}

impl Case {
    /// Both speak the same.
    pub(super) const fn same(dialect: Dialect) -> Self {
        Self::across(dialect, dialect)
    }

    pub(super) const fn across(client: Dialect, upstream: Dialect) -> Self {
        Self { client, upstream }
    }

    pub(super) fn name(self) -> String {
        if self.client == self.upstream {
            dialect_name(self.client).to_owned()
        } else {
            let (client, upstream) = (dialect_name(self.client), dialect_name(self.upstream));
            format!("{client} over {upstream}")
        }
    }
}

const ALL: [Dialect; 3] = [Dialect::Messages, Dialect::Responses, Dialect::Chat];

/// All pairs of what two sides speak that differ.
pub(super) fn across() -> impl Iterator<Item = Case> {
    ALL.into_iter().flat_map(|client| {
        let others = ALL.into_iter().filter(move |upstream| *upstream != client);
        others.map(move |upstream| Case::across(client, upstream))
    })
}

/// All pairs that speak the same.
pub(super) fn same() -> impl Iterator<Item = Case> {
    ALL.into_iter().map(Case::same)
}

pub(super) const fn dialect_name(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Messages => "Messages",
        Dialect::Responses => "Responses",
        Dialect::Chat => "Chat",
    }
}

/// The model that answers in a dialect at a pace. Their prices are known, so that they are reckoned with.
pub(super) const fn model(dialect: Dialect, pace: Pace) -> &'static str {
    match (dialect, pace) {
        (Dialect::Messages, Pace::AtOnce) => "claude-opus-5",
        (Dialect::Messages, Pace::Brisk) => "claude-opus-5-5",
        (Dialect::Messages, Pace::Slow) => "claude-sonnet-5-5",
        (Dialect::Responses, Pace::AtOnce) => "gpt-5",
        (Dialect::Responses, Pace::Brisk) => "gpt-5.1",
        (Dialect::Responses, Pace::Slow) => "gpt-5.2",
        (Dialect::Chat, Pace::AtOnce) => "gpt-4.1",
        (Dialect::Chat, Pace::Brisk) => "gpt-4.1-mini",
        (Dialect::Chat, Pace::Slow) => "o4-mini",
    }
}

/// How the upstream is asked to answer so.
pub(super) fn manner(dialect: Dialect, pace: Pace) -> Manner {
    Manner {
        model: model(dialect, pace).to_owned(),
        pieces: pace.pieces(),
        pause_ms: pace.pause_ms(),
    }
}

fn all() -> impl Iterator<Item = (Dialect, Pace)> {
    ALL.into_iter().flat_map(|dialect| {
        [Pace::AtOnce, Pace::Brisk, Pace::Slow].map(move |pace| (dialect, pace))
    })
}

/// What an API's address ends in, as configs have it.
pub(super) const fn version(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Messages => "",
        Dialect::Responses | Dialect::Chat => "/v1",
    }
}

fn base_url(upstream: &Target, dialect: Dialect, pace: Pace) -> String {
    let version = version(dialect);
    let path = manner(dialect, pace).path();
    format!("http://{}{path}{version}", upstream.address)
}

/// The platform's upstreams and models, as its config file has them.
pub(super) fn platform_config(upstream: &Target) -> String {
    let mut text = String::new();
    for (number, (dialect, pace)) in all().enumerate() {
        let name = dialect_name(dialect).to_lowercase();
        let (model, base_url) = (model(dialect, pace), base_url(upstream, dialect, pace));
        write!(
            text,
            "[upstreams.mock-{number}]\ndialect = \"{name}\"\nbase_url = \"{base_url}\"\n\
             [models.\"{model}\"]\nroutes = [{{ upstream = \"mock-{number}\" }}]\n"
        )
        .expect("a String takes everything");
    }
    text
}

/// The models as LiteLLM's config file has them; it is asked for none over Responses.
pub(super) fn litellm_models(upstream: &Target) -> Vec<litellm::Model> {
    let spoken = all().filter(|(dialect, _)| *dialect != Dialect::Responses);
    let model = |(dialect, pace)| litellm::Model {
        name: model(dialect, pace).to_owned(),
        called: match dialect {
            Dialect::Messages => "anthropic/claude-opus-5",
            Dialect::Responses | Dialect::Chat => "openai/gpt-4.1",
        },
        base_url: base_url(upstream, dialect, pace),
    };
    spoken.map(model).collect()
}
