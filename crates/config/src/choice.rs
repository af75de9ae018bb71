//! Which model is meant, when a person names one in short or not at all.

use crate::error::Error;
use crate::resolved::Resolved;
use crate::source::Layer;

/// The model when nobody names one: that of the first provider that has a key.
const DEFAULTS: [(&str, &str); 2] = [("anthropic", "claude-opus-5-5"), ("openai", "gpt-6.1-sol")];

impl Resolved {
    /// The model to use as `provider/name`: the one that the settings name, else a default of the
    /// first provider with a key.
    pub fn model_name(&self) -> Result<String, Error> {
        let Some(asked) = self.model() else {
            return self.default_model();
        };
        if let Some(entry) = self.models().get(asked) {
            return Ok(format!("{}/{}", entry.provider, entry.name));
        }
        match asked.split_once('/') {
            Some((provider, name))
                if self.providers().contains_key(provider) && !name.is_empty() =>
            {
                Ok(asked.to_owned())
            }
            _ => Err(self.no_model(asked)),
        }
    }

    fn no_model(&self, asked: &str) -> Error {
        let providers: Vec<&str> = self.providers().keys().map(String::as_str).collect();
        let models: Vec<&str> = self.models().keys().map(String::as_str).collect();
        let models = match models.as_slice() {
            [] => "none".to_owned(),
            names => names.join(", "),
        };
        Error::Model(format!(
            "there is no model `{asked}`: write it PROVIDER/NAME, like anthropic/claude-opus-5-5 \
             (providers: {}; names from the config: {models})",
            providers.join(", ")
        ))
    }

    fn default_model(&self) -> Result<String, Error> {
        let keyed = DEFAULTS.iter().find(|(provider, _)| {
            let provider = self.providers().get(*provider);
            provider.is_some_and(|provider| provider.key.is_some())
        });
        if let Some((provider, name)) = keyed {
            return Ok(format!("{provider}/{name}"));
        }
        let moved = self
            .providers()
            .get("chat")
            .is_some_and(|chat| chat.base_url.source.layer() == Layer::Environment);
        let hint = if moved {
            "OPENAI_BASE_URL is set: name a model it serves, like --model chat/NAME"
        } else {
            "set ANTHROPIC_API_KEY or OPENAI_API_KEY, or for a local server set OPENAI_BASE_URL \
             and use --model chat/NAME; `quire demo` works without any"
        };
        Err(Error::Model(format!("there is no model to use: {hint}")))
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use crate::Layers;

    #[expect(
        clippy::needless_pass_by_value,
        reason = "the usual form of such checks"
    )]
    fn check(environment: &[(&str, &str)], model: Option<&str>, expected: Expect) {
        let pairs = environment
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let file = b"[models.fast]\nprovider = \"chat\"\nname = \"qwen\"\n".to_vec();
        let mut layers = Layers::new("/w")
            .environment(pairs)
            .user("/config.toml".as_ref(), file);
        if let Some(model) = model {
            layers = layers.flag("model", "--model", model);
        }
        let chosen = layers.resolve().unwrap().model_name();
        expected.assert_eq(&chosen.unwrap_or_else(|error| error.to_string()));
    }

    #[test]
    fn models() {
        let keys = [("OPENAI_API_KEY", "k"), ("ANTHROPIC_API_KEY", "k")];
        check(&keys, None, expect!["anthropic/claude-opus-5-5"]);
        check(&keys[..1], None, expect!["openai/gpt-6.1-sol"]);
        check(&keys, Some("fast"), expect!["chat/qwen"]);
        check(&[], Some("chat/a/b"), expect!["chat/a/b"]);
        check(
            &[],
            Some("chat/"),
            expect![
                "there is no model `chat/`: write it PROVIDER/NAME, like anthropic/claude-opus-5-5 (providers: anthropic, chat, openai; names from the config: fast)"
            ],
        );
        check(
            &[],
            None,
            expect![
                "there is no model to use: set ANTHROPIC_API_KEY or OPENAI_API_KEY, or for a local server set OPENAI_BASE_URL and use --model chat/NAME; `quire demo` works without any"
            ],
        );
        check(
            &[("OPENAI_BASE_URL", "http://127.0.0.1:1/v1")],
            None,
            expect![
                "there is no model to use: OPENAI_BASE_URL is set: name a model it serves, like --model chat/NAME"
            ],
        );
    }
}
