//! The agent tool: a part of the work is given to an agent with a context of its own, and its last words come back.

use std::fmt::Write as _;
use std::sync::Arc;

use quire_protocol::{
    Access, CallId, Effort, Lane, MemberEnd, MemberName, MemberReport, MemberTask, Spending,
    StopReason, Team, ToolInput, ToolOutcome, ToolSpec, ToolStatus, counted,
};
use serde_json::json;

use crate::arguments::Arguments;
use crate::calls::Stop;
use crate::text;

const SHAPE: &str = "{name: string, task: string, access: \"read\" | \"write\", effort?: \"low\" | \
                     \"medium\" | \"high\" | \"xhigh\" | \"max\"}";
/// What an agent says is cut to this, so that it cannot fill the context of who asked it.
const MOST_BYTES: usize = 30_000;

pub(crate) fn spec() -> ToolSpec {
    ToolSpec {
        name: "agent".to_owned(),
        description:
            "Give a part of the work to another agent (a context of its own, the same tools \
                      and folder) and get its last message. For what would fill your context, or \
                      is independent: those with `read` access called together work side by side. \
                      It knows only the task: say what is wanted, where, and what is known. A name \
                      (a-z, 0-9, -) used before goes on with that agent."
                .to_owned(),
        input: ToolInput::Json(json!({
            "type": "object",
            "properties": {
                "name": {"type": "string"},
                "task": {"type": "string"},
                "access": {"enum": ["read", "write"],
                    "description": "write: may change files, works alone"},
                "effort": {"enum": Effort::ALL.map(Effort::name)},
            },
            "required": ["name", "task", "access"],
        })),
    }
}

/// Whether others may run beside a call.
pub(crate) fn lane(arguments: &str) -> Lane {
    match parse(arguments, CallId(0)) {
        Ok(task) if task.access == Access::Write => Lane::Exclusive,
        _ => Lane::Shared,
    }
}

fn parse(arguments: &str, call: CallId) -> Result<MemberTask, String> {
    let arguments = Arguments::parse(arguments, SHAPE)?;
    let wrong = |what: String| arguments.wrong(&what);
    let name: MemberName = arguments.text(&["name"])?.parse().map_err(wrong)?;
    let task = arguments.text(&["task"])?.trim().to_owned();
    if task.is_empty() {
        return Err(arguments.wrong("`task` is empty"));
    }
    let access = match arguments.text(&["access"])?.as_str() {
        "read" => Access::Read,
        "write" => Access::Write,
        other => return Err(wrong(format!("`{other}` is no access"))),
    };
    let effort = arguments.optional_text(&["effort"])?;
    let effort = effort
        .map(|effort| effort.parse().map_err(wrong))
        .transpose()?;
    Ok(MemberTask {
        call,
        name,
        task,
        access,
        effort,
    })
}

pub(crate) async fn run(
    call: CallId,
    arguments: &str,
    team: Option<&Arc<dyn Team>>,
    stop: Arc<Stop>,
) -> Result<ToolOutcome, String> {
    let task = parse(arguments, call)?;
    let team = team.ok_or("there are no agents here: do it yourself")?;
    let name = task.name.clone();
    let stopped = Box::pin(async move { stop.stopped().await });
    let report = team.work(task, stopped).await?;
    Ok(outcome(&name, &report))
}

fn outcome(name: &MemberName, report: &MemberReport) -> ToolOutcome {
    let said = text::cut(&report.said, MOST_BYTES);
    let cut = if said.len() < report.said.len() {
        format!(
            "\n[{} of {} bytes: ask `{name}` for the rest, or for less]",
            said.len(),
            report.said.len()
        )
    } else {
        String::new()
    };
    let last = match said.trim() {
        "" => "It said nothing.".to_owned(),
        said => format!("{said}{cut}"),
    };
    let (status, mut words) = match &report.end {
        MemberEnd::Ended(StopReason::EndTurn, _) => (ToolStatus::Done, last),
        MemberEnd::Ended(reason, detail) => (
            ToolStatus::Failed,
            format!(
                "The agent did not come to the end of its task: {}. A task for the same name goes \
                 on with it. Its last words:\n{last}",
                why(*reason, detail)
            ),
        ),
        MemberEnd::Paused(detail) => (
            ToolStatus::Failed,
            format!(
                "The agent waits: {detail}. Once it may go on, a task for the same name goes on \
                 with it. Its last words:\n{last}"
            ),
        ),
        MemberEnd::Died(why) => (
            ToolStatus::Failed,
            format!(
                "The agent stopped working: {why}. What it did until then is recorded: a task for \
                 the same name goes on with it."
            ),
        ),
        MemberEnd::Stopped => (
            ToolStatus::Cancelled,
            format!("The agent was stopped. Its last words:\n{last}"),
        ),
    };
    let _ = write!(words, "\n\n[agent {name}: {}]", used(&report.spent));
    ToolOutcome {
        spent: Some(report.spent),
        ..ToolOutcome::text(status, words)
    }
}

