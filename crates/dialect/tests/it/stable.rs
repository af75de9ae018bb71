//! The golden prefix: the bytes before the options stay as they are through everything that a
//! session goes through, and from version to version. A hash that changes here makes every session's
//! next request miss the provider's cache: change it only with a reason.

use std::fmt::Write as _;

use expect_test::expect;
use quire_dialect::{
    Clearing, Compaction, Dialect, Encoder, Features, Head, Options, OutputLimit, Thinking,
};
use quire_protocol::{CallId, Content, Item, MessageId, Opaque, Prefix, ToolCall, ToolStatus};
use serde_json::json;

use crate::fixtures::prefix;

/// FNV-1a, 64 bits.
fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

fn head(dialect: Dialect, prefix: &Prefix) -> Head<'_> {
    Head {
        features: Features {
            custom_tools: true,
            reasoning_summaries: true,
            cache_key: true,
            output_limit: OutputLimit::MaxCompletionTokens,
        },
        ..Head::new(dialect, "m", prefix)
    }
}

fn user(text: &str) -> Item {
    Item::User {
        message: MessageId::new(text),
        content: vec![Content::text(text)],
    }
}

/// What one step of the model and its tool add.
fn step(number: u32, origin: Dialect) -> Vec<Item> {
    let thought = match origin {
        Dialect::Messages => r#"{"type":"thinking","thinking":"t","signature":"s"}"#,
        Dialect::Responses => r#"{"type":"reasoning","id":"r","summary":[]}"#,
        Dialect::Chat => r#"{"reasoning_content":"t"}"#,
    };
    vec![
        Item::Thinking {
            text: "t".into(),
            opaque: Some(Opaque {
                origin: origin.name().into(),
                json: thought.into(),
            }),
        },
        Item::Assistant {
            text: format!("step {number}"),
            opaque: None,
        },
        Item::ToolCall(ToolCall {
            call: CallId(number),
            provider_id: format!("call_{number}"),
            name: "read".into(),
            arguments: r#"{"path":"a"}"#.into(),
        }),
        Item::ToolResult {
            call: CallId(number),
            status: ToolStatus::Done,
            content: vec![Content::text("found")],
        },
    ]
}

/// A call of a late tool whose server is gone.
fn gone(number: u32) -> Vec<Item> {
    vec![
        Item::ToolCall(ToolCall {
            call: CallId(number),
            provider_id: format!("call_{number}"),
            name: "use_tool".into(),
            arguments: r#"{"name":"mcp__s__look","arguments":{}}"#.into(),
        }),
        Item::ToolResult {
            call: CallId(number),
            status: ToolStatus::Failed,
            content: vec![Content::text("the server `s` does not run")],
        },
    ]
}

/// Everything that an option can be otherwise.
fn changed(schema: &serde_json::Value) -> Options<'_> {
    Options {
        max_output_tokens: Some(1_024),
        thinking: Thinking::Disabled,
        effort: Some("low"),
        words: "Effort: low.",
        output_schema: Some(schema),
        cache_key: "session-2",
        compaction: Compaction::From(60_000),
        clearing: Clearing {
            tool_uses: true,
            thinking: true,
        },
        region: Some("us"),
    }
}

/// What stands for items that were summarised.
fn compacted() -> Vec<Item> {
    vec![
        Item::Ledger {
            text: "[message:m1] Fix it.".into(),
        },
        Item::Summary {
            text: "The file was found, and read twice.".into(),
            opaque: None,
        },
    ]
}

/// A session that grows, body after body.
struct Growing {
    encoder: Encoder,
    items: Vec<Item>,
    /// The last body and how much of it is for good.
    last: (Vec<u8>, usize),
}

impl Growing {
    fn new(head: &Head<'_>) -> Self {
        Self {
            encoder: Encoder::new(head),
            items: Vec::new(),
            last: (Vec::new(), 0),
        }
    }

    /// A compaction: other items take the place of the first so many, and the body is written anew.
    /// What opens it, up to the items, stays.
    fn compact(
        &mut self,
        head: &Head<'_>,
        replaced: usize,
        by: Vec<Item>,
        options: &Options<'_>,
    ) -> u64 {
        let kept = self.items.split_off(replaced);
        let (before, _) = std::mem::replace(self, Self::new(head)).last;
        self.send(Vec::new(), options);
        let (opening, length) = &self.last;
        assert_eq!(before[..*length], opening[..*length], "it opens otherwise");
        self.send(by.into_iter().chain(kept).collect(), options)
    }

    /// Appends items; what was sent before must be the start of what is sent now.
    fn send(&mut self, items: Vec<Item>, options: &Options<'_>) -> u64 {
        for item in items {
            self.encoder.push(&item);
            self.items.push(item);
        }
        let body = self.encoder.body(options).concat();
        serde_json::from_slice::<serde_json::Value>(&body).expect("valid JSON");
        let (before, kept) = &self.last;
        assert_eq!(before[..*kept], body[..*kept], "what was sent has changed");
        let length = self.encoder.prefix_len();
        let now = hash(&body[..length]);
        self.last = (body, length);
        now
    }
}

