//! The options of `scimwell check`. Other tools drive it: keep them stable.

use clap::{Args, ValueEnum};

use super::CheckError;
use super::catalogue::{Check, Provider, Severity, all};

/// `scimwell check …`
#[derive(Args, Clone, Debug)]
pub struct CheckOptions {
    /// The SCIM base URL, as the identity provider is given it: `https://scim.example.com/scim/v2`.
    #[arg(required_unless_present = "list")]
    pub url: Option<String>,
    /// The bearer token; better given in the environment, where others don't see it.
    #[arg(long, value_name = "TOKEN", env = "SCIMWELL_CHECK_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
    /// Send this header with every request, for servers that authenticate otherwise: `Name: value`.
    #[arg(long = "header", value_name = "HEADER")]
    pub headers: Vec<String>,
    /// Play these providers only; all unless given.
    #[arg(long = "as", value_name = "PROVIDER", value_delimiter = ',')]
    pub providers: Vec<Provider>,
    /// Run only these checks.
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    pub only: Vec<String>,
    /// Leave these checks out.
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    pub skip: Vec<String>,
    /// Show the checks instead of running them.
    #[arg(long)]
    pub list: bool,
    /// How to print the outcome.
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    pub format: Format,
    /// The least severity of a failure that makes the exit code 1.
    #[arg(long, value_name = "SEVERITY", default_value = "cosmetic")]
    pub fail_on: Severity,
    /// Show the checks that passed as well.
    #[arg(long, short)]
    pub verbose: bool,
    /// The domain of the user names that are made, for servers that take some domains only.
    #[arg(long, value_name = "DOMAIN", default_value = "example.com")]
    pub domain: String,
    /// Seconds that an answer may take before the check fails.
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub timeout: u64,
    /// Seconds that an answer to a large request may take: the shortest time-out of a known client.
    #[arg(long, value_name = "SECONDS", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub patience: u64,
}

/// How the outcome is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Table,
    /// One JSON object.
    Json,
    /// JUnit XML, which CI systems show.
    Junit,
}

impl CheckOptions {
    /// The checks that these options ask for.
    pub(super) fn selected(&self) -> Result<Vec<&'static Check>, CheckError> {
        let unknown = self.only.iter().chain(&self.skip).find(|id| !all().any(|check| check.id == **id));
        if let Some(id) = unknown {
            return Err(CheckError::Unknown(id.clone()));
        }
        let wanted = |check: &&Check| {
            (self.providers.is_empty() || self.providers.contains(&check.provider))
                && (self.only.is_empty() || self.only.iter().any(|id| id == check.id))
                && !self.skip.iter().any(|id| id == check.id)
        };
        let checks: Vec<_> = all().filter(wanted).collect();
        if checks.is_empty() { Err(CheckError::Nothing) } else { Ok(checks) }
    }
}
