//! The face with a screen: a person talks to a session, sees what it does and steers it while it
//! works, over [`quire_protocol::Client`] alone.
//!
//! What is done goes into the terminal's own scrollback; a few rows below it are drawn in place.
//! `conversation` folds the journal, `editor` holds what is typed, `keys` is the table of keys, `app`
//! puts them together, `view` says what is drawn and `painter` makes bytes of it. All of these are
//! pure; [`talk()`] moves them. In [`Form::Plain`] the same conversation is plain lines.

#![cfg_attr(
    test,
    allow(
        clippy::needless_raw_string_hashes,
        reason = "snapshots are written so"
    )
)]

mod app;
mod calls;
mod commands;
mod conversation;
mod editor;
mod keys;
mod link;
mod look;
mod makeup;
mod markdown;
mod meter;
mod painter;
mod plain;
mod resume;
mod rows;
#[cfg(test)]
mod screens;
mod stream;
mod talk;
mod terminal;
mod trusting;
mod view;
mod welcome;
mod words;

pub use app::Fit;
pub use look::Palette;
pub use talk::{Adapt, Branch, Check, Error, Form, Setup, Start, talk};
pub use trusting::{Trusting, trusting};
pub use welcome::{Choice, Models, Offer, Place, Takes, Welcome, welcome};
