//! Whole screens, from journals to what a terminal shows, in two sizes.

mod commands;
mod folded;
mod full;
mod proposals;
mod questions;
mod work;

use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Duration;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use expect_test::{Expect, expect};
use quire_protocol::{
    Answer, Approval, ApprovalMode, CallId, CallPlan, ChangeKind, CommandEnd, Content,
    ContextLimits, Delivery, Delta, Effort, EffortChoice, Event, FileChange, Item, Limits,
    MessageId, ModelError, ModelErrorKind, Op, Phase, PlanStatus, PlanStep, Policy, Purpose,
    Record, RequestId, SandboxMode, Seq, Settings, StopReason, TokenStop, ToolCall, ToolOutcome,
    ToolStatus, TurnId, Usage,
};

use crate::app::App;
use crate::painter::Painter;
use crate::setup::Room;
use crate::theme::Theme;
use crate::wish::Wish;
use ratatui_core::text::Line;

use crate::view::{Picture, picture};

/// A screen that is told records, fragments and keys.
struct Screen {
    app: App,
    painter: Painter,
    terminal: vt100::Parser,
    seq: u64,
    now_ms: u64,
}

impl Screen {
    fn new(columns: u16, rows: u16) -> Self {
        let size = |number| NonZeroU16::new(number).unwrap();
        let fit = |mut settings: Settings, flags: &[(&'static str, String)]| {
            for (key, value) in flags {
                match *key {
                    "model" => settings.model.clone_from(value),
                    "effort" => settings.effort = value.parse()?,
                    "budget_usd" => settings.limits.budget = value.parse().ok(),
                    other => return Err(format!("{other} is not set here")),
                }
            }
            Ok(settings)
        };
        let mut screen = Self {
            app: App::new("test".to_owned(), Arc::new(fit)),
            painter: Painter::new((columns, rows), Theme::default(), Room::Inline),
            terminal: vt100::Parser::new(size(rows), size(columns), 100),
            seq: 0,
            now_ms: 0,
        };
        (
            screen.app.conversation.columns,
            screen.app.conversation.rows,
        ) = (columns, rows);
        screen.app.branch = Some("topic/größe".to_owned());
        screen.record(Event::Configured {
            settings: settings(),
        });
        screen
    }

    fn record(&mut self, event: Event) {
        self.seq += 1;
        self.now_ms += 700;
        self.app.conversation.record(&Record {
            seq: Seq(self.seq),
            at_ms: self.now_ms,
            event,
        });
        let _ = self.app.settle();
    }

    fn says(&mut self, id: &str, delivery: Delivery, text: &str) {
        self.record(Event::MessageAccepted {
            message: MessageId::new(id),
            delivery,
            content: vec![Content::text(text)],
            effort: None,
        });
    }

    /// A person's message that opens a turn, and the request that follows.
    fn asks(&mut self, text: &str) {
        self.says("m1", Delivery::Steer, text);
        self.record(Event::TurnStarted { turn: TurnId(1) });
        self.record(Event::MessageDelivered {
            message: MessageId::new("m1"),
        });
        self.calls_model();
    }

    fn calls_model(&mut self) {
        self.record(Event::ModelCalled {
            request: RequestId(1),
            items: 1,
            purpose: Purpose::Work,
            estimate: 52_000,
            chosen: None,
            worked_ms: 0,
        });
    }

    fn replies(&mut self, items: Vec<Item>) {
        self.record(Event::ModelReplied {
            request: RequestId(1),
            model: "double".to_owned(),
            items,
            plans: Vec::<CallPlan>::new(),
            stop: TokenStop::EndTurn,
            usage: Usage {
                input: 1_000,
                output: 1_234,
                ..Usage::default()
            },
            cost: "0.0425".parse().ok(),
            retries: Vec::new(),
        });
    }

    fn ends(&mut self, call: u32, outcome: ToolOutcome) {
        self.record(Event::ToolEnded {
            call: CallId(call),
            outcome,
        });
    }

    fn streams(&mut self, text: &str) {
        self.app.conversation.delta(&Delta::Text {
            text: text.to_owned(),
        });
    }

    fn press(&mut self, code: KeyCode) -> Vec<Wish> {
        self.app.key(KeyEvent::new(code, KeyModifiers::NONE))
    }

    fn types(&mut self, text: &str) {
        for char in text.chars() {
            self.press(KeyCode::Char(char));
        }
    }

    /// What the terminal shows, and where its cursor is.
    fn shown(&mut self) -> String {
        let size = self.painter.size();
        let picture = picture(&self.app, size, Duration::from_millis(12_345));
        let done = self.app.conversation.take_done();
        self.show(done, &picture)
    }

    fn show(&mut self, done: Vec<Line<'static>>, picture: &Picture) -> String {
        let size = self.painter.size();
        let bytes = self.painter.frame(done, picture);
        self.terminal.process(bytes.as_bytes());
        let screen = self.terminal.screen();
        let rows: Vec<String> = screen
            .rows(0, size.0)
            .map(|row| row.trim_end().to_owned())
            .collect();
        let (row, column) = screen.cursor_position();
        format!("{}\n[{row}, {column}]\n", rows.join("\n").trim_end())
    }

    fn check(&mut self, expected: &Expect) {
        expected.assert_eq(&self.shown());
    }
}

fn settings() -> Settings {
    Settings {
        model: "anthropic/double".to_owned(),
        effort: Effort::High,
        workspace: "/w".into(),
        policy: Policy {
            sandbox: SandboxMode::WorkspaceWrite,
            approvals: ApprovalMode::Auto,
            rules: Vec::new(),
            domains: Vec::new(),
            writable: Vec::new(),
            environment: Vec::new(),
            phase: Phase::Work,
        },
        limits: Limits::default(),
        output_schema: None,
        context: ContextLimits::for_window(200_000, 32_000),
        effort_choice: EffortChoice::Fixed,
        region: None,
    }
}

fn words(text: &str) -> Item {
    Item::Assistant {
        text: text.to_owned(),
        opaque: None,
    }
}

fn call(number: u32, name: &str, arguments: &str) -> Item {
    Item::ToolCall(ToolCall {
        call: CallId(number),
        provider_id: "p".to_owned(),
        name: name.to_owned(),
        arguments: arguments.to_owned(),
    })
}

fn step(text: &str, status: PlanStatus) -> PlanStep {
    PlanStep {
        text: text.to_owned(),
        status,
    }
}
