//! What commands show and ask for.

use super::*;

/// What a line that is typed asks of the session.
fn asked(screen: &mut Screen, line: &str) -> Vec<Wish> {
    screen.types(line);
    screen.press(KeyCode::Enter)
}

/// The settings that a wish is about.
fn wanted(wishes: &[Wish]) -> Settings {
    match wishes {
        [Wish::Ask(Op::Configure { settings }), ..] => settings.clone(),
        other => panic!("no settings in {other:?}"),
    }
}

/// A command that is allowed always.
fn allows(screen: &mut Screen, number: u32, prefix: &[&str]) {
    let call = CallId(number);
    screen.record(Event::ApprovalAsked {
        call,
        approval: Approval {
            action: prefix.join(" "),
            reason: "outside the sandbox".to_owned(),
            prefix: prefix.iter().map(|word| (*word).to_owned()).collect(),
        },
    });
    screen.record(Event::ApprovalAnswered {
        call,
        answer: Answer::AllowAlways,
    });
}

#[test]
fn a_change_of_settings_keeps_what_was_allowed_always() {
    let mut screen = Screen::new(80, 24);
    allows(&mut screen, 1, &["git", "push"]);
    let settings = wanted(&asked(&mut screen, "/effort max"));
    assert_eq!(settings.policy.rules.len(), 1);
    assert_eq!(settings.policy.rules[0].prefix, ["git", "push"]);
}
