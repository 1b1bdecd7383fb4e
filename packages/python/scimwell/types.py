"""What an application brings, and what passes between it and the component (wit/ documents each of them)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

Key = bytes
Value = bytes
Outcome = Literal["committed", "conflict"]
Operation = Literal["create", "replace", "patch", "delete"]


@dataclass(frozen=True)
class Entry:
    """A key and what it maps to."""

    key: Key
    value: Value


@dataclass(frozen=True)
class KeyRange:
    """The keys ``start <= key < end``, compared byte by byte."""

    start: Key
    end: Key


@dataclass(frozen=True)
class ScanOptions:
    """How to walk a range."""

    reverse: bool
    """Descending instead of ascending order."""
    keys_only: bool
    """Leave values empty: only the keys are wanted."""
    skip: int
    """Entries to pass over first."""
    limit: int
    """Entries to return at most."""


@dataclass(frozen=True)
class Check:
    """``key`` must still map to exactly ``expected``; ``None`` means that it must be absent."""

    key: Key
    expected: Value | None


@dataclass(frozen=True)
class Put:
    """Map the key to the value, whatever was there."""

    key: Key
    value: Value


@dataclass(frozen=True)
class Delete:
    """Remove the key, if it is there."""

    key: Key


@dataclass(frozen=True)
class DeleteRange:
    """Remove every key of the range."""

    range: KeyRange


@dataclass(frozen=True)
class Add:
    """Add to a counter: 8 bytes, little-endian, two's complement, with wrap-around; an absent key counts as 0."""

    key: Key
    by: int


@dataclass(frozen=True)
class Append:
    """Store the value under ``prefix`` followed by the tenant's next sequence number: 8 bytes, big-endian, greater than
    that of every append committed before, in commit order."""

    prefix: Key
    value: Value


Mutation = Put | Delete | DeleteRange | Add | Append


class Storage(Protocol):
    """An ordered, transactional key-value store for each tenant (wit/storage.wit tells what it must guarantee).

    Raise a StoreError where it fails; anything else that is raised is a 500. It is called from the thread that called
    the Scim, and should give up by itself on what takes too long: nobody else can interrupt it.
    """

    def get(self, tenant: str, keys: Sequence[Key]) -> Sequence[Value | None]:
        """The values of ``keys``, in that order."""

    def scan(self, tenant: str, range: KeyRange, options: ScanOptions) -> Sequence[Entry]:
        """The entries of a range in byte order; fewer than the limit means that the range ended."""

    def count(self, tenant: str, range: KeyRange) -> int:
        """How many keys a range holds."""

    def commit(self, tenant: str, checks: Sequence[Check], mutations: Sequence[Mutation]) -> Outcome:
        """Apply all mutations, in order, if every check holds; all or nothing, durable when it returns."""


class StoreError(Exception):
    """A store that failed. ``unavailable`` is answered with 503, so that the client tries again, ``too-large`` with 413
    and ``other`` with 500."""

    def __init__(self, tag: Literal["too-large", "unavailable", "other"], message: str) -> None:
        super().__init__(message)
        self.tag = tag


@dataclass(frozen=True)
class Credentials:
    """What a request offers as proof."""

    authorization: str | None
    """The Authorization header, as received."""
    tenant_hint: str | None
    """The tenant named by the URL, where the URL names one."""
    client_certificate_subject: str | None
    """The subject of the verified TLS client certificate."""
    remote_address: str | None
    """The client's address, where it is known."""


@dataclass(frozen=True)
class Principal:
    """A caller whose credentials hold."""

    tenant: str
    """Whose data it may reach."""
    subject: str
    """A stable, non-secret name for the log: a token's id, a client id."""
    permissions: frozenset[str] = frozenset({"read", "write"})
    """Of ``read``, ``write`` and ``admin``."""


class Authenticate(Protocol):
    """Decides who is calling."""

    def __call__(self, credentials: Credentials) -> Principal:
        """The principal of these credentials, or raise an AuthError."""


class AuthError(Exception):
    """A caller who is refused. ``retry_after`` are seconds, with ``rate-limited``; ``unavailable``: it could not be
    decided for now."""

    def __init__(
        self,
        tag: Literal["unauthenticated", "forbidden", "rate-limited", "unavailable"],
        message: str = "",
        *,
        retry_after: int = 1,
    ) -> None:
        super().__init__(message or tag)
        self.tag = tag
        self.retry_after = retry_after


@dataclass(frozen=True)
class Change:
    """One resource about to change. Documents are JSON objects, without secrets, ``id``, ``meta`` and membership."""

    tenant: str
    subject: str
    operation: Operation
    resource_type: str
    """The resource type's name, ``User`` for example."""
    id: str
    before: str | None
    """The document as it is; None at creation."""
    after: str | None
    """The document as it would be; None at deletion."""


class Review(Protocol):
    """The application's word on a change, just before it is committed."""

    def __call__(self, change: Change) -> None:
        """Raise a Refusal, or let it be.

        It may be called again for the same change, and for one that is not committed after all (a dry run, a lost race):
        it is no place to write what happened.
        """


class Refusal(Exception):
    """A change that is refused; the identity provider's administrator reads the message. ``status`` from 400 to 499,
    ``scim_type`` from RFC 7644 table 9, where one fits."""

    def __init__(self, message: str, *, status: int = 403, scim_type: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.scim_type = scim_type


@dataclass(frozen=True)
class Request:
    """One request, for an application that reads HTTP itself."""

    method: str
    target: str
    """Path and query as received, below the SCIM base path: ``/Users?filter=…``."""
    headers: Sequence[tuple[str, str]] = ()
    """Names in lower case."""
    body: bytes = b""
    base_url: str = "http://localhost/scim/v2"
    """The public base URL without a trailing slash."""
    tenant_hint: str | None = None
    """The tenant that the URL names, where it names one."""
    client_certificate_subject: str | None = None
    remote_address: str | None = None

    def header(self, name: str) -> str | None:
        """The first value of a header field, its name in lower case."""
        return next((value for found, value in self.headers if found == name), None)


@dataclass(frozen=True)
class Response:
    """The answer to a Request."""

    status: int
    headers: Sequence[tuple[str, str]]
    body: bytes


@dataclass(frozen=True)
class ChangeRecord:
    """One record of a tenant's change log."""

    sequence: int
    """Its place in the log: what to pass as ``after`` to go on behind it."""
    time: int
    """Milliseconds since 1970."""
    subject: str
    operation: Operation
    resource_type: str
    id: str
    before: dict[str, Any]
    """The attributes that changed, as they were."""
    after: dict[str, Any]
    """The same attributes as they are."""
    added: Sequence[str]
    """Members that came."""
    removed: Sequence[str]
    """Members that went."""
    reprovisioned: Literal["reactivated", "restored"] | None = None
    """A POST has brought back somebody who had left: deactivated (a ``replace``) or deleted (a ``create``)."""
