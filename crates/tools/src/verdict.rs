//! What policy says about a call: run, ask or refuse. Pure.

use quire_protocol::{
    Approval, ApprovalMode, CallPlan, Lane, Phase, Policy, Rule, RuleAction, SandboxMode, ToolCall,
    Verdict,
};

use crate::agent;
use crate::jobs::JobRequest;
use crate::place::Place;
use crate::proposal::Proposal;
use crate::reach;
use crate::remembered::{moves, remembered_prefix};
use crate::script::{Script, begins_loosely, begins_with};
use crate::shell::ShellRequest;
use crate::toolbox::Tool;

/// What the model is told of a call that would change something while it is planned.
pub(crate) const PLANNED_FIRST: &str = "plan mode: nothing is changed before the person accepts the plan. Set it out with `plan`, say \
     it in your answer, and ask";

/// What the model is told of a command that would leave the sandbox while others are at work.
const LOOK_ONLY: &str = "you may look and change nothing, so nothing runs outside the sandbox here: say in your last \
     message what should be run, and why";

/// Plans a call of a known tool, or of none.
pub(crate) fn plan(tool: Option<Tool>, call: &ToolCall, place: &Place) -> CallPlan {
    let (lane, verdict) = match tool {
        None
        | Some(Tool::Read | Tool::Search | Tool::List | Tool::Plan | Tool::Note | Tool::Recall) => {
            (Lane::Shared, Verdict::Run)
        }
        Some(Tool::Job) => {
            let kills = matches!(
                JobRequest::parse(&call.arguments),
                Ok(JobRequest::Kill { .. })
            );
            match (kills, place.policy.phase) {
                (true, Phase::Plan) => (Lane::Exclusive, refused(PLANNED_FIRST)),
                (true, Phase::Work | Phase::Look) => (Lane::Exclusive, Verdict::Run),
                (false, _) => (Lane::Shared, Verdict::Run),
            }
        }
        Some(Tool::Agent) => (agent::lane(&call.arguments), Verdict::Run),
        Some(tool @ (Tool::Write | Tool::Edit | Tool::ApplyPatch)) => {
            (Lane::Exclusive, change_verdict(tool, call, &place.policy))
        }
        Some(Tool::Shell) => (
            Lane::Exclusive,
            match ShellRequest::parse(&call.arguments) {
                Ok(request) => command_verdict(&request, place),
                Err(_) => Verdict::Run,
            },
        ),
    };
    CallPlan {
        call: call.call,
        lane,
        verdict,
    }
}

pub(crate) fn refused(why: &str) -> Verdict {
    let reason = why.to_owned();
    Verdict::Refuse { reason }
}

fn change_verdict(tool: Tool, call: &ToolCall, policy: &Policy) -> Verdict {
    if policy.phase == Phase::Plan {
        return refused(PLANNED_FIRST);
    }
    if policy.sandbox == SandboxMode::ReadOnly {
        return refused("this run may only read: describe the change instead of making it");
    }
    let changes = tool.proposals(&call.arguments);
    if policy.approvals != ApprovalMode::Ask || changes.is_empty() {
        return Verdict::Run;
    }
    let titles: Vec<String> = changes.iter().map(Proposal::title).collect();
    ask(
        policy,
        Approval {
            action: format!("{} {}", tool.verb(), titles.join(", ")),
            reason: "it changes files, and approvals are `ask`".to_owned(),
            touches: changes.iter().map(Proposal::touch).collect(),
            changes: changes.iter().map(Proposal::proposed).collect(),
            ..Approval::default()
        },
    )
}

