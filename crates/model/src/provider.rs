//! A provider: where it is, what it speaks, how it is told who asks.

use hyper::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use quire_dialect::{ApiVersion, Caching, Clearing, Dialect, Features, OutputLimit};
use quire_net::Proxies;
use quire_protocol::{ModelError, ModelErrorKind};

use crate::Secret;
use crate::failure::model_error;

const ANTHROPIC: &str = "https://api.anthropic.com";
const BETA: &str = "anthropic-beta";
const OPENAI: &str = "https://api.openai.com/v1";

/// A provider of models over HTTP. Made with [`Provider::new`] and then changed field by field.
#[derive(Clone, Debug)]
pub struct Provider {
    /// Its name, the first part of `provider/name`.
    pub name: String,
    /// What it speaks.
    pub dialect: Dialect,
    /// Where it is. Anthropic-style base URLs have no `/v1`, OpenAI-style ones end in it.
    pub base_url: String,
    /// The environment variable that the address comes from, if it does; named in hints.
    pub url_variable: Option<String>,
    /// The key. It may be missing unless the server is the vendor's own.
    pub key: Option<Secret>,
    /// The environment variable that a person puts the key into; named in hints.
    pub key_variable: String,
    /// The header that carries the key; [`KeyHeader::ByDialect`] unless the key is a token.
    pub key_header: KeyHeader,
    /// Further headers (an organisation); they replace ours of the same name. To `anthropic-beta` we
    /// add what a request needs.
    pub headers: Vec<(String, String)>,
    /// The version of the Messages API. 2023-06-01 is what most compatible servers know.
    pub api_version: ApiVersion,
    /// How to ask for prompt caching.
    pub caching: Caching,
    /// What the server can do beyond the common ground; by its host when absent.
    pub features: Option<Features>,
    /// The regions that it computes in and nowhere else, as a person says, such as `us`.
    pub regions: Vec<String>,
    /// What it is asked to leave out of a long context by itself; Messages alone.
    pub clearing: Clearing,
    /// The proxies to reach it through.
    pub proxies: Proxies,
}

/// The header that carries a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeyHeader {
    /// `x-api-key` for Messages of version 2023-06-01, otherwise `authorization`.
    #[default]
    ByDialect,
    /// `authorization: Bearer …`, as for `ANTHROPIC_AUTH_TOKEN`.
    Bearer,
}

impl Provider {
    /// What a vendor's own server can do; a gateway to it may, too.
    pub const VENDOR_FEATURES: Features = Features {
        custom_tools: true,
        reasoning_summaries: true,
        cache_key: true,
        output_limit: OutputLimit::MaxCompletionTokens,
    };

    /// The vendor's own server for a dialect, without a key.
    pub fn new(name: impl Into<String>, dialect: Dialect) -> Self {
        let (base_url, key_variable) = match dialect {
            Dialect::Messages => (ANTHROPIC, "ANTHROPIC_API_KEY"),
            Dialect::Responses | Dialect::Chat => (OPENAI, "OPENAI_API_KEY"),
        };
        Self {
            name: name.into(),
            dialect,
            base_url: base_url.to_owned(),
            url_variable: None,
            key: None,
            key_variable: key_variable.to_owned(),
            key_header: KeyHeader::default(),
            headers: Vec::new(),
            api_version: ApiVersion::V20230601,
            caching: Caching::Automatic,
            features: None,
            regions: Vec::new(),
            clearing: Clearing::default(),
            proxies: Proxies::default(),
        }
    }

    /// Where requests go. A base URL that ends in `/v1` for an Anthropic-style server is forgiven.
    pub(crate) fn url(&self, path: &str) -> String {
        let base = self.base_url.trim().trim_end_matches('/');
        let base = if path.starts_with("/v1/") {
            base.strip_suffix("/v1").unwrap_or(base)
        } else {
            base
        };
        format!("{base}{path}")
    }

