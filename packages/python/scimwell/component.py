"""The component on wasmtime: an instance for each request, and the application's functions as its imports."""

from __future__ import annotations

import logging
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from typing import Any

import wasmtime
from wasmtime import Config, Engine, Store
from wasmtime.component import Component, Linker, LinkerInstance, Record, ResourceHost, ResourceType, Variant

from .types import (
    Add,
    Append,
    AuthError,
    Authenticate,
    Change,
    Check,
    Credentials,
    Delete,
    DeleteRange,
    Entry,
    KeyRange,
    Mutation,
    Principal,
    Put,
    Refusal,
    Request,
    Response,
    Review,
    ScanOptions,
    Storage,
    StoreError,
)

log = logging.getLogger("scimwell")

VERSION = "0.1.0"
WASI = "0.2.6"
PERMISSIONS = frozenset({"read", "write", "admin"})
# The number that tells wasmtime the stores of this module from other resources.
STORE = 1
# What Failed says where the import's own failure is in the log.
IMPORT_FAILED = "an import failed"
# How often running instances are looked at, in seconds.
TICK = 0.1
# After how many of these looks at nothing the thread that looks ends.
IDLE_TICKS = 100

# wasmtime-py converts values with the help of module-wide variables: two threads that convert at the same time read each
# other's. So one thread at a time is in the component; while the application's own functions run, others may.
_turn = threading.Lock()


class TimedOut(Exception):
    """The request did not end in time, or did not get its turn."""


class Failed(Exception):
    """The component trapped, for a reason that is in the log already or that this says."""


@dataclass
class Call:
    """One request in the component."""

    request_id: str
    acting: Principal | None
    principal: Principal | None = None
    # Handles carry the grant under which they were opened; those of an earlier one are worthless.
    grant: int = 0
    quiet: bool = False
    told: bool = False
    # The import that took longest, and how many seconds.
    longest: tuple[str, float] = ("", 0.0)

    def tell(self, message: str) -> None:
        """Log the exception that is being handled."""
        if self.quiet:
            return
        tenant = f", tenant {self.principal.tenant}" if self.principal else ""
        log.exception("%s (request %s%s)", message, self.request_id, tenant)
        self.told = True


class Provider:
    """The component, compiled, with its imports."""

    def __init__(
        self, storage: Storage, authenticate: Authenticate, review: Review | None, timeout: float, memory: int
    ) -> None:
        self.imports = Imports(storage, authenticate, review)
        self.runtime = Runtime("scimwell.wasm", f"scimwell:provider/handler@{VERSION}", self.imports, timeout, memory)

    def handle(
        self, request: Request, request_id: str, acting: Principal | None
    ) -> tuple[Response, str | None, Principal | None]:
        """The response, what the log should say of it, and whom it was for."""
        call = Call(request_id, acting)
        answer = self.runtime.call(call, "handle", _request(request))
        headers = [(header.name, header.value) for header in answer.headers]
        reported = None if call.told else answer.log
        return Response(answer.status, headers, answer.body), reported, call.principal


class Runtime:
    """A component, compiled, that gets an instance for each call."""

    def __init__(self, file: str, interface: str, imports: Imports, timeout: float, memory: int) -> None:
        self.file = file
        self.imports = imports
        self.timeout = timeout
        self.memory = memory
        config = Config()
        config.epoch_interruption = True
        self.engine = Engine(config)
        self.clock = Clock(self.engine)
        self.component = Component(self.engine, resources.files(__package__).joinpath(file).read_bytes())
        self.interface = self.component.get_export_index(interface)
        self.linker = Linker(self.engine)
        imports.define(self.linker)

    def call(self, call: Call, name: str, *arguments: Any) -> Any:
        """What the function of the component returns; raises TimedOut or Failed."""
        deadline = time.monotonic() + self.timeout
        if not _turn.acquire(timeout=self.timeout):
            raise TimedOut("the request did not get its turn in time")
        self.imports.current.call = call
        try:
            with self.clock.running():
                store = Store(self.engine)
                store.set_limits(memory_size=self.memory)
                store.set_epoch_deadline(max(1, int((deadline - time.monotonic()) / TICK)))
                export = self.interface and self.component.get_export_index(name, self.interface)
                function = export and self.linker.instantiate(store, self.component).get_func(store, export)
                if not function:
                    raise Failed(f"{self.file} exports no function {name} of this version: build the package again")
                return function(store, *arguments)
        except Exception as error:
            if call.told:
                raise Failed(IMPORT_FAILED) from error
            if isinstance(error, Failed):
                raise
            if time.monotonic() >= deadline:
                name, took = call.longest
                why = f", after {took:.1f} s in {name}" if name else ""
                raise TimedOut(f"the request took too long and was stopped{why}") from error
            raise Failed(f"the component trapped: {error}") from error
        finally:
            self.imports.current.call = None
            _turn.release()


