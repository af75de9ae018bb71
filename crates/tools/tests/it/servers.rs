//! Tools of servers: what policy says of their calls, and how these are run.

use std::sync::{Arc, Mutex};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use quire_protocol::*;
use quire_tools::ToolDialect;
use serde_json::json;
use tokio::sync::Notify;

use crate::world::{World, text};

/// Servers with a tool each: `near`, which reaches nothing, and `far`, which reaches a host.
#[derive(Default)]
struct Double {
    answer: Mutex<Vec<Content>>,
    said: Mutex<Vec<String>>,
    began: Notify,
}

impl ToolServers for Double {
    fn specs(&self) -> Vec<ToolSpec> {
        let spec = |name: &str| ToolSpec {
            name: name.to_owned(),
            description: format!("Does {name}."),
            input: ToolInput::Json(json!({"type": "object", "required": ["x"]})),
        };
        vec![spec("mcp__near__look"), spec("mcp__far__send")]
    }

    fn offer(&self) -> (Vec<ToolSpec>, Vec<String>) {
        (self.specs(), Vec::new())
    }

    fn changed(&self) -> BoxFuture<'static, ()> {
        std::future::pending().boxed()
    }

    fn settled(&self) -> BoxFuture<'static, ()> {
        std::future::ready(()).boxed()
    }

    fn find(&self, name: &str, _: &Policy) -> Option<ServerTool> {
        let (server, tool) = name.strip_prefix("mcp__")?.split_once("__")?;
        let reaches = (server == "far").then(|| "the host far.example".to_owned());
        Some(ServerTool {
            server: server.to_owned(),
            tool: tool.to_owned(),
            reaches: reaches.into_iter().collect(),
        })
    }

    fn call(&self, name: &str, arguments: &str, _: &Policy) -> BoxFuture<'static, ToolOutcome> {
        self.said
            .lock()
            .unwrap()
            .push(format!("{name} {arguments}"));
        self.began.notify_one();
        if arguments.contains("for ever") {
            return std::future::pending().boxed();
        }
        let content = self.answer.lock().unwrap().clone();
        let outcome = ToolOutcome {
            content,
            ..ToolOutcome::default()
        };
        std::future::ready(outcome).boxed()
    }

    fn end(&self, name: &str) -> BoxFuture<'static, ()> {
        self.said.lock().unwrap().push(format!("end {name}"));
        std::future::ready(()).boxed()
    }
}

fn world() -> (World, Arc<Double>) {
    let double = Arc::new(Double::default());
    *double.answer.lock().unwrap() = vec![Content::text("seen")];
    let servers = Arc::clone(&double) as Arc<dyn ToolServers>;
    (World::with(ToolDialect::ClaudeLike, Some(servers)), double)
}

fn late(name: &str, arguments: &serde_json::Value) -> serde_json::Value {
    json!({"name": name, "arguments": arguments})
}

