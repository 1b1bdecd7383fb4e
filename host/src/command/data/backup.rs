//! `scimwell backup`: a copy of the embedded database, all tenants and tokens included, while a server may go on writing.

use std::io::{BufReader, Write};
use std::time::Instant;

use bytes::Bytes;
use http_body_util::BodyExt;
use serde_json::{Value, json};

use super::export::{create_part, finish_part};
use super::options::BackupOptions;
use super::progress;
use crate::command::client::Client;
use crate::command::output::Output;
use crate::command::target::{Target, accepted};
use crate::command::{CommandError, Place};
use crate::storage::backup::{Reader, Stream};

/// Runs the command.
pub(in crate::command) async fn run(options: BackupOptions, place: &Place, output: Output) -> Result<(), CommandError> {
    let began = Instant::now();
    let target = Target::open(place, false).await?;
    let (part, mut file) = create_part(&options.file, options.force)?;
    let failed = |source| CommandError::Write { path: part.clone(), source };
    let bar = progress::counter("Backed up", true);
    let mut write = |bytes: &[u8]| {
        bar.inc(bytes.len() as u64);
        file.write_all(bytes).map_err(failed)
    };
    let written = match &target {
        Target::Server(client) => download(client, &mut write).await,
        Target::Local(local) => match local.snapshot() {
            Some(snapshot) => Stream::new(snapshot?).try_for_each(|chunk| write(&chunk?)),
            None => Err(CommandError::NoBackup),
        },
    };
    // What arrived is read again: a backup that can't be restored must not be found out on the day it is needed.
    let counted = written.and_then(|()| {
        let read = std::fs::File::open(&part).map_err(failed)?;
        Reader::new(BufReader::with_capacity(256 * 1024, read))
            .try_fold(0_u64, |count, record| record.map(|_| count + 1))
            .map_err(|error| CommandError::Backup { path: options.file.clone(), reason: error.to_string() })
    });
    bar.finish_and_clear();
    let records = match counted {
        Ok(records) => records,
        Err(error) => {
            // What is left of it is replaced by the next attempt.
            let _ = std::fs::remove_file(&part);
            return Err(error);
        }
    };
    finish_part(&options.file, &part, &file)?;
    let bytes = file.metadata().map_err(failed)?.len();
    let seconds = began.elapsed().as_secs_f64();
    output.print(&json!({ "bytes": bytes, "records": records, "seconds": seconds }), || {
        let path = options.file.display();
        format!(
            "Wrote {path}: {records} records, {bytes} bytes, verified, in {seconds:.1} s.\n\
             Restore it with: scimwell restore {path} --data DIR\n"
        )
    })
}

async fn download(
    client: &Client,
    write: &mut impl FnMut(&[u8]) -> Result<(), CommandError>,
) -> Result<(), CommandError> {
    let mut connection = client.connect().await?;
    let response = client.send(&mut connection, "GET", "/admin/backup", &[], Bytes::new()).await?;
    let status = response.status().as_u16();
    if status != 200 {
        let body = client.body(response).await?;
        let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
        return accepted(status, body).and(Err(client.unexpected(format!("it answers a backup with status {status}"))));
    }
    let mut body = response.into_body();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| client.unreachable(&error))?;
        if let Some(bytes) = frame.data_ref() {
            write(bytes)?;
        }
    }
    Ok(())
}