class Imports:
    """The application's functions, as the component calls them."""

    def __init__(self, storage: Storage, authenticate: Authenticate, review: Review | None) -> None:
        self.storage = storage
        self.authenticate = authenticate
        self.review = review
        # The call that a thread is in: imports are called on the same thread.
        self.current = threading.local()

    @contextmanager
    def _elsewhere(self, name: str) -> Iterator[None]:
        """The application's own code: meanwhile others may enter the component."""
        started = time.monotonic()
        _turn.release()
        try:
            yield
        finally:
            took = time.monotonic() - started
            _turn.acquire()
            call: Call = self.current.call
            if took > call.longest[1]:
                call.longest = (name, took)

    def define(self, linker: Linker) -> None:
        """Adds everything that either component imports."""
        with linker.root() as root:
            with root.add_instance(f"scimwell:provider/authenticator@{VERSION}") as authenticator:
                authenticator.add_func("authenticate", lambda _store, credentials: self._authenticate(credentials))
            with root.add_instance(f"scimwell:provider/policy@{VERSION}") as policy:
                policy.add_func("review", lambda _store, change: self._review(change))
            with root.add_instance(f"scimwell:provider/storage@{VERSION}") as storage:
                storage.add_resource("store", ResourceType.host(STORE), lambda _store, _handle: None)
                storage.add_func("open", lambda _store, tenant: self._open(tenant))
                self._define_store(storage)
            _define_wasi(root)

    def _define_store(self, storage: LinkerInstance) -> None:
        def method(name: str, answer: Callable[..., Any]) -> None:
            def call(store: Any, handle: Any, *arguments: Any) -> Any:
                # Converting a borrowed handle gives it back, which it must be before the call ends.
                grant = handle.to_host(store).rep
                return self._stored(name, grant, lambda tenant: answer(tenant, *arguments))

            storage.add_func(f"[method]store.{name}", call)

        method("get", self._get)
        method("scan", lambda tenant, range, options: self._scan(tenant, range, _options(options)))
        method("read", self._read)
        method("count", self._count)
        method("commit", self._commit)

    def _authenticate(self, offered: Any) -> Any:
        call: Call = self.current.call
        call.grant += 1
        call.principal = None
        credentials = Credentials(
            offered.authorization,
            getattr(offered, "tenant-hint"),
            getattr(offered, "client-certificate-subject"),
            getattr(offered, "remote-address"),
        )
        try:
            with self._elsewhere("authenticator.authenticate"):
                principal = call.acting or self.authenticate(credentials)
            if not isinstance(principal, Principal):
                raise TypeError(f"it returned {type(principal).__name__}, no scimwell.Principal")
            if not isinstance(principal.tenant, str) or not isinstance(principal.subject, str):
                raise TypeError("it returned a principal whose tenant or subject is no str")
            unknown = principal.permissions - PERMISSIONS
            if unknown:
                raise ValueError(f"it returned permissions that there are not: {', '.join(map(repr, unknown))}")
        except AuthError as error:
            match error.tag:
                case "rate-limited":
                    return Variant("rate-limited", max(1, error.retry_after))
                case "unavailable":
                    call.tell("authenticator.authenticate failed")
                    return Variant("unavailable", "authenticator.authenticate failed")
                case tag:
                    return Variant(tag)
        except Exception:
            call.tell("authenticator.authenticate failed")
            return Variant("unavailable", "authenticator.authenticate failed")
        call.principal = principal
        return _record(tenant=principal.tenant, subject=principal.subject, permissions=set(principal.permissions))

    def _review(self, change: Any) -> Any:
        if self.review is None:
            return None
        call: Call = self.current.call
        try:
            with self._elsewhere("policy.review"):
                self.review(
                    Change(
                        change.tenant,
                        change.subject,
                        change.operation,
                        getattr(change, "resource-type"),
                        change.id,
                        change.before,
                        change.after,
                    )
                )
        except Refusal as refusal:
            return _record(status=refusal.status, scim_type=refusal.scim_type, detail=str(refusal))
        except Exception as error:
            call.tell("policy.review failed")
            # Ends the call as a trap: a policy speaks of requests, not of its own failures.
            raise Failed("policy.review failed") from error
        return None

    def _open(self, tenant: str) -> Any:
        call: Call = self.current.call
        if call.principal is None or call.principal.tenant != tenant:
            return Variant("access-denied")
        return ResourceHost.own(call.grant, STORE)

    def _stored(self, name: str, grant: int, answer: Callable[[str], Any]) -> Any:
        call: Call = self.current.call
        if call.principal is None or call.grant != grant:
            return Variant("access-denied")
        try:
            return answer(call.principal.tenant)
        except StoreError as error:
            if error.tag == "too-large":
                return Variant("too-large")
            call.tell(f"storage.{name} failed")
            return Variant(error.tag, f"storage.{name} failed: {error}")
        except Exception as error:
            call.tell(f"storage.{name} failed")
            return Variant("other", f"storage.{name} failed: {error}")

    def _get(self, tenant: str, keys: list[bytes]) -> list[bytes | None]:
        with self._elsewhere("storage.get"):
            values = list(self.storage.get(tenant, keys))
        if len(values) != len(keys):
            raise TypeError(f"it returned {len(values)} values for {len(keys)} keys")
        return [None if value is None else _bytes(value) for value in values]

    def _scan(self, tenant: str, bounds: Any, options: ScanOptions) -> list[Record]:
        range = KeyRange(bounds.start, bounds.end)
        with self._elsewhere("storage.scan"):
            entries = list(self.storage.scan(tenant, range, options))
        if len(entries) > options.limit:
            raise TypeError(f"it returned {len(entries)} entries where {options.limit} is the limit")
        last = None
        for entry in entries:
            if not isinstance(entry, Entry):
                raise TypeError(f"it returned {type(entry).__name__}, no scimwell.Entry")
            if not range.start <= entry.key < range.end:
                raise ValueError("it returned a key outside the range")
            if last is not None and (last <= entry.key if options.reverse else last >= entry.key):
                raise ValueError("it returned keys out of order")
            last = entry.key
        return [_record(key=_bytes(e.key), value=b"" if options.keys_only else _bytes(e.value)) for e in entries]

    def _read(self, tenant: str, keys: list[bytes], ranges: list[Any], options: Any, follow: list[bytes]) -> Record:
        values = self._get(tenant, keys) if keys else []
        entries = [self._scan(tenant, range, _options(options)) for range in ranges]
        followed = []
        if follow:
            leads = [_leads(range.start, found, follow) for range, found in zip(ranges, entries, strict=True)]
            wanted = [key for of in leads for key in of if key is not None]
            led = iter(self._get(tenant, wanted) if wanted else [])
            followed = [[None if key is None else next(led) for key in of] for of in leads]
        return _record(values=values, entries=entries, followed=followed)

    def _count(self, tenant: str, bounds: Any) -> int:
        with self._elsewhere("storage.count"):
            count = self.storage.count(tenant, KeyRange(bounds.start, bounds.end))
        if not isinstance(count, int) or not 0 <= count < 2**64:
            raise TypeError(f"it returned {count!r}, no number of keys")
        return count

    def _commit(self, tenant: str, checks: list[Any], mutations: list[Any]) -> str:
        checked = [Check(check.key, check.expected) for check in checks]
        changes = [_mutation(mutation) for mutation in mutations]
        with self._elsewhere("storage.commit"):
            outcome = self.storage.commit(tenant, checked, changes)
        if outcome not in ("committed", "conflict"):
            raise TypeError(f"it returned {outcome!r}, neither 'committed' nor 'conflict'")
        return outcome


