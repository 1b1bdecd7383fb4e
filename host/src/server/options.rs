//! The command line. Other tools drive it: keep it stable.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::check::CheckOptions;
use crate::command::{
    BackupOptions, ExplainOptions, ExportOptions, ImportOptions, LogOptions, Place, RestoreOptions, SchemaCommand,
    TenantCommand, TokenCommand,
};

/// A SCIM 2.0 service provider: identity providers provision users and groups into it.
#[derive(Debug, Parser)]
#[command(name = "scimwell", version, about)]
pub struct CommandLine {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What the binary does.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve SCIM over HTTP.
    Serve(ServeOptions),
    /// Play what identity providers send against any SCIM server, and tell what would break.
    Check(CheckOptions),
    /// Administer tenants, tokens and schemas.
    #[command(flatten)]
    Administration(Administration),
}

/// What the binary administers.
#[derive(Debug, Subcommand)]
pub enum Administration {
    /// Create, list, show and configure tenants.
    Tenant {
        /// What to do.
        #[command(subcommand)]
        command: TenantCommand,
        /// Where, and how to answer.
        #[command(flatten)]
        place: Place,
    },
    /// Issue, list and revoke tokens.
    Token {
        /// What to do.
        #[command(subcommand)]
        command: TokenCommand,
        /// Where, and how to answer.
        #[command(flatten)]
        place: Place,
    },
    /// Show a tenant's change log, or what its clients were tolerated for.
    Log {
        /// Which records.
        #[command(flatten)]
        options: LogOptions,
        /// The tenant.
        #[arg(long, value_name = "NAME", default_value = crate::tenants::DEFAULT)]
        tenant: String,
        /// Where, and how to answer.
        #[command(flatten)]
        place: Place,
    },
    /// Show how a search is run on a tenant's data, and what it costs.
    Explain {
        /// The search.
        #[command(flatten)]
        options: ExplainOptions,
        /// The tenant.
        #[arg(long, value_name = "NAME", default_value = crate::tenants::DEFAULT)]
        tenant: String,
        /// Where, and how to answer.
        #[command(flatten)]
        place: Place,
    },
    /// Define a tenant's own schemas and resource types.
    Schema {
        /// What to do.
        #[command(subcommand)]
        command: SchemaCommand,
        /// The tenant.
        #[arg(long, global = true, value_name = "NAME", default_value = crate::tenants::DEFAULT)]
        tenant: String,
        /// Where, and how to answer.
        #[command(flatten)]
        place: Place,
    },
    /// Write a tenant's resources to a file.
    Export {
        /// What and how.
        #[command(flatten)]
        options: ExportOptions,
        /// Where, and how to answer.
        #[command(flatten)]
        place: Place,
    },
    /// Bring the resources of a file into a tenant.
    Import {
        /// What and how.
        #[command(flatten)]
        options: ImportOptions,
        /// Where, and how to answer.
        #[command(flatten)]
        place: Place,
    },
    /// Copy the embedded database, of all tenants, while a server may be using it.
    Backup {
        /// Whereto.
        #[command(flatten)]
        options: BackupOptions,
        /// Where, and how to answer.
        #[command(flatten)]
        place: Place,
    },
    /// Make the embedded database of a backup.
    Restore(RestoreOptions),
}

impl Command {
    /// Whether what it prints is for scripts.
    pub fn wants_json(&self) -> bool {
        match self {
            Self::Serve(_) | Self::Check(_) => false,
            Self::Administration(
                Administration::Tenant { place, .. }
                | Administration::Token { place, .. }
                | Administration::Explain { place, .. }
                | Administration::Log { place, .. }
                | Administration::Schema { place, .. }
                | Administration::Export { place, .. }
                | Administration::Import { place, .. }
                | Administration::Backup { place, .. },
            ) => place.json,
            Self::Administration(Administration::Restore(options)) => options.json,
        }
    }
}

/// The options of `scimwell serve`.
#[derive(Args, Clone, Debug)]
pub struct ServeOptions {
    /// The address to listen on; port 0 takes a free one.
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:8080", env = "SCIMWELL_LISTEN")]
    pub listen: SocketAddr,
    /// The directory of the embedded database; created where it does not exist.
    #[arg(long, value_name = "DIR", default_value = "./scimwell-data", env = "SCIMWELL_DATA")]
    pub data: PathBuf,
    /// Storage other than --data: `redb:DIR`, `memory:` or `postgres://user:password@host/database`; a password is
    /// better given in the environment, where others don't see it.
    #[arg(long, value_name = "URL", env = "SCIMWELL_STORAGE", hide_env_values = true)]
    pub storage: Option<StorageUrl>,
    /// Accept this token too, for tenant `default` with all permissions.
    #[arg(long, value_name = "TOKEN", env = "SCIMWELL_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
    /// Where clients reach the server, if not at --listen: `https://scim.example.com`.
    #[arg(long, value_name = "URL", env = "SCIMWELL_BASE_URL")]
    pub base_url: Option<String>,
    /// Serve HTTPS with this certificate chain, in PEM.
    #[arg(long, value_name = "FILE", requires = "tls_key", env = "SCIMWELL_TLS_CERT")]
    pub tls_cert: Option<PathBuf>,
    /// The certificate's private key, in PEM.
    #[arg(long, value_name = "FILE", requires = "tls_cert", env = "SCIMWELL_TLS_KEY")]
    pub tls_key: Option<PathBuf>,
    /// For trying out: keep everything in memory, and let the token in at /t/{any}/scim/v2.
    #[arg(long, conflicts_with = "storage", env = "SCIMWELL_DEV")]
    pub dev: bool,
    /// Run this component instead of the embedded one.
    #[arg(long, value_name = "FILE", env = "SCIMWELL_COMPONENT_FILE")]
    pub component: Option<PathBuf>,
    /// How to write the log.
    #[arg(long, value_name = "FORMAT", default_value = "text", env = "SCIMWELL_LOG_FORMAT")]
    pub log_format: LogFormat,
    /// Bytes of a request's body at most; more is 413.
    #[arg(long, value_name = "BYTES", default_value_t = crate::DEFAULT_BODY_LIMIT, env = "SCIMWELL_BODY_LIMIT")]
    pub body_limit: usize,
    /// Seconds that a request may take; more is 503.
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3600), env = "SCIMWELL_TIMEOUT")]
    pub timeout: u64,
}

