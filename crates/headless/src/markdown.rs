//! A whole session as Markdown, for reading and sharing. Pure.

use std::fmt::Write as _;

use quire_protocol::{
    Answer, CallId, CompactionStep, Content, Event, GoalStep, Item, Pause, PlanStatus, Record,
    ToolCall, ToolOutcome, ToolStatus,
};
use serde_json::Value;

use crate::context;
use crate::tally::Tally;
use crate::text::{clean, counted, fence, first_line, thousands};

/// A whole session as Markdown: prompts, answers, thinking folded away, tool calls with their
/// arguments and results. Foreign text stands in fences that it cannot close.
pub fn markdown(records: &[Record]) -> String {
    let mut text = String::from("# Session\n");
    let mut tally = Tally::default();
    let mut aside = false;
    for record in records {
        tally.add(record);
        match &record.event {
            Event::ModelCalled { purpose, .. } => aside = !purpose.is_work(),
            // A summary or a judgement: told with the compaction or the verdict that it led to.
            Event::ModelReplied { .. } if aside => {}
            other => event(&mut text, other),
        }
    }
    let cost = tally.cost_in_words();
    let _ = write!(
        text,
        "\n---\n\n{}, {}, {} tokens in, {} out, {cost}\n",
        counted(tally.turns.into(), "turn"),
        counted(tally.requests.into(), "request"),
        thousands(tally.usage.prompt()),
        thousands(tally.usage.output),
    );
    text
}

fn answered(answer: &Answer, ruled_by: Option<CallId>) -> String {
    match answer {
        _ if ruled_by.is_some() => "Allowed by the rule just made".to_owned(),
        Answer::AllowOnce => "Allowed once".to_owned(),
        Answer::AllowAlways => "Allowed for the session".to_owned(),
        Answer::Deny { reason } => format!("Not allowed: {reason}"),
    }
}

fn event(text: &mut String, event: &Event) {
    match event {
        Event::Configured { settings } => {
            let _ = writeln!(
                text,
                "\nModel {}, effort {}, in {}.",
                code(&settings.model),
                settings.effort.name(),
                code(&settings.workspace.display().to_string()),
            );
        }
        Event::MessageAccepted { content, .. } => {
            text.push_str("\n## Prompt\n\n");
            text.push_str(&quoted(content));
        }
        Event::ModelReplied { items, .. } => items.iter().for_each(|part| item(text, part)),
        Event::ModelFailed { error, .. } => note(text, &format!("Model failed: {}", error.message)),
        Event::ApprovalAsked { approval, .. } => {
            let _ = write!(text, "\n**Asked** ({})\n\n", plain(&approval.reason));
            text.push_str(&fenced(&approval.action, ""));
        }
        Event::ApprovalAnswered {
            answer, ruled_by, ..
        } => note(text, &answered(answer, *ruled_by)),
        Event::ToolEnded { call, outcome } => result(text, call.0, outcome),
        Event::PlanSet { steps } => {
            text.push_str("\n**Plan**\n\n");
            for step in steps {
                let done = match step.status {
                    PlanStatus::Completed => 'x',
                    PlanStatus::Pending | PlanStatus::InProgress => ' ',
                };
                let _ = writeln!(text, "- [{done}] {}", plain(&step.text));
            }
        }
        Event::JobEnded { end } => note(text, &format!("Job {} ended: {}", end.job, end.outcome)),
        Event::Noticed { text: notice } => note(text, &format!("Notice: {notice}")),
        Event::MessageWithdrawn { message } => {
            let words = format!("Message {message} was taken back before it was heard");
            note(text, &words);
        }
        Event::InterruptAccepted { cause } => note(text, &format!("Interrupted ({cause})")),
        Event::Recovered { .. } => note(text, "Its process ended in the middle of this"),
        Event::TurnEnded { reason, detail, .. } => {
            let reason = serde_json::to_value(reason).unwrap_or_default();
            let reason = reason.as_str().unwrap_or_default().replace('_', " ");
            let gap = if detail.is_empty() { "" } else { ": " };
            note(text, &format!("Turn ended: {reason}{gap}{detail}"));
        }
        Event::Compaction(step) => compaction(text, step),
        Event::Goal(step) => goal(text, step),
        Event::Travel(step) => step.in_words().iter().for_each(|words| note(text, words)),
        Event::TurnPaused { pause, detail, .. } => match pause {
            Pause::Limit | Pause::Person => note(text, &format!("Paused: {detail}")),
            Pause::Asked => note(text, "A pause was wanted after this step"),
            Pause::Withdrawn => note(text, "No pause was wanted any more"),
        },
        Event::PrefixSet { .. }
        | Event::MessageDelivered { .. }
        | Event::TurnStarted { .. }
        | Event::ModelCalled { .. }
        | Event::ToolStarted { .. }
        | Event::JobStarted { .. } => {}
    }
}

