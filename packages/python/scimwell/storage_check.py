"""Proves a Storage: everything that the contract (wit/storage.wit) says of it, case by case.

    for case in check_storage(storage):
        with self.subTest(case.name):
            self.assertEqual(case.verdict, "passed", f"{case.clause} {case.detail}")
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal

from .component import VERSION, Call, Failed, Imports, Runtime, TimedOut
from .types import AuthError, Credentials, Principal, Storage

# Threads that take part in a race.
PARTS = 4


@dataclass(frozen=True)
class CheckedCase:
    """How a case ended."""

    name: str
    clause: str
    """What the contract says about it."""
    verdict: Literal["passed", "failed", "skipped"]
    detail: str
    """What was expected and what came, or why it was skipped."""


def check_storage(storage: Storage, *, timeout: float = 60.0) -> Iterator[CheckedCase]:
    """Runs all cases on an empty storage, or one for tests: each in a tenant of its own, ``storage-check-`` and its name.

    ``timeout`` are seconds for each step of a case.
    """
    imports = Imports(storage, _authenticate, None)
    interface = f"scimwell:provider/storage-check@{VERSION}"
    runtime = Runtime("storage-check.wasm", interface, imports, timeout, 256 * 1024 * 1024)

    def run(name: str, *arguments: Any) -> CheckedCase | None:
        """The case's end, where it did not pass."""
        try:
            # What the storage raises comes back as the verdict's detail.
            verdict = runtime.call(Call("storage-check", None, quiet=True), name, case.name, *arguments)
        except (Failed, TimedOut) as error:
            return CheckedCase(case.name, case.clause, "failed", str(error))
        if verdict.tag == "passed":
            return None
        return CheckedCase(case.name, case.clause, verdict.tag, verdict.payload)

    for case in runtime.call(Call("storage-check", None, quiet=True), "cases"):
        ended = _race(run) if case.race else run("run")
        yield ended or CheckedCase(case.name, case.clause, "passed", "")


def _race(run: Callable[..., CheckedCase | None]) -> CheckedCase | None:
    unprepared = run("prepare")
    if unprepared is not None:
        return unprepared
    with ThreadPoolExecutor(PARTS) as threads:
        ended = list(threads.map(lambda part: run("take-part", part, PARTS), range(PARTS)))
    # Whatever they found, this empties the tenant.
    ended.append(run("conclude", PARTS))
    return next((one for one in ended if one is not None), None)


def _authenticate(credentials: Credentials) -> Principal:
    """Grants the tenant that is hinted at, as the check asks of an authenticator."""
    if credentials.tenant_hint is None:
        raise AuthError("unauthenticated")
    return Principal(credentials.tenant_hint, "storage-check")
