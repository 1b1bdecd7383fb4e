//! Storage on PostgreSQL through Spin.
//!
//! Spin 4.0.2 gives a connection back to its pool as it is: a transaction that an instance left open would be committed by
//! the next request. So nothing here spans two statements: a commit is one call of a function in the database, and each
//! read is one statement. A query without rows never returns there, so each has at least one: the last, of NULLs. What
//! fails after a query has begun comes as text without its SQLSTATE; what is executed fails with all that PostgreSQL tells.
//! So a commit is executed, and how many rows it leaves tells how it ended.

use std::cell::RefCell;

use scimwell_storage_check::{
    Check, Entry, Key, KeyRange, Leads, Mutation, Outcome, Reading, ScanOptions, StoreError, Value, check_sizes,
};
use spin_sdk::pg4::{Connection, DbValue, ParameterValue as Sql, PgError, QueryError};

use crate::payload;
use crate::select::{Cell, KEYS_ONLY, Parameter, Question, WITH_VALUES};

/// How often a statement that lost against others (SQLSTATE 40001, 40P01), or that found no tables, runs again.
const ATTEMPTS: u32 = 8;

/// Makes what is missing, in one statement; the advisory lock lets one instance at a time do it.
///
/// The function's name has a version: an adapter that needs another one brings another name, and both may run at once.
/// What it does: lock the tenant by its row, so that checks, counters and sequence numbers are exact; compare; apply the
/// mutations in order. Each statement in it sees what was committed before, since it is VOLATILE and the isolation level is
/// READ COMMITTED. Counters are added byte by byte, so that they wrap around.
const SCHEMA: &str = r#"DO $do$ BEGIN
PERFORM pg_advisory_xact_lock(7310868735435170158);
CREATE TABLE IF NOT EXISTS scimwell_entries (tenant text COLLATE "C" NOT NULL, key bytea NOT NULL, value bytea NOT NULL,
    PRIMARY KEY (tenant, key));
CREATE TABLE IF NOT EXISTS scimwell_sequences (tenant text COLLATE "C" PRIMARY KEY, last int8 NOT NULL);
CREATE OR REPLACE FUNCTION scimwell_commit_1(whose text, asked jsonb) RETURNS text LANGUAGE plpgsql AS $fn$
DECLARE
    mutation jsonb;
    k bytea;
    v bytea;
    addend bytea;
    carry int4;
    sequence int8;
BEGIN
    INSERT INTO scimwell_sequences AS s (tenant, last) VALUES (whose, 0)
        ON CONFLICT (tenant) DO UPDATE SET last = s.last RETURNING s.last INTO sequence;
    IF EXISTS (SELECT 1 FROM jsonb_array_elements(asked->'checks') AS c
            LEFT JOIN scimwell_entries AS e ON e.tenant = whose AND e.key = decode(c->>0, 'base64')
            WHERE e.value IS DISTINCT FROM decode(c->>1, 'base64')) THEN
        RETURN 'conflict';
    END IF;
    FOR mutation IN SELECT m.value FROM jsonb_array_elements(asked->'mutations') WITH ORDINALITY AS m(value, n) ORDER BY m.n LOOP
        k := decode(mutation->>1, 'base64');
        v := NULL;
        CASE mutation->>0
        WHEN 'put' THEN
            v := decode(mutation->>2, 'base64');
        WHEN 'append' THEN
            sequence := sequence + 1;
            k := k || int8send(sequence);
            v := decode(mutation->>2, 'base64');
        WHEN 'delete' THEN
            DELETE FROM scimwell_entries AS e WHERE e.tenant = whose AND e.key = k;
        WHEN 'delete-range' THEN
            DELETE FROM scimwell_entries AS e WHERE e.tenant = whose AND e.key >= k AND e.key < decode(mutation->>2, 'base64');
        WHEN 'add' THEN
            SELECT e.value INTO v FROM scimwell_entries AS e WHERE e.tenant = whose AND e.key = k;
            v := coalesce(v, '\x0000000000000000'::bytea);
            IF octet_length(v) <> 8 THEN
                RAISE EXCEPTION 'add to key "%": its value is no counter of 8 bytes but has %', encode(k, 'escape'), octet_length(v)
                    USING ERRCODE = 'SCW01';
            END IF;
            addend := int8send((mutation->>2)::int8);
            carry := 0;
            FOR i IN 0..7 LOOP
                carry := carry + get_byte(v, i) + get_byte(addend, 7 - i);
                v := set_byte(v, i, carry & 255);
                carry := carry >> 8;
            END LOOP;
        END CASE;
        IF v IS NOT NULL THEN
            INSERT INTO scimwell_entries AS e (tenant, key, value) VALUES (whose, k, v)
                ON CONFLICT (tenant, key) DO UPDATE SET value = excluded.value;
        END IF;
    END LOOP;
    UPDATE scimwell_sequences SET last = sequence WHERE tenant = whose AND last <> sequence;
    RETURN 'committed';
