//! What a session is told first: how to work, where it is, and what the project's own instruction
//! files say. Reads files; knows no other crate of the house.

mod files;
mod prompt;

pub use files::{Extent, InstructionFile, instruction_files, left_out};
pub use prompt::{Place, compose};
