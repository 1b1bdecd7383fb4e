//! `scimwell restore`: the embedded database out of a backup, or none at all.

use std::fs::File;
use std::io::BufReader;
use std::time::Instant;

use serde_json::json;

use super::options::RestoreOptions;
use super::progress;
use crate::command::CommandError;
use crate::command::output::Output;
use crate::server::StartError;
use crate::storage::backup::Reader;
use crate::storage::redb::RestoreError;
use crate::storage::{Redb, StoreError};

/// Runs the command.
pub(in crate::command) fn run(options: &RestoreOptions, output: Output) -> Result<(), CommandError> {
    let began = Instant::now();
    let failed = |source| CommandError::File { path: options.file.clone(), source };
    let file = File::open(&options.file).map_err(failed)?;
    let bar = progress::bar("Restoring", file.metadata().map_err(failed)?.len(), true);
    let records = Reader::new(BufReader::with_capacity(256 * 1024, bar.wrap_read(file)));
    let unfit = |reason: String| CommandError::Backup { path: options.file.clone(), reason };
    let count = if options.verify {
        let mut records = records;
        records.try_fold(0_u64, |count, record| record.map(|_| count + 1)).map_err(|error| unfit(error.to_string()))?
    } else {
        Redb::restore(&options.data, records, options.replace).map_err(|error| match error {
            RestoreError::NotEmpty(path) => CommandError::NotEmpty(path),
            RestoreError::Records(error) => unfit(error.to_string()),
            RestoreError::Store(StoreError::InUse(_)) => CommandError::InUse { directory: options.data.clone() },
            RestoreError::Store(source) => {
                let place = options.data.display().to_string();
                CommandError::Start(StartError::Storage { place, source })
            }
        })?
    };
    bar.finish_and_clear();
    let seconds = began.elapsed().as_secs_f64();
    let verified = options.verify;
    output.print(&json!({ "records": count, "seconds": seconds, "verified": true, "restored": !verified }), || {
        match verified {
            true => format!("{} is whole: {count} records.\n", options.file.display()),
            false => format!(
                "Restored {count} records into {}, in {seconds:.1} s. Tokens are those of the backup.\n",
                options.data.display()
            ),
        }
    })
}
