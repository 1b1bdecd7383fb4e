//! What can go wrong before a request is served; a request's own failures are SCIM responses.

use std::fmt;

use crate::storage::StoreError;

/// Why the provider could not be set up.
#[derive(Debug)]
pub enum Error {
    /// The component does not compile, or is not of the world that was asked for.
    Component {
        /// The world asked for, `scimwell:provider/provider` for example.
        world: &'static str,
        /// What wasmtime says.
        source: wasmtime::Error,
    },
    /// The machine refuses what the engine needs.
    Engine(wasmtime::Error),
    /// The storage failed.
    Storage(StoreError),
    /// A name that cannot name a tenant.
    TenantName(String),
    /// The machine has no randomness to give, so no token can be made.
    Random(getrandom::Error),
    /// A record in the host's own key space is not what this version writes.
    Record {
        /// The record's key.
        key: String,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// A tenant's log can't be read.
    Log {
        /// Whose.
        tenant: String,
        /// What is wrong.
        detail: String,
    },
}

/// The crate's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Component { world, source } => {
                write!(f, "not a WebAssembly component of world {world} that this host can run: {source:#}")
            }
            Self::Engine(source) => write!(f, "the WebAssembly engine cannot start: {source:#}"),
            Self::Storage(source) => source.fmt(f),
            Self::TenantName(name) => write!(
                f,
                "{name:?} cannot name a tenant: 1 to {} of the characters a-z, A-Z, 0-9, `-`, `_` and `.` can, the first a \
                 letter or digit",
                crate::storage::MAX_TENANT
            ),
            Self::Random(source) => write!(f, "no randomness for a token: {source}"),
            Self::Record { key, source } => {
                write!(f, "the stored record {key:?} is damaged or of a newer version: {source}")
            }
            Self::Log { tenant, detail } => write!(f, "the log of tenant {tenant:?} can't be read: {detail}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            // wasmtime's error shows its whole chain itself.
            Self::Component { .. } | Self::Engine(_) | Self::TenantName(_) | Self::Log { .. } => None,
            Self::Storage(source) => Some(source),
            Self::Random(source) => Some(source),
            Self::Record { source, .. } => Some(source),
        }
    }
}

impl From<StoreError> for Error {
    fn from(source: StoreError) -> Self {
        Self::Storage(source)
    }
}
