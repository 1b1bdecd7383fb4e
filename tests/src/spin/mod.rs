//! A stand-in for Spin 4: runs a component, or our adapter alone, on wasmtime with Spin's variables, SQLite and PostgreSQL
//! behind it.
//!
//! It keeps to what was seen of Spin 4.0.2, the awkward parts included: a fresh instance a request; each `open` is a new
//! SQLite connection, opened at its first statement; a lock is waited for five seconds, then the statement fails; a result
//! over 128 MiB fails; an instance that ends, by a trap as well, takes its connections with it, and SQLite rolls back;
//! variables that the manifest doesn't define are undefined; outgoing requests go to allowed hosts only; the HTTP side
//! sets no TCP_NODELAY.

mod application;
mod bindings;
mod bridge;
mod outbound;
mod postgres;
mod server;
mod sqlite;
mod up;

use std::collections::BTreeMap;
use std::path::PathBuf;

pub use application::Application;
pub use bridge::Bridge;
pub use server::serve;
pub use up::{Up, Way, find_spin};

/// What a manifest and a command line tell Spin of a component.
#[derive(Clone, Debug, Default)]
pub struct Manifest {
    /// The component's variables.
    pub variables: BTreeMap<String, String>,
    /// The file behind the SQLite database `default`; without one, the component may not use it.
    pub sqlite: Option<PathBuf>,
    /// `allowed_outbound_hosts`: `http://127.0.0.1:8000`, `postgres://127.0.0.1:5432`, without wild cards.
    pub outbound: Vec<String>,
    /// A statement that the instance does not survive, by how it begins: what a crash in the middle leaves.
    pub dies_at: Option<String>,
}

impl Manifest {
    /// The manifest with one more variable.
    #[must_use]
    pub fn variable(mut self, name: &str, value: impl Into<String>) -> Self {
        self.variables.insert(name.to_owned(), value.into());
        self
    }
}
