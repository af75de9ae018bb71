//! What is wrong with a config, all of it at once: what cannot work, and what is likely not meant.

use std::fmt;

use super::{Auth, Config, Route, Telemetry, Upstream};

/// Something that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// Where (`models.claude-opus-5.routes[0]`).
    pub place: String,
    /// What, and what to do.
    pub message: String,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The server does not start.
    Error,
    /// It starts.
    Warning,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        write!(f, "{word}: {}: {}", self.place, self.message)
    }
}

impl Config {
    /// What is wrong with it. `variable` looks an environment variable up.
    pub fn check(&self, variable: impl Fn(&str) -> Option<String>) -> Vec<Finding> {
        let mut found = Findings::default();
        self.check_server(&mut found, &variable);
        for (name, upstream) in &self.upstreams {
            check_upstream(
                &format!("upstreams.{name}"),
                upstream,
                &mut found,
                &variable,
            );
        }
        self.check_models(&mut found);
        found.0
    }

    fn check_server(&self, found: &mut Findings, variable: &impl Fn(&str) -> Option<String>) {
        if !self.listen.ip().is_loopback() && self.tls.is_none() {
            let message = format!(
                "{} can be reached from elsewhere and keys would travel in the clear: set [tls], or listen on \
                 127.0.0.1 behind a proxy that has TLS",
                self.listen
            );
            found.warn("listen", message);
        }
        if variable(&self.admin_key_env).is_none_or(|key| key.trim().is_empty()) {
            let message = format!(
                "{} is not set: the admin API stays closed",
                self.admin_key_env
            );
            found.warn("admin_key_env", message);
        }
        if variable(&self.admin_key_env).is_some_and(|key| (1..16).contains(&key.trim().len())) {
            let message = format!(
                "{} is short enough to be guessed: take 16 characters or more",
                self.admin_key_env
            );
            found.warn("admin_key_env", message);
        }
        if let Some(telemetry) = &self.telemetry {
            check_telemetry(telemetry, found);
        }
        if let Some(name) = &self.seal_secret_env
            && variable(name).is_none_or(|secret| secret.len() < 16)
        {
            let message = format!("{name} must hold at least 16 bytes");
            found.error("seal_secret_env", message);
        }
        if let Some(tls) = &self.tls {
            for (key, path) in [("certificate", &tls.certificate), ("key", &tls.key)] {
                if !path.is_file() {
                    let message = format!("{} is no file that can be read", path.display());
                    found.error(&format!("tls.{key}"), message);
                }
            }
        }
        if self.upstreams.is_empty() {
            found.error(
                "upstreams",
                "there is none: add [upstreams.NAME] with dialect and base_url",
            );
        }
        if self.models.is_empty() {
            found.error(
                "models",
                "there is none: add [models.NAME] with routes = [{ upstream = \"…\" }]",
            );
        }
    }

    fn check_models(&self, found: &mut Findings) {
        for (name, model) in &self.models {
            let place = format!("models.{name}");
            if name.trim_end_matches('*').contains('*') || name.ends_with("**") {
                found.error(&place, "`*` may only stand once, at the end of a name");
            }
            if model.routes.is_empty() {
                found.error(&place, "it has no routes: nothing can serve it");
            }
            if model.routes.iter().all(|route| route.weight == 0) {
                found.error(
                    &place,
                    "all its routes have the weight 0: nothing would be chosen",
                );
            }
            for (index, route) in model.routes.iter().enumerate() {
                self.check_route(&format!("{place}.routes[{index}]"), route, found);
            }
        }
    }

    fn check_route(&self, place: &str, route: &Route, found: &mut Findings) {
        if !self.upstreams.contains_key(&route.upstream) {
            let known: Vec<&str> = self.upstreams.keys().map(String::as_str).collect();
            let message = format!(
                "there is no upstream `{}`; there are: {}",
                route.upstream,
                known.join(", ")
            );
            found.error(place, message);
        }
        if let Some(compaction) = &route.add.compaction
            && let Some(model) = &compaction.model
            && self.model(model).is_none()
        {
            let message = format!("no model `{model}` is configured to write summaries");
            found.error(&format!("{place}.add.compaction.model"), message);
        }
    }
}

fn check_telemetry(telemetry: &Telemetry, found: &mut Findings) {
    let url = &telemetry.otlp;
    if !url.starts_with("http://") && !url.starts_with("https://") {
        let message = format!("`{url}` is no address: write it like http://127.0.0.1:4318");
        found.error("telemetry.otlp", message);
    }
    if telemetry.one_of == 0 {
        found.error(
            "telemetry.one_of",
            "one of 0 requests is none: write 1 for all, or leave [telemetry] out",
        );
    }
    if telemetry.contents {
        let message = "prompts and answers go to the collector in plain words, whatever people wrote: leave it off \
                       unless all who can read there may read that";
        found.warn("telemetry.contents", message);
    }
}

fn check_upstream(
    place: &str,
    upstream: &Upstream,
    found: &mut Findings,
    variable: &impl Fn(&str) -> Option<String>,
) {
    let url = &upstream.base_url;
    let plain = url.starts_with("http://");
    if !plain && !url.starts_with("https://") {
        let message = format!(
            "`{url}` is no address: write it like https://host or http://127.0.0.1:8080/v1"
        );
        found.error(&format!("{place}.base_url"), message);
    }
    match &upstream.key_env {
        Some(name) if variable(name).is_none_or(|key| key.trim().is_empty()) => {
            found.error(&format!("{place}.key_env"), format!("{name} is not set"));
        }
        Some(_) if plain && !is_local(url) => {
            found.warn(
                &format!("{place}.base_url"),
                "the key would travel in the clear: use https",
            );
        }
        None if upstream.auth == Some(Auth::XApiKey) => {
            found.warn(
                &format!("{place}.auth"),
                "it says how a key travels, and there is no key_env",
            );
        }
        Some(_) | None => {}
    }
    if upstream.concurrency == 0 {
        found.error(
            &format!("{place}.concurrency"),
            "0 requests at once serve nobody",
        );
    }
}

fn is_local(url: &str) -> bool {
    ["http://127.", "http://localhost", "http://[::1]"]
        .iter()
        .any(|start| url.starts_with(start))
}

#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn error(&mut self, place: &str, message: impl Into<String>) {
        self.add(Severity::Error, place, message.into());
    }

    fn warn(&mut self, place: &str, message: impl Into<String>) {
        self.add(Severity::Warning, place, message.into());
    }

    fn add(&mut self, severity: Severity, place: &str, message: String) {
        let place = place.to_owned();
        self.0.push(Finding {
            severity,
            place,
            message,
        });
    }
}
