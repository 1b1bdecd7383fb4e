//! The statements. They keep to what CockroachDB and YugabyteDB run as well: no function of our own, no advisory lock, no
//! statement that changes one table twice.

/// The values of one key.
pub(super) const GET_ONE: &str = "SELECT value FROM scimwell_keys WHERE tenant = $1 AND key = $2";

/// Some keys of one tenant, and their values; in any order.
pub(super) const GET_SOME: &str = "SELECT key, value FROM scimwell_keys WHERE tenant = $1 AND key = ANY($2::bytea[])";

/// The values of some keys, $2, each of the tenant at the same place of $1; with their places, from 1.
pub(super) const GET: &str = "SELECT r.n, k.value FROM unnest($1::bytea[], $2::bytea[]) WITH ORDINALITY AS r(tenant, key, n) \
     JOIN scimwell_keys AS k ON k.tenant = r.tenant AND k.key = r.key";

/// How many keys a range holds.
pub(super) const COUNT: &str = "SELECT count(*) FROM scimwell_keys WHERE tenant = $1 AND key >= $2 AND key < $3";

/// The entries of a range, by whether they descend and whether keys suffice.
pub(super) const fn scan(reverse: bool, keys_only: bool) -> &'static str {
    match (reverse, keys_only) {
        (false, false) => {
            "SELECT key, value FROM scimwell_keys WHERE tenant = $1 AND key >= $2 AND key < $3 ORDER BY key LIMIT $4 OFFSET $5"
        }
        (false, true) => {
            "SELECT key FROM scimwell_keys WHERE tenant = $1 AND key >= $2 AND key < $3 ORDER BY key LIMIT $4 OFFSET $5"
        }
        (true, false) => {
            "SELECT key, value FROM scimwell_keys WHERE tenant = $1 AND key >= $2 AND key < $3 ORDER BY key DESC LIMIT $4 OFFSET $5"
        }
        (true, true) => {
            "SELECT key FROM scimwell_keys WHERE tenant = $1 AND key >= $2 AND key < $3 ORDER BY key DESC LIMIT $4 OFFSET $5"
        }
    }
}

/// [`scan`], each row with `led`, what its entry leads to by each of the prefixes $6.
pub(super) fn scan_and_follow(reverse: bool, keys_only: bool) -> String {
    let direction = if reverse { "DESC" } else { "ASC" };
    let (scan, led) = (scan(reverse, keys_only), led("$2", "$6"));
    format!("SELECT e.*, {led} FROM ({scan}) AS e ORDER BY e.key {direction}")
}

/// What the entry `e` of a range leads to by each of the prefixes: an array of values, or NULL where nothing is there.
fn led(start: &str, prefixes: &str) -> String {
    format!(
        "ARRAY(SELECT (SELECT f.value FROM scimwell_keys AS f WHERE f.tenant = $1 \
             AND f.key = p.prefix || substring(e.key FROM length({start}) + 1) \
             AND substring(e.key FROM 1 FOR length({start})) = {start}) \
         FROM unnest({prefixes}::bytea[]) WITH ORDINALITY AS p(prefix, n) ORDER BY p.n) AS led"
    )
}

/// The values of the keys $2, as rows with an empty range number, and the entries of the ranges from $3 to $4, of each as
/// many as $5 after the first $6; with the places of keys and ranges, from 1. The entries of a range come in any order. With
/// `follow`, each has `led`, as in [`scan_and_follow`], by the prefixes $7.
pub(super) fn read(reverse: bool, keys_only: bool, follow: bool) -> String {
    let direction = if reverse { "DESC" } else { "ASC" };
    let value = if keys_only { "''::bytea" } else { "s.value" };
    let led = match follow {
        true => led("r.low", "$7"),
        false => "NULL::bytea[] AS led".to_owned(),
    };
    format!(
        "SELECT r.n, NULL::int8 AS range, r.key, k.value, NULL::bytea[] AS led FROM unnest($2::bytea[]) WITH ORDINALITY AS r(key, n) \
             JOIN scimwell_keys AS k ON k.tenant = $1 AND k.key = r.key \
         UNION ALL \
         SELECT NULL::int8, r.n, e.key, e.value, {led} FROM unnest($3::bytea[], $4::bytea[]) WITH ORDINALITY AS r(low, high, n) \
             CROSS JOIN LATERAL (SELECT s.key, {value} AS value FROM scimwell_keys AS s \
                 WHERE s.tenant = $1 AND s.key >= r.low AND s.key < r.high \
                 ORDER BY s.key {direction} LIMIT $5 OFFSET $6) AS e"
    )
}

