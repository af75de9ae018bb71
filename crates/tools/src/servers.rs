//! Tools of servers, which come and go: how they are called, what policy says of a call, and what a
//! model is shown of the answer.

use quire_protocol::{
    Approval, ApprovalMode, Content, Phase, Policy, RuleAction, SandboxMode, ServerTool, ToolCall,
    ToolInput, ToolOutcome, ToolServers, ToolSpec, ToolStatus, USE_TOOL, Verdict,
};
use serde_json::json;

use crate::calls::Stop;
use crate::place::Place;
use crate::reach;
use crate::spool::{Keeper, Spool};
use crate::text;
use crate::verdict::{ask, refused, winning};

/// Images of one answer that a model is shown.
const MOST_IMAGES: usize = 8;
/// An image above so many bytes of base64 is not shown: providers refuse it.
const MOST_IMAGE: usize = 5 << 20;
/// Arguments are asked about in so many bytes.
const MOST_ASKED: usize = 4_000;

/// What is said to a call of the tool for late ones that names none, or itself.
pub(crate) const TAKES: &str =
    "`use_tool` takes the `name` of another tool, and that tool's `arguments` as an object";

pub(crate) fn spec() -> ToolSpec {
    ToolSpec {
        name: USE_TOOL.to_owned(),
        description: "Call a tool that was announced in the conversation. With a name alone: what \
                      that tool takes."
            .to_owned(),
        input: ToolInput::Json(json!({
            "type": "object",
            "properties": {
                "name": {"type": "string"},
                "arguments": {"type": "object"},
            },
            "required": ["name"],
        })),
    }
}

/// Whether a call only asks what a tool takes.
pub(crate) fn asks_what_it_takes(call: &ToolCall, meant: &ToolCall) -> bool {
    call.name == USE_TOOL && meant.arguments.is_empty()
}

/// What policy says about a call of a server's tool. A rule names it by two words: `mcp:SERVER TOOL`.
pub(crate) fn verdict(tool: &ServerTool, call: &ToolCall, place: &Place) -> Verdict {
    let policy = &place.policy;
    let words = vec![format!("mcp:{}", tool.server), tool.tool.clone()];
    let rule = winning(&words, &policy.rules, true);
    let approval = |reason: String| Approval {
        action: format!("{} {}", words.join(" "), asked(&call.arguments)),
        reason,
        touches: if tool.reaches.is_empty() {
            reach::touched(place)
        } else {
            tool.reaches.clone()
        },
        prefix: words.clone(),
        ..Approval::default()
    };
    match rule.map(|rule| (rule.action, rule.prefix.join(" "))) {
        Some((RuleAction::Deny, prefix)) => {
            return refused(&format!("a rule refuses `{prefix}`: say what you need"));
        }
        Some((RuleAction::Ask, prefix)) => {
            return ask(policy, approval(format!("a rule asks about `{prefix}`")));
        }
        // What was said of the work does not hold while it is planned or looked at.
        Some((RuleAction::Allow, _)) if policy.phase == Phase::Work || tool.reaches.is_empty() => {
            return Verdict::Run;
        }
        Some((RuleAction::Allow, _)) | None => {}
    }
    match reason_to_ask(tool, policy) {
        Some(reason) => ask(policy, approval(reason)),
        None => Verdict::Run,
    }
}

fn reason_to_ask(tool: &ServerTool, policy: &Policy) -> Option<String> {
    let reaches = tool.reaches.join(", ");
    if !reaches.is_empty() && policy.phase != Phase::Work {
        let told = "nothing is to be changed now, and nothing keeps this server from it";
        return Some(format!("{told}: {reaches}"));
    }
    if policy.approvals == ApprovalMode::Ask {
        return Some("it may change something, and approvals are `ask`".to_owned());
    }
    let beyond = !reaches.is_empty() && policy.sandbox != SandboxMode::Off;
    beyond.then(|| format!("the server reaches what commands do not: {reaches}"))
}

fn asked(arguments: &str) -> String {
    let shown = text::cut(arguments, MOST_ASKED);
    if shown.len() < arguments.len() {
        return format!("{shown}… ({} bytes in all)", arguments.len());
    }
    shown.to_owned()
}

/// Says what a tool takes.
pub(crate) fn described(name: &str, servers: &dyn ToolServers) -> Result<ToolOutcome, String> {
    let specs = servers.specs();
    let spec = specs.iter().find(|spec| spec.name == name);
    let Some(ToolSpec {
        description,
        input: ToolInput::Json(schema),
        ..
    }) = spec
    else {
        return Err(format!(
            "nothing is known of `{name}` before its server is there: call it with arguments"
        ));
    };
    let told = format!("`{name}`: {description}\nArguments: {schema}");
    Ok(ToolOutcome::text(ToolStatus::Done, told))
}

/// Runs a call to its end. One that is stopped ends its server, which may not listen to anything less.
pub(crate) async fn run(
    call: &ToolCall,
    servers: &dyn ToolServers,
    policy: &Policy,
    keeper: Keeper<'_>,
    stop: &Stop,
) -> ToolOutcome {
    let answered = tokio::select! {
        biased;
        () = stop.stopped() => None,
        outcome = servers.call(&call.name, &call.arguments, policy) => Some(outcome),
    };
    let Some(outcome) = answered else {
        servers.end(&call.name).await;
        let told = "stopped, and its server with it: the next call starts that anew";
        return ToolOutcome::text(ToolStatus::Cancelled, told);
    };
    shown(outcome, keeper).await
}

/// The answer as a model is shown it: its texts as one, what is large kept and shown in part.
async fn shown(outcome: ToolOutcome, keeper: Keeper<'_>) -> ToolOutcome {
    let mut spool = Spool::default();
    let mut images = Vec::new();
    let mut left_out = 0;
    for part in outcome.content {
        match part {
            Content::Text { text } => {
                if !spool.is_empty() {
                    spool.push(b"\n");
                }
                spool.push(text.as_bytes());
            }
            Content::Image { data, .. }
                if data.len() > MOST_IMAGE || images.len() == MOST_IMAGES =>
            {
                left_out += 1;
            }
            image @ Content::Image { .. } => images.push(image),
        }
    }
    let shown = spool.shown(keeper).await;
    let mut text = shown.text.trim_end().to_owned();
    if left_out > 0 {
        let told = format!("\n[{left_out} images were too large or too many to be shown]");
        text.push_str(&told);
    }
    if text.is_empty() && images.is_empty() {
        "(no output)".clone_into(&mut text);
    }
    let mut content = Vec::new();
    if !text.is_empty() {
        content.push(Content::text(text.trim_start_matches('\n')));
    }
    content.extend(images);
    ToolOutcome {
        status: outcome.status,
        content,
        lines: (shown.lines > 0).then_some(shown.lines),
        ..ToolOutcome::default()
    }
}
