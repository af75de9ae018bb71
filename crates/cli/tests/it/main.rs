//! The binary as a person runs it: real processes, a real socket, a real sandbox, a clean home.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod accounts;
mod agents;
mod alerts;
mod bad_input;
mod clients;
mod crash;
mod first;
mod goals;
mod golden;
mod ground;
mod host;
mod journey;
mod library;
mod mcp;
mod mended;
mod outlives;
mod plain;
mod planning;
mod platform_killed;
mod platform_ops;
mod provider;
mod pty;
mod run;
mod schema;
mod screen;
mod screens;
mod survival;
mod suspended;
mod team;
mod travel;
mod trust;
mod typing;
mod web;
