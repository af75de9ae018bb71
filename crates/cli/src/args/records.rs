//! The command line of what looks at sessions as they are recorded, and at what they cost.

use clap::{Args, Subcommand};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  quire sessions                      those of every folder, newest first
  quire sessions search \"flaky test\"
  quire sessions export 0199 --markdown > session.md")]
pub(crate) struct SessionsArgs {
    #[command(subcommand)]
    pub(crate) command: Option<SessionsCommand>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SessionsCommand {
    /// List sessions, newest first
    #[command(after_help = "Example:\n  quire sessions list --here --limit 5")]
    List {
        /// Only those of the current folder
        #[arg(long)]
        here: bool,
        /// At most so many; 0 for all
        #[arg(long, default_value_t = 30)]
        limit: usize,
    },
    /// Show a session as Markdown
    #[command(after_help = "Example:\n  quire sessions show 0199")]
    Show {
        /// The first characters of its id
        id: String,
    },
    /// Search everything that was said, called and answered
    #[command(after_help = "Example:\n  quire sessions search \"flaky test\"")]
    Search {
        /// Words to find
        text: String,
        /// At most so many hits
        #[arg(long, default_value_t = 20)]
        limit: usize,
    },
    /// Print a session's events as JSON Lines, or the session as Markdown
    #[command(after_help = "Example:\n  quire sessions export 0199 > session.jsonl")]
    Export {
        /// The first characters of its id
        id: String,
        /// As Markdown
        #[arg(long)]
        markdown: bool,
    },
    /// Compact a session's context now: the ledger is kept, the rest of the older part is summarised
    #[command(
        after_help = "Examples:\n  quire sessions compact 0199\n  quire sessions compact 0199 --focus \"the parser\""
    )]
    Compact {
        /// The first characters of its id
        id: String,
        /// What the summary should dwell on
        #[arg(long, value_name = "TEXT")]
        focus: Option<String>,
        /// Only what stands before this message (`quire sessions export` shows their ids)
        #[arg(long, value_name = "MESSAGE", conflicts_with = "from")]
        up_to: Option<String>,
        /// Only this message and what comes after it
        #[arg(long, value_name = "MESSAGE")]
        from: Option<String>,
    },
    /// Take a session's last compaction back
    #[command(after_help = "Example:\n  quire sessions undo 0199")]
    Undo {
        /// The first characters of its id
        id: String,
    },
    /// Show a session's goal, set another one, or drop it
    #[command(
        after_help = "Examples:\n  quire sessions goal 0199\n  quire sessions goal 0199 \"all tests pass\" --check \"cargo test\"\n  quire sessions goal 0199 --drop"
    )]
    Goal {
        /// The first characters of its id
        id: String,
        /// What is to be reached
        #[arg(conflicts_with = "drop")]
        text: Option<String>,
        /// A command that must succeed where it is reached; may be repeated
        #[arg(long, value_name = "COMMAND", requires = "text", value_parser = quire_headless::check)]
        check: Vec<String>,
        /// Drop the goal
        #[arg(long)]
        drop: bool,
    },
    /// Remove a session for good, after asking
    #[command(after_help = "Example:\n  quire sessions rm 0199")]
    Rm {
        /// The first characters of its id
        id: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  quire cost                          every session
  quire cost 0199                     one session
  quire cost --by day --since 2026-11-01 --here
  quire cost --by model --json

Money is exact. What has no known price is shown as unknown, never as zero. Days are those of UTC.")]
pub(crate) struct CostArgs {
    /// Only this session: the first characters of its id
    pub(crate) session: Option<String>,
    /// What each row is about: session, day, model or project
    #[arg(long, value_name = "WHAT", default_value = "session")]
    pub(crate) by: quire_headless::CostBy,
    /// Only from this day on (UTC), such as 2026-11-25
    #[arg(long, value_name = "DATE")]
    pub(crate) since: Option<quire_protocol::Day>,
    /// Only up to this day (UTC)
    #[arg(long, value_name = "DATE")]
    pub(crate) until: Option<quire_protocol::Day>,
    /// Only sessions of the current folder
    #[arg(long)]
    pub(crate) here: bool,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  quire stats\n  quire stats 0199 --json")]
pub(crate) struct StatsArgs {
    /// Only this session: the first characters of its id
    pub(crate) session: Option<String>,
    /// Only sessions of the current folder
    #[arg(long)]
    pub(crate) here: bool,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CacheCommand {
    /// Show for each request of a session what the cache gave, and why where it gave too little
    #[command(after_help = "Example:\n  quire cache explain 0199")]
    Explain {
        /// The first characters of its id
        session: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}
