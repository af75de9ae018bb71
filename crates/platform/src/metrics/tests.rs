//! The text keeps the format's rules, and memory its bounds.

use std::collections::{BTreeMap, BTreeSet};

use quire_depot::ContextWindow;
use quire_protocol::Usage;

use super::*;

fn row(model: &str, status: u16, latency_ms: u64) -> UsageRow {
    UsageRow {
        request: "req".into(),
        at: 0,
        organisation: "o".into(),
        workspace: "w".into(),
        key: "k".into(),
        model_asked: model.to_owned(),
        model_served: model.to_owned(),
        upstream: "up".to_owned(),
        api: "messages".to_owned(),
        usage: Usage {
            input: 3,
            output: 2,
            ..Usage::default()
        },
        web_searches: 0,
        cost: "0.25".parse().unwrap(),
        split: None,
        service_tier: "standard".to_owned(),
        inference_geo: "global".to_owned(),
        speed: "standard".to_owned(),
        batch: false,
        context_window: ContextWindow::Short,
        status,
        streamed: false,
        latency_ms,
        estimated: false,
    }
}

/// A sample: its name, its labels in their order, its value.
type Sample = (String, Vec<(String, String)>, f64);

/// Reads a line as Prometheus' text format has it, and nothing beside it.
fn sample(line: &str) -> Sample {
    let is_name = |name: &str| {
        let mut letters = name.chars();
        letters
            .next()
            .is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
            && letters.all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
    };
    let (series, value) = line.rsplit_once(' ').unwrap();
    let value: f64 = value.parse().unwrap();
    let Some((name, labels)) = series.split_once('{') else {
        assert!(is_name(series), "{line}");
        return (series.to_owned(), Vec::new(), value);
    };
    assert!(is_name(name), "{line}");
    let mut rest = labels.strip_suffix('}').unwrap();
    let mut pairs = Vec::new();
    while !rest.is_empty() {
        let (label, quoted) = rest.split_once("=\"").unwrap();
        assert!(is_name(label), "{line}");
        let (mut text, mut letters) = (String::new(), quoted.char_indices());
        let end = loop {
            match letters.next().unwrap() {
                (at, '"') => break at,
                (_, '\\') => text.push(match letters.next().unwrap().1 {
                    'n' => '\n',
                    letter @ ('\\' | '"') => letter,
                    letter => panic!("\\{letter} in {line}"),
                }),
                (_, letter) => text.push(letter),
            }
        };
        pairs.push((label.to_owned(), text));
        rest = &quoted[end + 1..];
        rest = rest.strip_prefix(',').unwrap_or(rest);
    }
    (name.to_owned(), pairs, value)
}

/// Reads the whole text by the format's rules: every sample behind its type, no family twice, no series twice.
fn strict(text: &str) -> Vec<Sample> {
    assert!(text.ends_with('\n'));
    let mut family: Option<(String, String)> = None;
    let mut families = BTreeSet::new();
    let mut series = BTreeSet::new();
    let mut samples = Vec::new();
    for line in text.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, words) = help.split_once(' ').unwrap();
            assert!(
                !words.is_empty() && families.insert(name.to_owned()),
                "{line}"
            );
            continue;
        }
        if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').unwrap();
            assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
            assert!(families.contains(name), "{line}");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
            family = Some((name.to_owned(), kind.to_owned()));
            continue;
        }
        let (name, labels, value) = sample(line);
        let (of, kind) = family.clone().expect("a sample before any type");
        let belongs = match kind.as_str() {
            "histogram" => ["_bucket", "_sum", "_count"]
                .iter()
                .any(|end| name == format!("{of}{end}")),
            _ => name == of,
        };
        assert!(belongs, "{line} in {of}");
        assert!(kind == "gauge" || value >= 0.0, "{line}");
        let mut sorted = labels.clone();
        sorted.sort();
        sorted.dedup_by(|one, other| one.0 == other.0);
        assert_eq!(sorted.len(), labels.len(), "{line}");
        assert!(series.insert(format!("{name}{sorted:?}")), "twice: {line}");
        samples.push((name, labels, value));
    }
    samples
}

