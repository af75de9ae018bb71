//! The face without a screen: one task, followed on a stream of lines, over
//! [`quire_protocol::Client`] alone.
//!
//! [`run`] is `quire exec`. In [`Output::Progress`] the error stream tells a person what happens and
//! the output stream gets the answer, last and once; in [`Output::Json`] the output stream gets one
//! event a line and a result at the end (`docs/guide/events.md`). [`list`], [`hits`], [`markdown`]
//! and [`jsonl`] render `quire sessions`.
//!
//! Exit codes of [`Outcome::exit_code`], and the ones that the caller gives:
//!
//! | code | means |
//! |---|---|
//! | 0 | done |
//! | 1 | error: the model could not be reached, the session died, the answer never fitted its schema |
//! | 2 | usage: wrong arguments or settings (given by the caller) |
//! | 3 | the model or its provider refused |
//! | 4 | paused at a limit of the session: the budget is spent, say, or cannot be kept |
//! | 5 | the turn used all the requests it may make |
//! | 6 | stopped: the same calls gave the same results again and again |
//! | 7 | the answer was cut at the model's output limit, as often as it was continued |
//! | 8 | the evaluator found that the goal cannot be met |
//! | 124 | stopped by `--timeout` |
//! | 130 | cancelled by a signal or a person |
//! | 141 | nobody reads the output any more |

#![cfg_attr(
    test,
    allow(
        clippy::needless_raw_string_hashes,
        reason = "snapshots are written so"
    )
)]

mod agents;
mod answer;
mod approvals;
mod cache;
mod cache_shown;
mod checkup;
mod clipboard;
mod context;
mod cost;
mod demo;
mod diff;
mod drive;
mod files;
mod find;
mod history;
mod input;
mod json;
mod lay_out;
mod limits;
mod markdown;
mod models;
mod outcome;
mod places;
mod progress;
mod report;
mod requests;
mod result;
mod run;
mod schema;
mod screen;
mod sessions;
mod signals;
mod stats;
mod style;
mod supervise;
mod table;
mod tally;
mod task;
mod text;
mod trial;
mod upkeep;

pub use agents::{agents, parting};
pub use cache::{CacheReport, Price, explain_cache};
pub use checkup::{Checkup, StoreFound, weaker_wall};
pub use clipboard::clipboard_image;
pub use cost::{CostBy, CostQuery, CostTable, cost};
pub use demo::{DemoError, demo_folder, verify_demo};
pub use files::{edit, make_private, read_if_there};
pub use find::{
    FindError, damage, find_session, journal, newest_session, sessions_asked, used_sessions,
};
pub use history::History;
pub use input::{check, edited, named_image, said, schema_file};
pub use json::jsonl;
pub use markdown::markdown;
pub use models::{model_card, model_list};
pub use outcome::{Error, Outcome};
pub use places::branch;
pub use report::Report;
pub use run::run;
pub use sessions::{hits, list};
pub use signals::{interrupts, outlive_terminal};
pub use stats::{Stats, stats};
pub use style::{Color, Style};
pub use supervise::{Supervise, supervise};
pub use task::{Adapt, Approver, Output, Start, Task};
pub use upkeep::{Kept, Upkeep, keep_up};
