//! The words of `quire platform`.

use std::path::PathBuf;

use clap::Subcommand;
use quire_protocol::Money;

#[derive(Debug, Subcommand)]
pub(crate) enum PlatformCommand {
    /// Serve until told to end; SIGHUP reads the config again, SIGTERM lets what is under way come to its end
    Serve,
    /// Say everything that is wrong with the config
    Check {
        /// The config to look at
        #[arg(value_name = "CONFIG", conflicts_with = "config")]
        file: Option<PathBuf>,
    },
    /// Make, list and take back API keys
    Keys {
        #[command(subcommand)]
        command: KeysCommand,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    /// Make a key and print it, this once
    Create(NewKeyArgs),
    /// List keys; their secrets are known to nobody
    List,
    /// Take a key back
    Revoke {
        /// The key's id, as the list shows it
        id: String,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct NewKeyArgs {
    /// The workspace it opens; it is made if there is none of that name
    #[arg(long, default_value = "default")]
    pub(crate) workspace: String,
    /// What it is called in lists
    #[arg(long, default_value = "key")]
    pub(crate) name: String,
    /// Days after which it opens nothing any more
    #[arg(long, value_name = "DAYS")]
    pub(crate) expires_days: Option<u32>,
    /// A model it may ask for, or the start of such names with `*` behind; may be repeated. All unless set
    #[arg(long, value_name = "MODEL")]
    pub(crate) model: Vec<String>,
    /// A region it may be served from; may be repeated. All unless set
    #[arg(long, value_name = "REGION")]
    pub(crate) region: Vec<String>,
    /// Requests a minute
    #[arg(long, value_name = "COUNT")]
    pub(crate) requests_per_minute: Option<u64>,
    /// Tokens of prompts a minute
    #[arg(long, value_name = "COUNT")]
    pub(crate) input_tokens_per_minute: Option<u64>,
    /// Tokens of answers a minute
    #[arg(long, value_name = "COUNT")]
    pub(crate) output_tokens_per_minute: Option<u64>,
    /// Dollars it may spend
    #[arg(long, value_name = "DOLLARS")]
    pub(crate) budget_usd: Option<Money>,
    /// The time over which they count
    #[arg(long, value_enum, default_value = "month", requires = "budget_usd")]
    pub(crate) budget_period: BudgetPeriod,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum BudgetPeriod {
    /// A day, by UTC
    Day,
    /// A calendar month, by UTC
    Month,
    /// For ever
    Total,
}