END $fn$;
END $do$"#;

thread_local! {
    /// From Spin's pool, for all statements of a request.
    static CONNECTION: RefCell<Option<Connection>> = const { RefCell::new(None) };
}

/// The values of `keys`, in that order; up to [`WITH_VALUES`] of them from one snapshot.
pub(crate) fn get(url: &str, tenant: &str, keys: &[Key]) -> Result<Vec<Option<Value>>, StoreError> {
    let mut values = Vec::with_capacity(keys.len());
    for keys in keys.chunks(WITH_VALUES) {
        values.extend(ask(url, &Question::values(tenant, keys))?.values);
    }
    Ok(values)
}

/// The entries of a range; up to a page of them from one snapshot.
pub(crate) fn scan(
    url: &str,
    tenant: &str,
    range: &KeyRange,
    mut options: ScanOptions,
) -> Result<Vec<Entry>, StoreError> {
    let page = if options.keys_only { KEYS_ONLY } else { WITH_VALUES };
    let limit = usize::try_from(options.limit).unwrap_or(usize::MAX);
    let mut entries: Vec<Entry> = Vec::new();
    let mut rest = range.clone();
    while entries.len() < limit && !rest.is_empty() {
        let wanted = page.min(limit - entries.len());
        options.limit = u32::try_from(wanted).unwrap_or(u32::MAX);
        let found = ask(url, &Question::entries(tenant, &rest, options))?.entries.pop().unwrap_or_default();
        let full = found.len() == wanted;
        entries.extend(found);
        match entries.last() {
            Some(last) if full && options.reverse => rest.end.clone_from(&last.key),
            // The smallest key greater than the last one.
            Some(last) if full => rest.start = [last.key.as_slice(), &[0]].concat(),
            _ => break,
        }
        options.skip = 0;
    }
    Ok(entries)
}

/// `get` and `scan` in one statement, where one can answer it.
pub(crate) fn read(
    url: &str,
    tenant: &str,
    keys: &[Key],
    ranges: &[KeyRange],
    options: ScanOptions,
    follow: &[Key],
) -> Result<Reading, StoreError> {
    let asked = Question { tenant, keys, ranges, options, follow };
    if asked.fits() {
        return ask(url, &asked);
    }
    let values = get(url, tenant, keys)?;
    let entries = ranges.iter().map(|range| scan(url, tenant, range, options)).collect::<Result<Vec<_>, _>>()?;
    let leads = Leads::of(ranges, &entries, follow);
    let followed = leads.followed(get(url, tenant, leads.keys())?);
    Ok(Reading { values, entries, followed })
}

/// How many keys a range holds.
pub(crate) fn count(url: &str, tenant: &str, range: &KeyRange) -> Result<u64, StoreError> {
    let statement = "SELECT count(*) FROM scimwell_entries WHERE tenant = $1 AND key >= $2 AND key < $3";
    let rows = query(url, statement, &[text(tenant), blob(&range.start), blob(&range.end)])?;
    match rows.first().and_then(|row| row.first()) {
        Some(DbValue::Int64(count)) => Ok(u64::try_from(*count).unwrap_or_default()),
        other => Err(StoreError::Other(format!("PostgreSQL counted {other:?}"))),
    }
}

/// Apply all mutations if every check holds.
pub(crate) fn commit(url: &str, tenant: &str, checks: &[Check], mutations: &[Mutation]) -> Result<Outcome, StoreError> {
    check_sizes(checks, mutations)?;
    let parameters = [text(tenant), Sql::Str(payload::of(checks, mutations))];
    let statement = "SELECT 1 FROM scimwell_commit_1($1, $2::text::jsonb) AS outcome WHERE outcome = 'committed'";
    match connected(url, |db| db.execute(statement, &parameters))? {
        0 => Ok(Outcome::Conflict),
        _ => Ok(Outcome::Committed),
    }
}

