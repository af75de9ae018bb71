//! Flags over the settings that a session was recorded with.

use quire_protocol::Settings;

use crate::error::Error;
use crate::resolved::Resolved;
use crate::source::Layer;

impl Resolved {
    /// The model that a flag names, as `provider/name`; `None` when no flag does.
    pub fn flagged_model(&self) -> Result<Option<String>, Error> {
        self.is_flagged("model")
            .then(|| self.model_name())
            .transpose()
    }

    /// Recorded settings with what flags say over them; what no flag sets stays as it was
    /// recorded. `model` is what [`Resolved::flagged_model`] gave.
    #[must_use]
    pub fn flags_over(&self, mut settings: Settings, model: Option<String>) -> Settings {
        let (policy, limits) = (self.policy(), self.limits());
        if let Some(model) = model {
            settings.model = model;
        }
        if self.is_flagged("effort") {
            settings.effort = self.effort();
        }
        if self.is_flagged("sandbox") {
            settings.policy.sandbox = policy.sandbox;
        }
        if self.is_flagged("approvals") {
            settings.policy.approvals = policy.approvals;
        }
        if self.is_flagged("max_turns") {
            settings.limits.requests_per_turn = limits.requests_per_turn;
        }
        if self.is_flagged("budget_usd") {
            settings.limits.budget = limits.budget;
        }
        if self.is_flagged("budget_tokens") {
            settings.limits.tokens = limits.tokens;
        }
        if self.is_flagged("budget_turns") {
            settings.limits.turns = limits.turns;
        }
        if self.is_flagged("budget_time_s") {
            settings.limits.work_ms = limits.work_ms;
        }
        if self.is_flagged("region") {
            settings.region = self.region().map(str::to_owned);
        }
        settings
    }

    fn is_flagged(&self, key: &str) -> bool {
        let source = self.source(key);
        source.is_some_and(|source| source.layer() == Layer::Flag)
    }
}

#[cfg(test)]
mod tests {
    use quire_protocol::{ContextLimits, Effort, EffortChoice, Limits, SandboxMode};

    use super::*;
    use crate::Layers;

    #[test]
    fn only_flags_change_what_was_recorded() {
        let before = Layers::new("/w").resolve().unwrap();
        let recorded = Settings {
            model: "chat/old".to_owned(),
            effort: Effort::Low,
            workspace: "/w".into(),
            policy: before.policy(),
            limits: before.limits(),
            output_schema: None,
            context: ContextLimits::default(),
            effort_choice: EffortChoice::default(),
            region: None,
        };
        let environment = [("QUIRE_EFFORT".to_owned(), "max".to_owned())];
        let now = Layers::new("/w")
            .environment(environment)
            .flag("sandbox", "--sandbox", "off")
            .flag("model", "--model", "chat/new")
            .resolve()
            .unwrap();
        let model = now.flagged_model().unwrap();
        let settings = now.flags_over(recorded.clone(), model);
        assert_eq!(settings.effort, Effort::Low);
        assert_eq!(settings.policy.sandbox, SandboxMode::Off);
        assert_eq!(settings.model, "chat/new");
        let budgeted = Settings {
            limits: Limits {
                budget: "0.5".parse().ok(),
                ..before.limits()
            },
            ..recorded.clone()
        };
        let none = Layers::new("/w").flag("budget_usd", "--budget-usd", "none");
        let none = none.resolve().unwrap();
        assert_eq!(none.flags_over(budgeted.clone(), None), recorded);
        assert_eq!(before.flags_over(budgeted.clone(), None), budgeted);
        assert_eq!(before.flagged_model(), Ok(None));
        assert_eq!(before.flags_over(recorded.clone(), None), recorded);
    }
}