    /// Where its models are listed.
    pub(crate) fn models_path(&self) -> &'static str {
        match self.dialect {
            Dialect::Messages => "/v1/models",
            Dialect::Responses | Dialect::Chat => "/models",
        }
    }

    /// Whether the server is that of the vendor who made the dialect.
    pub(crate) fn is_vendor(&self) -> bool {
        let host = host(&self.base_url);
        host == host_of_vendor(self.dialect)
    }

    pub(crate) fn features(&self) -> Features {
        self.features.unwrap_or_else(|| {
            if self.is_vendor() {
                Self::VENDOR_FEATURES
            } else {
                Features::default()
            }
        })
    }

    /// The headers of every request, or why there is no use in sending one.
    pub(crate) fn header_map(&self) -> Result<HeaderMap, ModelError> {
        let mut map = HeaderMap::new();
        map.insert("content-type", HeaderValue::from_static("application/json"));
        map.insert(
            "accept",
            HeaderValue::from_static("text/event-stream, application/json"),
        );
        let agent = concat!("quire/", env!("CARGO_PKG_VERSION"));
        map.insert("user-agent", HeaderValue::from_static(agent));
        if self.dialect == Dialect::Messages {
            let version = HeaderValue::from_static(self.api_version.header());
            map.insert("anthropic-version", version);
        }
        if let Some((name, value)) = self.key_header()? {
            map.insert(name, value);
        }
        for (name, value) in &self.headers {
            let (name, value) = header(name, value)?;
            map.insert(name, value);
        }
        Ok(map)
    }

    /// Adds values to a request's `anthropic-beta`.
    pub(crate) fn add_betas(headers: &mut HeaderMap, betas: &[&'static str]) {
        let given = headers.get(BETA).and_then(|value| value.to_str().ok());
        let mut all: Vec<&str> = given
            .unwrap_or_default()
            .split(',')
            .map(str::trim)
            .collect();
        all.retain(|beta| !beta.is_empty());
        for beta in betas {
            if !all.contains(beta) {
                all.push(beta);
            }
        }
        if let Ok(value) = HeaderValue::from_str(&all.join(","))
            && !all.is_empty()
        {
            headers.insert(BETA, value);
        }
    }

    fn key_header(&self) -> Result<Option<(HeaderName, HeaderValue)>, ModelError> {
        let Some(key) = self.key.as_ref().filter(|key| !key.is_empty()) else {
            if self.is_vendor() && !self.brings_its_own_key() {
                return Err(self.no_key());
            }
            return Ok(None);
        };
        let plain = self.dialect == Dialect::Messages
            && self.key_header == KeyHeader::ByDialect
            && self.api_version == ApiVersion::V20230601;
        let (name, text) = if plain {
            (
                HeaderName::from_static("x-api-key"),
                key.reveal().to_owned(),
            )
        } else {
            (AUTHORIZATION, format!("Bearer {}", key.reveal()))
        };
        let mut value = HeaderValue::from_str(&text).map_err(|_| {
            model_error(
                ModelErrorKind::Auth,
                format!("the key for {} has characters that no key has", self.name),
                format!(
                    "Set {} again; look for line breaks in it.",
                    self.key_variable
                ),
            )
        })?;
        value.set_sensitive(true);
        Ok(Some((name, value)))
    }

    fn brings_its_own_key(&self) -> bool {
        self.headers.iter().any(|(name, _)| {
            name.eq_ignore_ascii_case("authorization") || name.eq_ignore_ascii_case("x-api-key")
        })
    }

    fn no_key(&self) -> ModelError {
        model_error(
            ModelErrorKind::Auth,
            format!("there is no key for {}", self.name),
            format!("Set the environment variable {}.", self.key_variable),
        )
    }

    /// Puts what this provider's settings say into an error's hint.
    pub(crate) fn explain(&self, mut error: ModelError) -> ModelError {
        match error.kind {
            ModelErrorKind::NotAnApi => error.hint = self.base_url_hint(),
            ModelErrorKind::Auth => {
                error.hint = format!(
                    "{} {} holds the key for {}.",
                    error.hint, self.key_variable, self.name
                );
            }
            _ => {}
        }
        error
    }

    /// What to look at when something other than the API answers.
    pub(crate) fn base_url_hint(&self) -> String {
        format!(
            "Check the base URL, {}: OpenAI-style base URLs end in /v1, Anthropic-style ones do not.",
            self.base_url
        )
    }
}