#[test]
fn the_prefix_is_the_same_through_all_that_a_session_goes_through() {
    let prefix = prefix();
    let schema = json!({"type": "object", "properties": {"a": {"type": "string"}}});
    let plain = Options {
        max_output_tokens: Some(64_000),
        thinking: Thinking::Adaptive,
        effort: Some("high"),
        cache_key: "session-1",
        ..Options::default()
    };
    let changed = changed(&schema);
    let mut report = String::new();
    for dialect in Dialect::ALL {
        let head = head(dialect, &prefix);
        let mut session = Growing::new(&head);
        let mut line = |what: &str, hash: u64| {
            writeln!(report, "{:<9} {what:<14} {hash:016x}", dialect.name()).expect("memory");
        };
        line("opening", session.send(Vec::new(), &plain));
        line("first words", session.send(vec![user("Fix it.")], &plain));
        line("a step", session.send(step(1, dialect), &plain));
        // Words of a person while a call is open wait for its result.
        let mut steered = step(2, dialect);
        steered.insert(3, user("Not that file."));
        let steering = session.send(steered, &plain);
        line("steered", steering);
        // Nothing new but other options: a change of effort, a schema that is dropped.
        assert_eq!(session.send(Vec::new(), &changed), steering, "{dialect}");
        line("another effort", session.send(step(3, dialect), &changed));
        // A server comes, and its tools are told of; it goes, and a call of one says so. What is late in
        // the prefix opens no request.
        let came = Item::Notice {
            text: "Tools came: mcp__s__look. They are called by `use_tool`.".into(),
        };
        line("a server came", session.send(vec![came], &plain));
        let last = session.send(gone(4), &plain);
        line("a server went", last);
        let mut with_late = prefix.clone();
        with_late.late = prefix.tools.clone();
        let head = self::head(dialect, &with_late);
        // A resumed session, and one that was forked from it, write the same from the start.
        let mut resumed = Growing::new(&head);
        assert_eq!(resumed.send(session.items, &plain), last, "{dialect}");
    }
    expect![[r"
        messages  opening        bc7b287df6639505
        messages  first words    9306b923c6283d11
        messages  a step         99811e92d2522849
        messages  steered        664f0f4fac5d6ba6
        messages  another effort e90c75b4fd81571a
        messages  a server came  e9fd78d647bf60de
        messages  a server went  b0352149974423fc
        responses opening        cfa6d442b9af66e7
        responses first words    0635e9a21516c71d
        responses a step         4cf29fd4d62b29cb
        responses steered        a3e08fd743ed0e90
        responses another effort 6c2c92666c5b0e96
        responses a server came  d439c9ebad295dca
        responses a server went  771d759d5883a9e9
        chat      opening        331fb623449c4053
        chat      first words    06c6c8e0a3bfdd48
        chat      a step         e4a50ff835b325fd
        chat      steered        135e5ed3a893d417
        chat      another effort 781c10170bfc7ede
        chat      a server came  a8cd7f139a2fa8bd
        chat      a server went  bb07a10e7a037f93
    "]]
    .assert_eq(&report);
}

#[test]
fn after_a_compaction_the_prefix_opens_the_same_and_only_grows_again() {
    let prefix = prefix();
    let plain = Options::default();
    let other = Options {
        effort: Some("low"),
        ..Options::default()
    };
    let mut report = String::new();
    for dialect in Dialect::ALL {
        let head = head(dialect, &prefix);
        let mut session = Growing::new(&head);
        session.send(vec![user("Fix it.")], &plain);
        session.send(step(1, dialect), &plain);
        let replaced = session.items.len();
        session.send(step(2, dialect), &plain);
        let mut line = |what: &str, hash: u64| {
            writeln!(report, "{:<9} {what:<12} {hash:016x}", dialect.name()).expect("memory");
        };
        // All but the last step becomes a ledger and a summary.
        let compacted = session.compact(&head, replaced, compacted(), &plain);
        line("compacted", compacted);
        assert_eq!(session.send(Vec::new(), &other), compacted, "{dialect}");
        line("a step after", session.send(step(3, dialect), &plain));
        let last = session.send(vec![user("And the docs.")], &other);
        line("words after", last);
        let mut resumed = Growing::new(&head);
        assert_eq!(resumed.send(session.items, &plain), last, "{dialect}");
    }
    expect![[r"
        messages  compacted    3704efb7dc51cc4c
        messages  a step after 8e68ac226278e430
        messages  words after  d2ec60c5a36ee71b
        responses compacted    833d13493edbe032
        responses a step after 011d1305e49c72fc
        responses words after  b7c28586d3bf88d3
        chat      compacted    8e149d80eb66a212
        chat      a step after 3c7e3f2d1b2cbb52
        chat      words after  d38e2a334de169e6
    "]]
    .assert_eq(&report);
}

/// What tools change that are added to those which open requests, and what not: the bytes before the end of
/// the old tools stay, and so do those of everything behind the tools. Only the latter stand elsewhere, so
/// that a provider's cache keeps the tools at best. That is why a session tells of late tools within the
/// items, and adds them here only where there is nothing to lose.
#[test]
fn tools_that_come_later_change_the_tools_alone() {
    let before = prefix();
    let mut after = before.clone();
    let mut later = after.tools[0].clone();
    later.name = "later".into();
    after.tools.push(later);
    for dialect in Dialect::ALL {
        let body = |prefix: &Prefix| {
            let mut encoder = Encoder::new(&head(dialect, prefix));
            encoder.push(&user("Fix it."));
            for item in step(1, dialect) {
                encoder.push(&item);
            }
            encoder.body(&Options::default()).concat()
        };
        let (old, new) = (body(&before), body(&after));
        let same = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
        let rest = old.len() - same;
        assert_eq!(old[same..], new[new.len() - rest..], "{dialect}");
        let added = String::from_utf8_lossy(&new[same..new.len() - rest]);
        assert!(
            added.starts_with(",{") && added.contains("later"),
            "{dialect}: {added}"
        );
        assert_eq!(old[same], b']', "{dialect}: the tools end here");
    }
}
