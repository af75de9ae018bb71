//! The first settings of a person who has no model: which endpoints there may be, and a file that names one of them.

use std::fmt::Write as _;
use std::path::Path;

use toml_edit::Value as Toml;

use crate::edit;
use crate::error::Error;
use crate::provider::{BUILT_IN, Dialect};

/// Providers that are known by name besides the built-in ones: name, title, address, variable. All of
/// them speak Chat Completions.
const KNOWN: &[(&str, &str, &str, &str)] = &[
    (
        "openrouter",
        "OpenRouter",
        "https://openrouter.ai/api/v1",
        "OPENROUTER_API_KEY",
    ),
    (
        "deepseek",
        "DeepSeek",
        "https://api.deepseek.com/v1",
        "DEEPSEEK_API_KEY",
    ),
    (
        "mistral",
        "Mistral",
        "https://api.mistral.ai/v1",
        "MISTRAL_API_KEY",
    ),
    (
        "groq",
        "Groq",
        "https://api.groq.com/openai/v1",
        "GROQ_API_KEY",
    ),
];
/// Where servers on this machine usually listen: name, title, port.
const LOCAL: &[(&str, &str, u16)] = &[
    ("ollama", "Ollama", 11434),
    ("lmstudio", "LM Studio", 1234),
    ("llamacpp", "llama.cpp", 8080),
    ("vllm", "vLLM", 8000),
];

/// A place that may serve models.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// What it is called, for a person.
    pub title: String,
    /// What is known of it.
    pub standing: EndpointStanding,
    provider: String,
    dialect: Dialect,
    /// None where the built-in address counts.
    base_url: Option<String>,
    key_env: String,
    key: Option<String>,
}

/// What is known of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndpointStanding {
    /// The environment has its key, or its address.
    Ready,
    /// It is on this machine, and may run or not.
    Local,
    /// It needs a key that is not there.
    Keyless,
}

/// The endpoints that there may be, those that are ready first.
#[must_use]
pub fn endpoints(variable: &dyn Fn(&str) -> Option<String>) -> Vec<Endpoint> {
    let mut found = Vec::new();
    if let Some(url) = variable("OPENAI_BASE_URL") {
        found.push(Endpoint {
            title: format!("{url} (OPENAI_BASE_URL)"),
            standing: EndpointStanding::Ready,
            provider: "chat".to_owned(),
            dialect: Dialect::Chat,
            base_url: None,
            key_env: String::new(),
            key: None,
        });
    }
    let titled = [("anthropic", "Anthropic"), ("openai", "OpenAI")];
    let built_in = titled.into_iter().filter_map(|(name, title)| {
        let known = BUILT_IN.iter().find(|known| known.name == name)?;
        Some((name, title, known.dialect, None, known.key_env))
    });
    let known = KNOWN.iter().map(|(name, title, url, key_env)| {
        (
            *name,
            *title,
            Dialect::Chat,
            Some((*url).to_owned()),
            *key_env,
        )
    });
    found.extend(
        built_in
            .chain(known)
            .map(|(name, title, dialect, base_url, key_env)| {
                let has_key = variable(key_env).is_some();
                let (title, standing) = if has_key {
                    (
                        format!("{title} ({key_env} is set)"),
                        EndpointStanding::Ready,
                    )
                } else {
                    (title.to_owned(), EndpointStanding::Keyless)
                };
                Endpoint {
                    title,
                    standing,
                    provider: name.to_owned(),
                    dialect,
                    base_url,
                    key_env: key_env.to_owned(),
                    key: None,
                }
            }),
    );
    found.extend(LOCAL.iter().map(|(name, title, port)| {
        let url = format!("http://127.0.0.1:{port}/v1");
        Endpoint {
            title: format!("{title} at {url}"),
            standing: EndpointStanding::Local,
            ..Endpoint::at(&url).named(name)
        }
    }));
    found.sort_by_key(|endpoint| match endpoint.standing {
        EndpointStanding::Ready => 0,
        EndpointStanding::Local => 1,
        EndpointStanding::Keyless => 2,
    });
    found
}

impl Endpoint {
    /// A server at an address that a person wrote, which speaks Chat Completions.
    #[must_use]
    pub fn at(address: &str) -> Self {
        let address = address.trim().trim_end_matches('/');
        let (scheme, rest) = address.split_once("://").unwrap_or(("", address));
        let host = rest.split(['/', ':']).next().unwrap_or_default();
        // A number, of whichever kind, is an address.
        let near = host == "localhost"
            || host.starts_with('[')
            || host
                .chars()
                .all(|char| char.is_ascii_digit() || char == '.');
        let scheme = match (scheme, near) {
            ("", true) => "http",
            ("", false) => "https",
            (scheme, _) => scheme,
        };
        Self {
            title: address.to_owned(),
            standing: EndpointStanding::Ready,
            provider: if near {
                "local".to_owned()
            } else {
                name_of(host)
            },
            dialect: Dialect::Chat,
            base_url: Some(format!("{scheme}://{rest}")),
            key_env: String::new(),
            key: None,
        }
    }

