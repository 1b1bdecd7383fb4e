"""A Storage in SQLite: in two tables of the application's own database file."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from .types import (
    Add,
    Append,
    Check,
    Delete,
    DeleteRange,
    Entry,
    Key,
    KeyRange,
    Mutation,
    Outcome,
    Put,
    ScanOptions,
    StoreError,
    Value,
)

# Bytes of a key, of a value and of all keys and values of a commit.
MAX_KEY = 1024
MAX_VALUE = 1024 * 1024
MAX_COMMIT = 64 * 1024 * 1024
# SQLite's integers have 63 bits.
MOST = 2**63 - 1

# BLOBs compare byte by byte. WITHOUT ROWID, a key is found in one tree.
SCHEMA = """
    PRAGMA journal_mode = WAL;
    CREATE TABLE IF NOT EXISTS scimwell_entries (tenant TEXT NOT NULL, key BLOB NOT NULL, value BLOB NOT NULL,
        PRIMARY KEY (tenant, key)) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS scimwell_sequences (tenant TEXT NOT NULL PRIMARY KEY, last INTEGER NOT NULL) WITHOUT ROWID;
"""
IN_RANGE = "FROM scimwell_entries WHERE tenant = ? AND key >= ? AND key < ?"
GET = "SELECT value FROM scimwell_entries WHERE tenant = ? AND key = ?"
PUT = "INSERT INTO scimwell_entries VALUES (?, ?, ?) ON CONFLICT (tenant, key) DO UPDATE SET value = excluded.value"
DELETE = "DELETE FROM scimwell_entries WHERE tenant = ? AND key = ?"
NEXT = "INSERT INTO scimwell_sequences VALUES (?, 1) ON CONFLICT (tenant) DO UPDATE SET last = last + 1"
LAST = "SELECT last FROM scimwell_sequences WHERE tenant = ?"


class SqliteStorage:
    """Storage in two tables of this database file, which are created where they are missing.

    It has a connection of its own for each thread. ``timeout`` are seconds to wait for a lock.
    """

    def __init__(self, path: str | os.PathLike[str], *, timeout: float = 5.0) -> None:
        self._path = path
        self._timeout = timeout
        self._local = threading.local()
        with self._failing():
            self._connection().executescript(SCHEMA)

    def get(self, tenant: str, keys: Sequence[Key]) -> list[Value | None]:
        with self._transaction("BEGIN") as db:
            return [_value(db, tenant, key) for key in keys]

    def scan(self, tenant: str, range: KeyRange, options: ScanOptions) -> list[Entry]:
        columns = "key, x''" if options.keys_only else "key, value"
        order = "DESC" if options.reverse else "ASC"
        sql = f"SELECT {columns} {IN_RANGE} ORDER BY key {order} LIMIT ? OFFSET ?"
        with self._transaction("BEGIN") as db:
            rows = db.execute(sql, (tenant, range.start, range.end, options.limit, min(options.skip, MOST)))
            return [Entry(key, value) for key, value in rows]

    def count(self, tenant: str, range: KeyRange) -> int:
        with self._transaction("BEGIN") as db:
            row: tuple[int] = db.execute(f"SELECT count(*) {IN_RANGE}", (tenant, range.start, range.end)).fetchone()
            return row[0]

    def commit(self, tenant: str, checks: Sequence[Check], mutations: Sequence[Mutation]) -> Outcome:
        _check_sizes(checks, mutations)
        # IMMEDIATE holds SQLite's only write lock from the checks to the writes.
        with self._transaction("BEGIN IMMEDIATE" if mutations else "BEGIN") as db:
            if not all(_value(db, tenant, check.key) == check.expected for check in checks):
                # Nothing was written yet: committing or rolling back is the same.
                return "conflict"
            for mutation in mutations:
                _apply(db, tenant, mutation)
        return "committed"

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[sqlite3.Connection]:
        with self._failing():
            db = self._connection()
            db.execute(begin)
            try:
                yield db
                db.execute("COMMIT")
            except BaseException:
                # SQLite has rolled back by itself where the disk is full, for example.
                if db.in_transaction:
                    db.execute("ROLLBACK")
                raise

    def _connection(self) -> sqlite3.Connection:
        # A connection must not be used across a fork.
        if getattr(self._local, "process", None) != os.getpid():
            db = sqlite3.connect(self._path, timeout=self._timeout, isolation_level=None)
            # What was committed stays, whatever happens to the machine.
            db.execute("PRAGMA synchronous = FULL")
            self._local.db, self._local.process = db, os.getpid()
        connection: sqlite3.Connection = self._local.db
        return connection

    @contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            # Python 3.10 tells no codes, so these are told by their messages: BUSY, LOCKED, FULL.
            passing = any(words in str(error) for words in ("locked", "is full", "busy"))
            raise StoreError("unavailable" if passing else "other", f"SQLite: {error}") from error


def _value(db: sqlite3.Connection, tenant: str, key: Key) -> Value | None:
    row: tuple[bytes] | None = db.execute(GET, (tenant, key)).fetchone()
    return None if row is None else row[0]


def _apply(db: sqlite3.Connection, tenant: str, mutation: Mutation) -> None:
    match mutation:
        case Put(key, value):
            db.execute(PUT, (tenant, key, value))
        case Delete(key):
            db.execute(DELETE, (tenant, key))
        case DeleteRange(range):
            db.execute(f"DELETE {IN_RANGE}", (tenant, range.start, range.end))
        case Add(key, by):
            db.execute(PUT, (tenant, key, _added(by, _value(db, tenant, key))))
        case Append(prefix, value):
            db.execute(NEXT, (tenant,))
            (last,) = db.execute(LAST, (tenant,)).fetchone()
            db.execute(PUT, (tenant, prefix + int(last).to_bytes(8, "big"), value))


def _added(by: int, before: Value | None) -> Value:
    """A counter with ``by`` added: 8 bytes, little-endian, two's complement; an absent one counts as 0."""
    if before is not None and len(before) != 8:
        raise StoreError("other", f"add: the value is no counter of 8 bytes but has {len(before)}")
    number = 0 if before is None else int.from_bytes(before, "little", signed=True)
    return ((number + by) % 2**64).to_bytes(8, "little")


def _check_sizes(checks: Sequence[Check], mutations: Sequence[Mutation]) -> None:
    """Refuses what exceeds the limits before any of it is applied."""
    total = 0
    for key, value in [*map(_check_size, checks), *map(_mutation_size, mutations)]:
        total += key + value
        if key > MAX_KEY or value > MAX_VALUE or total > MAX_COMMIT:
            raise StoreError("too-large", "a key, a value or the commit is larger than a store takes")


def _check_size(check: Check) -> tuple[int, int]:
    return len(check.key), len(check.expected or b"")


def _mutation_size(mutation: Mutation) -> tuple[int, int]:
    match mutation:
        case Put(key, value):
            return len(key), len(value)
        case Delete(key):
            return len(key), 0
        case DeleteRange(range):
            # Bounds are compared, never stored: the end of a range may be one byte longer than any key.
            return 0, len(range.start) + len(range.end)
        case Add(key, _):
            return len(key), 8
        case Append(prefix, value):
            return len(prefix) + 8, len(value)