fn host_of_vendor(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Messages => host(ANTHROPIC),
        Dialect::Responses | Dialect::Chat => host(OPENAI),
    }
}

/// The host of a URL, with a port if one is written.
fn host(url: &str) -> &str {
    let rest = url.trim().split_once("://").map_or(url, |(_, rest)| rest);
    rest.split('/').next().unwrap_or(rest)
}

fn header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), ModelError> {
    let wrong = || {
        model_error(
            ModelErrorKind::BadRequest,
            format!("the header `{name}` cannot be sent"),
            "Mend the provider's headers in the settings.",
        )
    };
    let mut value = HeaderValue::from_str(value).map_err(|_| wrong())?;
    value.set_sensitive(true);
    let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| wrong())?;
    Ok((name, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        for (dialect, base, url) in [
            (Dialect::Messages, "https://a.b", "https://a.b/v1/messages"),
            (
                Dialect::Messages,
                "https://a.b/v1/",
                "https://a.b/v1/messages",
            ),
            (
                Dialect::Messages,
                "https://a.b/x/ ",
                "https://a.b/x/v1/messages",
            ),
            (
                Dialect::Responses,
                "http://h:1/v1",
                "http://h:1/v1/responses",
            ),
            (
                Dialect::Chat,
                "http://h:1/v1/",
                "http://h:1/v1/chat/completions",
            ),
        ] {
            let mut provider = Provider::new("p", dialect);
            provider.base_url = base.to_owned();
            assert_eq!(provider.url(dialect.path()), url);
        }
    }

    fn key_sent(change: impl FnOnce(&mut Provider), dialect: Dialect) -> String {
        let mut provider = Provider::new("p", dialect);
        provider.key = Some(Secret::new("k"));
        change(&mut provider);
        let headers = match provider.header_map() {
            Ok(headers) => headers,
            Err(error) => return format!("{}; {}", error.message, error.hint),
        };
        let of = |name: &str| headers.get(name).map(|v| v.to_str().unwrap().to_owned());
        format!("{:?} {:?}", of("x-api-key"), of("authorization"))
    }

    #[test]
    fn keys() {
        let plain = r#"Some("k") None"#;
        let bearer = r#"None Some("Bearer k")"#;
        assert_eq!(key_sent(|_| {}, Dialect::Messages), plain);
        assert_eq!(
            key_sent(|p| p.key_header = KeyHeader::Bearer, Dialect::Messages),
            bearer
        );
        assert_eq!(
            key_sent(|p| p.api_version = ApiVersion::V20261021, Dialect::Messages),
            bearer
        );
        assert_eq!(key_sent(|_| {}, Dialect::Responses), bearer);
        assert_eq!(
            key_sent(|p| p.key = None, Dialect::Messages),
            "there is no key for p; Set the environment variable ANTHROPIC_API_KEY."
        );
        assert_eq!(
            key_sent(|p| p.key = Some(Secret::new(" ")), Dialect::Chat),
            "there is no key for p; Set the environment variable OPENAI_API_KEY."
        );
        let local = |p: &mut Provider| {
            p.key = None;
            p.base_url = "http://localhost:8080/v1".into();
        };
        assert_eq!(key_sent(local, Dialect::Chat), "None None");
        let own = |p: &mut Provider| {
            p.key = None;
            p.headers
                .push(("Authorization".into(), "Bearer mine".into()));
        };
        assert_eq!(key_sent(own, Dialect::Chat), r#"None Some("Bearer mine")"#);
        let broken = key_sent(|p| p.key = Some(Secret::new("a\nb")), Dialect::Chat);
        assert!(broken.contains("no key has"), "{broken}");
    }

    #[test]
    fn debug_shows_no_key() {
        let mut provider = Provider::new("p", Dialect::Chat);
        provider.key = Some(Secret::new("sk-hidden"));
        assert!(!format!("{provider:?}").contains("hidden"));
        assert!(!format!("{:?}", provider.header_map()).contains("hidden"));
    }
}
