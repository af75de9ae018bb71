//! The page's HTML. Every text that comes from elsewhere is escaped.

use std::fmt::Write as _;

use quire_protocol::Money;

use super::picture;
use crate::metrics::{SLOT_MS, Slot};
use crate::reply::rfc3339;

/// How its parts look.
pub(super) const STYLE: &str = include_str!("style.css");
/// Seconds until a browser asks again.
const AGAIN_S: u32 = 10;
/// Slots of the last minute, and of the last five.
const MINUTE: usize = 6;
const FIVE_MINUTES: usize = 30;
/// So many models have a bar of their own.
const MODELS: usize = 12;

/// What the page shows.
pub(super) struct Page {
    pub(super) now: i64,
    /// The last half hour.
    pub(super) slots: Vec<Slot>,
    pub(super) upstreams: Vec<UpstreamLine>,
    /// Cost by model; none where the store does not say.
    pub(super) cost: Option<Vec<(String, Money)>>,
}

/// An upstream on the page.
pub(super) struct UpstreamLine {
    pub(super) name: String,
    pub(super) dialect: &'static str,
    pub(super) healthy: bool,
    pub(super) at_work: usize,
    pub(super) concurrency: usize,
}

impl Page {
    pub(super) fn html(&self) -> String {
        let mut out = String::new();
        let _ = write!(
            out,
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
             <meta http-equiv=\"refresh\" content=\"{AGAIN_S}\">\
             <meta name=\"viewport\" content=\"width=device-width\">\
             <title>Quire platform</title><style>{STYLE}</style></head><body>\n\
             <h1>Quire platform <small>{}</small></h1>\n",
            rfc3339(self.now)
        );
        self.figures(&mut out);
        self.traffic(&mut out);
        self.errors(&mut out);
        self.costs(&mut out);
        self.health(&mut out);
        out.push_str("</body></html>\n");
        out
    }

    /// Sums over the newest slots.
    fn last(&self, slots: usize) -> Slot {
        let mut sum = Slot::default();
        self.slots
            .iter()
            .rev()
            .take(slots)
            .for_each(|slot| sum.add(slot));
        sum
    }

    fn figures(&self, out: &mut String) {
        let (minute, five) = (self.last(MINUTE), self.last(FIVE_MINUTES));
        let latency = |percent| match five.latency_ms(percent) {
            Some(ms) => format!("{} s", thousandths(ms)),
            None => "–".to_owned(),
        };
        let failed: u64 = five.errors.values().sum();
        let cost = match &self.cost {
            Some(costs) => {
                let sum: Money = costs.iter().map(|(_, cost)| *cost).sum();
                format!("${}", sum.rounded(2))
            }
            None => "not known now".to_owned(),
        };
        out.push_str("<dl>");
        for (name, value) in [
            ("requests/s, last minute", tenths(minute.requests)),
            ("tokens/s in", tenths(minute.input)),
            ("tokens/s out", tenths(minute.output)),
            ("p50, last 5 min", latency(50)),
            ("p95, last 5 min", latency(95)),
            ("errors, last 5 min", failed.to_string()),
            ("cost today (UTC)", cost),
        ] {
            let _ = write!(out, "<div><dt>{name}</dt><dd>{value}</dd></div>");
        }
        out.push_str("</dl>\n");
    }

    fn traffic(&self, out: &mut String) {
        let each = |value: fn(&Slot) -> u64| self.slots.iter().map(value).collect::<Vec<_>>();
        let unit = format!("per {} s, last 30 minutes", SLOT_MS / 1_000);
        for (title, values) in [
            ("Requests", each(|slot| slot.requests)),
            ("Tokens", each(|slot| slot.input + slot.output)),
            ("p95 in ms", each(|slot| slot.latency_ms(95).unwrap_or(0))),
        ] {
            let _ = write!(out, "<section><h2>{title} <small>{unit}</small></h2>");
            picture::curve(out, title, &values);
            out.push_str("</section>\n");
        }
    }

