//! `scimwell tenant | token | schema | explain | log | export | import | backup | restore`: administration from the command line.
//!
//! Each command is a few requests to the routes below `/admin`, written once: `target` has them answered by this process
//! on local data, or by a running server over HTTP. So both do the same, check the same and say the same.

mod client;
mod data;
mod error;
mod explain;
mod log;
mod options;
mod output;
mod schema;
mod target;
mod tenant;
mod token;

pub use self::data::{BackupOptions, ExportOptions, Format, ImportOptions, OnConflict, RestoreOptions};
pub use self::error::{CommandError, Exit};
pub use self::options::{ExplainOptions, LogOptions, Place, SchemaCommand, TenantCommand, TokenCommand};

pub(crate) use self::client::connector;
use self::output::Output;
use self::target::Target;
pub(crate) use self::target::encoded;
use crate::server::{Administration, StartError, start_log};

/// Runs a command to its end.
pub fn run(command: Administration) -> Result<(), CommandError> {
    start_log();
    let mut runtime = match command {
        // Many requests at once.
        Administration::Export { .. } | Administration::Import { .. } => tokio::runtime::Builder::new_multi_thread(),
        _ => tokio::runtime::Builder::new_current_thread(),
    };
    let runtime = runtime.enable_all().build().map_err(StartError::System)?;
    runtime.block_on(async {
        match command {
            Administration::Tenant { command, place } => {
                let target = Target::open(&place, command.creates()).await?;
                tenant::run(command, &target, place.output()).await
            }
            Administration::Token { command, place } => {
                let target = Target::open(&place, command.creates()).await?;
                token::run(command, &target, place.output()).await
            }
            Administration::Schema { command, tenant, place } => {
                schema::run(command, &tenant, &Target::open(&place, false).await?, place.output()).await
            }
            Administration::Explain { options, tenant, place } => {
                explain::run(options, &tenant, &Target::open(&place, false).await?, place.output()).await
            }
            Administration::Log { options, tenant, place } => {
                log::run(options, &tenant, &Target::open(&place, false).await?, place.output()).await
            }
            Administration::Export { options, place } => data::export(options, &place, place.output()).await,
            Administration::Import { options, place } => data::import(options, &place, place.output()).await,
            Administration::Backup { options, place } => data::backup(options, &place, place.output()).await,
            Administration::Restore(options) => data::restore(&options, Output { json: options.json }),
        }
    })
}

impl TenantCommand {
    /// Whether it makes sense where there is no data yet.
    fn creates(&self) -> bool {
        matches!(self, Self::Create { .. })
    }
}

impl TokenCommand {
    /// Whether it makes sense where there is no data yet.
    fn creates(&self) -> bool {
        matches!(self, Self::Create { .. })
    }
}

impl Place {
    fn output(&self) -> Output {
        Output { json: self.json }
    }
}