#[tokio::test]
async fn a_call_reaches_its_server_by_name_and_by_the_tool_for_late_ones() {
    let (world, double) = world();
    let specs = world.tools.specs();
    assert_eq!(specs.last().unwrap().name, USE_TOOL);
    assert_eq!(world.done("mcp__near__look", r#"{"x":1}"#).await, "seen");
    let by_name = late("mcp__near__look", &json!({"x": 2}));
    assert_eq!(world.done(USE_TOOL, by_name).await, "seen");
    let as_text = json!({"name": "mcp__near__look", "arguments": r#"{"x":3}"#});
    world.done(USE_TOOL, as_text).await;
    assert_eq!(
        *double.said.lock().unwrap(),
        [
            r#"mcp__near__look {"x":1}"#,
            r#"mcp__near__look {"x":2}"#,
            r#"mcp__near__look {"x":3}"#,
        ]
    );
    // A tool that stands among the first is called so, too.
    world.put("a", "words");
    let read = late("read", &json!({"path": "a"}));
    assert!(world.done(USE_TOOL, read).await.contains("words"));
}

#[tokio::test]
async fn a_name_alone_asks_what_a_tool_takes_and_runs_nothing() {
    let (world, double) = world();
    let call = world.call(USE_TOOL, json!({"name": "mcp__far__send"}));
    let plan = world.tools.plan(&call, &world.policy);
    assert_eq!((plan.lane, plan.verdict), (Lane::Shared, Verdict::Run));
    let told = world
        .done(USE_TOOL, json!({"name": "mcp__far__send"}))
        .await;
    assert_eq!(
        told,
        "`mcp__far__send`: Does mcp__far__send.\nArguments: {\"type\":\"object\",\"required\":[\"x\"]}"
    );
    assert!(double.said.lock().unwrap().is_empty());
    let unknown = json!({"name": "mcp__far__unheard"});
    assert!(
        world
            .failed(USE_TOOL, unknown)
            .await
            .contains("nothing is known")
    );
    for nothing in [json!({}), late(USE_TOOL, &json!({"name": "read"}))] {
        let told = world.failed(USE_TOOL, nothing).await;
        assert!(told.contains("takes the `name` of another tool"), "{told}");
    }
    let none = late("invented", &json!({}));
    let told = world.failed(USE_TOOL, none).await;
    assert!(told.contains("there is no tool `invented`") && told.contains("mcp__near__look"));
}

/// Sandbox, approvals, phase and a rule; what becomes of a call of the one that reaches nothing more, and
/// of the other.
type Case = (
    SandboxMode,
    ApprovalMode,
    Phase,
    &'static str,
    &'static str,
    &'static str,
);

fn cases() -> Vec<Case> {
    use ApprovalMode::{Ask, Auto, Never};
    use Phase::{Look, Plan, Work};
    use SandboxMode::{Off, ReadOnly, WorkspaceWrite as Write};
    vec![
        (Write, Auto, Work, "", "run", "ask"),
        (Write, Never, Work, "", "run", "refuse"),
        (Write, Ask, Work, "", "ask", "ask"),
        (ReadOnly, Auto, Work, "", "run", "ask"),
        (Off, Auto, Work, "", "run", "run"),
        (Off, Ask, Work, "", "ask", "ask"),
        (Off, Auto, Plan, "", "run", "ask"),
        (Write, Auto, Plan, "", "run", "ask"),
        (Write, Auto, Look, "", "run", "ask"),
        (Write, Auto, Work, "allow mcp:far", "run", "run"),
        (Write, Ask, Work, "allow mcp:far send", "ask", "run"),
        (Write, Auto, Work, "allow mcp:far other", "run", "ask"),
        (Write, Auto, Plan, "allow mcp:far", "run", "ask"),
        (Write, Never, Plan, "allow mcp:far", "run", "refuse"),
        (Write, Auto, Work, "deny mcp:near", "refuse", "ask"),
        (Write, Auto, Work, "ask mcp:near look", "ask", "ask"),
    ]
}

/// `ACTION WORDS…` as a rule.
fn rule(words: &str) -> Option<Rule> {
    let (action, prefix) = words.split_once(' ')?;
    Some(Rule {
        prefix: prefix.split(' ').map(str::to_owned).collect(),
        action: match action {
            "allow" => RuleAction::Allow,
            "deny" => RuleAction::Deny,
            _ => RuleAction::Ask,
        },
    })
}

#[test]
fn what_is_asked_of_a_person() {
    let (mut world, _) = world();
    for (sandbox, approvals, phase, ruled, near, far) in cases() {
        world.policy = Policy {
            sandbox,
            approvals,
            phase,
            rules: rule(ruled).into_iter().collect(),
            ..world.policy.clone()
        };
        let policy = &world.policy;
        assert_eq!(verdicts(&world, "mcp__near__look"), near, "{policy:?}");
        assert_eq!(verdicts(&world, "mcp__far__send"), far, "{policy:?}");
    }
}

/// What policy says of a call of a tool, which is the same whichever way it is called.
fn verdicts(world: &World, name: &str) -> &'static str {
    let arguments = json!({"x": 1});
    let [itself, by_name] = [
        world.call(name, &arguments),
        world.call(USE_TOOL, late(name, &arguments)),
    ]
    .map(|call| {
        let plan = world.tools.plan(&call, &world.policy);
        assert_eq!(plan.lane, Lane::Exclusive);
        match plan.verdict {
            Verdict::Run => "run",
            Verdict::Ask { .. } => "ask",
            Verdict::Refuse { .. } => "refuse",
        }
    });
    assert_eq!(itself, by_name);
    itself
}

#[test]
fn always_means_this_tool_of_this_server() {
    let (world, _) = world();
    let call = world.call("mcp__far__send", json!({"x": 1}));
    let Verdict::Ask { approval } = world.tools.plan(&call, &world.policy).verdict else {
        panic!("it is asked");
    };
    assert_eq!(approval.action, r#"mcp:far send {"x":1}"#);
    assert_eq!(approval.prefix, ["mcp:far", "send"]);
    assert_eq!(approval.touches, ["the host far.example"]);
    let mut policy = world.policy.clone();
    policy.rules.extend(approval.always());
    assert_eq!(world.tools.plan(&call, &policy).verdict, Verdict::Run);
}

#[tokio::test]
async fn a_call_that_is_stopped_ends_its_server() {
    let (world, double) = world();
    let call = world.call("mcp__near__look", r#"{"x":"for ever"}"#);
    let number = call.call;
    let running = tokio::spawn(world.start(call));
    double.began.notified().await;
    world.tools.cancel(number).await;
    let outcome = running.await.unwrap();
    assert_eq!(outcome.status, ToolStatus::Cancelled);
    assert_eq!(
        double.said.lock().unwrap().last().unwrap(),
        "end mcp__near__look"
    );
}

#[tokio::test]
async fn a_large_answer_is_kept_and_shown_in_part() {
    let (world, double) = world();
    let image = || Content::Image {
        media_type: "image/png".to_owned(),
        data: "AAAA".to_owned(),
    };
    let large = "line of a large answer\n".repeat(100_000);
    let mut answer = vec![Content::text("first"), Content::text(large)];
    answer.extend((0..10).map(|_| image()));
    *double.answer.lock().unwrap() = answer;
    let outcome = world.run("mcp__near__look", r#"{"x":1}"#).await;
    let shown = text(&outcome);
    assert!(shown.starts_with("first\nline of") && shown.len() < 20_000);
    assert!(shown.ends_with("[2 images were too large or too many to be shown]"));
    assert_eq!(outcome.content.len(), 9);
    let (_, handle) = shown.split_once("path \"").unwrap();
    let (handle, _) = handle.split_once('"').unwrap();
    let read = world
        .done("read", json!({"path": handle, "limit": 1}))
        .await;
    assert!(read.contains("first"), "{read}");
}

#[tokio::test]
async fn without_servers_there_is_no_tool_for_late_ones() {
    let world = World::claude();
    let told = world
        .failed(USE_TOOL, late("read", &json!({"path": "a"})))
        .await;
    assert!(told.contains("there is no tool `use_tool`"), "{told}");
}

#[tokio::test]
async fn an_image_that_no_provider_takes_is_left_out() {
    let (world, double) = world();
    let image = |bytes: usize| Content::Image {
        media_type: "image/png".to_owned(),
        data: "A".repeat(bytes),
    };
    *double.answer.lock().unwrap() = vec![image(5 << 20), image((5 << 20) + 1)];
    let outcome = world.run("mcp__near__look", r#"{"x":1}"#).await;
    assert_eq!(outcome.content.len(), 2, "words and one image");
    assert!(text(&outcome).contains("1 images were too large"));
}
