//! Planning: nothing is changed before the person accepts the plan.

use serde_json::{Value, json};

use crate::provider::{Answer, Provider, result_texts, results};
use crate::pty::Pty;
use crate::run::{Place, finish};

/// A model that wants to change things at once, in every way it has, and again once it may.
fn eager(request: &Value) -> Answer {
    let write = |path: &str| ("write", json!({"path": path, "content": "made"}));
    let touch = |path: &str| {
        (
            "bash",
            json!({"command": format!("touch {path} && echo did")}),
        )
    };
    let out = json!({"command": "touch out", "outside_sandbox": "to get around it"});
    let plan = json!({"steps": [{"text": "make both", "status": "pending"}]});
    match results(request) {
        0 => Answer::Reply(
            "At once.",
            vec![
                write("written"),
                touch("touched"),
                ("bash", out),
                ("bash", json!({"command": "ls -a && echo looked"})),
                ("plan", plan),
            ],
        ),
        5 if request.to_string().contains("The plan is accepted") => {
            Answer::Reply("Now.", vec![write("written"), touch("touched")])
        }
        5 => Answer::Reply("I would write two files.", vec![]),
        _ => Answer::Reply("All is made.", vec![]),
    }
}

/// What was refused says so, what only looks was done, and nothing was made.
fn nothing_was_made(place: &Place, provider: &Provider) {
    let requests = provider.requests();
    let told = result_texts(&requests[1]);
    assert_eq!(
        told.matches("plan mode: nothing is changed").count(),
        2,
        "{told}"
    );
    assert!(told.contains("Read-only file system"), "{told}");
    assert!(told.contains("looked") && !told.contains("did"), "{told}");
    assert!(
        requests[0]["messages"]
            .to_string()
            .contains("Plan mode: look")
    );
    for file in ["written", "touched", "out"] {
        assert!(!place.work().join(file).exists(), "{file}");
    }
}

fn both_are_made(place: &Place) {
    assert_eq!(place.read("written"), "made");
    assert!(place.work().join("touched").exists());
}

#[test]
fn a_plan_changes_nothing_until_it_is_accepted_on_the_screen() {
    let provider = Provider::start(eager);
    let place = Place::new();
    let mut command = place.command(&["--model", "anthropic/double"]);
    command
        .env("ANTHROPIC_BASE_URL", &provider.url)
        .env("ANTHROPIC_API_KEY", "key");
    let mut pty = Pty::start(&command, 100, 40);
    pty.sees("say what to do");
    pty.type_line("/plan make two files");
    pty.sees("PLAN · anthropic/double");
    pty.sees("I would write two files.");
    pty.sees("/plan accept carries the plan out");
    nothing_was_made(&place, &provider);
    pty.type_line("/plan accept");
    pty.sees("All is made.");
    pty.sees("plan mode is over");
    both_are_made(&place);
    let screen = pty.screen();
    assert!(!screen.contains("PLAN ·"), "{screen}");
    pty.kill();
}

#[test]
fn exec_plans_read_only_and_carries_out_what_is_accepted() {
    let provider = Provider::start(eager);
    let place = Place::new();
    let ran = finish(place.exec(&provider, &["--plan", "make two files"]));
    ran.says(0, &["I would write two files.", "--plan=accept"]);
    nothing_was_made(&place, &provider);
    finish(place.exec(&provider, &["--continue", "--plan=accept"])).says(0, &["All is made."]);
    both_are_made(&place);
}
