//! The command line.

mod platform;
mod records;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use quire_protocol::Phase;

pub(crate) use platform::{BudgetPeriod, KeysCommand, NewKeyArgs, PlatformCommand};
pub(crate) use records::{CacheCommand, CostArgs, SessionsArgs, SessionsCommand, StatsArgs};

/// What accepting a plan says to the model.
const ACCEPTED: &str = "The plan is accepted: carry it out.";

/// An open agent system: plans, codes, debugs and reviews with any model, confined and durable.
#[derive(Debug, Parser)]
#[command(
    name = "quire",
    version,
    max_term_width = 100,
    args_conflicts_with_subcommands = true,
    after_help = "\
Examples:
  quire                                       talk to an agent in this folder
  quire demo                                  see it work, without a key or a network
  quire exec \"fix the failing test\"           do a task in this folder
  quire exec --continue \"now add a test\"      go on with the newest session of this folder

Set ANTHROPIC_API_KEY or OPENAI_API_KEY, or point OPENAI_BASE_URL at a local server."
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) talk: TalkArgs,
}

/// The screen, which opens without a command.
#[derive(Debug, Default, Args)]
pub(crate) struct TalkArgs {
    /// What to say first on the screen that opens without a command; more than one word
    pub(crate) prompt: Option<String>,
    /// PROVIDER/NAME (anthropic/…, openai/…, chat/…), or a name from the config
    #[arg(long, short)]
    pub(crate) model: Option<String>,
    /// How hard to think: low, medium, high, xhigh or max. Unless set, high
    #[arg(long)]
    pub(crate) effort: Option<String>,
    /// Go on with the newest session of this folder
    #[arg(long = "continue", short = 'c', conflicts_with = "resume")]
    pub(crate) continue_newest: bool,
    /// Go on with this session (the first characters of its id are enough)
    #[arg(long, value_name = "ID")]
    pub(crate) resume: Option<String>,
    /// What Enter does while a turn works; Tab does the other. Unless set, steer
    #[arg(long, value_enum)]
    pub(crate) follow_up: Option<FollowUp>,
    /// Plain lines that nothing is drawn over: for screen readers. Dumb terminals get them too
    #[arg(long)]
    pub(crate) plain: bool,
    /// Draw on all of the terminal, in a screen of its own that is gone afterwards
    #[arg(long)]
    pub(crate) full_screen: bool,
    /// Talk to the host that listens there, such as ws://127.0.0.1:4711 (docs/guide/agents.md)
    #[arg(long, value_name = "URL")]
    pub(crate) host: Option<String>,
    /// What commands may do. Unless set, workspace-write
    #[arg(long, value_enum)]
    pub(crate) sandbox: Option<Sandbox>,
    /// When to ask. Unless set, auto
    #[arg(long, value_enum)]
    pub(crate) approve: Option<Approve>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Do one task in the current folder, without a screen
    Exec(Box<ExecArgs>),
    /// Show the main job without a key or a network: a recorded model, everything else real
    #[command(after_help = "Example:\n  quire demo")]
    Demo,
    /// Host sessions, so that they go on without a terminal; started by itself where it is needed
    Serve(ServeArgs),
    /// Run the developer platform: Messages, Responses and Chat Completions in front of any model
    #[command(after_help = "\
Examples:
  quire platform check
  quire platform keys create --name ci
  quire platform serve")]
    Platform {
        /// The platform's config; platform.toml in the config folder unless set (docs/guide/platform.md)
        #[arg(long, value_name = "FILE", global = true)]
        config: Option<PathBuf>,
        #[command(subcommand)]
        command: PlatformCommand,
    },
    /// Show what agents need, and start, steer or stop them; they go on without a terminal
    #[command(after_help = "\
Examples:
  quire agents
  quire agents start \"make the tests pass\"
  quire agents say 0199 \"use the new parser\"
  quire agents allow 0199
  quire agents stop 0199")]
    Agents {
        /// Those of the host that listens there, such as ws://127.0.0.1:4711 (docs/guide/agents.md)
        #[arg(long, value_name = "URL", global = true)]
        host: Option<String>,
        #[command(subcommand)]
        command: Option<AgentsCommand>,
    },
    /// List, show, search, export, compact and remove sessions
    Sessions(SessionsArgs),
    /// Show what sessions cost: tokens by kind, exact money, and what it was spent on
    Cost(CostArgs),
    /// Show how sessions went: steps, tools, compactions, efforts, and how well prompts were estimated
    Stats(StatsArgs),
    /// Explain what the provider's prompt cache did
    Cache {
        #[command(subcommand)]
        command: CacheCommand,
    },
    /// List the models that are known by name, or show all that is known of one
    #[command(
        after_help = "Examples:\n  quire models\n  quire models show anthropic/claude-opus-5-5"
    )]
    Models {
        #[command(subcommand)]
        command: Option<ModelsCommand>,
    },
    /// Start the MCP servers of the settings, and show which are there and what their tools are
    #[command(after_help = "Examples:\n  quire mcp\n  quire mcp github")]
    Mcp {
        /// The server whose tools are shown in full
        name: Option<String>,
    },
    /// Check key, endpoint, sandbox, git and disk, and say what to do
    #[command(after_help = "Example:\n  quire doctor --model openai/gpt-5.5")]
    Doctor {
        /// The model to check: PROVIDER/NAME, or a name from the config
        #[arg(long, short)]
        model: Option<String>,
    },
    /// Show every setting and where its value comes from, or set one
    Config(ConfigArgs),
    /// Print a completion script for a shell
    #[command(
        after_help = "Example:\n  quire completions bash > ~/.local/share/bash-completion/completions/quire"
    )]
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page, or write one page per command into a folder
    #[command(after_help = "Example:\n  quire man | man -l -")]
    Man {
        /// The folder for all pages
        #[arg(long)]
        folder: Option<PathBuf>,
    },
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  quire serve                  in this terminal, until Ctrl-C
  quire serve --stop           end the host; the next one goes on with what it was working on
  quire serve --restart        end it and start the next one, after an update for example
  quire serve --listen 127.0.0.1:0
                               for browsers and programs elsewhere too, by a token")]
