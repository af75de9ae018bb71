//! Where a request is computed: told to the provider, promised for it by a person, or refused. A
//! request that must stay somewhere is never sent on the chance that it does.

use quire_catalogue::ModelFacts;
use quire_dialect::Dialect;
use quire_protocol::{ModelError, ModelErrorKind};

use crate::Provider;
use crate::failure::model_error;

/// Regions that Anthropic's own server can be told.
const TOLD: &[&str] = &["us", "global"];

/// What to tell the provider so that a request is computed in a region; nothing where a person says
/// that this provider computes nowhere else. Fails where neither holds it to that.
pub(crate) fn told(
    provider: &Provider,
    model: &str,
    facts: &ModelFacts,
    region: Option<&str>,
) -> Result<Option<&'static str>, ModelError> {
    let Some(region) = region else {
        return Ok(None);
    };
    let speaks = provider.dialect == Dialect::Messages && provider.is_vendor();
    let is_it = |tag: &str| tag.trim().eq_ignore_ascii_case(region.trim());
    let named = TOLD.iter().find(|told| is_it(told));
    if let Some(told) = named.filter(|_| speaks && facts.placeable) {
        return Ok(Some(told));
    }
    if provider.regions.iter().any(|tag| is_it(tag)) {
        return Ok(None);
    }
    let name = &provider.name;
    Err(model_error(
        ModelErrorKind::BadRequest,
        format!("{name}/{model} cannot be held to the region `{region}`; nothing was sent"),
        format!(
            "Take a Claude model from 4.6 on at Anthropic itself, which can be told `us`; or, if \
             you know that {name} computes there and nowhere else, {}; or take the region off.",
            how_to_vouch(provider, region)
        ),
    ))
}

/// How a person says that a provider computes in a region: of the address in the file. What is said there
/// does not hold for one from the environment, and that one comes first.
fn how_to_vouch(provider: &Provider, region: &str) -> String {
    let name = &provider.name;
    match &provider.url_variable {
        None => format!("set regions = [\"{region}\"] under [providers.{name}]"),
        Some(variable) => format!(
            "unset {variable}, which says where it is now, and write that address as base_url, with \
             regions = [\"{region}\"], under [providers.{name}]: regions hold only for an address in \
             the config"
        ),
    }
}

/// Fails where an answer reports that it was computed elsewhere than it must be. No report is no
/// such report.
pub(crate) fn kept(region: Option<&str>, reported: Option<&str>) -> Result<(), ModelError> {
    match (region, reported) {
        (Some(region), Some(reported)) if !reported.eq_ignore_ascii_case(region.trim()) => {
            Err(model_error(
                ModelErrorKind::BadRequest,
                format!("the answer was computed in `{reported}`, not in `{region}` as it must be"),
                "It is not used, and what it cost is counted. Ask the provider why, or take \
                 another route, before going on.",
            ))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use quire_catalogue::Catalogue;

    use super::*;

    #[track_caller]
    fn check(base_url: &str, dialect: Dialect, model: &str, tags: &[&str], expected: &str) {
        let mut provider = Provider::new("p", dialect);
        if !base_url.is_empty() {
            base_url.clone_into(&mut provider.base_url);
        }
        provider.regions = tags.iter().map(|tag| (*tag).to_owned()).collect();
        let facts = Catalogue::builtin().facts("p", model);
        let found = match told(&provider, model, &facts, Some("us")) {
            Ok(Some(region)) => region.to_owned(),
            Ok(None) => "promised".to_owned(),
            Err(error) => error.message,
        };
        assert!(found.starts_with(expected), "{found}");
    }

    #[test]
    fn a_route_is_told_promised_or_refused() {
        let other = "https://gateway.example";
        let (messages, chat) = (Dialect::Messages, Dialect::Chat);
        check("", messages, "claude-opus-4-6", &[], "us");
        check("", messages, "claude-opus-5-5", &["eu"], "us");
        check("", messages, "claude-opus-9", &[], "us");
        check(
            "",
            messages,
            "claude-sonnet-4-5",
            &[],
            "p/claude-sonnet-4-5 cannot",
        );
        check("", messages, "claude-sonnet-4-5", &["US"], "promised");
        check(
            other,
            messages,
            "claude-opus-5-5",
            &[],
            "p/claude-opus-5-5 cannot",
        );
        check(
            other,
            messages,
            "claude-opus-5-5",
            &["eu", " us "],
            "promised",
        );
        check("", Dialect::Responses, "gpt-5", &[], "p/gpt-5 cannot");
        check("http://127.0.0.1/v1", chat, "m", &["us"], "promised");
        check("http://127.0.0.1/v1", chat, "m", &["usa"], "p/m cannot");
    }

    #[test]
    fn only_a_report_from_elsewhere_breaks_it() {
        assert!(kept(Some("us"), Some("us")).is_ok());
        assert!(kept(Some("us"), None).is_ok());
        assert!(kept(None, Some("global")).is_ok());
        assert!(kept(Some("us"), Some("global")).is_err());
        assert!(kept(Some("us"), Some("not_available")).is_err());
    }
}