/// What policy says about a command.
pub(crate) fn command_verdict(request: &ShellRequest, place: &Place) -> Verdict {
    let policy = &place.policy;
    let outside = request.outside(policy);
    match policy.phase {
        Phase::Plan if outside.is_some() => return refused(PLANNED_FIRST),
        Phase::Look if outside.is_some() => return refused(LOOK_ONLY),
        Phase::Work | Phase::Plan | Phase::Look => {}
    }
    // A command out of the sandbox obeys what lies where it runs, such as a repository's `config`,
    // and beneath the workspace a confined command may have put it there.
    let elsewhere = outside.is_some() && !runs_in_workspace(request, place);
    let approval = |reason: String| Approval {
        action: action(request),
        reason,
        prefix: if elsewhere {
            Vec::new()
        } else {
            remembered_prefix(&request.command)
        },
        touches: match outside {
            Some(_) => vec![reach::EVERYTHING.to_owned()],
            None => reach::touched(place),
        },
        ..Approval::default()
    };
    match ruled(&request.command, &policy.rules) {
        Some((RuleAction::Deny, prefix)) => Verdict::Refuse {
            reason: format!("a rule refuses `{prefix}`: do it another way, or say what you need"),
        },
        Some((RuleAction::Ask, prefix)) => {
            let rule = format!("a rule asks about `{prefix}`");
            let claim = outside.map(|said| format!("; {}", reach::leaving(said, place)));
            ask(policy, approval(rule + &claim.unwrap_or_default()))
        }
        // Where everything asks, "always" was perhaps said of the command inside the sandbox.
        Some((RuleAction::Allow, _))
            if outside.is_none() || (policy.approvals != ApprovalMode::Ask && !elsewhere) =>
        {
            Verdict::Run
        }
        allowed @ (Some((RuleAction::Allow, _)) | None) => match outside {
            Some(said) if elsewhere && allowed.is_some() => {
                let told =
                    "the rule that allows it outside the sandbox is for the workspace itself";
                ask(
                    policy,
                    approval(format!("{told}; {}", reach::leaving(said, place))),
                )
            }
            Some(said) => ask(policy, approval(reach::leaving(said, place))),
            None if policy.approvals == ApprovalMode::Ask => {
                let told = "it may change something, and approvals are `ask`";
                ask(policy, approval(told.to_owned()))
            }
            None => Verdict::Run,
        },
    }
}

/// Whether a command runs in the workspace itself: by name, since a link could be changed later.
fn runs_in_workspace(request: &ShellRequest, place: &Place) -> bool {
    let stays = Script::parse(&request.command)
        .commands
        .iter()
        .filter_map(|words| words.first())
        .all(|program| !moves(program));
    let directory = request.directory.as_deref().unwrap_or(".");
    stays && place.absolute(directory) == place.workspace
}

pub(crate) fn ask(policy: &Policy, approval: Approval) -> Verdict {
    if policy.approvals == ApprovalMode::Never {
        return Verdict::Refuse {
            reason: format!(
                "this needs a person's approval ({}), which is not available in this run: do it \
                 inside the sandbox, or say what you need",
                approval.reason
            ),
        };
    }
    Verdict::Ask { approval }
}

fn action(request: &ShellRequest) -> String {
    match &request.directory {
        Some(directory) => format!("{} (in {directory})", request.command),
        None => request.command.clone(),
    }
}

/// What the rules say about a script, with the prefix that decided. A refusal wins over a
/// question, and either over a permission, which needs every command of the script allowed.
fn ruled(command: &str, rules: &[Rule]) -> Option<(RuleAction, String)> {
    if rules.is_empty() {
        return None;
    }
    let script = Script::parse(command);
    let mut all_allowed = script.plain && !script.commands.is_empty();
    let mut asked = None;
    let mut suspects = Script::suspects(command);
    suspects.extend(script.commands.iter().cloned());
    for words in &suspects {
        let rule = winning(words, rules, script.plain);
        match rule.map(|rule| rule.action) {
            Some(RuleAction::Deny) => return rule.map(decided),
            Some(RuleAction::Ask) => asked = asked.or(rule.map(decided)),
            Some(RuleAction::Allow) | None => {}
        }
    }
    all_allowed &= script.commands.iter().all(|words| {
        winning(words, rules, true).is_some_and(|rule| rule.action == RuleAction::Allow)
    });
    asked.or_else(|| all_allowed.then(|| (RuleAction::Allow, String::new())))
}

fn decided(rule: &Rule) -> (RuleAction, String) {
    (rule.action, rule.prefix.join(" "))
}

