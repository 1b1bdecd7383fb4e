//! Storage on Spin's SQLite.
//!
//! One table of ordered keys, the tenant first; BLOBs compare byte by byte. A commit is one `BEGIN IMMEDIATE … COMMIT`: it
//! holds SQLite's only write lock from its checks to its writes. Where an instance traps in between, Spin drops the
//! connection, and SQLite rolls back.

use std::cell::RefCell;
use std::fmt::Write as _;

use scimwell_storage_check::{
    Check, Entry, Key, KeyRange, Leads, Mutation, Outcome, Reading, ScanOptions, StoreError, Value, check_sizes,
};
use spin_sdk::sqlite3::{Connection, Error, RowResult, Value as Sql};

use crate::effect::{Effect, Reads, Stored, holds};
use crate::select::{Cell, KEYS_ONLY, Parameter, Question, WITH_VALUES};

/// The database's label in the manifest.
const DATABASE: &str = "default";

/// Rows of one INSERT and keys of one DELETE. SQLite takes 32,766 parameters.
const WRITTEN_AT_ONCE: usize = 500;

/// How often work that waited for a lock in vain runs again. SQLite waits five seconds each time and lets nobody queue, so
/// that among many writers one may be passed over for longer.
const LOCK_ATTEMPTS: u32 = 6;

/// Made when the first statement finds no table. WITHOUT ROWID, a key is found in one tree.
const SCHEMA: [&str; 4] = [
    "BEGIN IMMEDIATE",
    "CREATE TABLE IF NOT EXISTS scimwell_entries (tenant TEXT NOT NULL, key BLOB NOT NULL, value BLOB NOT NULL, \
     PRIMARY KEY (tenant, key)) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS scimwell_sequences (tenant TEXT NOT NULL PRIMARY KEY, last INTEGER NOT NULL) WITHOUT ROWID",
    "COMMIT",
];

thread_local! {
    /// Each `open` is a connection of its own to SQLite: one for all statements of a request.
    static CONNECTION: RefCell<Option<Connection>> = const { RefCell::new(None) };
}

/// A statement that failed.
struct Failed(Error);

/// The values of `keys`, in that order, from one snapshot.
pub(crate) fn get(tenant: &str, keys: &[Key]) -> Result<Vec<Option<Value>>, StoreError> {
    let asked = Question::values(tenant, keys);
    if asked.fits() {
        return Ok(connected(|db| ask(db, &asked))?.values);
    }
    connected(|db| snapshot(db, |db| select(db, tenant, keys)))
}

/// The entries of a range, from one snapshot.
pub(crate) fn scan(tenant: &str, range: &KeyRange, options: ScanOptions) -> Result<Vec<Entry>, StoreError> {
    if range.is_empty() || options.limit == 0 {
        return Ok(Vec::new());
    }
    let page = if options.keys_only { KEYS_ONLY } else { WITH_VALUES };
    let limit = usize::try_from(options.limit).unwrap_or(usize::MAX);
    connected(|db| {
        let first = scan_page(db, tenant, range, options, limit.min(page))?;
        if first.len() < page || limit <= page {
            return Ok(first);
        }
        // One statement was not enough: all pages anew, from one snapshot.
        snapshot(db, |db| {
            let mut entries = scan_page(db, tenant, range, options, page)?;
            let mut rest = range.clone();
            let options = ScanOptions { skip: 0, ..options };
            let mut full = entries.len() == page;
            while let Some(last) = entries.last().filter(|_| full && entries.len() < limit) {
                match options.reverse {
                    true => rest.end.clone_from(&last.key),
                    // The smallest key greater than the last one.
                    false => rest.start = [last.key.as_slice(), &[0]].concat(),
                }
                let wanted = page.min(limit - entries.len());
                let next = scan_page(db, tenant, &rest, options, wanted)?;
                full = next.len() == wanted;
                entries.extend(next);
            }
            Ok(entries)
        })
    })
}

/// `get` and `scan` in one statement, where one can answer it.
pub(crate) fn read(
    tenant: &str,
    keys: &[Key],
    ranges: &[KeyRange],
    options: ScanOptions,
    follow: &[Key],
) -> Result<Reading, StoreError> {
    let asked = Question { tenant, keys, ranges, options, follow };
    if asked.fits() {
        return connected(|db| ask(db, &asked));
    }
    let values = get(tenant, keys)?;
    let entries = ranges.iter().map(|range| scan(tenant, range, options)).collect::<Result<Vec<_>, _>>()?;
    let leads = Leads::of(ranges, &entries, follow);
    let followed = leads.followed(get(tenant, leads.keys())?);
    Ok(Reading { values, entries, followed })
}