fn compaction(text: &mut String, step: &CompactionStep) {
    match step {
        CompactionStep::Done { compaction } => {
            note(text, &context::compacted(compaction));
            for item in &compaction.head {
                if let Item::Summary { text: summary, .. } = item
                    && !summary.trim().is_empty()
                {
                    let body = fenced(summary.trim(), "");
                    let _ = write!(
                        text,
                        "\n<details>\n<summary>Summary</summary>\n\n{body}\n</details>\n"
                    );
                }
            }
        }
        CompactionStep::Failed { reason, .. } => {
            note(text, &format!("Compaction failed: {reason}"));
        }
        CompactionStep::Undone => note(text, "Compaction taken back"),
        CompactionStep::Asked { .. } => {}
    }
}

fn goal(text: &mut String, step: &GoalStep) {
    match step {
        GoalStep::Set { goal } => note(text, &format!("Goal: {}", goal.text)),
        GoalStep::Judged { judgement } => note(text, &context::judged(judgement)),
        GoalStep::Dropped { cause } => note(text, &format!("Goal dropped ({cause})")),
    }
}

fn item(text: &mut String, item: &Item) {
    match item {
        Item::Assistant { text: words, .. } if !words.trim().is_empty() => {
            let _ = write!(text, "\n## Answer\n\n{}\n", clean(words.trim()));
        }
        Item::Thinking { text: thought, .. } if !thought.trim().is_empty() => {
            let body = fenced(thought.trim(), "");
            let _ = write!(
                text,
                "\n<details>\n<summary>Thinking</summary>\n\n{body}\n</details>\n"
            );
        }
        Item::ToolCall(call) => tool_call(text, call),
        _ => {}
    }
}

fn tool_call(text: &mut String, call: &ToolCall) {
    let _ = write!(text, "\n### Call {}: {}\n\n", call.call, code(&call.name));
    let parsed: Option<Value> = serde_json::from_str(&call.arguments).ok();
    let pretty = parsed.and_then(|value| serde_json::to_string_pretty(&value).ok());
    match pretty {
        Some(json) => text.push_str(&fenced(&json, "json")),
        None => text.push_str(&fenced(&call.arguments, "")),
    }
}

fn result(text: &mut String, call: u32, outcome: &ToolOutcome) {
    let status = match outcome.status {
        ToolStatus::Done => "done",
        ToolStatus::Failed => "failed",
        ToolStatus::Denied => "refused",
        ToolStatus::Cancelled => "cancelled",
        ToolStatus::Lost => "lost in a crash",
    };
    let _ = write!(text, "\nResult of call {call}, {status}:\n\n");
    for content in &outcome.content {
        match content {
            Content::Text { text: words } => text.push_str(&fenced(words, "")),
            Content::Image { media_type, .. } => {
                let _ = writeln!(text, "*(image, {})*", plain(media_type));
            }
        }
    }
    for change in &outcome.changes {
        let _ = write!(text, "\n{}\n\n", code(&change.path.display().to_string()));
        if !change.diff.is_empty() {
            text.push_str(&fenced(&change.diff, "diff"));
        }
    }
}