/// The longest rule that matches a command, a later one among equals.
pub(crate) fn winning<'a>(words: &[String], rules: &'a [Rule], plain: bool) -> Option<&'a Rule> {
    rules
        .iter()
        .filter(|rule| match rule.action {
            RuleAction::Allow => plain && begins_with(words, &rule.prefix),
            RuleAction::Ask | RuleAction::Deny => begins_loosely(words, &rule.prefix),
        })
        .max_by_key(|rule| rule.prefix.len())
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::Arc;

    use quire_protocol::CallId;
    use serde_json::json;

    use super::*;

    fn policy(
        sandbox: SandboxMode,
        approvals: ApprovalMode,
        rules: &[(&str, RuleAction)],
    ) -> Policy {
        Policy {
            sandbox,
            approvals,
            rules: rules
                .iter()
                .map(|(prefix, action)| Rule {
                    prefix: prefix.split(' ').map(str::to_owned).collect(),
                    action: *action,
                })
                .collect(),
            domains: Vec::new(),
            writable: Vec::new(),
            environment: Vec::new(),
            phase: Phase::Work,
        }
    }

    fn call(name: &str, arguments: &serde_json::Value) -> ToolCall {
        ToolCall {
            call: CallId(1),
            provider_id: "p".to_owned(),
            name: name.to_owned(),
            arguments: arguments.to_string(),
        }
    }

    fn place(policy: &Policy) -> Place {
        Place {
            workspace: PathBuf::from("/project"),
            policy: policy.clone(),
            hidden: Arc::from([]),
        }
    }

    fn word(verdict: &Verdict) -> &'static str {
        match verdict {
            Verdict::Run => "run",
            Verdict::Ask { .. } => "ask",
            Verdict::Refuse { .. } => "refuse",
        }
    }

    fn judged(command: &str, outside: Option<&str>, policy: &Policy) -> Verdict {
        let call = call(
            "bash",
            &json!({"command": command, "outside_sandbox": outside}),
        );
        plan(Some(Tool::Shell), &call, &place(policy)).verdict
    }

    #[test]
    fn modes() {
        use ApprovalMode::{Ask, Auto, Never};
        use SandboxMode::{Off, ReadOnly, WorkspaceWrite};
        for (sandbox, approvals, inside, outside, write) in [
            (WorkspaceWrite, Auto, "run", "ask", "run"),
            (WorkspaceWrite, Never, "run", "refuse", "run"),
            (WorkspaceWrite, Ask, "ask", "ask", "ask"),
            (ReadOnly, Auto, "run", "ask", "refuse"),
            (ReadOnly, Never, "run", "refuse", "refuse"),
            (ReadOnly, Ask, "ask", "ask", "refuse"),
            (Off, Auto, "run", "run", "run"),
            (Off, Never, "run", "run", "run"),
            (Off, Ask, "ask", "ask", "ask"),
        ] {
            let policy = policy(sandbox, approvals, &[]);
            let write_call = call("write", &json!({"path": "a", "content": ""}));
            let change = plan(Some(Tool::Write), &write_call, &place(&policy)).verdict;
            assert_eq!(
                [
                    word(&judged("make", None, &policy)),
                    word(&judged("make", Some("net"), &policy)),
                    word(&change)
                ],
                [inside, outside, write],
                "{sandbox:?} {approvals:?}"
            );
        }
    }

    #[test]
    fn an_allowing_rule_cannot_be_bypassed() {
        let policy = policy(
            SandboxMode::WorkspaceWrite,
            ApprovalMode::Ask,
            &[
                ("git status", RuleAction::Allow),
                ("cargo", RuleAction::Allow),
            ],
        );
        for command in [
            "git status",
            "git status -s",
            "git status && cargo test",
            "cargo test 2>&1",
            "cargo",
            "git status | cargo x",
            "git 'status'",
            "git status\ncargo x",
        ] {
            assert_eq!(word(&judged(command, None, &policy)), "run", "{command}");
            let outside = |approvals| {
                let policy = Policy {
                    approvals,
                    ..policy.clone()
                };
                word(&judged(command, Some("net"), &policy))
            };
            assert_eq!(outside(ApprovalMode::Auto), "run", "{command}");
            assert_eq!(outside(ApprovalMode::Never), "run", "{command}");
            assert_eq!(outside(ApprovalMode::Ask), "ask", "{command}");
        }
        for command in [
            "git",
            "git push",
            "git status; rm -rf .",
            "git status && rm x",
            "git status\nrm x",
            "git status & rm x",
            "git status | sh",
            "git status $(rm x)",
            "git status `rm x`",
            "git status > .git/config",
            "git status \"$(rm x)\"",
            "git$IFS'status'",
            "\\git status",
            "git -c alias.status='!rm x' status",
            "A=b git status",
            "env git status",
            "git status # x\n",
            "cargo() { rm x; }; cargo",
            "PATH=. cargo",
            "cargo <(rm x)",
            "sudo cargo",
            "bash -c cargo",
            "xargs cargo",
            "eval cargo",
            "./cargo",
            "/tmp/cargo",
            "cat <<X\ncargo\nX",
            "cargo x || rm y",
            "(cargo)",
            "git status\\\n; rm x",
            "carg* x",
            "git  status;rm x",
            "git\u{a0}status",
            "",
            "# git status",
        ] {
            assert_eq!(word(&judged(command, None, &policy)), "ask", "{command}");
        }
    }

    #[test]
    fn a_refusing_rule_sees_through_disguises_and_the_longest_wins() {
        let policy = policy(
            SandboxMode::WorkspaceWrite,
            ApprovalMode::Auto,
            &[
                ("git", RuleAction::Ask),
                ("git push", RuleAction::Deny),
                ("git push origin", RuleAction::Allow),
                ("rm", RuleAction::Allow),
                ("rm", RuleAction::Deny),
            ],
        );
        for (command, expected) in [
            ("git status", "ask"),
            ("git push", "refuse"),
            ("git push origin", "run"),
            ("A=1 git push origin", "refuse"),
            ("ls; /bin/rm x", "refuse"),
            ("bash -c 'rm x'", "refuse"),
            ("ls", "run"),
            ("git status; git push", "refuse"),
        ] {
            assert_eq!(word(&judged(command, None, &policy)), expected, "{command}");
        }
    }

    #[test]
    fn an_allowing_rule_leaves_the_sandbox_in_the_workspace_only() {
        use ApprovalMode::{Auto, Never};
        let rules = [("git status", RuleAction::Allow), ("cd", RuleAction::Allow)];
        let told = |command: &str, directory: &str, outside: Option<&str>, approvals| {
            let arguments =
                json!({"command": command, "directory": directory, "outside_sandbox": outside});
            let policy = policy(SandboxMode::WorkspaceWrite, approvals, &rules);
            plan(
                Some(Tool::Shell),
                &call("bash", &arguments),
                &place(&policy),
            )
            .verdict
        };
        for directory in ["", ".", "sub/..", "/project", "/project/"] {
            let verdict = told("git status", directory, Some("net"), Auto);
            assert_eq!(word(&verdict), "run", "{directory}");
        }
        for directory in ["sub", "/project/sub", "..", "/other"] {
            let Verdict::Ask { approval } = told("git status", directory, Some("net"), Auto) else {
                panic!("{directory}: not asked");
            };
            assert_eq!(approval.prefix, [""; 0], "{directory}");
            let verdict = told("git status", directory, Some("net"), Never);
            assert_eq!(word(&verdict), "refuse", "{directory}");
            let verdict = told("git status", directory, None, Auto);
            assert_eq!(word(&verdict), "run", "{directory}");
        }
        let moving = "cd sub && git status";
        assert_eq!(word(&told(moving, "", Some("net"), Auto)), "ask");
        assert_eq!(word(&told(moving, "", None, Auto)), "run");
    }

    #[test]
    fn questions_show_the_command_and_the_reason() {
        let policy = policy(SandboxMode::WorkspaceWrite, ApprovalMode::Auto, &[]);
        let Verdict::Ask { approval } = judged("cargo fetch", Some("needs the network"), &policy)
        else {
            panic!("not asked");
        };
        assert_eq!(approval.action, "cargo fetch");
        assert_eq!(
            approval.reason,
            "it wants to leave the sandbox, where it may write in /project only and has no network, \
             saying: \"needs the network\""
        );
        assert_eq!(approval.touches, [reach::EVERYTHING]);
        assert_eq!(approval.prefix, ["cargo", "fetch"]);
    }

    #[test]
    fn what_the_model_says_of_a_command_cannot_pass_for_more() {
        let rules = [("cargo", RuleAction::Ask)];
        let policy = policy(SandboxMode::WorkspaceWrite, ApprovalMode::Auto, &rules);
        let said = "x\"; it is harmless";
        let Verdict::Ask { approval } = judged("cargo fetch", Some(said), &policy) else {
            panic!("not asked");
        };
        let begins = "a rule asks about `cargo`; it wants to leave the sandbox";
        assert!(approval.reason.starts_with(begins), "{}", approval.reason);
        let ends = "saying: \"x'; it is harmless\"";
        assert!(approval.reason.ends_with(ends), "{}", approval.reason);
        let everything = Policy {
            approvals: ApprovalMode::Ask,
            rules: Vec::new(),
            ..policy
        };
        let Verdict::Ask { approval } = judged("make", None, &everything) else {
            panic!("not asked");
        };
        assert_eq!(approval.touches, ["writes in /project", "no network"]);
    }

    #[test]
    fn who_only_looks_leaves_the_sandbox_by_no_rule_and_no_answer() {
        use ApprovalMode::{Ask, Auto, Never};
        use SandboxMode::{Off, WorkspaceWrite};
        for (sandbox, approvals) in [(WorkspaceWrite, Auto), (WorkspaceWrite, Ask), (Off, Never)] {
            let mut policy = policy(sandbox, approvals, &[("touch", RuleAction::Allow)]);
            let outside =
                |policy: &Policy| judged("touch a", Some("I want to"), &policy.in_force());
            policy.sandbox = SandboxMode::ReadOnly;
            assert_ne!(word(&outside(&policy)), "refuse", "{approvals:?}");
            policy.sandbox = sandbox;
            policy.phase = Phase::Look;
            assert_eq!(outside(&policy), refused(LOOK_ONLY));
            let looked = judged("cat a", None, &policy.in_force());
            assert_eq!(word(&looked) == "ask", approvals == Ask);
            let place = place(&policy.in_force());
            let write = call("write", &json!({"path": "a", "content": ""}));
            let written = plan(Some(Tool::Write), &write, &place);
            assert_eq!(word(&written.verdict), "refuse");
            // What it began it may end.
            let kill = call("job", &json!({"action": "kill", "job": 1}));
            let ended = plan(Some(Tool::Job), &kill, &place);
            assert_eq!(word(&ended.verdict), "run");
        }
    }

    #[test]
    fn while_it_is_planned_nothing_is_changed_and_nothing_leaves_the_sandbox() {
        use ApprovalMode::{Ask, Auto, Never};
        use SandboxMode::{Off, ReadOnly, WorkspaceWrite};
        let judged = |tool, name, arguments, policy: &Policy| {
            let place = place(&policy.in_force());
            plan(Some(tool), &call(name, &arguments), &place).verdict
        };
        for (sandbox, approvals) in [
            (WorkspaceWrite, Auto),
            (WorkspaceWrite, Never),
            (WorkspaceWrite, Ask),
            (ReadOnly, Auto),
            (Off, Auto),
            (Off, Never),
        ] {
            let work = policy(sandbox, approvals, &[("touch", RuleAction::Allow)]);
            let policy = Policy {
                phase: Phase::Plan,
                ..work
            };
            let outside = json!({"command": "touch a", "outside_sandbox": "I want to"});
            for (tool, name, arguments) in [
                (Tool::Write, "write", json!({"path": "a", "content": ""})),
                (
                    Tool::Edit,
                    "edit",
                    json!({"path": "a", "old": "b", "new": "c"}),
                ),
                (Tool::ApplyPatch, "apply_patch", json!({"patch": "x"})),
                (Tool::Shell, "bash", outside),
                (Tool::Job, "job", json!({"action": "kill", "job": 1})),
            ] {
                let Verdict::Refuse { reason } = judged(tool, name, arguments, &policy) else {
                    panic!("{sandbox:?} {approvals:?}: {name} is not refused");
                };
                assert_eq!(reason, PLANNED_FIRST);
            }
            for (tool, name, arguments) in [
                (Tool::Read, "read", json!({"path": "a"})),
                (Tool::Plan, "plan", json!({"steps": []})),
                (Tool::Shell, "bash", json!({"command": "touch a"})),
                (Tool::Job, "job", json!({"action": "list"})),
            ] {
                let verdict = judged(tool, name, arguments, &policy);
                assert_eq!(word(&verdict), "run", "{sandbox:?} {approvals:?} {name}");
            }
        }
    }

    #[test]
    fn lanes() {
        let policy = policy(SandboxMode::WorkspaceWrite, ApprovalMode::Auto, &[]);
        for (tool, arguments, lane) in [
            (None, json!({}), Lane::Shared),
            (Some(Tool::Read), json!({"path": "a"}), Lane::Shared),
            (Some(Tool::Edit), json!({"path": "a"}), Lane::Exclusive),
            (Some(Tool::Shell), json!({"command": "ls"}), Lane::Exclusive),
            (
                Some(Tool::Job),
                json!({"action": "poll", "job": 1}),
                Lane::Shared,
            ),
            (
                Some(Tool::Job),
                json!({"action": "kill", "job": 1}),
                Lane::Exclusive,
            ),
        ] {
            assert_eq!(
                plan(tool, &call("x", &arguments), &place(&policy)).lane,
                lane,
                "{arguments}"
            );
        }
    }
}
