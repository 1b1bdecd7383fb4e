//! Why a server did not start, and what to do about it.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::storage::StoreError;

/// Why a server did not start.
#[derive(Debug)]
pub enum StartError {
    /// The binary was built without a component, and none was given.
    NoComponent,
    /// A file that an option names cannot be read.
    File {
        /// The option, `--tls-cert` for example.
        option: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A certificate or key is not what it should be.
    Tls {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The address cannot be listened on.
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// The storage does not open.
    Storage {
        /// Where it is.
        place: String,
        /// Why not.
        source: StoreError,
    },
    /// `--storage` names nothing that could be opened.
    StorageUrl(String),
    /// The database does not open.
    Database {
        /// Where it is, without the password.
        place: String,
        /// Why not.
        source: StoreError,
    },
    /// `--base-url` is not a URL that clients could use.
    BaseUrl(String),
    /// The machine refuses a thread or a signal handler.
    System(io::Error),
    /// Anything of the library.
    Provider(crate::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoComponent => f.write_str(
                "this binary was built without the SCIM component; build it with `cargo xtask build`, or name one with \
                 --component FILE",
            ),
            Self::File { option, path, source } => write!(f, "{option}: cannot read {}: {source}", path.display()),
            Self::Tls { path, reason } => write!(f, "{}: {reason}", path.display()),
            Self::Listen { address, source } if source.kind() == io::ErrorKind::AddrInUse => write!(
                f,
                "{address} is in use by another process; stop it, or choose another with --listen {}:PORT",
                address.ip()
            ),
            Self::Listen { address, source } if source.kind() == io::ErrorKind::PermissionDenied => {
                write!(f, "{address} may not be listened on by this user ({source}); ports above 1023 may: --listen")
            }
            Self::Listen { address, source } => write!(f, "cannot listen on {address}: {source}; see --listen"),
            Self::Storage { place, source } => {
                write!(f, "cannot open the data in {place}: {source}; choose another place with --data DIR")
            }
            Self::StorageUrl(reason) => write!(f, "--storage: {reason}"),
            Self::Database { place, source } => {
                write!(f, "cannot use the database {place}: {source}; see --storage and docs/postgresql.md")
            }
            Self::BaseUrl(url) => {
                write!(f, "--base-url {url:?}: expected http:// or https:// and a host, as in https://scim.example.com")
            }
            Self::System(source) => write!(f, "the system refuses what a server needs: {source}"),
            Self::Provider(source) => source.fmt(f),
        }
    }
}

impl std::error::Error for StartError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::File { source, .. } | Self::Listen { source, .. } | Self::System(source) => Some(source),
            Self::Storage { source, .. } | Self::Database { source, .. } => Some(source),
            Self::Provider(source) => Some(source),
            Self::NoComponent | Self::Tls { .. } | Self::StorageUrl(_) | Self::BaseUrl(_) => None,
        }
    }
}

impl From<crate::Error> for StartError {
    fn from(source: crate::Error) -> Self {
        Self::Provider(source)
    }
}