fn note(text: &mut String, words: &str) {
    let _ = write!(text, "\n*{}*\n", plain(words).replace('*', "\\*"));
}

/// Text on one line, without what Markdown or HTML would act on at its start.
fn plain(words: &str) -> String {
    let (line, more) = first_line(words);
    let line = line.replace('<', "&lt;");
    if more { format!("{line} …") } else { line }
}

/// A prompt as a quotation.
fn quoted(content: &[Content]) -> String {
    let mut text = String::new();
    for part in content {
        match part {
            Content::Text { text: words } => {
                for line in clean(words.trim_end()).split('\n') {
                    let _ = writeln!(text, "{}", format!("> {line}").trim_end());
                }
            }
            Content::Image { media_type, .. } => {
                let _ = writeln!(text, "> *(image, {})*", plain(media_type));
            }
        }
    }
    text
}

fn fenced(body: &str, language: &str) -> String {
    let body = clean(body);
    let fence = fence(&body, 3);
    format!(
        "{fence}{language}\n{}\n{fence}\n",
        body.trim_end_matches('\n')
    )
}

fn code(words: &str) -> String {
    let (line, _) = first_line(words);
    let fence = fence(&line, 1);
    let pad = if fence.len() > 1 { " " } else { "" };
    format!("{fence}{pad}{line}{pad}{fence}")
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use quire_protocol::{
        CallId, Delivery, MessageId, RequestId, Seq, StopReason, TokenStop, TurnId, Usage,
    };

    use super::*;

    fn reply(items: Vec<Item>) -> Event {
        Event::ModelReplied {
            request: RequestId(1),
            model: "m".into(),
            items,
            plans: Vec::new(),
            stop: TokenStop::EndTurn,
            usage: Usage {
                input: 1000,
                output: 20,
                ..Usage::default()
            },
            cost: Some("0.01".parse().unwrap()),
            retries: Vec::new(),
        }
    }

    fn events() -> [Event; 5] {
        [
            Event::MessageAccepted {
                message: MessageId::new("m"),
                delivery: Delivery::Steer,
                content: vec![Content::text("Fix it.\n\n# not a heading of ours")],
                effort: None,
            },
            reply(vec![
                Item::Thinking {
                    text: "</details> ``` hm".into(),
                    opaque: None,
                },
                Item::ToolCall(ToolCall {
                    call: CallId(1),
                    provider_id: "p".into(),
                    name: "ba`sh".into(),
                    arguments: r#"{"command":"cat README.md"}"#.into(),
                }),
            ]),
            Event::ToolEnded {
                call: CallId(1),
                outcome: ToolOutcome::text(
                    ToolStatus::Done,
                    "```rust\nfn f() {}\n```\n````\n\x1b[31mred\x1b[0m\n",
                ),
            },
            reply(vec![Item::Assistant {
                text: "All *good*.".into(),
                opaque: None,
            }]),
            Event::TurnEnded {
                turn: TurnId(1),
                reason: StopReason::EndTurn,
                detail: String::new(),
            },
        ]
    }

    #[test]
    fn a_session_on_a_page() {
        let records: Vec<Record> = (1..)
            .zip(events())
            .map(|(seq, event)| Record {
                seq: Seq(seq),
                at_ms: seq,
                event,
            })
            .collect();
        expect![[r##"
            # Session

            ## Prompt

            > Fix it.
            >
            > # not a heading of ours

            <details>
            <summary>Thinking</summary>

            ````
            </details> ``` hm
            ````

            </details>

            ### Call 1: `` ba`sh ``

            ```json
            {
              "command": "cat README.md"
            }
            ```

            Result of call 1, done:

            `````
            ```rust
            fn f() {}
            ```
            ````
            red
            `````

            ## Answer

            All *good*.

            *Turn ended: end turn*

            ---

            1 turn, 0 requests, 2,000 tokens in, 40 out, $0.02
        "##]]
        .assert_eq(&markdown(&records));
        assert_eq!(crate::jsonl(&records).lines().count(), records.len());
    }
}
