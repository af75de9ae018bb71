//! The built-in tools: shell and its jobs, read, write, edit, apply_patch, search, list, plan, note, recall;
//! as one [`quire_protocol::ToolSet`]. Processes go through the sandbox port, huge output through the
//! store port; file tools work in this process and keep to the policy themselves.

mod agent;
mod apply_patch;
mod arguments;
mod bare;
mod calls;
mod clean;
mod confinement;
mod drive;
mod edit;
mod hunks;
mod jobs;
mod list;
mod names;
mod note;
mod patch;
mod place;
mod plan;
mod proposal;
mod reach;
mod read;
mod recall;
mod remembered;
mod replace;
mod report;
mod script;
mod search;
mod servers;
mod shell;
mod spool;
mod text;
mod toolbox;
mod verdict;
mod walk;
mod write;

pub use confinement::confinement;
pub use patch::{Chunk, ChunkLine, FilePatch, Patch, PatchError, parse_patch};
pub use toolbox::{ToolDialect, Toolbox, ToolboxOptions, well_known_secrets};
pub use walk::paths;
