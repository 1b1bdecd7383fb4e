"""The product's own table of users. It follows the change log of SCIM, and is what the seats are counted in."""

import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from scimwell import Change, ChangeRecord, Refusal, Scim

# Seconds for which a change that was let through keeps its seat if it never comes: longer than a request takes.
RESERVED = 60

SCHEMA = """
    PRAGMA journal_mode = WAL;
    CREATE TABLE IF NOT EXISTS users (account TEXT, id TEXT, name TEXT, active INTEGER, PRIMARY KEY (account, id));
    CREATE TABLE IF NOT EXISTS reserved_seats (account TEXT, id TEXT, until REAL, PRIMARY KEY (account, id));
    CREATE TABLE IF NOT EXISTS followed (account TEXT PRIMARY KEY, sequence INTEGER NOT NULL);
"""


class Users:
    def __init__(self, path: str, seats: int) -> None:
        self.path = path
        self.seats = seats
        with closing(sqlite3.connect(path)) as db:
            db.executescript(SCHEMA)

    def of(self, account: str) -> list[dict[str, Any]]:
        """Who may sign in to an account."""
        with self.transaction() as db:
            rows = db.execute("SELECT id, name, active FROM users WHERE account = ? ORDER BY name", (account,))
            return [{"id": id, "name": name, "active": bool(active)} for id, name, active in rows]

    def review(self, change: Change) -> None:
        """Refuses a user for whom there is no seat."""
        if change.resource_type != "User" or change.after is None:
            return
        key = (change.tenant, change.id)
        # Of two who want the last seat, one waits for the other.
        with self.transaction() as db:
            db.execute("INSERT INTO followed VALUES (?, 0) ON CONFLICT DO NOTHING", (change.tenant,))
            if json.loads(change.after).get("active") is False:
                return
            db.execute("DELETE FROM reserved_seats WHERE until < ?", (time.time(),))
            (taken,) = db.execute(
                "SELECT count(*) FROM (SELECT id FROM users WHERE account = ? AND active AND id <> ?"
                " UNION SELECT id FROM reserved_seats WHERE account = ? AND id <> ?)",
                key + key,
            ).fetchone()
            if taken >= self.seats:
                raise Refusal(
                    f"No seats left: all {self.seats} of this account are taken. Deactivate a user or buy more seats, "
                    "then provision again."
                )
            db.execute("INSERT OR REPLACE INTO reserved_seats VALUES (?, ?, ?)", (*key, time.time() + RESERVED))

    def accounts(self) -> list[str]:
        """The accounts that SCIM has written to."""
        with self.transaction() as db:
            return [account for (account,) in db.execute("SELECT account FROM followed")]

    def follow(self, scim: Scim, account: str) -> None:
        """Applies what the change log has beyond what was applied."""
        with self.transaction() as db:
            row = db.execute("SELECT sequence FROM followed WHERE account = ?", (account,)).fetchone()
        for record in scim.changes(account, row[0] if row else 0):
            with self.transaction() as db:
                self.apply(db, account, record)

    def apply(self, db: sqlite3.Connection, account: str, record: ChangeRecord) -> None:
        """One record and its place in the log, in one transaction."""
        moved = db.execute(
            "INSERT INTO followed VALUES (?, ?) ON CONFLICT DO UPDATE SET sequence = excluded.sequence"
            " WHERE sequence < excluded.sequence",
            (account, record.sequence),
        )
        # Where it did not move, another process was faster.
        if moved.rowcount == 0 or record.resource_type != "User":
            return
        key = (account, record.id)
        if record.operation == "delete":
            db.execute("DELETE FROM users WHERE account = ? AND id = ?", key)
        else:
            # A record has the attributes that changed, as they were and as they are: a removed one is only in `before`.
            db.execute("INSERT INTO users VALUES (?, ?, NULL, 1) ON CONFLICT DO NOTHING", key)
            if "userName" in record.after:
                db.execute("UPDATE users SET name = ? WHERE account = ? AND id = ?", (record.after["userName"], *key))
            if "active" in record.before or "active" in record.after:
                active = record.after.get("active") is not False
                # Sessions of who is no longer active would end here.
                db.execute("UPDATE users SET active = ? WHERE account = ? AND id = ?", (active, *key))
        db.execute("DELETE FROM reserved_seats WHERE account = ? AND id = ?", key)

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self.path, timeout=5, isolation_level=None)) as db:
            db.execute("BEGIN IMMEDIATE")
            yield db
            # Without it, closing rolls back.
            db.execute("COMMIT")
