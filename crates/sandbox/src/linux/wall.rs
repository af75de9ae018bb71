//! The two walls that a command builds around itself before it starts its program.

pub(crate) mod landlock;
pub(crate) mod seccomp;
