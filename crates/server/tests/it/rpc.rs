//! The words around the wire's words: JSON-RPC 2.0, as its specification has it.

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;

use crate::double::{Double, host};

/// A face that says lines of its own.
struct Face(BufReader<UnixStream>);

impl Face {
    async fn say(&mut self, line: &str) {
        let line = format!("{line}\n");
        self.0.write_all(line.as_bytes()).await.unwrap();
    }

    async fn hear(&mut self) -> Value {
        let mut line = String::new();
        self.0.read_line(&mut line).await.unwrap();
        serde_json::from_str(&line).unwrap()
    }

    async fn ask(&mut self, line: &str) -> Value {
        self.say(line).await;
        self.hear().await
    }
}

/// A face that has said who it is.
async fn face(folder: &std::path::Path) -> Face {
    let stream = UnixStream::connect(folder.join("socket")).await.unwrap();
    let mut face = Face(BufReader::new(stream));
    let params = json!({"protocol": {"oldest": 1, "newest": 1}, "client": "test", "folder": "/"});
    let hello = json!({"jsonrpc": "2.0", "id": 0, "method": "hello", "params": params});
    let welcome = face.ask(&hello.to_string()).await;
    assert_eq!(welcome["result"]["protocol"], 1);
    face
}

#[tokio::test]
async fn requests_are_answered_with_their_own_id() {
    let (folder, double) = (tempfile::tempdir().unwrap(), Double::new(0));
    host(folder.path(), &double);
    let mut face = face(folder.path()).await;
    for id in [
        json!(1),
        json!(-7),
        json!(1.5),
        json!("a\"b"),
        json!(""),
        Value::Null,
    ] {
        let asked = json!({"jsonrpc": "2.0", "id": id, "method": "agents/list"});
        let answer = json!({"jsonrpc": "2.0", "id": id, "result": []});
        assert_eq!(face.ask(&asked.to_string()).await, answer);
    }
}

#[tokio::test]
async fn what_is_no_request_is_refused_by_the_specification_s_numbers() {
    let (folder, double) = (tempfile::tempdir().unwrap(), Double::new(0));
    host(folder.path(), &double);
    let mut face = face(folder.path()).await;
    let (none, one) = (Value::Null, json!(1));
    for (line, code, id) in [
        ("{", -32_700, &none),
        ("hello", -32_700, &none),
        (r#"[{"jsonrpc":"2.0","id":1,"#, -32_700, &none),
        ("1", -32_600, &none),
        ("{}", -32_600, &none),
        ("[]", -32_600, &none),
        ("[1,2,3]", -32_600, &none),
        (
            r#" [{"jsonrpc":"2.0","id":1,"method":"agents/list"}]"#,
            -32_600,
            &none,
        ),
        (
            r#"{"jsonrpc":"1.0","id":1,"method":"agents/list"}"#,
            -32_600,
            &one,
        ),
        (
            r#"{"jsonrpc":2.0,"id":1,"method":"agents/list"}"#,
            -32_600,
            &none,
        ),
        (r#"{"jsonrpc":"2.0","id":1,"method":7}"#, -32_600, &none),
        (r#"{"jsonrpc":"2.0","id":1,"result":[]}"#, -32_600, &one),
        (
            r#"{"jsonrpc":"2.0","id":{},"method":"agents/list"}"#,
            -32_600,
            &none,
        ),
        (
            r#"{"jsonrpc":"2.0","id":true,"method":"agents/list"}"#,
            -32_600,
            &none,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"no/such"}"#,
            -32_601,
            &one,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"session/open","params":{}}"#,
            -32_602,
            &one,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"sessions/search","params":"x"}"#,
            -32_602,
            &one,
        ),
    ] {
        let answer = face.ask(line).await;
        assert_eq!(answer["jsonrpc"], "2.0", "{line}: {answer}");
        assert_eq!(answer["error"]["code"], code, "{line}: {answer}");
        assert_eq!(&answer["id"], id, "{line}: {answer}");
        assert!(answer.get("result").is_none(), "{line}: {answer}");
    }
}

#[tokio::test]
async fn what_is_told_without_an_id_is_not_answered() {
    let (folder, double) = (tempfile::tempdir().unwrap(), Double::new(0));
    host(folder.path(), &double);
    let mut face = face(folder.path()).await;
    for told in [
        r#"{"jsonrpc":"2.0","method":"agents/list"}"#,
        r#"{"jsonrpc":"2.0","method":"no/such"}"#,
        r#"{"jsonrpc":"2.0","method":"session/open","params":7}"#,
    ] {
        face.say(told).await;
    }
    let asked = r#"{"jsonrpc":"2.0","id":"next","method":"agents/list"}"#;
    assert_eq!(face.ask(asked).await["id"], "next");
}

#[tokio::test]
async fn nobody_searches_for_more_than_a_person_types() {
    let (folder, double) = (tempfile::tempdir().unwrap(), Double::new(0));
    host(folder.path(), &double);
    let mut face = face(folder.path()).await;
    let search = |text: String| {
        let params = json!({"text": text, "limit": 3});
        json!({"jsonrpc": "2.0", "id": 1, "method": "sessions/search", "params": params})
    };
    let found = face.ask(&search("ä".repeat(1_000)).to_string()).await;
    assert_eq!(found["result"], json!([]), "{found}");
    let refused = face.ask(&search("ä ".repeat(1 << 20)).to_string()).await;
    assert_eq!(refused["error"]["code"], -32_602, "{refused}");
    let words = refused["error"]["message"].to_string();
    assert!(words.contains("1000 letters at most"), "{words}");
}
