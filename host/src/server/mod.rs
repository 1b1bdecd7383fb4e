//! The server that the `scimwell` binary is: command line, listener, TLS, log and what a first start prints.

pub(crate) mod admin;
mod error;
mod front;
mod lines;
mod listen;
mod options;
mod start;
mod tls;
mod welcome;

pub use error::StartError;
pub use options::{Administration, Command, CommandLine, LogFormat, ServeOptions, StorageUrl};
pub use start::serve;
pub(crate) use start::{compile, open_postgres, open_redb, start_log};