pub(crate) struct ServeArgs {
    /// End the host that runs
    #[arg(long)]
    pub(crate) stop: bool,
    /// End the host that runs, if one does, and start this version's, which goes on with what it worked on
    #[arg(long, conflicts_with = "stop")]
    pub(crate) restart: bool,
    /// Listen at this address too, as a WebSocket for those who know the host's token; port 0 stands
    /// for any that is free
    #[arg(long, value_name = "ADDRESS", conflicts_with_all = ["stop", "restart"])]
    pub(crate) listen: Option<SocketAddr>,
    /// Let pages of this site in, such as `https://example.org`; may be repeated
    #[arg(long, value_name = "ORIGIN", requires = "listen")]
    pub(crate) allow_origin: Vec<String>,
    /// Seconds for which a session stays in memory that nobody looks at and that does nothing
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    pub(crate) idle: u64,
    /// Leave the terminal
    #[arg(long, hide = true)]
    pub(crate) background: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AgentsCommand {
    /// List sessions by what they need
    List {
        /// Print them as JSON
        #[arg(long)]
        json: bool,
    },
    /// Start one in this folder, print its id, and leave it working
    Start {
        /// The task
        prompt: String,
        /// PROVIDER/NAME, or a name from the config
        #[arg(long, short)]
        model: Option<String>,
    },
    /// Say something to one: with its next step, or as a turn of its own where none is open
    Say {
        /// Its id, or the start of it
        id: String,
        /// What to say
        text: String,
        /// After its turn instead
        #[arg(long)]
        queue: bool,
    },
    /// Let the call run that it asks about
    Allow {
        /// Its id, or the start of it
        id: String,
        /// And whatever begins alike, for this session
        #[arg(long)]
        always: bool,
    },
    /// Do not let the call run that it asks about
    Deny {
        /// Its id, or the start of it
        id: String,
        /// Why; the model is told
        #[arg(default_value = "the person said no")]
        reason: String,
    },
    /// Stop its turn now
    Stop {
        /// Its id, or the start of it
        id: String,
    },
    /// Let its turn come to the end of its step and wait there
    Pause {
        /// Its id, or the start of it
        id: String,
    },
    /// Go on with a turn that a pause, a crash or a limit left open
    Resume {
        /// Its id, or the start of it
        id: String,
    },
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  quire exec \"why does tests/parse.rs fail?\" --sandbox read-only
  git diff | quire exec \"review this change\" --model anthropic/claude-opus-5-5 --effort max
  quire exec --json \"list the public API\" --output-schema api.json
  quire exec --resume 0199                    go on where a killed session stopped
  quire exec --plan \"speed up the parser\"     then: quire exec --resume 0199 --plan=accept
  quire exec --goal \"all tests pass\" --check \"cargo test\" --budget-usd 5
  quire exec -- \"- a task that starts with a dash\"

Exit codes: 0 done, 1 error, 2 wrong usage or settings, 3 the model refused, 4 paused at a limit of
the session, 5 turn limit, 6 no progress, 7 answer cut at the output limit, 8 the goal cannot be met,
124 timeout, 130 cancelled, 141 nobody reads the output.

What is set in the config counts where no flag is given: `quire config` shows it.")]
pub(crate) struct ExecArgs {
    /// The task. What comes on standard input is added to it; alone, it is the task
    pub(crate) prompt: Option<String>,
    /// Print one event a line as JSON (docs/guide/events.md)
    #[arg(long)]
    pub(crate) json: bool,
    /// Make the final answer valid JSON of the schema in this file
    #[arg(long, value_name = "FILE")]
    pub(crate) output_schema: Option<PathBuf>,
    /// PROVIDER/NAME (anthropic/…, openai/…, chat/…), or a name from the config. Unless set, one of
    /// Anthropic or OpenAI, by whose key is there
    #[arg(long, short)]
    pub(crate) model: Option<String>,
    /// How hard to think: low, medium, high, xhigh or max. Unless set, high
    #[arg(long)]
    pub(crate) effort: Option<String>,
    /// Most requests to the model in one turn. Unless set, 500
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) max_turns: Option<String>,
    /// Most money for the session, in dollars, or none; no request is sent once it is spent. Unless
    /// set, no limit
    #[arg(long, value_name = "USD", allow_negative_numbers = true)]
    pub(crate) budget_usd: Option<String>,
    /// Most tokens for the session, prompts and answers together, or none
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) budget_tokens: Option<String>,
    /// Most turns of the session, or none
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) budget_turns: Option<String>,
    /// Most time of work for the session (90s, 15m, 2h), or none. At any of these limits the work
    /// pauses, and goes on once it is raised
    #[arg(long, value_name = "TIME", allow_negative_numbers = true)]
    pub(crate) budget_time: Option<String>,
    /// Work turn after turn until a separate evaluator finds this goal met
    #[arg(long, value_name = "TEXT")]
    pub(crate) goal: Option<String>,
    /// A command that must succeed where the goal is met; may be repeated
    #[arg(long, value_name = "COMMAND", requires = "goal", value_parser = quire_headless::check)]
    pub(crate) check: Vec<String>,
    /// Where inference must happen, like us, or none; a route that does not comply is refused
    #[arg(long)]
    pub(crate) region: Option<String>,
    /// Most time: seconds, or 90s, 15m, 2h. Unless set, no limit
    #[arg(long, value_name = "TIME", allow_negative_numbers = true)]
    pub(crate) timeout: Option<String>,
    /// Go on with the newest session of this folder
    #[arg(long = "continue", short = 'c', conflicts_with = "resume")]
    pub(crate) continue_newest: bool,
    /// Go on with this session (the first characters of its id are enough)
    #[arg(long, value_name = "ID")]
    pub(crate) resume: Option<String>,
    /// Change nothing and print a plan; --plan=accept with --resume or --continue carries it out
    #[arg(long, value_enum, num_args = 0..=1, require_equals = true, default_missing_value = "only")]
    pub(crate) plan: Option<Planning>,
    /// Show the model an image (png, jpeg, gif, webp); may be repeated
    #[arg(long, value_name = "FILE")]
    pub(crate) image: Vec<PathBuf>,
    /// What commands may do. Unless set, workspace-write
    #[arg(long, value_enum)]
    pub(crate) sandbox: Option<Sandbox>,
    /// When to ask. Unless set, auto
    #[arg(long, value_enum)]
    pub(crate) approve: Option<Approve>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Sandbox {
    /// Read the disk, write nothing
    ReadOnly,
    /// Write this folder too, except what configures git and Quire
    WorkspaceWrite,
    /// Everything you may do yourself
    Off,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Approve {
    /// Before everything that may change something
    Ask,
    /// Only to leave the sandbox; with --sandbox off never
    Auto,
    /// Never: what would ask is refused
    Never,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum FollowUp {
    /// It is heard at the next step
    Steer,
    /// It is heard after the turn
    Queue,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Planning {
    /// Look, change nothing, and print a plan
    Only,
    /// Let what changes files work again; without a task, carry the plan out
    Accept,
}

impl ExecArgs {
    /// Whether the task is planned or worked; as the session has it where no flag says.
    pub(crate) fn phase(&self) -> Option<Phase> {
        self.plan.map(|plan| match plan {
            Planning::Only => Phase::Plan,
            Planning::Accept => Phase::Work,
        })
    }

    /// The task in words.
    pub(crate) fn task(&self) -> Option<&str> {
        let accepted = (self.phase() == Some(Phase::Work)).then_some(ACCEPTED);
        let said = self.prompt.as_deref().or(self.goal.as_deref());
        said.or(accepted)
    }

    /// The settings that flags make, with how each was written.
    pub(crate) fn flags(&self) -> Vec<(&'static str, &'static str, String)> {
        let given = [
            ("model", "--model", self.model.clone()),
            ("effort", "--effort", self.effort.clone()),
            ("max_turns", "--max-turns", self.max_turns.clone()),
            ("budget_usd", "--budget-usd", self.budget_usd.clone()),
            (
                "budget_tokens",
                "--budget-tokens",
                self.budget_tokens.clone(),
            ),
            ("budget_turns", "--budget-turns", self.budget_turns.clone()),
            ("budget_time_s", "--budget-time", self.budget_time.clone()),
            ("region", "--region", self.region.clone()),
            ("timeout_s", "--timeout", self.timeout.clone()),
            ("sandbox", "--sandbox", self.sandbox.as_ref().map(written)),
            ("approvals", "--approve", self.approve.as_ref().map(written)),
        ];
        given
            .into_iter()
            .filter_map(|(key, flag, value)| Some((key, flag, value?)))
            .collect()
    }
}

impl TalkArgs {
    /// The settings that flags make, with how each was written.
    pub(crate) fn flags(&self) -> Vec<(&'static str, &'static str, String)> {
        let full = self.full_screen.then(|| "full".to_owned());
        let given = [
            ("model", "--model", self.model.clone()),
            ("effort", "--effort", self.effort.clone()),
            ("sandbox", "--sandbox", self.sandbox.as_ref().map(written)),
            ("approvals", "--approve", self.approve.as_ref().map(written)),
            (
                "follow_up",
                "--follow-up",
                self.follow_up.as_ref().map(written),
            ),
            ("screen", "--full-screen", full),
        ];
        let given = given.into_iter();
        given
            .filter_map(|(key, flag, value)| Some((key, flag, value?)))
            .collect()
    }
}

/// A choice as it is written.
fn written(choice: &impl ValueEnum) -> String {
    choice
        .to_possible_value()
        .map_or_else(String::new, |value| value.get_name().to_owned())
}

#[derive(Debug, Subcommand)]
pub(crate) enum ModelsCommand {
    /// List them: the built-in ones and those of the config
    #[command(after_help = "Example:\n  quire models list")]
    List,
    /// Show a model's window, prices, what is sent for each effort, and where each of these comes from
    #[command(after_help = "Example:\n  quire models show claude-opus-5-5")]
    Show {
        /// PROVIDER/NAME, a built-in name, or a name from the config
        name: String,
    },
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  quire config                        every value and where it comes from
  quire config set model openai/gpt-5.5")]
pub(crate) struct ConfigArgs {
    #[command(subcommand)]
    pub(crate) command: Option<ConfigCommand>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Show every setting and where its value comes from
    #[command(after_help = "Example:\n  quire config show")]
    Show,
    /// Set a value in your own config file
    #[command(after_help = "Example:\n  quire config set effort max")]
    Set {
        /// Its name, as `quire config` shows it
        key: String,
        /// Its value
        value: String,
    },
    /// Let this folder's own .quire/config.toml count, as it is now
    #[command(after_help = "Example:\n  quire config trust")]
    Trust,
    /// Let it count no longer
    #[command(after_help = "Example:\n  quire config untrust")]
    Untrust,
}
