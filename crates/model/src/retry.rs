//! When to ask again and how long to wait first. Pure: what it needs to know is handed in.

use std::time::Duration;

use hyper::HeaderMap;
use quire_protocol::{ModelError, ModelErrorKind};

use crate::http_date::http_date;

/// How patient to be with a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// How often to ask again after ordinary failures.
    pub retries: u32,
    /// How often to ask again after "too many requests" or "overloaded", which take their time to
    /// pass; counted apart from the others.
    pub busy_retries: u32,
    /// The wait before the first retry; each further one of its kind is twice as long.
    pub first_wait: Duration,
    /// The longest wait after an ordinary failure.
    pub longest_wait: Duration,
    /// The longest wait after "too many requests" or "overloaded".
    pub longest_busy_wait: Duration,
    /// The longest wait asked for by the provider that is obeyed; beyond it the request fails.
    pub patience: Duration,
    /// How long connecting may take, TLS included.
    pub connect_timeout: Duration,
    /// How long a provider may send nothing at all; its pings count as something.
    pub idle_timeout: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            retries: 4,
            busy_retries: 10,
            first_wait: Duration::from_millis(500),
            longest_wait: Duration::from_secs(8),
            longest_busy_wait: Duration::from_mins(1),
            patience: Duration::from_mins(2),
            connect_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_mins(5),
        }
    }
}

/// What a provider's headers say about asking again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Advice {
    /// Wait this long.
    pub(crate) after: Option<Duration>,
    /// Do, or do not.
    pub(crate) retry: Option<bool>,
}

impl Advice {
    /// Reads `retry-after-ms`, `retry-after` and `x-should-retry`.
    pub(crate) fn from_headers(headers: &HeaderMap) -> Self {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let millis = text("retry-after-ms").and_then(|ms| positive(ms, 1_000.0));
        let now = text("date").and_then(http_date);
        Self {
            after: millis.or_else(|| text("retry-after").and_then(|value| after(value, now))),
            retry: match text("x-should-retry") {
                Some("true") => Some(true),
                Some("false") => Some(false),
                _ => None,
            },
        }
    }
}

/// What to do after a failed attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Ask again after this wait.
    Again(Duration),
    /// Do not, and for this reason if it is not plain.
    GiveUp(Option<String>),
}

/// Attempts that failed so far, this one included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Failures {
    pub(crate) ordinary: u32,
    pub(crate) busy: u32,
    pub(crate) malformed: u32,
}

impl Failures {
    pub(crate) fn count(&mut self, error: &ModelError) {
        match error.kind {
            ModelErrorKind::Busy => self.busy += 1,
            _ => self.ordinary += 1,
        }
        self.malformed += u32::from(error.kind == ModelErrorKind::Malformed);
    }

    pub(crate) fn all(&self) -> u32 {
        self.ordinary + self.busy
    }
}

impl RetryPolicy {
    /// Judges a failed attempt; `dice` is any random number.
    pub(crate) fn judge(
        &self,
        error: &ModelError,
        advice: Advice,
        failures: Failures,
        dice: u64,
    ) -> Verdict {
        if !advice
            .retry
            .map_or_else(|| worth_it(error), |retry| retry && curable(error.kind))
        {
            return Verdict::GiveUp(None);
        }
        let (alike, retries, longest) = match error.kind {
            ModelErrorKind::Busy => (failures.busy, self.busy_retries, self.longest_busy_wait),
            _ => (failures.ordinary, self.retries, self.longest_wait),
        };
        if alike > retries {
            let all = failures.all();
            return Verdict::GiveUp((all > 1).then(|| format!("gave up after {all} attempts")));
        }
        if error.kind == ModelErrorKind::Malformed && failures.malformed > 1 {
            return Verdict::GiveUp(Some("it was the same when asked again".to_owned()));
        }
        match advice.after {
            Some(wait) if wait > self.patience => Verdict::GiveUp(Some(format!(
                "the provider says to come back in {}",
                in_words(wait)
            ))),
            Some(wait) => Verdict::Again(wait),
            None => Verdict::Again(self.backoff(alike, longest, dice)),
        }
    }