fn why(reason: StopReason, detail: &str) -> String {
    let reason = reason.in_words();
    match detail {
        "" => reason.to_owned(),
        detail => format!("{reason}: {detail}"),
    }
}

fn used(spent: &Spending) -> String {
    format!(
        "{}, {}, {}",
        counted(spent.requests.into(), "request"),
        counted(spent.tokens(), "token"),
        spent.bill().in_words(|cost| cost.rounded(4))
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(name: &str, access: &str) -> String {
        json!({"name": name, "task": "look", "access": access}).to_string()
    }

    #[test]
    fn only_agents_that_change_nothing_run_side_by_side() {
        assert_eq!(lane(&call("a", "read")), Lane::Shared);
        assert_eq!(lane(&call("a", "write")), Lane::Exclusive);
        // It does not run at all.
        assert_eq!(lane("{}"), Lane::Shared);
    }

    #[test]
    fn what_cannot_be_a_task_says_why() {
        let told = |arguments: &str| parse(arguments, CallId(1)).unwrap_err();
        assert!(told(&call("A b", "read")).contains("`A b` is no name of an agent"));
        assert!(told(&call("a", "all")).contains("`all` is no access"));
        let empty = json!({"name": "a", "task": " ", "access": "read"}).to_string();
        assert!(told(&empty).contains("`task` is empty"));
        let effort = json!({"name": "a", "task": "b", "access": "read", "effort": "huge"});
        assert!(told(&effort.to_string()).contains("`huge` is no effort"));
        assert!(told("{}").contains("name"));
    }

    fn report(end: MemberEnd, said: &str) -> ToolOutcome {
        let spent = Spending {
            requests: 2,
            cost: "0.0125".parse().unwrap(),
            ..Spending::default()
        };
        let name: MemberName = "tests".parse().unwrap();
        outcome(
            &name,
            &MemberReport {
                end,
                said: said.to_owned(),
                spent,
            },
        )
    }

    fn words(outcome: &ToolOutcome) -> String {
        quire_protocol::joined_text(&outcome.content)
    }

    #[test]
    fn the_end_of_a_task_is_told_as_it_was() {
        let done = report(
            MemberEnd::Ended(StopReason::EndTurn, String::new()),
            "Green.",
        );
        assert_eq!(done.status, ToolStatus::Done);
        assert_eq!(
            words(&done),
            "Green.\n\n[agent tests: 2 requests, 0 tokens, $0.0125]"
        );
        assert_eq!(done.spent.unwrap().requests, 2);
        let failed = report(MemberEnd::Ended(StopReason::Error, "no key".to_owned()), "");
        assert_eq!(failed.status, ToolStatus::Failed);
        assert!(words(&failed).contains("no key") && words(&failed).contains("It said nothing."));
        let waits = report(MemberEnd::Paused("the budget is spent".to_owned()), "Half.");
        assert_eq!(waits.status, ToolStatus::Failed);
        assert!(words(&waits).contains("waits: the budget is spent"));
        let died = report(MemberEnd::Died("the disk is full".to_owned()), "");
        assert_eq!(died.status, ToolStatus::Failed);
        assert!(words(&died).contains("the disk is full. What"));
        assert_eq!(
            died.spent.unwrap().requests,
            2,
            "it is paid for all the same"
        );
        let stopped = report(MemberEnd::Stopped, "Half.");
        assert_eq!(stopped.status, ToolStatus::Cancelled);
    }

    #[test]
    fn long_words_are_cut_and_say_so() {
        let long = "x".repeat(2 * MOST_BYTES);
        let told = words(&report(
            MemberEnd::Ended(StopReason::EndTurn, String::new()),
            &long,
        ));
        assert!(told.len() < MOST_BYTES + 200);
        assert!(told.contains("[30000 of 60000 bytes: ask `tests` for the rest"));
    }
}