class Clock:
    """Moves the engine's epoch on while calls run, so that an instance that computes for too long is stopped."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.lock = threading.Lock()
        self.calls = 0
        # The process that has the thread. A server that forks after it has loaded the application leaves it behind.
        self.process: int | None = None

    @contextmanager
    def running(self) -> Iterator[None]:
        with self.lock:
            if self.process != os.getpid():
                self.process, self.calls = os.getpid(), 0
                threading.Thread(target=self._tick, name="scimwell", daemon=True).start()
            self.calls += 1
        try:
            yield
        finally:
            with self.lock:
                self.calls -= 1

    def _tick(self) -> None:
        idle = 0
        while True:
            time.sleep(TICK)
            self.engine.increment_epoch()
            with self.lock:
                idle = 0 if self.calls else idle + 1
                if idle == IDLE_TICKS:
                    self.process = None
                    return


def _define_wasi(root: LinkerInstance) -> None:
    def now(_store: Any) -> Record:
        seconds, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
        return _record(seconds=seconds, nanoseconds=nanoseconds)

    with root.add_instance(f"wasi:clocks/monotonic-clock@{WASI}") as clock:
        clock.add_func("now", lambda _store: time.monotonic_ns())
    with root.add_instance(f"wasi:clocks/wall-clock@{WASI}") as clock:
        clock.add_func("now", now)
    with root.add_instance(f"wasi:random/insecure-seed@{WASI}") as random:
        random.add_func("insecure-seed", lambda _store: (secrets.randbits(64), secrets.randbits(64)))
    with root.add_instance(f"wasi:random/random@{WASI}") as random:
        random.add_func("get-random-u64", lambda _store: secrets.randbits(64))


def _request(request: Request) -> Record:
    return _record(
        method=request.method,
        target=request.target,
        headers=[_record(name=name, value=value) for name, value in request.headers],
        body=request.body,
        base_url=request.base_url,
        client_certificate_subject=request.client_certificate_subject,
        tenant_hint=request.tenant_hint,
        remote_address=request.remote_address,
    )


def _record(**fields: Any) -> Record:
    """A record of WIT: its fields are called by kebab-case names."""
    record = Record()
    for name, value in fields.items():
        setattr(record, name.replace("_", "-"), value)
    return record


def _leads(start: bytes, entries: list[Any], follow: list[bytes]) -> list[bytes | None]:
    """The keys that entries lead to: each prefix, and what the entry's key has beyond the start of its range."""
    return [
        prefix + entry.key[len(start) :] if entry.key.startswith(start) else None for entry in entries for prefix in follow
    ]


def _options(options: Any) -> ScanOptions:
    return ScanOptions(options.reverse, getattr(options, "keys-only"), options.skip, options.limit)


def _mutation(mutation: Variant) -> Mutation:
    value: Any = mutation.payload
    match mutation.tag:
        case "put":
            return Put(value.key, value.value)
        case "delete":
            return Delete(value)
        case "delete-range":
            return DeleteRange(KeyRange(value.start, value.end))
        case "add":
            return Add(value.key, value.by)
        case "append":
            return Append(value.prefix, value.value)
        case unknown:
            raise ValueError(f"mutation {unknown} is unknown to this version of the package")


def _bytes(value: Any) -> bytes:
    if not isinstance(value, (bytes, bytearray, memoryview)):
        raise TypeError(f"it returned {type(value).__name__} where bytes are expected")
    return bytes(value)
