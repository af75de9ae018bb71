//! Runs processes confined and bounded.
//!
//! On Linux all processes are made by a *spawner*, this same program started again as a small
//! process of one thread ([`run_if_spawner`]), because forking a large process costs a hundred
//! times as much. It makes one *cell* per workspace and policy: namespaces in which the disk is
//! read-only but for the workspace. Each command gets a supervisor of its own in the cell, under
//! which it runs without privileges behind Landlock and seccomp; the supervisor's end is the end
//! of everything the command started. When a command ends, its cell makes the supervisor of the
//! next one, which waits, confined already, so that the next command starts sooner. Such a spare
//! belongs to its cell, serves one command, and dies with the cell or when the cell goes out of
//! use; a command that finds none has one made. What a command is, where it runs and what it may
//! use up comes with the command. Where the kernel gives no namespaces, bubblewrap or
//! Landlock alone take the cell's place; [`Spawner`] finds out which by trying, says which, and
//! refuses when there is none.
//!
//! A command reads nothing and prints on one pipe, or it is talked to: then its three streams are
//! pipes of their own, and what is written to it waits for room until it is read or nothing of the
//! command is left. That it closed its stdin is told to the writer at once, but behind bubblewrap,
//! which keeps a copy, only at its end.
//!
//! What is not kept out, on purpose: a command may leave any file in the workspace, also a
//! repository of its own in a subfolder. Commands may not open Unix sockets at all, because a
//! listener anywhere on the disk would be a way out. When the person changes a repository's
//! configuration while a command runs, that one command may change the new file; from the next
//! command on it is protected again.

mod environment;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(any(target_os = "macos", test))]
mod macos;
mod options;
mod own;
mod streams;

pub use environment::allowed_environment;
#[cfg(target_os = "linux")]
pub use linux::{Spawner, run_if_spawner};
#[cfg(target_os = "macos")]
pub use macos::{Spawner, run_if_spawner};
pub use options::Options;
pub use own::{edit_own, run_own};