/// How the log is written to standard error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Where data is kept.
#[derive(Clone, PartialEq, Eq)]
pub enum StorageUrl {
    /// In memory, until the process ends.
    Memory,
    /// In the embedded database in this directory.
    Redb(PathBuf),
    /// In the PostgreSQL database of this URL. What is wrong with it is said where it is opened: a refused argument would
    /// be shown as it is, its password too.
    Postgres(String),
}

impl std::fmt::Debug for StorageUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Memory => f.write_str("memory:"),
            Self::Redb(directory) => write!(f, "redb:{}", directory.display()),
            Self::Postgres(_) => f.write_str("postgres://…"),
        }
    }
}

/// A storage URL that names no backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StorageUrlError {
    /// `redb:` without a directory.
    NoDirectory,
    /// Anything else.
    Unknown,
}

impl std::fmt::Display for StorageUrlError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::NoDirectory => "the directory is missing: redb:DIR",
            Self::Unknown => "not a storage URL; use redb:DIR, memory: or postgres://user:password@host/database",
        })
    }
}

impl std::error::Error for StorageUrlError {}

impl FromStr for StorageUrl {
    type Err = StorageUrlError;

    fn from_str(url: &str) -> Result<Self, StorageUrlError> {
        match url.split_once(':') {
            Some(("memory", "")) => Ok(Self::Memory),
            Some(("redb", "")) => Err(StorageUrlError::NoDirectory),
            Some(("redb", directory)) => Ok(Self::Redb(PathBuf::from(directory))),
            Some(("postgres" | "postgresql", _)) => Ok(Self::Postgres(url.to_owned())),
            _ => Err(StorageUrlError::Unknown),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(url: &str, expect: &Result<StorageUrl, StorageUrlError>) {
        assert_eq!(&url.parse(), expect);
    }

    #[test]
    fn storage_urls() {
        check("memory:", &Ok(StorageUrl::Memory));
        check("redb:/var/lib/scimwell", &Ok(StorageUrl::Redb("/var/lib/scimwell".into())));
        check("redb:", &Err(StorageUrlError::NoDirectory));
        check("postgres://u:p@h/db", &Ok(StorageUrl::Postgres("postgres://u:p@h/db".to_owned())));
        check("memory", &Err(StorageUrlError::Unknown));
        check("/var/lib", &Err(StorageUrlError::Unknown));
    }

    #[test]
    fn a_password_is_never_shown() {
        let line = CommandLine::try_parse_from(["scimwell", "serve", "--storage", "postgres://u:s3cret@h:x/d"]);
        assert!(!format!("{line:?}").contains("s3cret"), "{line:?}");
    }

    #[track_caller]
    fn check_line(line: &str, accepted: bool) {
        let parsed = CommandLine::try_parse_from(line.split(' '));
        assert_eq!(parsed.is_ok(), accepted, "{parsed:?}");
    }

    #[test]
    fn command_lines() {
        check_line("scimwell serve", true);
        check_line("scimwell serve --listen [::1]:0 --dev --token T --timeout 5", true);
        check_line("scimwell serve --tls-cert a", false);
        check_line("scimwell serve --dev --storage memory:", false);
        check_line("scimwell serve --timeout 0", false);
        check_line("scimwell serve --listen 8080", false);
        check_line("scimwell", false);
        check_line("scimwell tenant create acme --display-name Acme --data d", true);
        check_line("scimwell tenant set acme passwords=true --json", true);
        check_line("scimwell tenant set acme", false);
        check_line("scimwell token --server http://h --admin-token T list --tenant acme", true);
        check_line("scimwell token create --permissions read,admin --expires 90d", true);
        check_line("scimwell token revoke", false);
        check_line("scimwell schema put file.json --tenant acme", true);
        check_line("scimwell check http://h/scim/v2 --token T --as okta,entra --format junit --fail-on breaks", true);
        check_line("scimwell check --list", true);
        check_line("scimwell check", false);
        check_line("scimwell check http://h --as octa", false);
    }
}