fn text(text: &str) -> Sql {
    Sql::Str(text.to_owned())
}

fn blob(bytes: &[u8]) -> Sql {
    Sql::Binary(bytes.to_vec())
}

/// The answer of one statement.
fn ask(url: &str, asked: &Question<'_>) -> Result<Reading, StoreError> {
    // The row of NULLs is passed over.
    asked.ask('$', |statement, parameters| {
        query(url, &format!("{statement} UNION ALL SELECT NULL, NULL, NULL"), parameters)
    })
}

impl From<Parameter<'_>> for Sql {
    fn from(parameter: Parameter<'_>) -> Self {
        match parameter {
            Parameter::Text(value) => Self::Str(value.to_owned()),
            Parameter::Bytes(value) => Self::Binary(value.to_vec()),
            Parameter::Number(value) => Self::Int64(value),
        }
    }
}

impl Cell for DbValue {
    fn number(self) -> Option<i64> {
        if let Self::Int64(number) = self { Some(number) } else { None }
    }

    fn bytes(self) -> Option<Vec<u8>> {
        if let Self::Binary(bytes) = self { Some(bytes) } else { None }
    }
}

/// The rows of one statement.
fn query(url: &str, statement: &str, parameters: &[Sql]) -> Result<Vec<Vec<DbValue>>, StoreError> {
    connected(url, |db| db.query(statement, parameters)).map(|found| found.rows)
}

/// Runs one statement, which is a transaction of its own, on the request's connection.
fn connected<T>(url: &str, statement: impl Fn(&Connection) -> Result<T, PgError>) -> Result<T, StoreError> {
    let attempt = || {
        let db = match CONNECTION.take() {
            Some(db) => db,
            None => Connection::open(url)?,
        };
        let done = statement(&db)?;
        CONNECTION.set(Some(db));
        Ok(done)
    };
    let mut attempts = 1;
    loop {
        match attempt() {
            Ok(done) => return Ok(done),
            Err(error) if attempts == ATTEMPTS => return Err(store_error(url, error)),
            Err(error) => match code(&error) {
                Some("40001" | "40P01") => {}
                // No table, no function.
                Some("42P01" | "42883") => create(url)?,
                _ => return Err(store_error(url, error)),
            },
        }
        attempts += 1;
    }
}

fn create(url: &str) -> Result<(), StoreError> {
    let created = Connection::open(url).and_then(|db| db.execute(SCHEMA, &[]));
    created.map(drop).map_err(|error| store_error(url, error))
}

/// The SQLSTATE, where PostgreSQL gave one.
fn code(error: &PgError) -> Option<&str> {
    match error {
        PgError::QueryFailed(QueryError::DbError(error)) => Some(&error.code),
        _ => None,
    }
}

fn store_error(url: &str, error: PgError) -> StoreError {
    // The URL holds a password. What Spin says goes on with causes and, where it was told to, a backtrace.
    let told = |why: &str| {
        let first = why.lines().next().unwrap_or_default();
        format!("PostgreSQL: {}", first.replace(url, "the URL of the variable `postgres_url`"))
    };
    match error {
        PgError::ConnectionFailed(why) if why.contains("not permitted") => StoreError::Unavailable(format!(
            "{}; name it in the component's `allowed_outbound_hosts`, and let the dependency inherit that",
            told(&why)
        )),
        PgError::ConnectionFailed(why) => {
            StoreError::Unavailable(format!("{}; does the variable `postgres_url` lead there?", told(&why)))
        }
        PgError::QueryFailed(QueryError::Text(why)) => StoreError::Unavailable(told(&why)),
        // 08: connection; 53: no resources left; 57: an operator intervened.
        PgError::QueryFailed(QueryError::DbError(error)) => {
            let why = told(&format!("{} ({})", error.message, error.code));
            match error.code.get(..2) {
                Some("08" | "40" | "53" | "57") => StoreError::Unavailable(why),
                _ => StoreError::Other(why),
            }
        }
        PgError::BadParameter(why) | PgError::ValueConversionFailed(why) | PgError::Other(why) => {
            StoreError::Other(told(&why))
        }
    }
}
