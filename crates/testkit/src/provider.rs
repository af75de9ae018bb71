//! The provider behind the model: how it counts, and what it and the model answer where they are asked
//! for a compaction or a judgement.

use quire_kernel::Input;
use quire_protocol::{
    CheckRun, CommandEnd, CompactionMode, Content, ContextLimits, Item, Opaque, Reply, RequestId,
    TokenStop, ToolCall, Usage,
};

use crate::Dice;
use crate::actors::{cents, filler};

/// How the provider of one life is.
#[derive(Clone, Debug)]
pub(crate) struct Provider {
    /// Tokens of a thousand bytes; 0 where it counts nothing.
    rate: u64,
    /// How often its count is nonsense.
    nonsense: u32,
    /// How often it says that a request does not fit.
    overflowing: u32,
    /// How often it compacts in the middle of a reply.
    compacting: u32,
    /// How often a summary is worth nothing.
    poor: u32,
    mode: CompactionMode,
    /// Tokens that fit; 0 for the usual window.
    room: u32,
    /// The verdict that the evaluator always gives, where it does.
    verdict: Option<&'static str>,
}

impl Provider {
    pub(crate) fn new(dice: &mut Dice) -> Self {
        let modes = [
            CompactionMode::Own,
            CompactionMode::Provider,
            CompactionMode::ProviderThreshold,
            CompactionMode::Off,
        ];
        Self {
            rate: if dice.chance(10) {
                0
            } else {
                u64::from(200 + dice.roll(250))
            },
            nonsense: if dice.chance(25) { dice.roll(60) } else { 0 },
            overflowing: if dice.chance(25) { dice.roll(30) } else { 0 },
            compacting: if dice.chance(20) { dice.roll(30) } else { 0 },
            poor: dice.roll(101),
            mode: dice.pick(&modes).copied().unwrap_or_default(),
            room: match dice.roll(10) {
                0..=6 => 500 + dice.roll(4_000),
                7 if dice.chance(30) => 50 + dice.roll(300),
                _ => 0,
            },
            verdict: dice
                .pick(&[None, None, Some("met"), Some("not_yet")])
                .copied()
                .flatten(),
        }
    }

    /// How large the context may grow, this time.
    pub(crate) fn window(&self, dice: &mut Dice) -> ContextLimits {
        let room = match self.room {
            0 => {
                return ContextLimits {
                    compaction: self.mode,
                    ..ContextLimits::default()
                };
            }
            room if dice.chance(80) => room,
            room => 1 + dice.roll(2 * room),
        };
        let answer = u64::from(dice.roll(200));
        let room = u64::from(room);
        ContextLimits {
            window: room + answer,
            answer,
            compact_at: if dice.chance(80) {
                room / 100 * u64::from(50 + dice.roll(45))
            } else {
                room / 50 * u64::from(dice.roll(100))
            },
            keep: room / 100 * u64::from(dice.roll(60)),
            compaction: self.mode,
        }
    }

    /// What it counts for a prompt of so many bytes.
    pub(crate) fn count(&self, prompt: u64, dice: &mut Dice) -> Usage {
        let tokens = if dice.chance(self.nonsense) {
            let nonsense = [0, 1, prompt / 20, prompt * 2, 10_000_000];
            dice.pick(&nonsense).copied().unwrap_or(0)
        } else {
            prompt * self.rate / 1_000
        };
        let cached = tokens / 2;
        Usage {
            input: tokens - cached,
            cache_read: cached,
            output: if self.rate == 0 {
                0
            } else {
                1 + u64::from(dice.roll(100))
            },
            ..Usage::default()
        }
    }

    /// Whether it says that a request does not fit.
    pub(crate) fn overflows(&self, dice: &mut Dice) -> bool {
        dice.chance(self.overflowing)
    }

    /// Whether it compacts in the middle of a reply.
    pub(crate) fn compacts_by_itself(&self, dice: &mut Dice) -> bool {
        dice.chance(self.compacting)
    }

    fn answer(&self, items: Vec<Item>, stop: TokenStop, prompt: u64, dice: &mut Dice) -> Reply {
        Reply {
            model: "simulated".to_owned(),
            items,
            stop,
            usage: self.count(prompt, dice),
            cost: (!dice.chance(5)).then(|| cents(dice.roll(10))),
            retries: Vec::new(),
        }
    }

