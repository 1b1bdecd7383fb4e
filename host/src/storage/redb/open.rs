//! Opening the database and its journal, and closing them.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::Path;
use std::sync::Arc;

use redb::backends::FileBackend;
use redb::{
    Database, DatabaseError, ReadableDatabase, ReadableTable, StorageBackend, StorageError, TableDefinition,
    WriteTransaction,
};

use super::journal::{Journal, Record};
use super::{CACHE, KEYS, SEQUENCES, StoreError, View, failed};

/// The journal's file, beside the database's.
const JOURNAL_FILE: &str = "scimwell.journal";
/// Which of the journal's records the database doesn't have: those of this epoch. Empty in a database that was closed.
const EPOCH: TableDefinition<(), u64> = TableDefinition::new("journal-epoch");

/// Opens the database and a first view of it.
pub(super) type Open = dyn Fn() -> Result<(Store, Arc<View>), StoreError> + Send;

/// The database, and the journal with what was committed since it was last durable.
#[derive(Debug)]
pub(super) struct Store {
    pub(super) database: Database,
    pub(super) journal: Journal,
}

impl Store {
    /// The keys as they are now.
    pub(super) fn view(&self) -> Result<Arc<View>, redb::Error> {
        let transaction = self.database.begin_read()?;
        Ok(Arc::new(View { keys: transaction.open_table(KEYS)?, transaction }))
    }

    /// Makes the transaction durable, and with it all that the journal holds, which begins anew.
    pub(super) fn commit_durably(&mut self, mut transaction: WriteTransaction) -> Result<(), redb::Error> {
        let epoch = getrandom::u64().map_err(|error| StorageError::from(io::Error::other(error)))?;
        transaction.open_table(EPOCH)?.insert((), epoch)?;
        // Saves the allocator's state and syncs twice. Without it a process that was killed comes back only after reading its
        // whole file: 0.2 s for 200 MB that the page cache holds, minutes for gigabytes that it doesn't. With it that takes
        // milliseconds.
        transaction.set_quick_repair(true);
        transaction.commit()?;
        self.journal.start(epoch);
        Ok(())
    }

    /// Makes the changes of the journal's records of this epoch.
    fn replay(&mut self, transaction: WriteTransaction, epoch: Option<u64>) -> Result<(), redb::Error> {
        // Made here if need be: a view can't be had of a table that was never written.
        let (mut keys, mut sequences) = (transaction.open_table(KEYS)?, transaction.open_table(SEQUENCES)?);
        let records = epoch.map(|epoch| self.journal.records(epoch)).transpose().map_err(StorageError::from)?;
        let records = records.unwrap_or_default();
        for change in records.iter().flat_map(Record::changes) {
            let unread = || StorageError::Corrupted(format!("{JOURNAL_FILE} holds what this version doesn't know"));
            change.ok_or_else(unread)?.apply(&mut keys, &mut sequences)?;
        }
        drop((keys, sequences));
        if !records.is_empty() {
            tracing::info!(batches = records.len(), "took from the journal what the database was not left with");
        }
        self.commit_durably(transaction)
    }

    /// Leaves all in the database, which then needs no journal.
    pub(super) fn close(self) -> Result<(), redb::Error> {
        let mut transaction = self.database.begin_write()?;
        transaction.open_table(EPOCH)?.remove(())?;
        transaction.set_quick_repair(true);
        transaction.commit()?;
        Ok(())
    }
}

pub(super) fn open_file(path: &Path) -> Result<(Store, Arc<View>), StoreError> {
    let journal = path.with_file_name(JOURNAL_FILE);
    let is_new = !path.exists() || !journal.exists();
    let backend = |path: &Path| create_file(path).and_then(|file| FileBackend::new(file).map_err(io::Error::other));
    let at =
        |path: &Path, error: &dyn std::fmt::Display| StoreError::Unavailable(format!("{}: {error}", path.display()));
    let database = backend(path).map_err(|error| at(path, &error))?;
    let journal = || backend(&journal).map_err(|error| at(&journal, &error));
    let opened = open_backends(database, journal, &path.display().to_string())?;
    if is_new && let Some(directory) = path.parent() {
        // Without this the files' names, and all that is acknowledged with them, may be lost with the power.
        sync_directory(directory).map_err(|error| at(directory, &error))?;
    }
    Ok(opened)
}

/// Opens both, and brings into the database what only the journal has. The journal's file is not touched before the database is
/// ours alone.
pub(super) fn open_backends<J: StorageBackend>(
    database: impl StorageBackend,
    journal: impl FnOnce() -> Result<J, StoreError>,
    name: &str,
) -> Result<(Store, Arc<View>), StoreError> {
    let unavailable = |why: &dyn std::fmt::Display| StoreError::Unavailable(format!("{name}: {why}"));
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE);
    // Not expected, see `write`; but a file that takes minutes to open should say why.
    builder.set_repair_callback(|repair| tracing::warn!(progress = repair.progress(), "repairing the database"));
    let database = builder.create_with_backend(database).map_err(|error| match error {
        DatabaseError::DatabaseAlreadyOpen => StoreError::InUse(name.to_owned()),
        error => unavailable(&error),
    })?;
    let transaction = database.begin_write().map_err(|error| unavailable(&error))?;
    let epoch = transaction.open_table(EPOCH).and_then(|table| Ok(table.get(())?.map(|epoch| epoch.value())));
    let epoch = epoch.map_err(|error| unavailable(&error))?;
    let file = journal()?;
    if epoch.is_some() && file.len().map_err(|error| unavailable(&error))? == 0 {
        return Err(unavailable(&format_args!(
            "the file {JOURNAL_FILE} beside it is missing or empty, and the latest changes with it; put it back, or restore a \
             backup, or write one byte to it to go on without those changes"
        )));
    }
    let journal = Journal::open(file).map_err(|error| unavailable(&error))?;
    let mut store = Store { database, journal };
    store.replay(transaction, epoch).map_err(failed)?;
    let view = store.view().map_err(failed)?;
    Ok((store, view))
}

/// Only the owner may look in: documents hold personal data.
pub(super) fn create_directory(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

pub(super) fn create_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

pub(super) fn sync_directory(path: &Path) -> io::Result<()> {
    // Windows neither opens directories as files nor needs it.
    if cfg!(unix) { File::open(path)?.sync_all() } else { Ok(()) }
}