/// How many keys a range holds.
pub(crate) fn count(tenant: &str, range: &KeyRange) -> Result<u64, StoreError> {
    if range.is_empty() {
        return Ok(0);
    }
    let rows = connected(|db| {
        let statement = "SELECT COUNT(*) FROM scimwell_entries WHERE tenant = ?1 AND key >= ?2 AND key < ?3";
        query(db, statement, &[text(tenant), blob(&range.start), blob(&range.end)])
    })?;
    match rows.first().and_then(|row| row.values.first()) {
        Some(Sql::Integer(count)) => Ok(u64::try_from(*count).unwrap_or_default()),
        other => Err(StoreError::Other(format!("SQLite counted {other:?}"))),
    }
}

/// Apply all mutations if every check holds.
pub(crate) fn commit(tenant: &str, checks: &[Check], mutations: &[Mutation]) -> Result<Outcome, StoreError> {
    check_sizes(checks, mutations)?;
    let reads = Reads::of(checks, mutations);
    let keys: Vec<Key> = reads.keys.into_iter().collect();
    let stored = |values: Vec<Option<Value>>| -> Stored {
        keys.iter().zip(values).filter_map(|(key, value)| Some((key.clone(), value?))).collect()
    };
    if mutations.is_empty() {
        let stored = stored(get(tenant, &keys)?);
        return Ok(if holds(checks, &stored) { Outcome::Committed } else { Outcome::Conflict });
    }
    let mut failure = None;
    let outcome = connected(|db| {
        run(db, "BEGIN IMMEDIATE")?;
        let stored = stored(select(db, tenant, &keys)?);
        if !holds(checks, &stored) {
            run(db, "ROLLBACK")?;
            return Ok(Outcome::Conflict);
        }
        let sequence = if reads.sequence { last_sequence(db, tenant)? } else { 0 };
        match Effect::fold(mutations, &stored, sequence) {
            Ok(effect) => {
                write(db, tenant, effect)?;
                run(db, "COMMIT")?;
            }
            Err(error) => {
                run(db, "ROLLBACK")?;
                failure = Some(error);
            }
        }
        Ok(Outcome::Committed)
    })?;
    failure.map_or(Ok(outcome), Err)
}

fn last_sequence(db: &Connection, tenant: &str) -> Result<u64, Failed> {
    let rows = query(db, "SELECT last FROM scimwell_sequences WHERE tenant = ?1", &[text(tenant)])?;
    let last = rows.first().and_then(|row| row.get::<i64>(0)).unwrap_or_default();
    Ok(u64::try_from(last).unwrap_or_default())
}

fn write(db: &Connection, tenant: &str, effect: Effect) -> Result<(), Failed> {
    for KeyRange { start, end } in effect.ranges {
        let statement = "DELETE FROM scimwell_entries WHERE tenant = ?1 AND key >= ?2 AND key < ?3";
        query(db, statement, &[text(tenant), Sql::Blob(start), Sql::Blob(end)])?;
    }
    for keys in effect.deletes.chunks(WRITTEN_AT_ONCE) {
        let statement =
            format!("DELETE FROM scimwell_entries WHERE tenant = ?1 AND key IN ({})", places(2, keys.len()));
        query(db, &statement, &parameters(tenant, keys.iter().map(|key| blob(key))))?;
    }
    let mut puts = effect.puts.into_iter();
    while puts.len() > 0 {
        let mut statement = "INSERT INTO scimwell_entries (tenant, key, value) VALUES ".to_owned();
        for at in 0..puts.len().min(WRITTEN_AT_ONCE) {
            let comma = if at == 0 { "" } else { ", " };
            let _ = write!(statement, "{comma}(?1, ?{}, ?{})", 2 * at + 2, 2 * at + 3);
        }
        statement.push_str(" ON CONFLICT (tenant, key) DO UPDATE SET value = excluded.value");
        let written = puts.by_ref().take(WRITTEN_AT_ONCE);
        query(
            db,
            &statement,
            &parameters(tenant, written.flat_map(|(key, value)| [Sql::Blob(key), Sql::Blob(value)])),
        )?;
    }
    if let Some(last) = effect.sequence {
        let statement = "INSERT INTO scimwell_sequences (tenant, last) VALUES (?1, ?2) \
                         ON CONFLICT (tenant) DO UPDATE SET last = excluded.last";
        // SQLite's integers have 63 bits for it: three hundred years at a billion records a second.
        let last = Sql::Integer(i64::try_from(last).unwrap_or(i64::MAX));
        query(db, statement, &[text(tenant), last])?;
    }
    Ok(())
}

/// The answer of one statement.
fn ask(db: &Connection, asked: &Question<'_>) -> Result<Reading, Failed> {
    asked.ask('?', |statement, parameters| {
        Ok(query(db, statement, parameters)?.into_iter().map(|row| row.values).collect())
    })
}

impl From<Parameter<'_>> for Sql {
    fn from(parameter: Parameter<'_>) -> Self {
        match parameter {
            Parameter::Text(value) => Self::Text(value.to_owned()),
            Parameter::Bytes(value) => Self::Blob(value.to_vec()),
            Parameter::Number(value) => Self::Integer(value),
        }
    }
}

impl Cell for Sql {
    fn number(self) -> Option<i64> {
        if let Self::Integer(number) = self { Some(number) } else { None }
    }

