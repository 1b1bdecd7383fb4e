//! scimwell on Fermyon Spin: an adapter component (world `scimwell:provider/adapter`) that exports what the `service`
//! component imports.
//!
//! | module | what |
//! |---|---|
//! | `component` | the exports: conversion of types, the grant that lets into one tenant's store |
//! | `sqlite` | storage on Spin's SQLite, the default |
//! | `postgres`, [`payload`] | storage on PostgreSQL, and a commit as the function there takes it |
//! | [`select`] | reads as SQL, for both |
//! | [`effect`] | a commit's mutations folded into what is left of each key, so that a commit is few statements |
//! | `settings` | the Spin variables, read when they are needed |
//!
//! Tokens, URLs, the question to the application, the grant and what is generated of `wit/` are `scimwell-adapter`'s.
//!
//! Architecture invariant: [`effect`], [`payload`] and [`select`] do no I/O and know neither Spin nor WIT; the others are
//! compiled for WebAssembly only.

pub mod effect;
pub mod payload;
pub mod select;

#[cfg(target_family = "wasm")]
mod component;
#[cfg(target_family = "wasm")]
mod postgres;
#[cfg(target_family = "wasm")]
mod settings;
#[cfg(target_family = "wasm")]
mod sqlite;