    /// The same with a key that a person gave.
    #[must_use]
    pub fn with_key(mut self, key: Option<String>) -> Self {
        self.key = key.or(self.key);
        self
    }

    /// Its name in settings.
    #[must_use]
    pub fn provider(&self) -> &str {
        &self.provider
    }

    fn named(mut self, name: &str) -> Self {
        name.clone_into(&mut self.provider);
        self
    }

    /// A settings file that sends requests there, to this model.
    #[must_use]
    pub fn settings(&self, model: &str) -> String {
        let text = |text: &str| Toml::from(text).to_string().trim().to_owned();
        let model = text(&format!("{}/{model}", self.provider));
        let mut file = format!(
            "# Quire's settings: `quire config` shows all of them, and where each comes from.\n\
             model = {model}\n\n# effort = \"high\"               # low, medium, high, xhigh, max\n\
             # sandbox = \"workspace-write\"   # read-only, workspace-write, off\n\
             # budget_usd = \"5.00\"           # for a whole session\n"
        );
        if self.base_url.is_none() && self.key.is_none() {
            return file;
        }
        let _ = writeln!(file, "\n[providers.{}]", self.provider);
        if let Some(url) = &self.base_url {
            let _ = writeln!(file, "dialect = {}", text(self.dialect.name()));
            let _ = writeln!(file, "base_url = {}", text(url));
        }
        match &self.key {
            Some(key) => {
                let _ = writeln!(
                    file,
                    "# This file is yours alone to read. A variable would do too: key_env = \"NAME\"\n\
                     key = {}",
                    text(key)
                );
            }
            None if self.key_env.is_empty() => {}
            None => {
                let _ = writeln!(file, "key_env = {}", text(&self.key_env));
            }
        }
        file
    }

    /// The text of the person's settings file, which perhaps sets other things already, with requests sent there, to
    /// this model. `path` is for errors: a file that cannot be read is not changed.
    pub fn add_to(&self, path: &Path, text: &str, model: &str) -> Result<String, Error> {
        edit::add(path, text, &self.settings(model))
    }

    /// Whether its settings hold a secret.
    #[must_use]
    pub const fn has_secret(&self) -> bool {
        self.key.is_some()
    }
}

/// A host as a name: the part before its last.
fn name_of(host: &str) -> String {
    let parts: Vec<&str> = host.split('.').filter(|part| !part.is_empty()).collect();
    let part = match parts.as_slice() {
        [.., part, _] | [part] => part,
        [] => "endpoint",
    };
    let plain = |char: &char| char.is_ascii_alphanumeric() || *char == '-';
    let name: String = part.chars().filter(plain).collect();
    if name.is_empty() || BUILT_IN.iter().any(|known| known.name == name) {
        return "endpoint".to_owned();
    }
    name.to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Layer, Layers, parse};

    #[test]
    fn every_file_is_one_that_sends_requests_where_it_says() {
        let environment = |name: &str| (name == "GROQ_API_KEY").then(|| "k".to_owned());
        let mut all = endpoints(&environment);
        assert_eq!(all[0].title, "Groq (GROQ_API_KEY is set)");
        all.push(Endpoint::at("http://127.0.0.1:4000/").with_key(Some("a\"b\\c".to_owned())));
        all.push(Endpoint::at("llm.example.org/v1"));
        all.push(Endpoint::at("https://api.openai.com/v1").with_key(Some("k".to_owned())));
        for endpoint in all {
            let text = endpoint.settings("qwen/qwen3 \"x\"");
            let parsed = parse(Layer::User, "/c".as_ref(), text.as_bytes()).unwrap();
            assert!(parsed.notices.is_empty(), "{text}");
            let resolved = Layers::new("/w").user("/c".as_ref(), text.clone().into_bytes());
            let resolved = resolved.resolve().unwrap();
            let model = format!("{}/qwen/qwen3 \"x\"", endpoint.provider());
            assert_eq!(resolved.model_name().as_ref(), Ok(&model), "{text}");
            let provider = &resolved.providers()[endpoint.provider()];
            if let Some(url) = &endpoint.base_url {
                assert_eq!(&provider.base_url.value, url);
            }
            let key = provider.key.as_ref().map(|key| key.value.expose());
            assert_eq!(key, endpoint.key.as_deref(), "{text}");
        }
    }

    #[test]
    fn addresses_as_people_write_them() {
        for (written, provider, url) in [
            ("localhost:9000/v1/", "local", "http://localhost:9000/v1"),
            ("http://10.0.0.5:1", "local", "http://10.0.0.5:1"),
            ("llm.corp.example", "corp", "https://llm.corp.example"),
            (
                "https://api.openai.com/v1",
                "endpoint",
                "https://api.openai.com/v1",
            ),
        ] {
            let endpoint = Endpoint::at(written);
            assert_eq!(endpoint.provider(), provider, "{written}");
            assert_eq!(endpoint.base_url.as_deref(), Some(url), "{written}");
        }
    }
}