/// Buckets grow, and the last one is the count.
fn check_histogram(samples: &[Sample], name: &str) {
    let mut buckets: BTreeMap<String, Vec<(f64, f64)>> = BTreeMap::new();
    let mut counts: BTreeMap<String, f64> = BTreeMap::new();
    for (sample, labels, value) in samples {
        let (ends, others): (Vec<_>, Vec<_>) = labels.iter().partition(|(label, _)| label == "le");
        let of = format!("{others:?}");
        if *sample == format!("{name}_bucket") {
            let end = ends[0].1.replace("+Inf", "inf").parse().unwrap();
            buckets.entry(of).or_default().push((end, *value));
        } else if *sample == format!("{name}_count") {
            counts.insert(of, *value);
        }
    }
    assert!(!buckets.is_empty());
    for (of, buckets) in buckets {
        assert!(
            buckets.is_sorted_by(|one, two| one.0 < two.0 && one.1 <= two.1),
            "{of}"
        );
        assert_eq!(
            *buckets.last().unwrap(),
            (f64::INFINITY, counts[&of]),
            "{of}"
        );
    }
}

#[test]
fn the_text_keeps_every_rule_of_the_format() {
    let metrics = std::sync::Arc::new(Metrics::default());
    strict(&metrics.text(&[]));
    for (n, model) in ["a", "b\"c\\d\ne", "a"].into_iter().enumerate() {
        metrics.ended(&row(model, 200, 7 * n as u64), n == 0);
        metrics.ended(&row(model, 500, 3_000_000), true);
    }
    metrics.refused(401);
    for fault in [Fault::Silent, Fault::Busy, Fault::Silent] {
        metrics.upstream_failed("up \"x\"", fault);
    }
    let _held = metrics.connection();
    let text = metrics.text(&[
        ("up \"x\"".to_owned(), false, 3),
        ("two".to_owned(), true, 0),
    ]);
    let samples = strict(&text);
    check_histogram(&samples, "quire_request_seconds");
    let value = |name: &str, label: &str| {
        let found = samples.iter().find(|(sample, labels, _)| {
            sample == name && (label.is_empty() || labels.iter().any(|(_, text)| text == label))
        });
        found
            .unwrap_or_else(|| panic!("{name} {label} in {text}"))
            .2
    };
    for (name, label, expected) in [
        ("quire_requests_total", "b\"c\\d\ne", 1.0),
        ("quire_cost_dollars_total", "a", 0.5),
        ("quire_request_seconds_sum", "b\"c\\d\ne", 0.007),
        ("quire_unpriced_total", "", 2.0),
        ("quire_refused_total", "401", 1.0),
        ("quire_upstream_failures_total", "silent", 2.0),
        ("quire_upstream_failures_total", "busy", 1.0),
        ("quire_upstream_healthy", "up \"x\"", 0.0),
        ("quire_upstream_requests", "up \"x\"", 3.0),
        ("quire_connections", "", 1.0),
    ] {
        assert!(
            (value(name, label) - expected).abs() < 1e-9,
            "{name} {label} in {text}"
        );
    }
}

#[test]
fn ever_new_names_do_not_grow_memory_without_end() {
    let metrics = Metrics::default();
    for n in 0..5_000 {
        metrics.ended(&row(&format!("claude-{n}"), 200, 1), true);
    }
    metrics.ended(&row(&"x".repeat(1 << 20), 200, 1), true);
    // Those that were there before go on by themselves.
    metrics.ended(&row("claude-7", 200, 1), true);
    assert_eq!(lock(&metrics.by_label).len(), LABELS + 1);
    let text = metrics.text(&[]);
    let samples = strict(&text);
    let requests = |model: &str| {
        let found = samples.iter().find(|(name, labels, _)| {
            name == "quire_requests_total" && labels.iter().any(|(_, text)| text == model)
        });
        found.unwrap().2
    };
    assert!((requests("claude-7") - 2.0).abs() < 1e-9);
    assert!((requests(OTHER) - 4_001.0).abs() < 1e-9);
    assert!(text.len() < 5_000_000, "{}", text.len());
}
