//! `/permissions`: what commands may do, who says so, and what was allowed for this session.

use quire_protocol::{Phase, Policy, Rule, RuleAction, spelled, visible};
use ratatui_core::text::Line;

use super::{configured, pair};
use crate::app::App;
use crate::look;
use crate::rows::safe;
use crate::wish::Wish;
use crate::words;

pub(super) fn permissions(app: &mut App, words: &str) -> Result<Vec<Wish>, String> {
    match words.split_once(' ').unwrap_or((words, "")) {
        ("", "") => {
            let settings = app.conversation.settings.as_ref();
            let settings = settings.ok_or("the session has not begun yet")?;
            let lines = listed(app, &settings.policy);
            app.conversation.show(lines);
            Ok(Vec::new())
        }
        ("drop", number) => drop_rule(app, number.trim()),
        _ => Err(
            "/permissions shows them; /permissions drop N takes rule N of this session back"
                .to_owned(),
        ),
    }
}

fn drop_rule(app: &App, number: &str) -> Result<Vec<Wish>, String> {
    let allowed = &app.conversation.allowed;
    let place = number
        .parse::<usize>()
        .ok()
        .and_then(|number| number.checked_sub(1));
    let rule = place.and_then(|place| allowed.get(place)).cloned();
    let rule = rule.ok_or_else(|| match allowed.len() {
        0 => "nothing was allowed for the rest of this session".to_owned(),
        count => format!("which one? /permissions drop N, with N from 1 to {count}"),
    })?;
    configured(app, |settings| {
        let rules = &mut settings.policy.rules;
        if let Some(place) = rules.iter().rposition(|known| *known == rule) {
            rules.remove(place);
        }
    })
}

fn listed(app: &App, policy: &Policy) -> Vec<Line<'static>> {
    let from = |key: &str| match app.origins.iter().find(|(known, _)| known == key) {
        Some((_, origin)) => format!("  ({})", safe(origin)),
        None => String::new(),
    };
    let folders = policy.writable.iter();
    let folders: Vec<String> = folders.map(|folder| spelled(folder)).collect();
    let mut lines = vec![look::line(
        "What commands may do in this session",
        look::BOLD,
    )];
    match policy.phase {
        Phase::Plan => lines.push(pair(
            "plan mode",
            "read-only until /plan accept or /plan off",
        )),
        Phase::Look => lines.push(pair("it only looks", "read-only until /plan off")),
        Phase::Work => {}
    }
    lines.extend([
        pair(
            "sandbox",
            &(words::sandbox(policy.sandbox).to_owned() + &from("sandbox")),
        ),
        pair(
            "approvals",
            &(words::approvals(policy.approvals).to_owned() + &from("approvals")),
        ),
        pair(
            "network",
            &(list(&policy.domains, "none") + &from("network.domains")),
        ),
        pair(
            "writable besides the folder",
            &(list(&folders, "nothing") + &from("writable")),
        ),
        pair(
            "variables besides the usual",
            &(list(&policy.environment, "none") + &from("environment")),
        ),
    ]);
    lines.extend(rules(app, policy, &from));
    lines
}

/// Those that were set, and those that answers have made.
fn rules(app: &App, policy: &Policy, from: &dyn Fn(&str) -> String) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    let allowed = &app.conversation.allowed;
    let set = policy.rules.iter().filter(|rule| !allowed.contains(rule));
    let set: Vec<&Rule> = set.collect();
    if !set.is_empty() {
        lines.push(look::line("Rules", look::BOLD));
        lines.extend(set.iter().map(|rule| {
            let rule = named(rule);
            let origin = match from(&rule) {
                none if none.is_empty() => "  (the settings when the session began)".to_owned(),
                origin => origin,
            };
            pair(&safe(&visible(&rule)), origin.trim_start())
        }));
    }
    if !allowed.is_empty() {
        lines.push(look::line(
            "Allowed always in this session; /permissions drop N takes one back",
            look::BOLD,
        ));
        lines.extend(allowed.iter().enumerate().map(|(place, rule)| {
            let rule = safe(&visible(&rule.prefix.join(" ")));
            pair(&(place + 1).to_string(), &rule)
        }));
    }
    lines
}

/// The items, or what it means that there are none.
fn list(items: &[String], none: &str) -> String {
    if items.is_empty() {
        none.to_owned()
    } else {
        safe(&items.join(", "))
    }
}

/// A rule in words, as its origin is known by.
fn named(rule: &Rule) -> String {
    let action = match rule.action {
        RuleAction::Allow => "allow",
        RuleAction::Ask => "ask",
        RuleAction::Deny => "deny",
    };
    format!("{action} {}", rule.prefix.join(" "))
}
