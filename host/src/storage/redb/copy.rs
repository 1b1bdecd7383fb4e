//! The whole database out, from one snapshot while writes go on, and in, into a new file.

use std::fs;
use std::path::{Path, PathBuf};

use redb::backends::FileBackend;
use redb::{Database, Range, ReadableTable};

use super::open::{create_directory, create_file, sync_directory};
use super::{CACHE, FILE, KEYS, Keys, Redb, SEQUENCES, StoreError, View, failed};
use crate::storage::backup::{Record, Snapshot};

/// What a database that was replaced is called.
const REPLACED: &str = "scimwell.redb.replaced";
/// Bytes of the records in one transaction while a file is filled.
const BATCH: usize = 32 * 1024 * 1024;

/// Everything of a view. Pages that it shows are not used again while it lasts, so that the file may grow by what is
/// written meanwhile.
pub(super) fn snapshot(view: &View) -> Result<Snapshot, StoreError> {
    let sequences = view.transaction.open_table(SEQUENCES).map_err(failed)?;
    let sequences = sequences.iter().map_err(failed)?.map(|sequence| {
        let (tenant, last) = sequence.map_err(failed)?;
        Ok(Record::Sequence { tenant: tenant.value().to_owned(), last: last.value() })
    });
    let sequences: Vec<_> = sequences.collect();
    let keys: &Keys = view;
    let entries: Range<'static, &'static [u8], &'static [u8]> = keys.range::<&[u8]>(..).map_err(failed)?;
    let entries = entries.map(|entry| {
        let (key, value) = entry.map_err(failed)?;
        Ok(Record::Entry { key: key.value().to_vec(), value: value.value().to_vec() })
    });
    Ok(Box::new(sequences.into_iter().chain(entries)))
}

/// Why records could not be put into a database.
#[derive(Debug)]
pub enum RestoreError<E> {
    /// There is data already, and it is not to be replaced.
    NotEmpty(PathBuf),
    /// The records can't be had to their end; nothing was changed.
    Records(E),
    /// The new database can't be written.
    Store(StoreError),
}

impl<E> From<StoreError> for RestoreError<E> {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Redb {
    /// Makes the database in the directory `data` of these records; how many there were. It appears there whole, or not
    /// at all: until the last record is read, and durable, what was there stays. With `replace`, that is then kept beside
    /// under another name.
    pub fn restore<E>(
        data: &Path,
        records: impl Iterator<Item = Result<Record, E>>,
        replace: bool,
    ) -> Result<u64, RestoreError<E>> {
        let at = |path: &Path, error: &dyn std::fmt::Display| {
            StoreError::Unavailable(format!("{}: {error}", path.display()))
        };
        create_directory(data).map_err(|error| at(data, &error))?;
        let path = data.join(FILE);
        // Whatever lies in the directory, a database appears in it only where it was empty.
        let empty = fs::read_dir(data).map_err(|error| at(data, &error))?.next().is_none();
        if !empty && !replace {
            return Err(RestoreError::NotEmpty(data.to_owned()));
        }
        // Held until the end, so that no server opens what is about to be replaced.
        let replaced = if path.exists() { Some(Redb::open(data)?) } else { None };
        let new = data.join(format!("{FILE}.restoring"));
        match fs::remove_file(&new) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(at(&new, &error).into()),
            _ => {}
        }
        let filled = fill(&new, records);
        if filled.is_err() {
            // What can't be removed is removed by the next attempt.
            let _ = fs::remove_file(&new);
        }
        let count = filled?;
        if replaced.is_some() {
            fs::rename(&path, data.join(REPLACED)).map_err(|error| at(&path, &error))?;
        }
        fs::rename(&new, &path).and_then(|()| sync_directory(data)).map_err(|error| at(&path, &error))?;
        Ok(count)
    }
}

fn fill<E>(path: &Path, records: impl Iterator<Item = Result<Record, E>>) -> Result<u64, RestoreError<E>> {
    let at = |error: &dyn std::fmt::Display| StoreError::Unavailable(format!("{}: {error}", path.display()));
    let file = create_file(path).map_err(|error| at(&error))?;
    let backend = FileBackend::new(file).map_err(|error| at(&error))?;
    let database =
        Database::builder().set_cache_size(CACHE).create_with_backend(backend).map_err(|error| at(&error))?;
    let mut records = records.peekable();
    let mut count = 0;
    loop {
        let mut transaction = database.begin_write().map_err(|error| at(&error))?;
        transaction.set_quick_repair(true);
        let mut bytes = 0;
        {
            let mut keys = transaction.open_table(KEYS).map_err(failed)?;
            let mut sequences = transaction.open_table(SEQUENCES).map_err(failed)?;
            while bytes < BATCH {
                let Some(record) = records.next() else { break };
                count += 1;
                match record.map_err(RestoreError::Records)? {
                    Record::Entry { key, value } => {
                        bytes += key.len() + value.len();
                        keys.insert(key.as_slice(), value.as_slice()).map_err(failed)?;
                    }
                    Record::Sequence { tenant, last } => {
                        sequences.insert(tenant.as_str(), last).map_err(failed)?;
                    }
                }
            }
        }
        transaction.commit().map_err(failed)?;
        if records.peek().is_none() {
            return Ok(count);
        }
    }
}
