//! Why a server can't be checked at all, and what to do about it.

use std::fmt;
use std::io;

/// Why `scimwell check` ended before its first check.
#[derive(Debug)]
pub enum CheckError {
    /// The URL can't be called.
    Url(String),
    /// No token, or one that can't stand in a header.
    Token,
    /// `--header` without a name or a value; its value is not shown.
    Header(String),
    /// TLS can't be set up.
    Tls(String),
    /// `--only` or `--skip` names no check.
    Unknown(String),
    /// Nothing is left to run.
    Nothing,
    /// The server can't be reached.
    Unreachable {
        /// Its URL.
        url: String,
        /// Why.
        reason: String,
    },
    /// The server refused the credentials.
    Refused {
        /// Its URL.
        url: String,
        /// The HTTP status.
        status: u16,
    },
    /// What answers is no SCIM server.
    NoScim {
        /// The URL.
        url: String,
        /// What was found there.
        found: String,
        /// Where SCIM was found instead.
        instead: Option<String>,
    },
    /// Ctrl-C before the first check.
    Interrupted,
    /// The operating system refused something.
    System(io::Error),
    /// Standard output is closed.
    Output(io::Error),
}

impl CheckError {
    /// The exit code.
    pub(super) fn exit(&self) -> u8 {
        match self {
            Self::Url(_) | Self::Token | Self::Header(_) | Self::Unknown(_) | Self::Nothing => 2,
            Self::Interrupted => super::INTERRUPTED,
            Self::Output(_) => super::FAILED,
            _ => super::OUT_OF_REACH,
        }
    }
}

impl fmt::Display for CheckError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(url) => write!(
                f,
                "{url:?} is no SCIM base URL: expected what the identity provider is given, as in \
                 https://scim.example.com/scim/v2, without query or credentials"
            ),
            Self::Token => f.write_str(
                "no usable token: --token TOKEN, SCIMWELL_CHECK_TOKEN in the environment, or --header 'Authorization: …'",
            ),
            Self::Header(name) => write!(f, "--header {name:?}: expected `Name: value`, as in 'X-Api-Key: secret'"),
            Self::Tls(reason) => write!(f, "cannot set up TLS: {reason}"),
            Self::Unknown(id) => {
                write!(f, "no check is called {id:?}; `scimwell check --list` shows them")
            }
            Self::Nothing => f.write_str("no check is left to run; see --as, --only and --skip"),
            Self::Unreachable { url, reason } => write!(f, "cannot reach {url}: {reason}"),
            Self::Refused { url, status } => write!(
                f,
                "{url} refused the credentials with status {status}: the token must be allowed to read and write users and \
                 groups"
            ),
            Self::NoScim { url, found, instead } => {
                write!(f, "{url} is no SCIM base URL: {found}")?;
                match instead {
                    Some(instead) => write!(f, "; {instead} is one"),
                    None => f.write_str("; give the URL below which /Users is, as the identity provider gets it"),
                }
            }
            Self::Interrupted => f.write_str("interrupted"),
            Self::System(source) => source.fmt(f),
            Self::Output(source) => write!(f, "cannot write to standard output: {source}"),
        }
    }
}

impl std::error::Error for CheckError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::System(source) | Self::Output(source) => Some(source),
            _ => None,
        }
    }
}