/// Each statement after it sees what was committed before it started, at whatever the database's default is.
pub(super) const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED";
pub(super) const COMMIT: &str = "COMMIT";
pub(super) const ROLLBACK: &str = "ROLLBACK";

/// Takes the tenant's lock, until the end of the transaction, and makes its row where there is none: a row that is
/// written, since a row that is only locked may be missing.
pub(super) const LOCK: &str = "INSERT INTO scimwell_tenants (tenant, last, held) VALUES ($1, 0, false) \
     ON CONFLICT (tenant) DO UPDATE SET held = false RETURNING last";

/// Compares what is expected, notes the verdict for the statements after it, and takes sequence numbers if it is good.
/// A statement of its own after LOCK, so that what it compares is what was committed before the lock was taken.
///
/// $2 and $3: keys and what they must map to, NULL for absent. $4: keys that must be absent or counters. $5: how many
/// checks there are. $6: how many numbers to take. Returns the places of what failed, NULL where nothing did.
pub(super) const JUDGE: &str = "UPDATE scimwell_tenants AS t \
     SET held = (judged.failed IS NULL), last = t.last + CASE WHEN judged.failed IS NULL THEN $6::int8 ELSE 0 END \
     FROM (SELECT array_agg(f.n) AS failed FROM ( \
         SELECT c.n FROM unnest($2::bytea[], $3::bytea[]) WITH ORDINALITY AS c(key, expected, n) \
             LEFT JOIN scimwell_keys AS k ON k.tenant = $1 AND k.key = c.key \
             WHERE k.value IS DISTINCT FROM c.expected \
         UNION ALL \
         SELECT $5::int8 + a.n FROM unnest($4::bytea[]) WITH ORDINALITY AS a(key, n) \
             JOIN scimwell_keys AS k ON k.tenant = $1 AND k.key = a.key \
             WHERE octet_length(k.value) <> 8 \
     ) AS f) AS judged \
     WHERE t.tenant = $1 RETURNING judged.failed";

/// Removes the keys of a range, if the verdict is good.
pub(super) const DELETE_RANGE: &str = "DELETE FROM scimwell_keys WHERE tenant = $1 AND key >= $2 AND key < $3 \
     AND (SELECT held FROM scimwell_tenants WHERE tenant = $1)";

/// Removes keys, if the verdict is good.
pub(super) const DELETE: &str = "DELETE FROM scimwell_keys WHERE tenant = $1 AND key = ANY($2::bytea[]) \
     AND (SELECT held FROM scimwell_tenants WHERE tenant = $1)";

