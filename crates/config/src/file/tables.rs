//! `[providers.NAME]` and `[models.NAME]`.

use std::collections::BTreeMap;
use std::ops::Range;

use quire_protocol::Effort;
use toml_edit::{Item, TableLike, Value as Toml};

use super::{Reader, key_span, span_of};
use crate::error::Error;
use crate::provider::{
    ApiVersion, BUILT_IN, Clear, Described, Dialect, ModelEntry, Secret, Thinking, TokenPrices,
    ToolFamily,
};
use crate::resolved::Notice;
use crate::source::{Layer, Sourced};
use crate::value::dollars;

const PROVIDER: &[&str] = &[
    "dialect",
    "base_url",
    "key_env",
    "key",
    "api_version",
    "vendor_features",
    "regions",
    "clear",
    "headers",
];
const MODEL: &[&str] = &[
    "provider",
    "name",
    "window",
    "max_output",
    "price_input",
    "price_output",
    "price_cache_read",
    "price_cache_write",
    "efforts",
    "thinking",
    "tools",
    "images",
];

impl Reader<'_> {
    pub(super) fn providers(&mut self, item: &Item, at: &Range<usize>) -> Result<(), Error> {
        if self.layer == Layer::Project {
            self.file.notices.push(Notice {
                source: self.source(at),
                message: "ignored: only your own file may say where requests and keys are sent"
                    .to_owned(),
            });
            return Ok(());
        }
        let all = self.table_like("providers", item, at)?;
        for (name, item) in all.iter() {
            let at = key_span(all, name);
            let path = format!("providers.{name}");
            let table = self.table_like(&path, item, &at)?;
            self.only(table, &path, PROVIDER);
            let described = self.provider(&path, table, &at)?;
            let built_in = BUILT_IN.iter().any(|provider| provider.name == name);
            if !built_in && (described.dialect.is_none() || described.base_url.is_none()) {
                let expected = "dialect = \"messages\", \"responses\" or \"chat\", and base_url = \"https://…\"";
                return Err(self.misfit(&path, expected, at));
            }
            self.file.providers.insert(name.to_owned(), described);
        }
        Ok(())
    }

    fn provider(
        &self,
        path: &str,
        table: &dyn TableLike,
        at: &Range<usize>,
    ) -> Result<Described, Error> {
        let sourced = |value| {
            let span = span_of(table, value, at);
            self.source(&span)
        };
        let dialects = "\"messages\", \"responses\" or \"chat\"";
        let versions = "\"2023-06-01\" or \"2026-10-21\"";
        let base_url = self.text_of(path, table, "base_url")?;
        if let Some(url) = &base_url
            && !["http://", "https://"]
                .iter()
                .any(|scheme| url.starts_with(scheme))
        {
            let at = span_of(table, "base_url", at);
            return Err(self.misfit(&format!("{path}.base_url"), "http://… or https://…", at));
        }
        Ok(Described {
            dialect: self.word_of(path, table, "dialect", dialects, Dialect::from_name)?,
            base_url: base_url.map(|value| Sourced {
                value,
                source: sourced("base_url"),
            }),
            key_env: self.text_of(path, table, "key_env")?,
            key: self.text_of(path, table, "key")?.map(|value| Sourced {
                value: Secret::new(value),
                source: sourced("key"),
            }),
            api_version: self.word_of(
                path,
                table,
                "api_version",
                versions,
                ApiVersion::from_name,
            )?,
            vendor_features: self.toggle_of(path, table, "vendor_features")?,
            regions: self.regions_of(path, table)?,
            clear: self.clear_of(path, table)?,
            headers: self.headers(path, table, at)?,
            source: self.source(at),
        })
    }

    fn regions_of(&self, path: &str, table: &dyn TableLike) -> Result<Vec<String>, Error> {
        let expected = "a list of regions, like [\"us\"]";
        let regions = self.field(path, table, "regions", expected, |value, _| {
            let region = |name: &Toml| {
                let name = name.as_str()?.trim();
                (!name.is_empty()).then(|| name.to_owned())
            };
            value.as_array()?.iter().map(region).collect()
        })?;
        Ok(regions.unwrap_or_default())
    }

    fn clear_of(&self, path: &str, table: &dyn TableLike) -> Result<Vec<Clear>, Error> {
        let expected = "a list of \"tool_uses\", \"thinking\"";
        let clear = self.field(path, table, "clear", expected, |value, _| {
            let part = |name: &Toml| Clear::from_name(name.as_str()?);
            value.as_array()?.iter().map(part).collect()
        })?;
        Ok(clear.unwrap_or_default())
    }

    pub(super) fn headers(
        &self,
        path: &str,
        table: &dyn TableLike,
        at: &Range<usize>,
    ) -> Result<BTreeMap<String, Secret>, Error> {
        let Some(item) = table.get("headers") else {
            return Ok(BTreeMap::new());
        };
        let at = span_of(table, "headers", at);
        let name_fits = |name: &str| {
            !name.is_empty()
                && name
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
        };
        let value_fits = |value: &&str| !value.contains(|c: char| c.is_control());
        self.table_like(&format!("{path}.headers"), item, &at)?
            .iter()
            .map(|(name, item)| {
                let value = item
                    .as_str()
                    .filter(value_fits)
                    .filter(|_| name_fits(name))?;
                Some((name.to_owned(), Secret::new(value)))
            })
            .collect::<Option<_>>()
            .ok_or_else(|| {
                self.misfit(
                    &format!("{path}.headers"),
                    "headers like { x-team = \"blue\" }",
                    at,
                )
            })
    }

    pub(super) fn models(&mut self, item: &Item, at: &Range<usize>) -> Result<(), Error> {
        let all = self.table_like("models", item, at)?;
        for (name, item) in all.iter() {
            let at = key_span(all, name);
            let path = format!("models.{name}");
            let table = self.table_like(&path, item, &at)?;
            self.only(table, &path, MODEL);
            let model = self.model(&path, table, &at)?;
            self.file.models.insert(name.to_owned(), model);
        }
        Ok(())
    }

    fn model(
        &self,
        path: &str,
        table: &dyn TableLike,
        at: &Range<usize>,
    ) -> Result<ModelEntry, Error> {
        let needed = |name: &str| {
            self.text_of(path, table, name)?
                .ok_or_else(|| self.misfit(path, "provider = \"…\" and name = \"…\"", at.clone()))
        };
        let thinking = "\"adaptive\", \"budget\" or \"none\"";
        let families = "\"claude\" or \"gpt\"";
        let price = |name| self.price_of(path, table, name);
        let prices = match (price("price_input")?, price("price_output")?) {
            (Some(input), Some(output)) => Some(TokenPrices {
                input,
                output,
                cache_read: price("price_cache_read")?,
                cache_write: price("price_cache_write")?,
            }),
            (None, None) => None,
            _ => {
                let expected = "price_input and price_output together";
                return Err(self.misfit(path, expected, at.clone()));
            }
        };
        Ok(ModelEntry {
            provider: needed("provider")?,
            name: needed("name")?,
            window: self.tokens_of(path, table, "window")?,
            max_output: self.tokens_of(path, table, "max_output")?,
            prices,
            efforts: self.efforts_of(path, table)?,
            thinking: self.word_of(path, table, "thinking", thinking, Thinking::from_name)?,
            tools: self.word_of(path, table, "tools", families, ToolFamily::from_name)?,
            images: self.toggle_of(path, table, "images")?,
            source: self.source(at),
        })
    }

    fn efforts_of(&self, path: &str, table: &dyn TableLike) -> Result<Option<Vec<Effort>>, Error> {
        let expected = "a list of \"low\", \"medium\", \"high\", \"xhigh\", \"max\"";
        self.field(path, table, "efforts", expected, |value, _| {
            let level = |name: &Toml| name.as_str()?.parse().ok();
            value.as_array()?.iter().map(level).collect()
        })
    }

    /// One of a few words.
    pub(super) fn word_of<T>(
        &self,
        path: &str,
        table: &dyn TableLike,
        name: &str,
        expected: &str,
        from_name: fn(&str) -> Option<T>,
    ) -> Result<Option<T>, Error> {
        self.field(path, table, name, expected, |value, _| {
            value.as_str().and_then(from_name)
        })
    }

    pub(super) fn toggle_of(
        &self,
        path: &str,
        table: &dyn TableLike,
        name: &str,
    ) -> Result<Option<bool>, Error> {
        self.field(path, table, name, "true or false", |value, _| {
            value.as_bool()
        })
    }

    fn text_of(
        &self,
        path: &str,
        table: &dyn TableLike,
        name: &str,
    ) -> Result<Option<String>, Error> {
        self.field(path, table, name, "a text in quotes", |value, _| {
            value
                .as_str()
                .filter(|text| !text.is_empty())
                .map(str::to_owned)
        })
    }

    fn tokens_of(
        &self,
        path: &str,
        table: &dyn TableLike,
        name: &str,
    ) -> Result<Option<u32>, Error> {
        self.field(path, table, name, "a number of tokens", |value, _| {
            u32::try_from(value.as_integer()?)
                .ok()
                .filter(|tokens| *tokens >= 1)
        })
    }

    fn price_of(
        &self,
        path: &str,
        table: &dyn TableLike,
        name: &str,
    ) -> Result<Option<quire_protocol::Money>, Error> {
        let expected = "dollars for a million tokens, like 2.50";
        self.field(path, table, name, expected, |value, raw| match value {
            Toml::String(text) => dollars(text.value()),
            Toml::Integer(_) | Toml::Float(_) => dollars(&raw.replace('_', "")),
            _ => None,
        })
    }

    /// The value of a field, read by `read` from the value and its text; `None` when it is absent.
    pub(super) fn field<T>(
        &self,
        path: &str,
        table: &dyn TableLike,
        name: &str,
        expected: &str,
        read: impl Fn(&Toml, &str) -> Option<T>,
    ) -> Result<Option<T>, Error> {
        let Some(item) = table.get(name) else {
            return Ok(None);
        };
        let span = item.span().unwrap_or_else(|| key_span(table, name));
        let raw = self.text.get(span.clone()).unwrap_or_default();
        match item.as_value().and_then(|value| read(value, raw)) {
            Some(value) => Ok(Some(value)),
            None => Err(self.misfit(&format!("{path}.{name}"), expected, span)),
        }
    }
}
