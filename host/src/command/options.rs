//! What the administration commands take. Other tools drive them: keep them stable.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::server::StorageUrl;

/// Where a command works, and how it answers.
#[derive(Args, Clone, Debug)]
pub struct Place {
    /// The directory of the embedded database.
    #[arg(long, global = true, value_name = "DIR", default_value = "./scimwell-data", env = "SCIMWELL_DATA")]
    pub data: PathBuf,
    /// Storage other than --data: `redb:DIR` or `postgres://user:password@host/database`.
    #[arg(long, global = true, value_name = "URL", env = "SCIMWELL_STORAGE", hide_env_values = true)]
    pub storage: Option<StorageUrl>,
    /// Work on a running server instead: `https://scim.example.com`.
    #[arg(long, global = true, value_name = "URL", env = "SCIMWELL_SERVER")]
    pub server: Option<String>,
    /// A token of that server with the permission `admin`; better given in the environment, where others don't see it.
    #[arg(long, global = true, value_name = "TOKEN", env = "SCIMWELL_ADMIN_TOKEN", hide_env_values = true)]
    pub admin_token: Option<String>,
    /// Run this component instead of the embedded one.
    #[arg(long, global = true, value_name = "FILE", env = "SCIMWELL_COMPONENT_FILE")]
    pub component: Option<PathBuf>,
    /// Answer in JSON, for scripts; errors are SCIM Errors on standard error.
    #[arg(long, global = true)]
    pub json: bool,
}

/// `scimwell tenant …`
#[derive(Clone, Debug, Subcommand)]
pub enum TenantCommand {
    /// Create a tenant.
    Create {
        /// 1 to 64 letters, digits, `-`, `_` and `.`: it stands in URLs.
        name: String,
        /// What people call it.
        #[arg(long, value_name = "TEXT")]
        display_name: Option<String>,
    },
    /// List the tenants.
    List,
    /// Show a tenant and its settings.
    Show {
        /// The tenant.
        name: String,
    },
    /// Change a tenant's settings.
    Set {
        /// The tenant.
        name: String,
        /// `passwords=true`, `displayName=Acme`, …; `key=null` goes back to the default.
        #[arg(required = true, value_name = "KEY=VALUE")]
        settings: Vec<String>,
    },
}

/// `scimwell token …`
#[derive(Clone, Debug, Subcommand)]
pub enum TokenCommand {
    /// Issue a token, and show it this once.
    Create {
        /// The tenant that it lets into; `default` unless given, or the tenant of --admin-token.
        #[arg(long, value_name = "NAME")]
        tenant: Option<String>,
        /// What it is for, for whoever reads the list.
        #[arg(long, value_name = "TEXT", default_value = "")]
        label: String,
        /// What it allows: read, write, admin.
        #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "read,write")]
        permissions: Vec<String>,
        /// When it ceases to hold: `90d`, `12h`, `52w`, `2030-01-31`, `2030-01-31T18:00:00Z`, `never`; after a year unless given.
        #[arg(long, value_name = "WHEN")]
        expires: Option<String>,
    },
    /// List the tokens; what they are is shown, never the tokens themselves.
    List {
        /// Those of this tenant only.
        #[arg(long, value_name = "NAME")]
        tenant: Option<String>,
    },
    /// Revoke tokens: from now on they let nobody in.
    Revoke {
        /// Their ids, as `scimwell token list` shows them.
        #[arg(required = true, value_name = "ID")]
        ids: Vec<String>,
    },
}

/// `scimwell schema …`
#[derive(Clone, Debug, Subcommand)]
pub enum SchemaCommand {
    /// List the tenant's schemas and resource types.
    List,
    /// Define schemas or resource types, or define them anew.
    Put {
        /// A JSON document in the form of RFC 7643 §6 or §7, or an array of them; `-` reads standard input.
        file: PathBuf,
    },
    /// Show a schema or resource type as JSON.
    Show {
        /// A schema's URN, or a resource type's name.
        id: String,
    },
    /// Delete a schema or resource type that nothing uses.
    Delete {
        /// A schema's URN, or a resource type's name.
        id: String,
    },
}

/// `scimwell log …`
#[derive(Args, Clone, Debug)]
pub struct LogOptions {
    /// Only records after the one with this number.
    #[arg(long, value_name = "SEQUENCE", default_value_t = 0)]
    pub after: u64,
    /// How many records at most; all unless given.
    #[arg(long, value_name = "NUMBER")]
    pub count: Option<u64>,
    /// Go on with new records as they come; of a running server.
    #[arg(long, requires = "server")]
    pub follow: bool,
    /// Sum up which departures from the standard each client needed, instead.
    #[arg(long, conflicts_with_all = ["after", "count", "follow"])]
    pub tolerances: bool,
}

/// `scimwell explain …`
#[derive(Args, Clone, Debug)]
pub struct ExplainOptions {
    /// A SCIM filter (RFC 7644 §3.4.2.2); all resources unless given.
    pub filter: Option<String>,
    /// The resource type that is searched.
    #[arg(long = "type", value_name = "NAME", default_value = "User")]
    pub resource_type: String,
    /// What the list is sorted by.
    #[arg(long, value_name = "ATTRIBUTE")]
    pub sort_by: Option<String>,
    /// The greatest value first.
    #[arg(long, requires = "sort_by")]
    pub descending: bool,
    /// The number of the first resource to be shown.
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    pub start_index: u64,
    /// How many are to be shown.
    #[arg(long, value_name = "NUMBER")]
    pub count: Option<u64>,
}
