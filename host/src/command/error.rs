//! Why an administration command failed, what to do about it, and the exit code that says so.

use std::fmt;
use std::io;
use std::path::PathBuf;

use serde_json::Value;

use crate::server::StartError;

/// Why a command failed.
#[derive(Debug)]
pub enum CommandError {
    /// The request was refused; the body is the SCIM Error, where there is one.
    Refused {
        /// The HTTP status.
        status: u16,
        /// The body of the answer.
        body: Value,
    },
    /// The data directory is open in another process: a server, most likely.
    InUse {
        /// The directory.
        directory: PathBuf,
    },
    /// There is no data where it was looked for.
    NoData(PathBuf),
    /// There is no such tenant.
    NoTenant(String),
    /// `memory:` has nothing that would outlast the command.
    Memory,
    /// `--server` is not a URL that could be called.
    ServerUrl(String),
    /// `--server` without a token, or with one that can't stand in a header.
    AdminToken,
    /// The server could not be reached, or broke off.
    Unreachable {
        /// Its URL.
        url: String,
        /// Why.
        reason: String,
    },
    /// An answer that no scimwell gives.
    Answer {
        /// Who answered.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// `KEY=VALUE` without either.
    Setting(String),
    /// The file of `schema put` cannot be read.
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// It holds no schema and no resource type.
    Document {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// An option that does not fit the data.
    Option {
        /// Its name.
        option: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// A file can't be written.
    Write {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A file is there that would be written over.
    Exists {
        /// The file.
        path: PathBuf,
        /// The option that permits it.
        unless: &'static str,
    },
    /// A directory that a restore would replace.
    NotEmpty(PathBuf),
    /// The checkpoint of an import that this one can't go on from.
    Checkpoint {
        /// The checkpoint.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// Some records of an import were not taken.
    Rejected {
        /// How many.
        count: u64,
        /// Where they are.
        path: PathBuf,
    },
    /// Data of a kind that is backed up by other tools.
    NoBackup,
    /// A backup that is damaged or none at all.
    Backup {
        /// The file, or where it came from.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// What a server needs as well: storage, the component.
    Start(StartError),
    /// Standard output is closed.
    Output(io::Error),
}

/// The exit codes. 2 is a command line that is wrong in itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// The command was understood, and refused or failed.
    Failed = 1,
    /// The data or the server could not be reached at all.
    OutOfReach = 3,
}

impl CommandError {
    /// The exit code.
    pub fn exit(&self) -> Exit {
        match self {
            Self::InUse { .. }
            | Self::NoData(_)
            | Self::Unreachable { .. }
            | Self::Start(StartError::Storage { .. } | StartError::Database { .. }) => Exit::OutOfReach,
            _ => Exit::Failed,
        }
    }

    /// The SCIM Error behind it, for `--json`.
    pub fn scim_error(&self) -> Option<&Value> {
        match self {
            Self::Refused { body, .. } if body.is_object() => Some(body),
            _ => None,
        }
    }
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused { status, body } => match body["detail"].as_str() {
                Some(detail) => f.write_str(detail),
                None => write!(f, "the request was refused with status {status}"),
            },
            Self::InUse { directory } => write!(
                f,
                "the data in {} is in use by a running server; work through that server with --server URL --admin-token \
                 TOKEN, or stop it first",
                directory.display()
            ),
            Self::NoData(directory) => write!(
                f,
                "there is no data in {}; name its directory with --data DIR, or a running server with --server URL",
                directory.display()
            ),
            Self::NoTenant(name) => write!(f, "there is no tenant {name:?}; create it with `scimwell tenant create {name}`"),
            Self::Memory => f.write_str(
                "--storage memory: begins empty with every process; name a directory with --data DIR, or a running server \
                 with --server URL",
            ),
            Self::ServerUrl(url) => write!(
                f,
                "--server {url:?}: expected http:// or https:// and a host, as in https://scim.example.com"
            ),
            Self::AdminToken => f.write_str(
                "--server needs a token of that server with the permission `admin`: --admin-token TOKEN, or \
                 SCIMWELL_ADMIN_TOKEN in the environment",
            ),
            Self::Unreachable { url, reason } => write!(f, "cannot reach {url}: {reason}; see --server"),
            Self::Answer { url, reason } => write!(f, "{url} does not answer as scimwell does: {reason}; see --server"),
            Self::Setting(text) => write!(f, "{text:?} is no setting: expected KEY=VALUE, as in passwords=true"),
            Self::File { path, source } => write!(f, "cannot read {}: {source}", path.display()),
            Self::Document { path, reason } | Self::Backup { path, reason } => {
                write!(f, "{}: {reason}", path.display())
            }
            Self::Option { option, reason } => write!(f, "{option}: {reason}"),
            Self::Write { path, source } => write!(f, "cannot write {}: {source}", path.display()),
            Self::Exists { path, unless } => {
                write!(f, "{} is there already; {unless} replaces it", path.display())
            }
            Self::NotEmpty(path) => write!(
                f,
                "{} is not empty; name another directory with --data DIR, or let its data be replaced with --replace",
                path.display()
            ),
            Self::Checkpoint { path, reason } => write!(
                f,
                "{}: {reason}; --restart forgets it and imports the whole file",
                path.display()
            ),
            Self::Rejected { count, path } => {
                write!(f, "{count} records were rejected; {} has them and says why", path.display())
            }
            Self::NoBackup => {
                f.write_str("this storage has no backup of its own; for PostgreSQL use pg_dump")
            }
            Self::Start(source) => source.fmt(f),
            Self::Output(source) => write!(f, "cannot write to standard output: {source}"),
        }
    }
}

impl std::error::Error for CommandError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::File { source, .. } | Self::Write { source, .. } | Self::Output(source) => Some(source),
            Self::Start(source) => Some(source),
            _ => None,
        }
    }
}

impl From<crate::storage::StoreError> for CommandError {
    fn from(source: crate::storage::StoreError) -> Self {
        crate::Error::from(source).into()
    }
}

impl From<StartError> for CommandError {
    fn from(source: StartError) -> Self {
        Self::Start(source)
    }
}

impl From<crate::Error> for CommandError {
    fn from(source: crate::Error) -> Self {
        Self::Start(source.into())
    }
}
