"""What a GET costs; each request has a fresh instance. ``cargo xtask bench --embedders`` runs it."""

import json
import sys
import tempfile
import time
from pathlib import Path

from scimwell import Principal, Request, Scim
from scimwell.sqlite import SqliteStorage

SECONDS = 2


def measure(scim: Scim, id: str) -> float:
    """Microseconds of a GET."""
    started = time.perf_counter()
    requests = 0
    while time.perf_counter() - started < SECONDS:
        response = scim.handle(Request("GET", f"/Users/{id}"))
        assert response.status == 200, response
        requests += 1
    return (time.perf_counter() - started) / requests * 1e6


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        started = time.perf_counter()
        scim = Scim(
            storage=SqliteStorage(Path(directory) / "bench.db"),
            authenticate=lambda _credentials: Principal("bench", "bench"),
        )
        headers = [("content-type", "application/scim+json")]
        created = scim.handle(Request("POST", "/Users", headers, sys.argv[1].encode()))
        assert created.status == 201, created
        print(f"start {(time.perf_counter() - started) * 1e6:.0f}")
        id = json.loads(created.body)["id"]
        measure(scim, id)
        print(f"fresh {measure(scim, id):.0f}")


main()
