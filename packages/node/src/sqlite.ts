/**
 * A {@link Storage} in SQLite: in two tables of the application's own database file.
 *
 * It wants a connection of its own, since it begins and ends transactions. That of `better-sqlite3` fits, and so does
 * `DatabaseSync` of `node:sqlite`.
 *
 * @module
 */

import {
  type Check,
  type Entry,
  type Key,
  type KeyRange,
  type Mutation,
  type Outcome,
  type ScanOptions,
  type Storage,
  StoreError,
  type Value,
} from './types.js';

/** What this storage uses of a database connection. */
export interface SqliteDatabase {
  exec(sql: string): unknown;
  prepare(sql: string): SqliteStatement;
}

/** What it uses of a prepared statement. */
export interface SqliteStatement {
  get(...parameters: unknown[]): unknown;
  all(...parameters: unknown[]): unknown[];
  run(...parameters: unknown[]): unknown;
}

/** Bytes of a key, of a value and of all keys and values of a commit. */
const MAX_KEY = 1024;
const MAX_VALUE = 1024 * 1024;
const MAX_COMMIT = 64 * 1024 * 1024;

// BLOBs compare byte by byte. WITHOUT ROWID, a key is found in one tree.
const SCHEMA = `
  PRAGMA journal_mode = WAL;
  PRAGMA synchronous = FULL;
  PRAGMA busy_timeout = 5000;
  CREATE TABLE IF NOT EXISTS scimwell_entries (tenant TEXT NOT NULL, key BLOB NOT NULL, value BLOB NOT NULL,
    PRIMARY KEY (tenant, key)) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS scimwell_sequences (tenant TEXT NOT NULL PRIMARY KEY, last INTEGER NOT NULL) WITHOUT ROWID;
`;

/** Storage in two tables of this database, which are created where they are missing. */
export function sqliteStorage(database: SqliteDatabase): Storage {
  database.exec(SCHEMA);
  const inRange = 'FROM scimwell_entries WHERE tenant = ? AND key >= ? AND key < ?';
  const statements = {
    get: database.prepare('SELECT value FROM scimwell_entries WHERE tenant = ? AND key = ?'),
    count: database.prepare(`SELECT count(*) AS n ${inRange}`),
    put: database.prepare(
      'INSERT INTO scimwell_entries VALUES (?, ?, ?) ON CONFLICT (tenant, key) DO UPDATE SET value = excluded.value',
    ),
    delete: database.prepare('DELETE FROM scimwell_entries WHERE tenant = ? AND key = ?'),
    deleteRange: database.prepare(`DELETE ${inRange}`),
    next: database.prepare(
      'INSERT INTO scimwell_sequences VALUES (?, 1) ON CONFLICT (tenant) DO UPDATE SET last = last + 1 RETURNING last',
    ),
  };
  const scans = new Map(
    ['key', 'key, value'].flatMap((columns) =>
      ['ASC', 'DESC'].map((order): [string, SqliteStatement] => [
        `${columns} ${order}`,
        database.prepare(`SELECT ${columns} ${inRange} ORDER BY key ${order} LIMIT ? OFFSET ?`),
      ]),
    ),
  );

  function value(tenant: string, key: Key): Value | undefined {
    return (statements.get.get(tenant, key) as { value: Value } | undefined)?.value;
  }

  function scan(tenant: string, { start, end }: KeyRange, options: ScanOptions): Entry[] {
    const statement = scans.get(`${options.keysOnly ? 'key' : 'key, value'} ${options.reverse ? 'DESC' : 'ASC'}`);
    // Beyond what a number holds exactly there is no entry.
    const skip = Math.min(Number(options.skip), Number.MAX_SAFE_INTEGER);
    const rows = statement?.all(tenant, start, end, options.limit, skip) as Array<Partial<Entry>>;
    return rows.map(({ key, value }) => ({ key: key ?? new Uint8Array(), value: value ?? new Uint8Array() }));
  }

  function apply(tenant: string, mutation: Mutation): void {
    switch (mutation.tag) {
      case 'put':
        statements.put.run(tenant, mutation.val.key, mutation.val.value);
        return;
      case 'delete':
        statements.delete.run(tenant, mutation.val);
        return;
      case 'delete-range':
        statements.deleteRange.run(tenant, mutation.val.start, mutation.val.end);
        return;
      case 'add':
        statements.put.run(tenant, mutation.val.key, added(mutation.val.by, value(tenant, mutation.val.key)));
        return;
      case 'append': {
        const { last } = statements.next.get(tenant) as { last: number };
        const sequence = Buffer.alloc(8);
        sequence.writeBigUInt64BE(BigInt(last));
        statements.put.run(tenant, Buffer.concat([mutation.val.prefix, sequence]), mutation.val.value);
      }
    }
  }

  /** Runs `work` between BEGIN and COMMIT; false, or an exception, leaves nothing behind. */
  function transaction<T>(begin: string, work: () => T): T {
    try {
      database.exec(begin);
      try {
        const done = work();
        database.exec(done === 'conflict' ? 'ROLLBACK' : 'COMMIT');
        return done;
      } catch (error) {
        // SQLite has rolled back by itself where the disk is full, for example.
        try {
          database.exec('ROLLBACK');
        } catch {
          throw error;
        }
        throw error;
      }
    } catch (error) {
      throw storeError(error);
    }
  }

  return {
    get: (tenant, keys) => transaction('BEGIN', () => keys.map((key) => value(tenant, key))),
    scan: (tenant, range, options) => transaction('BEGIN', () => scan(tenant, range, options)),
    // One transaction for all: SQLite takes its lock once.
    read: (tenant, keys, ranges, options) =>
      transaction('BEGIN', () => ({
        values: keys.map((key) => value(tenant, key)),
        entries: ranges.map((range) => scan(tenant, range, options)),
      })),
    count: (tenant, { start, end }) =>
      transaction('BEGIN', () => (statements.count.get(tenant, start, end) as { n: number }).n),
    commit(tenant, checks, mutations): Outcome {
      checkSizes(checks, mutations);
      // IMMEDIATE holds SQLite's only write lock from the checks to the writes.
      return transaction(mutations.length === 0 ? 'BEGIN' : 'BEGIN IMMEDIATE', () => {
        if (!checks.every(({ key, expected }) => same(value(tenant, key), expected))) return 'conflict';
        for (const mutation of mutations) apply(tenant, mutation);
        return 'committed';
      });
    },
  };
}