    /// What the model answers where it is asked for a summary.
    pub(crate) fn summary(&self, prompt: u64, dice: &mut Dice) -> Reply {
        let mut stop = TokenStop::EndTurn;
        let items = if dice.chance(self.poor) {
            match dice.roll(6) {
                0 => Vec::new(),
                1 => words("no"),
                2 => vec![call()],
                3 => vec![block(dice)],
                4 => words(&filler(5_000, dice)),
                _ => {
                    stop = TokenStop::Refusal;
                    words(SUMMARY)
                }
            }
        } else {
            let mut items = words(SUMMARY);
            if dice.chance(20) {
                items.push(call());
            }
            if dice.chance(10) {
                stop = TokenStop::MaxTokens;
            }
            items
        };
        self.answer(items, stop, prompt, dice)
    }

    /// What the provider answers where it is asked to compact.
    pub(crate) fn compaction(&self, prompt: u64, dice: &mut Dice) -> Reply {
        let items = if dice.chance(self.poor) {
            match dice.roll(4) {
                0 => Vec::new(),
                1 => words(SUMMARY),
                2 => vec![Item::Summary {
                    text: " ".to_owned(),
                    opaque: None,
                }],
                _ => vec![call()],
            }
        } else {
            let mut items = vec![block(dice)];
            if dice.chance(10) {
                items.push(block(dice));
            }
            items
        };
        self.answer(items, TokenStop::EndTurn, prompt, dice)
    }

    /// What the evaluator says of the goal with these checks.
    pub(crate) fn judgement(
        &self,
        request: RequestId,
        checks: &[String],
        dice: &mut Dice,
    ) -> Input {
        let verdicts = [
            "met",
            "not_yet",
            "not_yet",
            "not_yet",
            "impossible",
            "maybe",
        ];
        let any = dice.pick(&verdicts).copied().unwrap_or("met");
        let verdict = self.verdict.filter(|_| dice.chance(80)).unwrap_or(any);
        let answer = format!(
            r#"{{"verdict":"{verdict}","reasons":"reason {}"}}"#,
            dice.roll(3)
        );
        let items = if dice.chance(5) {
            vec![call()]
        } else {
            words(&answer)
        };
        let run = |command: &String| CheckRun {
            command: command.clone(),
            end: dice.chance(90).then(|| CommandEnd::Exited {
                code: i32::from(dice.chance(30)),
            }),
            output: String::new(),
        };
        let checks = checks.iter().map(run).collect();
        let reply = self.answer(items, TokenStop::EndTurn, 500, dice);
        Input::Judged {
            request,
            reply,
            checks,
            changes: String::new(),
            left: String::new(),
        }
    }
}

/// A summary that is one.
const SUMMARY: &str = "The parser is in src/parse.rs; two of its tests still fail, with E0308.";

fn words(text: &str) -> Vec<Item> {
    vec![Item::Assistant {
        text: text.to_owned(),
        opaque: None,
    }]
}

fn call() -> Item {
    Item::ToolCall(ToolCall {
        call: quire_protocol::CallId(1),
        provider_id: "p1".to_owned(),
        name: "read".to_owned(),
        arguments: "{}".to_owned(),
    })
}

/// A provider's own compaction.
pub(crate) fn block(dice: &mut Dice) -> Item {
    Item::Summary {
        text: String::new(),
        opaque: Some(Opaque {
            origin: "messages".to_owned(),
            json: format!(
                "{{\"data\":\"{}\"}}",
                "b".repeat(usize::try_from(dice.roll(600)).unwrap_or(0))
            ),
        }),
    }
}

/// A summary, as kindly as it gets.
pub(crate) fn kind_summary(mut reply: Reply) -> Reply {
    reply.items = words(SUMMARY);
    reply
}

/// About how large an item is on the wire.
pub(crate) fn bytes(item: &Item) -> u64 {
    let content = |content: &[Content]| -> usize {
        let texts = content.iter().filter_map(Content::as_text);
        texts.map(str::len).sum()
    };
    let length = match item {
        Item::User { content: words, .. } | Item::ToolResult { content: words, .. } => {
            content(words)
        }
        Item::Notice { text }
        | Item::Ledger { text }
        | Item::Assistant { text, .. }
        | Item::Thinking { text, .. } => text.len(),
        Item::Summary { text, opaque } => {
            text.len() + opaque.as_ref().map_or(0, |opaque| opaque.json.len())
        }
        Item::ToolCall(call) => call.name.len() + call.arguments.len(),
        Item::Foreign { opaque } => opaque.json.len(),
    };
    length as u64 + 30
}