    /// The wait after the given number of failures, with up to a quarter of it taken off by `dice`.
    fn backoff(&self, failures: u32, longest: Duration, dice: u64) -> Duration {
        let doublings = failures.saturating_sub(1).min(16);
        let wait = self.first_wait.saturating_mul(1 << doublings).min(longest);
        let off = u32::try_from(dice % 256).unwrap_or(0);
        wait.saturating_sub((wait / 1_024).saturating_mul(off))
    }
}

/// Whether the kind and the status alone say that asking again may help.
fn worth_it(error: &ModelError) -> bool {
    use ModelErrorKind::{Busy, Malformed, Network, Server};
    let by_kind = matches!(error.kind, Network | Busy | Server | Malformed);
    let by_status = error
        .status
        .is_some_and(|s| matches!(s, 408 | 409 | 429) || s >= 500);
    curable(error.kind) && (by_kind || by_status)
}

/// Whether time can cure it at all.
fn curable(kind: ModelErrorKind) -> bool {
    use ModelErrorKind::{Auth, Cancelled, ContextOverflow, Quota, UnknownModel};
    !matches!(
        kind,
        Auth | Cancelled | ContextOverflow | Quota | UnknownModel
    )
}

/// A `retry-after` value: seconds, perhaps with a fraction, or an HTTP date.
fn after(value: &str, now: Option<u64>) -> Option<Duration> {
    positive(value, 1.0).or_else(|| {
        let wait = http_date(value)?.checked_sub(now?)?;
        Some(Duration::from_secs(wait))
    })
}

fn positive(text: &str, per_second: f64) -> Option<Duration> {
    let number: f64 = text.trim().parse().ok()?;
    Duration::try_from_secs_f64(number / per_second).ok()
}