function same(found: Value | undefined, expected: Value | undefined): boolean {
  if (found === undefined || expected === undefined) return found === expected;
  return Buffer.compare(found, expected) === 0;
}

/** A counter with `by` added: 8 bytes, little-endian, two's complement; an absent one counts as 0. */
function added(by: bigint, before: Value | undefined): Value {
  if (before !== undefined && before.length !== 8) {
    throw new StoreError('other', `add: the value is no counter of 8 bytes but has ${before.length}`);
  }
  const number = before === undefined ? 0n : Buffer.from(before).readBigInt64LE();
  const after = Buffer.alloc(8);
  after.writeBigInt64LE(BigInt.asIntN(64, number + by));
  return after;
}

/** Refuses what exceeds the limits before any of it is applied. */
function checkSizes(checks: Check[], mutations: Mutation[]): void {
  let total = 0;
  const tally = (key: number, value: number) => {
    total += key + value;
    if (key > MAX_KEY || value > MAX_VALUE || total > MAX_COMMIT) {
      throw new StoreError('too-large', 'a key, a value or the commit is larger than a store takes');
    }
  };
  for (const { key, expected } of checks) tally(key.length, expected?.length ?? 0);
  for (const { tag, val } of mutations) {
    switch (tag) {
      case 'put':
        tally(val.key.length, val.value.length);
        break;
      case 'delete':
        tally(val.length, 0);
        break;
      case 'delete-range':
        // Bounds are compared, never stored: the end of a range may be one byte longer than any key.
        tally(0, val.start.length + val.end.length);
        break;
      case 'add':
        tally(val.key.length, 8);
        break;
      case 'append':
        tally(val.prefix.length + 8, val.value.length);
    }
  }
}

/** Primary result codes of SQLite that another try may not meet: BUSY, LOCKED, FULL. */
const UNAVAILABLE = new Set([5, 6, 13]);

function storeError(error: unknown): StoreError {
  if (error instanceof StoreError) return error;
  const { code, errcode, message } = error as { code?: string; errcode?: number; message?: string };
  const passing = /^SQLITE_(BUSY|LOCKED|FULL)/.test(code ?? '') || UNAVAILABLE.has((errcode ?? 0) & 0xff);
  return new StoreError(passing ? 'unavailable' : 'other', `SQLite: ${message ?? String(error)}`, { cause: error });
}
