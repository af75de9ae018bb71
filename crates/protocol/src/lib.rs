//! The words every other crate speaks: ids, items, events, ops, tools, usage, money, days, policy, and
//! the port traits, and how foreign text, calls and numbers are shown by every face. Data and traits
//! only: no files, no clock, no runtime.

mod activity;
mod approval;
mod bill;
mod compaction;
mod day;
mod event;
mod goal;
mod id;
mod item;
mod model;
mod money;
mod op;
mod policy;
mod ports;
mod sandbox;
mod servers;
mod settings;
mod shown;
mod split;
mod store;
mod team;
mod text;
mod tool;
mod transcript;
mod travel;
mod usage;

pub use activity::*;
pub use approval::*;
pub use bill::*;
pub use compaction::*;
pub use day::*;
pub use event::*;
pub use goal::*;
pub use id::*;
pub use item::*;
pub use model::*;
pub use money::*;
pub use op::*;
pub use policy::*;
pub use ports::*;
pub use sandbox::*;
pub use servers::*;
pub use settings::*;
pub use shown::*;
pub use split::*;
pub use store::*;
pub use team::*;
pub use text::*;
pub use tool::*;
pub use transcript::*;
pub use travel::*;
pub use usage::*;
