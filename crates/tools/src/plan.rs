//! The plan tool: the checklist that a person sees.

use quire_protocol::{PlanStatus, PlanStep, ToolInput, ToolOutcome, ToolSpec, ToolStatus};
use serde_json::json;

use crate::arguments::Arguments;

const SHAPE: &str =
    "{steps: [{text: string, status: \"pending\" | \"in_progress\" | \"completed\"}]}";
const MOST_STEPS: usize = 50;

pub(crate) fn spec() -> ToolSpec {
    ToolSpec {
        name: "plan".to_owned(),
        description: "Show the person a checklist; each call replaces it. For work of several \
                      steps: one in_progress at a time, completed as soon as it is."
            .to_owned(),
        input: ToolInput::Json(json!({
            "type": "object",
            "properties": {
                "steps": {"type": "array", "items": {
                    "type": "object",
                    "properties": {
                        "text": {"type": "string"},
                        "status": {"enum": ["pending", "in_progress", "completed"]},
                    },
                    "required": ["text", "status"],
                }},
            },
            "required": ["steps"],
        })),
    }
}

pub(crate) fn run(arguments: &str) -> Result<ToolOutcome, String> {
    let arguments = Arguments::parse(arguments, SHAPE)?;
    let steps = arguments
        .list("steps")?
        .ok_or_else(|| arguments.wrong("`steps` is missing"))?;
    if steps.len() > MOST_STEPS {
        return Err(format!("a plan has at most {MOST_STEPS} steps"));
    }
    let steps = steps
        .iter()
        .map(|value| step(&arguments.element(value, "steps")?))
        .collect::<Result<Vec<_>, _>>()?;
    let completed = steps
        .iter()
        .filter(|step| step.status == PlanStatus::Completed)
        .count();
    let mut outcome = ToolOutcome::text(
        ToolStatus::Done,
        format!(
            "The plan is shown: {completed} of {} completed",
            steps.len()
        ),
    );
    outcome.plan = Some(steps);
    Ok(outcome)
}

fn step(arguments: &Arguments) -> Result<PlanStep, String> {
    let status = match arguments.optional_text(&["status"])?.as_deref() {
        None | Some("pending") => PlanStatus::Pending,
        Some("in_progress") => PlanStatus::InProgress,
        Some("completed" | "done") => PlanStatus::Completed,
        Some(other) => return Err(arguments.wrong(&format!("`{other}` is no status"))),
    };
    Ok(PlanStep {
        text: arguments.text(&["text", "step"])?,
        status,
    })
}
