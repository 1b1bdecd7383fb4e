"""A storage for scimwell over the wire: what docs/embedding.md asks for, on SQLite, with nothing but the standard library and
the storage of packages/python. An application has the same three paths over its own database.

    DATABASE  the database file, app.db unless given
    SECRET    what scimwell proves itself by (SCIMWELL_STORAGE_TOKEN); without it nobody is let in
    PORT      8081 unless given; 0 takes a free one
    CHECK     1: /authenticate grants whatever tenant is hinted at, for the storage check alone
"""

from __future__ import annotations

import hmac
import json
import os
import socket
from base64 import b64decode, b64encode
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from scimwell.sqlite import SqliteStorage
from scimwell.types import Add, Append, Check, Delete, DeleteRange, Entry, KeyRange, Mutation, Put, ScanOptions, StoreError

# Bytes of a request: the largest commit of SqliteStorage in base64, and what JSON puts around it.
MAX_BODY = 96 * 1024 * 1024
# Requests at once; each thread has a connection to the database of its own.
THREADS = 8
# Seconds until somebody who sends nothing is left alone.
PATIENCE = 30
STATUS = {"too-large": 413, "unavailable": 503, "other": 500}


def read(storage: SqliteStorage, asked: dict[str, Any]) -> dict[str, Any]:
    """Values and ranges need not be of one moment; each of them is."""
    tenant, options = asked["tenant"], ScanOptions(asked["reverse"], asked["keysOnly"], asked["skip"], asked["limit"])
    values = storage.get(tenant, [b64decode(key) for key in asked["keys"]])
    ranges = [key_range(bounds) for bounds in asked["ranges"]]
    entries = [storage.scan(tenant, range, options) for range in ranges]
    follow = [b64decode(prefix) for prefix in asked.get("follow", [])]
    followed = [led_to(storage, tenant, range.start, found, follow) for range, found in zip(ranges, entries, strict=True)]
    return {
        "values": texts(values),
        "entries": [[[text(entry.key), text(entry.value)] for entry in found] for found in entries],
        "followed": [texts(values) for values in followed] if follow else [],
    }


def led_to(storage: SqliteStorage, tenant: str, start: bytes, entries: list[Entry], follow: list[bytes]) -> list[bytes | None]:
    """What each entry leads to by each prefix: the key that is the prefix, and what the entry's key has beyond the start."""
    leads = [
        prefix + entry.key.removeprefix(start) if entry.key.startswith(start) else None
        for entry in entries
        for prefix in follow
    ]
    values = iter(storage.get(tenant, [key for key in leads if key is not None]))
    return [None if key is None else next(values) for key in leads]


def count(storage: SqliteStorage, asked: dict[str, Any]) -> dict[str, Any]:
    return {"count": storage.count(asked["tenant"], key_range(asked["range"]))}


def commit(storage: SqliteStorage, asked: dict[str, Any]) -> dict[str, Any]:
    checks = [Check(b64decode(key), None if value is None else b64decode(value)) for key, value in asked["checks"]]
    return {"outcome": storage.commit(asked["tenant"], checks, [mutation(one) for one in asked["mutations"]])}


def authenticate(asked: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """For the storage check alone: it names the tenant that it wants."""
    if asked["tenantHint"] is None:
        return 401, {}
    return 200, {"tenant": asked["tenantHint"], "subject": "storage-check", "permissions": ["read", "write", "admin"]}


def mutation(asked: dict[str, Any]) -> Mutation:
    match asked:
        case {"put": [key, value]}:
            return Put(b64decode(key), b64decode(value))
        case {"delete": key}:
            return Delete(b64decode(key))
        case {"deleteRange": bounds}:
            return DeleteRange(key_range(bounds))
        case {"add": [key, by]}:
            return Add(b64decode(key), int(by))
        case {"append": [prefix, value]}:
            return Append(b64decode(prefix), b64decode(value))
    raise ValueError("a mutation of an unknown kind")


def key_range(bounds: list[str]) -> KeyRange:
    return KeyRange(b64decode(bounds[0]), b64decode(bounds[1]))


def text(value: bytes) -> str:
    return b64encode(value).decode()


def texts(values: list[bytes | None]) -> list[str | None]:
    return [None if value is None else text(value) for value in values]


class Handler(BaseHTTPRequestHandler):
    storage: SqliteStorage
    secret: bytes
    checking: bool
    timeout = PATIENCE

    def do_POST(self) -> None:
        offered = self.headers.get("authorization", "").encode()
        if not hmac.compare_digest(offered, b"Bearer " + self.secret):
            return self.answer(401, {"error": "the secret is another one"})
        length = int(self.headers.get("content-length", "-1"))
        if not 0 <= length <= MAX_BODY:
            return self.answer(413, {"error": f"up to {MAX_BODY} bytes are taken, with their content-length"})
        try:
            asked = json.loads(self.rfile.read(length))
            match self.path:
                case "/read":
                    self.answer(200, read(self.storage, asked))
                case "/count":
                    self.answer(200, count(self.storage, asked))
                case "/commit":
                    self.answer(200, commit(self.storage, asked))
                case "/authenticate" if self.checking:
                    self.answer(*authenticate(asked))
                case _:
                    self.answer(404, {"error": "the paths are /read, /count and /commit"})
        except StoreError as error:
            self.answer(STATUS[error.tag], {"error": str(error)})
        except (ValueError, KeyError, TypeError) as error:
            self.answer(400, {"error": f"{type(error).__name__}: {error}"})

    def answer(self, status: int, body: dict[str, Any]) -> None:
        sent = json.dumps(body, separators=(",", ":")).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(sent)))
        self.end_headers()
        self.wfile.write(sent)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        if code != 200:
            super().log_request(code, size)


class Server(ThreadingHTTPServer):
    """So many threads and no more: each request comes on a connection of its own."""

    threads = ThreadPoolExecutor(THREADS)
    request_queue_size = 128

    def process_request(self, request: socket.socket, client_address: Any) -> None:  # type: ignore[override]
        self.threads.submit(self.process_request_thread, request, client_address)


def main() -> None:
    secret = os.environ.get("SECRET", "")
    if not secret:
        raise SystemExit("SECRET is not set: what does scimwell prove itself by?")
    Handler.storage = SqliteStorage(os.environ.get("DATABASE", "app.db"))
    Handler.secret = secret.encode()
    Handler.checking = os.environ.get("CHECK") == "1"
    with Server(("127.0.0.1", int(os.environ.get("PORT", "8081"))), Handler) as server:
        print(f"listening on http://127.0.0.1:{server.server_port}", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