    fn bytes(self) -> Option<Vec<u8>> {
        match self {
            Self::Blob(bytes) => Some(bytes),
            // The columns hold BLOBs only; another hand may have written there.
            Self::Text(text) => Some(text.into_bytes()),
            Self::Integer(_) | Self::Real(_) | Self::Null => None,
        }
    }
}

/// The values of any number of keys.
fn select(db: &Connection, tenant: &str, keys: &[Key]) -> Result<Vec<Option<Value>>, Failed> {
    let mut values = Vec::with_capacity(keys.len());
    for keys in keys.chunks(WITH_VALUES) {
        values.extend(ask(db, &Question::values(tenant, keys))?.values);
    }
    Ok(values)
}

fn scan_page(
    db: &Connection,
    tenant: &str,
    range: &KeyRange,
    options: ScanOptions,
    limit: usize,
) -> Result<Vec<Entry>, Failed> {
    let options = ScanOptions { limit: u32::try_from(limit).unwrap_or(u32::MAX), ..options };
    Ok(ask(db, &Question::entries(tenant, range, options))?.entries.pop().unwrap_or_default())
}

/// `?first, …`: so many places for parameters.
fn places(first: usize, count: usize) -> String {
    (first..first + count).fold(String::new(), |mut text, at| {
        let _ = write!(text, "{}?{at}", if at == first { "" } else { ", " });
        text
    })
}

fn parameters(tenant: &str, others: impl Iterator<Item = Sql>) -> Vec<Sql> {
    std::iter::once(text(tenant)).chain(others).collect()
}

fn text(text: &str) -> Sql {
    Sql::Text(text.to_owned())
}

fn blob(bytes: &[u8]) -> Sql {
    Sql::Blob(bytes.to_vec())
}

fn query(db: &Connection, statement: &str, parameters: &[Sql]) -> Result<Vec<RowResult>, Failed> {
    db.execute(statement, parameters).map(|result| result.rows).map_err(Failed)
}

fn run(db: &Connection, statement: &str) -> Result<(), Failed> {
    query(db, statement, &[]).map(drop)
}

/// Reads that see one state of the data.
fn snapshot<T>(db: &Connection, read: impl FnOnce(&Connection) -> Result<T, Failed>) -> Result<T, Failed> {
    run(db, "BEGIN")?;
    let value = read(db)?;
    run(db, "COMMIT")?;
    Ok(value)
}

/// Runs on the request's connection. One that failed is dropped, which rolls back what it had begun; so work that waited
/// for a lock in vain, be it at its COMMIT, can run again. Where the table is missing, it is made first.
fn connected<T>(mut work: impl FnMut(&Connection) -> Result<T, Failed>) -> Result<T, StoreError> {
    let mut attempt = || -> Result<T, Failed> {
        let db = match CONNECTION.take() {
            Some(db) => db,
            None => Connection::open(DATABASE).map_err(Failed)?,
        };
        let value = work(&db)?;
        CONNECTION.set(Some(db));
        Ok(value)
    };
    let mut attempts = 1;
    loop {
        match attempt() {
            Err(Failed(Error::Io(why))) if is_locked(&why) && attempts < LOCK_ATTEMPTS => attempts += 1,
            // Another instance may be making it at the same time: then this waits for a lock as well.
            Err(Failed(Error::Io(why))) if why.contains("no such table") && attempts < LOCK_ATTEMPTS => {
                attempts += 1;
                match create() {
                    Err(Failed(Error::Io(why))) if is_locked(&why) => {}
                    created => created.map_err(store_error)?,
                }
            }
            done => return done.map_err(store_error),
        }
    }
}

/// Another connection held the lock for longer than SQLite waits.
fn is_locked(why: &str) -> bool {
    why.contains("is locked")
}

fn create() -> Result<(), Failed> {
    let db = Connection::open(DATABASE).map_err(Failed)?;
    SCHEMA.iter().try_for_each(|statement| run(&db, statement))
}

fn store_error(Failed(error): Failed) -> StoreError {
    const REMEDY: &str = "give the component `sqlite_databases = [\"default\"]`, and let the dependency \
                          `scimwell:provider` inherit it (inherit_configuration)";
    match error {
        Error::AccessDenied => {
            StoreError::Other(format!("the component may not use the SQLite database `{DATABASE}`: {REMEDY}"))
        }
        Error::NoSuchDatabase => StoreError::Other(format!(
            "there is no SQLite database `{DATABASE}`: {REMEDY}; with a runtime configuration file, name it there"
        )),
        Error::InvalidConnection => StoreError::Other("Spin knows the SQLite connection no more".into()),
        Error::DatabaseFull => StoreError::Unavailable("the SQLite database is full".into()),
        Error::Io(why) if is_locked(&why) => StoreError::Unavailable(format!("SQLite: {why}")),
        Error::Io(why) => StoreError::Other(format!("SQLite: {why}")),
    }
}