fn in_words(wait: Duration) -> String {
    let seconds = wait.as_secs();
    match seconds {
        0..120 => format!("{seconds} seconds"),
        120..7_200 => format!("{} minutes", seconds.div_ceil(60)),
        7_200..172_800 => format!("{} hours", seconds.div_ceil(3_600)),
        _ => format!("{} days", seconds.div_ceil(86_400)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ModelErrorKind::{
        Auth, BadRequest, Busy, ContextOverflow, Malformed, Network, NotAnApi, Quota, Server,
        UnknownModel,
    };

    fn error(kind: ModelErrorKind, status: Option<u16>) -> ModelError {
        ModelError {
            kind,
            message: String::new(),
            hint: String::new(),
            status,
        }
    }

    /// The verdict after so many failures of this kind.
    fn judge(error: &ModelError, advice: Advice, times: u32) -> Verdict {
        let mut failures = Failures::default();
        for _ in 0..times {
            failures.count(error);
        }
        RetryPolicy::default().judge(error, advice, failures, 0)
    }

    #[test]
    fn who_is_asked_again() {
        for (kind, status, advice, again) in [
            (Network, None, None, true),
            (Busy, Some(429), None, true),
            (Busy, Some(529), None, true),
            (Busy, Some(429), Some(false), false),
            (Server, Some(500), None, true),
            (Server, Some(500), Some(false), false),
            (BadRequest, Some(409), None, true),
            (BadRequest, Some(408), None, true),
            (BadRequest, Some(400), None, false),
            (BadRequest, Some(400), Some(true), true),
            (NotAnApi, Some(502), None, true),
            (NotAnApi, Some(200), None, false),
            (Malformed, Some(200), None, true),
            (Quota, Some(429), None, false),
            (Quota, Some(402), Some(true), false),
            (Auth, Some(401), None, false),
            (Auth, Some(403), None, false),
            (UnknownModel, Some(404), None, false),
            (ContextOverflow, Some(400), None, false),
        ] {
            let advice = Advice {
                after: None,
                retry: advice,
            };
            let verdict = judge(&error(kind, status), advice, 1);
            assert_eq!(
                matches!(verdict, Verdict::Again(_)),
                again,
                "{kind:?} {status:?}"
            );
        }
    }

    #[test]
    fn waits_double_up_to_a_cap() {
        let policy = RetryPolicy::default();
        let waits = |longest, dice| -> Vec<u128> {
            (1..=9)
                .map(|times| policy.backoff(times, longest, dice).as_millis())
                .collect()
        };
        let plain = [500, 1_000, 2_000, 4_000, 8_000, 8_000, 8_000, 8_000, 8_000];
        assert_eq!(waits(policy.longest_wait, 0), plain);
        let busy = [
            500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000,
        ];
        assert_eq!(waits(policy.longest_busy_wait, 0), busy);
        for (least, found) in plain.into_iter().zip(waits(policy.longest_wait, 255)) {
            assert!(
                found < least && found >= least * 3 / 4,
                "{found} of {least}"
            );
        }
    }

    #[test]
    fn it_ends_some_time() {
        let policy = RetryPolicy::default();
        let network = error(Network, None);
        assert!(matches!(
            judge(&network, Advice::default(), policy.retries),
            Verdict::Again(_)
        ));
        let last = judge(&network, Advice::default(), policy.retries + 1);
        assert_eq!(
            last,
            Verdict::GiveUp(Some("gave up after 5 attempts".into()))
        );
        let malformed = judge(&error(Malformed, None), Advice::default(), 2);
        assert!(matches!(malformed, Verdict::GiveUp(Some(_))));
    }

    #[test]
    fn a_busy_provider_is_waited_for_minutes_and_not_for_ever() {
        let busy = error(Busy, Some(529));
        let mut waited = Duration::ZERO;
        let mut times = 1;
        while let Verdict::Again(wait) = judge(&busy, Advice::default(), times) {
            waited += wait;
            times += 1;
        }
        assert_eq!((times, waited.as_secs()), (11, 243));
    }

    #[test]
    fn failures_of_another_kind_do_not_use_patience_up() {
        let failures = Failures {
            ordinary: 1,
            busy: 9,
            malformed: 0,
        };
        let policy = RetryPolicy::default();
        let verdict = policy.judge(&error(Network, None), Advice::default(), failures, 0);
        assert_eq!(verdict, Verdict::Again(policy.first_wait));
    }

    #[test]
    fn advice_in_headers() {
        let sunday = "Sun, 06 Nov 1994 08:49:37 GMT";
        let later = "Sun, 06 Nov 1994 08:50:07 GMT";
        let ms = Duration::from_millis;
        for (headers, after, retry) in [
            (vec![("retry-after", "7")], Some(ms(7_000)), None),
            (vec![("retry-after", "0.5")], Some(ms(500)), None),
            (vec![("retry-after", "0")], Some(ms(0)), None),
            (vec![("retry-after", "-1")], None, None),
            (vec![("retry-after", "NaN")], None, None),
            (vec![("retry-after", "soon")], None, None),
            (
                vec![("retry-after", "7"), ("retry-after-ms", "20")],
                Some(ms(20)),
                None,
            ),
            (
                vec![("retry-after", later), ("date", sunday)],
                Some(ms(30_000)),
                None,
            ),
            (vec![("retry-after", sunday), ("date", later)], None, None),
            (vec![("retry-after", later)], None, None),
            (vec![("x-should-retry", "false")], None, Some(false)),
            (vec![("x-should-retry", "true")], None, Some(true)),
            (vec![("x-should-retry", "maybe")], None, None),
        ] {
            let mut map = HeaderMap::new();
            for (name, value) in &headers {
                map.insert(*name, value.parse().unwrap());
            }
            assert_eq!(
                Advice::from_headers(&map),
                Advice { after, retry },
                "{headers:?}"
            );
        }
    }

    #[test]
    fn a_long_wait_is_told_not_waited() {
        for (seconds, words) in [(121, "3 minutes"), (7_200, "2 hours"), (864_000, "10 days")] {
            let advice = Advice {
                after: Some(Duration::from_secs(seconds)),
                retry: None,
            };
            let verdict = judge(&error(Busy, Some(429)), advice, 1);
            let reason = format!("the provider says to come back in {words}");
            assert_eq!(verdict, Verdict::GiveUp(Some(reason)));
        }
        let advice = Advice {
            after: Some(Duration::from_mins(2)),
            retry: None,
        };
        let verdict = judge(&error(Busy, Some(429)), advice, 1);
        assert_eq!(verdict, Verdict::Again(Duration::from_mins(2)));
    }
}
