//! What models are told, and calls that no tool can serve.

use quire_protocol::{ToolInput, ToolSet as _, ToolStatus, Verdict};
use quire_tools::ToolDialect;
use serde_json::json;

use crate::world::{World, text};

#[test]
fn the_specs_of_a_dialect_stay_small() {
    for (dialect, names) in [
        (
            ToolDialect::ClaudeLike,
            vec![
                "bash", "job", "read", "write", "edit", "search", "list", "plan", "note", "recall",
                "agent",
            ],
        ),
        (
            ToolDialect::GptLike,
            vec![
                "shell",
                "job",
                "read",
                "apply_patch",
                "search",
                "list",
                "plan",
                "note",
                "recall",
                "agent",
            ],
        ),
    ] {
        let specs = World::new(dialect).tools.specs();
        let bytes: usize = specs
            .iter()
            .map(|spec| serde_json::to_string(spec).unwrap().len())
            .sum();
        assert!(bytes < 5_250, "{dialect:?}: {bytes} bytes");
        let found: Vec<&str> = specs.iter().map(|spec| spec.name.as_str()).collect();
        assert_eq!(found, names);
        for spec in &specs {
            if let ToolInput::Json(schema) = &spec.input {
                assert_eq!(schema["type"], "object", "{}", spec.name);
            }
        }
    }
}

#[tokio::test]
async fn an_invented_tool_and_broken_arguments_are_answered() {
    let world = World::claude();
    let call = world.call("grep", json!({"pattern": "x"}));
    assert_eq!(world.tools.plan(&call, &world.policy).verdict, Verdict::Run);
    let said = world.failed("grep", "{}").await;
    assert_eq!(
        said,
        "there is no tool `grep`; there are: bash, job, read, write, edit, search, list, plan, \
         note, recall, agent"
    );
    let said = world.failed("read_file", "{}").await;
    assert!(said.contains("perhaps you mean `read`"), "{said}");
    let said = world.failed("read", r#"{"path": "a"#).await;
    assert!(
        said.contains("line 1, column 11") && said.contains("Expected: {path: string"),
        "{said}"
    );
    let said = world.failed("bash", "{}").await;
    assert!(
        said.starts_with("`command` is missing. Expected: {command"),
        "{said}"
    );
}

#[tokio::test]
async fn a_plan_is_shown() {
    let world = World::claude();
    let steps = json!({"steps": [
        {"text": "look", "status": "completed"},
        {"text": "mend", "status": "in_progress"},
    ]});
    let outcome = world.run("plan", steps).await;
    assert_eq!(outcome.status, ToolStatus::Done);
    assert_eq!(text(&outcome), "The plan is shown: 1 of 2 completed");
    assert_eq!(outcome.plan.unwrap()[1].text, "mend");
    world
        .failed("plan", json!({"steps": [{"text": "a", "status": "x"}]}))
        .await;
}
