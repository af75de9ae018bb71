//! The face with a screen: a person talks to a session, sees what it does and steers it while it
//! works, over [`quire_protocol::Client`] alone.
//!
//! What is done goes into the terminal's own scrollback; a few rows below it are drawn in place.
//! Where all of the terminal is drawn, `pages` holds the conversation instead.
//! `conversation` folds the journal, `editor` holds what is typed, `keys` is the table of keys, `app`
//! puts them together, `view` says what is drawn and `painter` makes bytes of it, by the table of
//! `theme`. All of these are pure; [`talk()`] moves them. In [`Form::Plain`] the same conversation is
//! plain lines.

#![cfg_attr(
    test,
    allow(
        clippy::needless_raw_string_hashes,
        reason = "snapshots are written so"
    )
)]

mod agents;
mod answers;
mod app;
mod calls;
mod code;
mod commands;
mod conversation;
mod diff;
mod editor;
mod errands;
mod folded;
mod ground;
#[cfg(test)]
mod hand;
mod images;
mod keys;
mod link;
mod look;
mod machine;
mod makeup;
mod markdown;
mod menu;
mod meter;
mod notify;
mod others;
mod outbox;
mod pages;
mod painter;
mod paths;
mod picker;
mod plain;
mod resume;
mod rows;
#[cfg(test)]
mod screens;
mod search;
mod setup;
mod shell;
mod signals;
mod stream;
mod talk;
mod terminal;
mod theme;
mod travel;
mod trusting;
mod view;
mod welcome;
mod wish;
mod words;
mod world;

pub use agents::{Overview, agents};
pub use app::Fit;
pub use machine::Machine;
pub use notify::Notify;
pub use setup::{Adapt, Branch, Check, Error, Form, Looks, Room, Setup, Start, Thinking};
pub use talk::talk;
pub use terminal::columns;
pub use theme::{Colours, Theme};
pub use trusting::{Trusting, trusting};
pub use welcome::{Choice, Listed, Models, NoModels, Offer, Place, Takes, Welcome, welcome};
