//! Searching and listing a real folder.

use serde_json::json;

use crate::world::World;

fn project() -> World {
    let world = World::claude();
    world.put(".gitignore", "target/\n");
    world.put("src/main.rs", "fn main() {\n    todo(1);\n}\n");
    world.put("src/deep/er/lib.rs", "pub fn todo(n: u32) {}\n");
    world.put("target/out.rs", "todo");
    world.put(".git/config", "todo");
    world.put(".hidden", "todo\n");
    world.put("blob.bin", b"todo\0");
    world
}

#[tokio::test]
async fn searching() {
    let world = project();
    for (arguments, shown) in [
        (
            json!({"pattern": r"todo\("}),
            "src/deep/er/lib.rs\n1:pub fn todo(n: u32) {}\nsrc/main.rs\n2:    todo(1);\n",
        ),
        (
            json!({"pattern": "todo", "mode": "files"}),
            ".hidden\nsrc/deep/er/lib.rs\nsrc/main.rs\n",
        ),
        (
            json!({"pattern": "O", "ignore_case": true, "mode": "count", "path": "src"}),
            "src/deep/er/lib.rs: 1\nsrc/main.rs: 1\n",
        ),
        (
            json!({"pattern": "todo", "glob": "main.*", "context": 1}),
            "src/main.rs\n1-fn main() {\n2:    todo(1);\n3-}\n",
        ),
        (
            json!({"pattern": "todo", "glob": "main.*", "after": "1"}),
            "src/main.rs\n2:    todo(1);\n3-}\n",
        ),
        (
            json!({"pattern": "main.*\\n.*todo", "path": "src/main.rs"}),
            "src/main.rs\n1:fn main() {\n2:    todo(1);\n",
        ),
        (json!({"pattern": "nowhere"}), "No matches\n"),
    ] {
        assert_eq!(world.done("search", &arguments).await, shown, "{arguments}");
    }
    let shown = world.done("search", json!({"pattern": "todo("})).await;
    assert!(
        shown.starts_with("src/deep/er/lib.rs\n1:pub fn todo("),
        "{shown}"
    );
    assert!(
        shown.contains("[not a regular expression (")
            && shown.contains("searched for the literal text]"),
        "{shown}"
    );
    world
        .failed("search", json!({"pattern": "a", "path": "scr"}))
        .await;
    world
        .failed("search", json!({"pattern": "a", "path": "../secret"}))
        .await;
}

#[tokio::test]
async fn many_and_long_results_are_bounded() {
    let world = World::claude();
    world.put("a.txt", "needle\n".repeat(150));
    world.put("b.txt", "needle\n");
    world.put("long.txt", format!("needle{}", "x".repeat(5_000)));
    let shown = world.done("search", json!({"pattern": "needle"})).await;
    assert!(shown.ends_with("[52 more matches, 2 more files; 152 in 3 files in all: narrow the pattern, path or glob]\n"), "{shown}");
    let shown = world
        .done("search", json!({"pattern": "needle", "path": "long.txt"}))
        .await;
    assert!(shown.len() < 400 && shown.ends_with("…\n"), "{shown}");
}

#[tokio::test]
async fn how_much_was_found_or_read_is_data() {
    let world = World::claude();
    world.put("a.txt", "needle\n".repeat(150));
    for number in 0..250 {
        world.put(&format!("many/{number:03}"), "");
    }
    for (tool, arguments, lines) in [
        ("search", json!({"pattern": "needle", "context": 1}), 150),
        ("search", json!({"pattern": "needle", "mode": "files"}), 1),
        ("search", json!({"pattern": "nowhere("}), 0),
        ("list", json!({"path": "many"}), 250),
        ("list", json!({"glob": "*.py"}), 0),
        ("read", json!({"path": "a.txt", "limit": 2}), 2),
        ("read", json!({"path": "a.txt", "offset": 151}), 0),
        ("read", json!({"path": "many/000"}), 0),
        ("job", json!({"action": "list"}), 0),
    ] {
        let outcome = world.run(tool, &arguments).await;
        assert_eq!(
            (outcome.end, outcome.lines),
            (None, Some(lines)),
            "{tool} {arguments}"
        );
    }
}

#[tokio::test]
async fn listing() {
    let world = project();
    for (arguments, shown) in [
        (
            json!({}),
            ".gitignore\n.hidden\nblob.bin\nsrc/\nsrc/deep/\nsrc/main.rs",
        ),
        (
            json!({"path": "src/deep"}),
            "src/deep/er/\nsrc/deep/er/lib.rs",
        ),
        (json!({"glob": "*.rs"}), "src/deep/er/lib.rs\nsrc/main.rs"),
        (json!({"glob": "src/*.rs"}), "src/main.rs"),
        (json!({"glob": "*.py"}), "(nothing)"),
    ] {
        assert_eq!(world.done("list", &arguments).await, shown, "{arguments}");
    }
    assert_eq!(world.done("list", "").await.lines().count(), 6);
    let said = world.failed("list", json!({"path": "src/main.rs"})).await;
    assert_eq!(said, "src/main.rs is a file: use read");
    for number in 0..250 {
        world.put(&format!("many/{number:03}"), "");
    }
    let shown = world.done("list", json!({"path": "many"})).await;
    assert!(
        shown.ends_with("many/199\n… 50 more: narrow it with `path` or `glob`"),
        "{shown}"
    );
}
