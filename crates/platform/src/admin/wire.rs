//! What several parts of the API write alike: errors, times, limits, budgets.

use quire_depot::{Budget, Limits, Period};
use quire_protocol::Money;
use quire_translate::{Reason, Refusal};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value, json};

use crate::reply::{Denial, rfc3339};

/// A request that is wrong.
pub(super) fn invalid(message: impl Into<String>) -> Denial {
    Refusal::new(Reason::Invalid, message).into()
}

/// A field that is wrong.
pub(super) fn wrong(field: &str, message: impl Into<String>) -> Denial {
    let message = format!("{field}: {}", message.into());
    Refusal::new(Reason::Invalid, message).about(field).into()
}

/// Something that is not there.
pub(super) fn missing(kind: &'static str, id: &str) -> Denial {
    let id = crate::log::short(id).to_owned();
    quire_depot::Error::Missing { kind, id }.into()
}

/// The fields of an object, to which others are added.
pub(super) fn fields(object: Value) -> Map<String, Value> {
    if let Value::Object(fields) = object {
        fields
    } else {
        Map::new()
    }
}

/// A time, or null.
pub(super) fn time(at: Option<i64>) -> Value {
    at.map_or(Value::Null, |at| rfc3339(at).into())
}

/// Limits.
pub(super) fn limits(limits: &Limits) -> Value {
    json!({
        "requests_per_minute": limits.requests_per_minute,
        "input_tokens_per_minute": limits.input_tokens_per_minute,
        "output_tokens_per_minute": limits.output_tokens_per_minute,
    })
}

/// A budget, or null.
pub(super) fn budget(budget: Option<Budget>) -> Value {
    budget.map_or(
        Value::Null,
        |budget| json!({"amount_usd": budget.amount.to_string(), "period": period(budget.period)}),
    )
}

/// A period as this server's own fields have it.
fn period(period: Period) -> &'static str {
    match period {
        Period::Day => "day",
        Period::Month => "month",
        Period::Total => "total",
    }
}

/// An amount in cents, as Anthropic writes money.
pub(super) fn cents(amount: Money) -> String {
    let (whole, rest) = (amount.picos() / CENT, (amount.picos() % CENT).abs());
    if rest == 0 {
        return whole.to_string();
    }
    let sign = if amount.picos() < 0 && whole == 0 {
        "-"
    } else {
        ""
    };
    let decimals = format!("{rest:010}");
    format!("{sign}{whole}.{}", decimals.trim_end_matches('0'))
}

/// A cent in picodollars.
pub(super) const CENT: i64 = 10_000_000_000;

/// A field that may be left out, or be null to take back what is set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Change<T> {
    /// It stays as it is.
    #[default]
    Keep,
    /// What is set is taken back.
    Clear,
    /// It is set.
    Set(T),
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Change<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let given = Option::deserialize(from)?;
        Ok(given.map_or(Self::Clear, Self::Set))
    }
}

impl<T> Change<T> {
    /// Does what is asked to a value.
    pub(super) fn put_on(self, value: &mut Option<T>) {
        match self {
            Self::Keep => {}
            Self::Clear => *value = None,
            Self::Set(given) => *value = Some(given),
        }
    }

    /// The same change of what something else is read as.
    pub(super) fn read<U>(
        &self,
        read: impl FnOnce(&T) -> Result<U, Denial>,
    ) -> Result<Change<U>, Denial> {
        Ok(match self {
            Self::Keep => Change::Keep,
            Self::Clear => Change::Clear,
            Self::Set(given) => Change::Set(read(given)?),
        })
    }
}

/// Limits as a request changes them.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_field_names, reason = "the fields are the wire's")]
pub(super) struct LimitsGiven {
    #[serde(default)]
    requests_per_minute: Change<u64>,
    #[serde(default)]
    input_tokens_per_minute: Change<u64>,
    #[serde(default)]
    output_tokens_per_minute: Change<u64>,
}

impl LimitsGiven {
    /// Changes what is given and leaves the rest.
    pub(super) fn put_on(&self, limits: &mut Limits) {
        self.requests_per_minute
            .put_on(&mut limits.requests_per_minute);
        self.input_tokens_per_minute
            .put_on(&mut limits.input_tokens_per_minute);
        self.output_tokens_per_minute
            .put_on(&mut limits.output_tokens_per_minute);
    }
}

/// A budget as a request gives it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BudgetGiven {
    amount_usd: Money,
    period: String,
}

impl BudgetGiven {
    /// The budget, if it is one.
    pub(super) fn budget(&self) -> Result<Budget, Denial> {
        let all = [Period::Day, Period::Month, Period::Total];
        let found = all.into_iter().find(|one| period(*one) == self.period);
        let period =
            found.ok_or_else(|| wrong("budget.period", "it must be day, month or total"))?;
        if self.amount_usd < Money::ZERO {
            return Err(wrong("budget.amount_usd", "it must not be less than 0"));
        }
        Ok(Budget {
            amount: self.amount_usd,
            period,
        })
    }
}

/// A name: something, and not too much.
pub(super) fn name(text: &str) -> Result<String, Denial> {
    let text = text.trim();
    if text.is_empty() || text.chars().nth(200).is_some() || text.contains(char::is_control) {
        return Err(wrong("name", "it must be 1 to 200 characters on one line"));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_in_cents() {
        for (dollars, written) in [
            ("0", "0"),
            ("1", "100"),
            ("0.0425", "4.25"),
            ("0.000000000001", "0.0000000001"),
            ("-0.001", "-0.1"),
            ("-2.5", "-250"),
            ("9000000", "900000000"),
        ] {
            let amount: Money = dollars.parse().unwrap();
            assert_eq!(cents(amount), written);
        }
    }
}