    fn errors(&self, out: &mut String) {
        out.push_str("<section><h2>Errors by status <small>last 30 minutes</small></h2>");
        let errors = self.last(self.slots.len()).errors;
        let bars: Vec<(String, u64, String)> = errors
            .iter()
            .map(|(status, count)| (status.to_string(), *count, count.to_string()))
            .collect();
        picture::bars(out, "Errors by status", &bars);
        out.push_str("</section>\n");
    }

    fn costs(&self, out: &mut String) {
        out.push_str("<section><h2>Cost today by model <small>US dollars</small></h2>");
        match &self.cost {
            None => out.push_str("<p>The store does not answer.</p>"),
            Some(costs) => {
                let (shown, rest) = costs.split_at(costs.len().min(MODELS));
                let mut shown = shown.to_vec();
                if !rest.is_empty() {
                    let sum = rest.iter().map(|(_, cost)| *cost).sum();
                    shown.push((format!("{} others", rest.len()), sum));
                }
                let bars: Vec<(String, u64, String)> = shown
                    .into_iter()
                    .map(|(model, cost)| {
                        let length = u64::try_from(cost.picos()).unwrap_or(0);
                        (model, length, format!("${}", cost.rounded(4)))
                    })
                    .collect();
                picture::bars(out, "Cost by model", &bars);
            }
        }
        out.push_str("</section>\n");
    }

    fn health(&self, out: &mut String) {
        out.push_str(
            "<section><h2>Upstreams</h2><table><tr><th>name</th><th>API</th><th>state</th>\
             <th>requests</th></tr>",
        );
        for upstream in &self.upstreams {
            let (class, state) = if upstream.healthy {
                ("well", "healthy")
            } else {
                ("ill", "resting")
            };
            let _ = write!(
                out,
                "<tr><td>{}</td><td>{}</td><td class=\"{class}\">{state}</td><td>{} of {}</td></tr>",
                picture::escaped(&upstream.name),
                upstream.dialect,
                upstream.at_work,
                upstream.concurrency
            );
        }
        out.push_str("</table></section>\n");
    }
}

/// Of a minute's sum, how many a second.
fn tenths(sum: u64) -> String {
    let tenths = sum * 10 / 60;
    format!("{}.{}", tenths / 10, tenths % 10)
}

fn thousandths(ms: u64) -> String {
    format!("{}.{:03}", ms / 1_000, ms % 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page() -> Page {
        Page {
            now: 0,
            slots: vec![Slot::default(); 180],
            upstreams: vec![UpstreamLine {
                name: "<b>up</b>".to_owned(),
                dialect: "chat",
                healthy: false,
                at_work: 3,
                concurrency: 9,
            }],
            cost: Some(vec![(
                "<script>alert('x')</script>\"&".to_owned(),
                "1.5".parse().unwrap(),
            )]),
        }
    }

    #[test]
    fn nothing_that_a_client_named_becomes_part_of_the_page() {
        let html = page().html();
        assert!(!html.contains("<script") && !html.contains("<b>"), "{html}");
        assert!(html.contains("&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&quot;&amp;"));
        assert!(html.contains("$1.50") && html.contains("resting") && html.contains("3 of 9"));
    }

    #[test]
    fn nothing_comes_from_elsewhere() {
        let html = page().html();
        for word in [
            "http://", "https://", "src=", "href=", "url(", "style=", "@import",
        ] {
            assert!(!html.contains(word), "{word}: {html}");
        }
    }

    #[test]
    fn a_store_that_does_not_answer_is_told() {
        let mut page = page();
        page.cost = None;
        let html = page.html();
        assert!(html.contains("not known now") && html.contains("does not answer"));
    }

    #[test]
    fn many_models_have_few_bars() {
        let mut page = page();
        let costs = (0..40).map(|n| (format!("model-{n:02}"), "0.1".parse().unwrap()));
        page.cost = Some(costs.collect());
        let html = page.html();
        assert!(html.contains("28 others") && html.contains("$2.80") && !html.contains("model-12"));
    }
}