/// Writes, if the verdict is good: $2 and $3, keys and values; $4 to $6, counters and what to add, its lower and its upper
/// 32 bits; $7 and $8, prefixes and values of appends, whose numbers are the last ones that the verdict took; $9, how
/// many these are.
///
/// Counters are kept as the 8 bytes that the contract says, so the sum is made of halves that no integer overflows with.
pub(super) const WRITE: &str = "INSERT INTO scimwell_keys (tenant, key, value) \
     SELECT $1::bytea, w.key, w.value FROM ( \
         SELECT p.key, p.value FROM unnest($2::bytea[], $3::bytea[]) AS p(key, value) \
         UNION ALL \
         SELECT s.key, decode( \
             lpad(to_hex(s.low & 255), 2, '0') || lpad(to_hex((s.low >> 8) & 255), 2, '0') \
             || lpad(to_hex((s.low >> 16) & 255), 2, '0') || lpad(to_hex((s.low >> 24) & 255), 2, '0') \
             || lpad(to_hex((s.high + (s.low >> 32)) & 255), 2, '0') \
             || lpad(to_hex(((s.high + (s.low >> 32)) >> 8) & 255), 2, '0') \
             || lpad(to_hex(((s.high + (s.low >> 32)) >> 16) & 255), 2, '0') \
             || lpad(to_hex(((s.high + (s.low >> 32)) >> 24) & 255), 2, '0'), 'hex') \
         FROM ( \
             SELECT a.key, \
                 a.low + CASE WHEN octet_length(k.value) = 8 THEN get_byte(k.value, 0)::int8 + get_byte(k.value, 1)::int8 * 256 \
                     + get_byte(k.value, 2)::int8 * 65536 + get_byte(k.value, 3)::int8 * 16777216 ELSE 0 END AS low, \
                 a.high + CASE WHEN octet_length(k.value) = 8 THEN get_byte(k.value, 4)::int8 + get_byte(k.value, 5)::int8 * 256 \
                     + get_byte(k.value, 6)::int8 * 65536 + get_byte(k.value, 7)::int8 * 16777216 ELSE 0 END AS high \
             FROM unnest($4::bytea[], $5::int8[], $6::int8[]) AS a(key, low, high) \
                 LEFT JOIN scimwell_keys AS k ON k.tenant = $1 AND k.key = a.key \
         ) AS s \
         UNION ALL \
         SELECT a.prefix || decode(lpad(to_hex(t.last - $9::int8 + a.n), 16, '0'), 'hex'), a.value \
         FROM unnest($7::bytea[], $8::bytea[]) WITH ORDINALITY AS a(prefix, value, n) \
             JOIN scimwell_tenants AS t ON t.tenant = $1 \
     ) AS w \
     WHERE (SELECT held FROM scimwell_tenants WHERE tenant = $1) \
     ON CONFLICT (tenant, key) DO UPDATE SET value = excluded.value";

/// What every connection begins with. Acknowledged commits are durable, whatever the role's default. Every statement
/// finds its rows by the primary key: a plan made while the table was small must not stay with a scan of all of it. There
/// being one good plan, it is made once: made anew for each array, as PostgreSQL prefers, planning takes several times what
/// the statement does. `set_config` over `pg_settings` passes over what a database doesn't know.
pub(super) const SESSION: &str = "SELECT set_config(name, 'off', false) FROM pg_settings \
         WHERE name IN ('enable_seqscan', 'enable_bitmapscan', 'enable_hashjoin', 'enable_mergejoin', 'jit'); \
     SELECT set_config(name, 'force_generic_plan', false) FROM pg_settings WHERE name = 'plan_cache_mode'; \
     SELECT set_config(name, 'on', false) FROM pg_settings WHERE name = 'synchronous_commit' AND setting = 'off'; \
     SET statement_timeout = '30s'; \
     SET idle_in_transaction_session_timeout = '10s'";

/// The version of the tables that this program works with: how many of [`MIGRATIONS`] were applied.
pub(super) const VERSION: &str = "SELECT version FROM scimwell_schema WHERE id = 1";
pub(super) const VERSION_LOCKED: &str = "SELECT version FROM scimwell_schema WHERE id = 1 FOR UPDATE";
pub(super) const SET_VERSION: &str = "UPDATE scimwell_schema SET version = $1 WHERE id = 1";
/// The table that says it; its row is the lock under which the tables change.
pub(super) const PREPARE_MIGRATION: [&str; 2] = [
    "CREATE TABLE IF NOT EXISTS scimwell_schema (id int8 PRIMARY KEY, version int8 NOT NULL)",
    "INSERT INTO scimwell_schema (id, version) VALUES (1, 0) ON CONFLICT (id) DO NOTHING",
];

/// Each step from one version to the next. What was once released never changes: append.
///
/// Tenants are bytes, not text: bytes have one order, whatever the database's collation.
pub(super) const MIGRATIONS: [&str; 1] = ["CREATE TABLE scimwell_keys \
         (tenant bytea NOT NULL, key bytea NOT NULL, value bytea NOT NULL, PRIMARY KEY (tenant, key)); \
     CREATE TABLE scimwell_tenants (tenant bytea PRIMARY KEY, last int8 NOT NULL, held boolean NOT NULL)"];
