"""A SCIM 2.0 service provider for Python applications, on the application's own storage.

    scim = Scim(storage=storage, authenticate=authenticate, review=review)
    wsgiref.simple_server.make_server("", 8080, scim).serve_forever()     # or any other WSGI server

An application that reads HTTP itself calls ``scim.handle(Request(…))``.
"""

from __future__ import annotations

import http.client
import json
import logging
import re
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING
from urllib.parse import quote

from .component import IMPORT_FAILED, Provider, TimedOut
from .types import (
    Add,
    Append,
    AuthError,
    Authenticate,
    Change,
    ChangeRecord,
    Check,
    Credentials,
    Delete,
    DeleteRange,
    Entry,
    Key,
    KeyRange,
    Mutation,
    Operation,
    Outcome,
    Principal,
    Put,
    Refusal,
    Request,
    Response,
    Review,
    ScanOptions,
    Storage,
    StoreError,
    Value,
)

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

__all__ = [
    "Add",
    "Append",
    "AuthError",
    "Authenticate",
    "Change",
    "ChangeRecord",
    "Check",
    "Credentials",
    "Delete",
    "DeleteRange",
    "Entry",
    "Key",
    "KeyRange",
    "Mutation",
    "Operation",
    "Outcome",
    "Principal",
    "Put",
    "Refusal",
    "Request",
    "Response",
    "Review",
    "ScanOptions",
    "Scim",
    "Storage",
    "StoreError",
    "Value",
]

log = logging.getLogger("scimwell")

# RFC 7644 §8.1.
MEDIA_TYPE = "application/scim+json"
# Records of the change log in one request.
LOG_PAGE = 1000
# Slashes too many and another case are let through: administrators type this path.
BASE = re.compile(r"/+(?:t/+([a-z0-9][a-z0-9._-]{0,63})/+)?scim/+v2(?=/|$)", re.IGNORECASE)
REQUEST_ID = re.compile(r"[\w.:-]{1,64}", re.ASCII)
HOST = re.compile(r"[\w\-.:\[\]]+", re.ASCII)


class Scim:
    """A service provider on this storage: a WSGI application for ``/scim/v2`` and ``/t/{tenant}/scim/v2``.

    Whatever is below neither goes to ``otherwise``, or is a 404. ``on_write`` is called after a request that may have
    changed something, before its reply is sent, for one request of a tenant at a time: the place to follow ``changes``.
    ``timeout`` are seconds for which the component may run, waiting for its turn included; ``memory`` are bytes that it may
    use; ``public_url`` is where clients find ``/scim/v2``, else it is read from each request. Failures are told to the
    logger ``scimwell``. It may be used from several threads.
    """

    def __init__(
        self,
        *,
        storage: Storage,
        authenticate: Authenticate,
        review: Review | None = None,
        on_write: Callable[[str], None] | None = None,
        otherwise: WSGIApplication | None = None,
        public_url: str | None = None,
        timeout: float = 30.0,
        memory: int = 256 * 1024 * 1024,
        body_limit: int = 16 * 1024 * 1024,
    ) -> None:
        self._provider = Provider(storage, authenticate, review, timeout, memory)
        self._on_write = on_write
        self._otherwise = otherwise
        self._public_url = None if public_url is None else public_url.rstrip("/").removesuffix("/scim/v2")
        self._body_limit = body_limit
        self._writes: dict[str, threading.Lock] = {}

    def handle(self, request: Request) -> Response:
        """Answers one request. Never raises: what goes wrong becomes a SCIM Error (RFC 7644 §3.12)."""
        return self._serve(request, None)

    def handle_as(self, principal: Principal, request: Request) -> Response:
        """Answers one request as this principal, whatever its credentials are: for the application's own. Never raises."""
        return self._serve(request, principal)

    def changes(self, tenant: str, after: int) -> Iterator[ChangeRecord]:
        """What changed in a tenant behind record ``after`` (0: from the beginning), in the order of the commits.

        Whoever keeps the last ``sequence`` in the transaction that applies a record misses none and applies none twice,
        crashes included.
        """
        principal = Principal(tenant, "application", frozenset({"read", "admin"}))
        while True:
            response = self.handle_as(principal, Request("GET", f"/admin/log?after={after}&count={LOG_PAGE}"))
            if response.status != 200:
                text = response.body.decode(errors="replace")
                raise RuntimeError(f"the change log of tenant {tenant} cannot be read: {response.status} {text}")
            page = json.loads(response.body)
            for record in page["records"]:
                yield ChangeRecord(
                    sequence=record["sequence"],
                    time=record["time"],
                    subject=record["subject"],
                    operation=record["operation"],
                    resource_type=record["resourceType"],
                    id=record["id"],
                    before=record.get("before", {}),
                    after=record.get("after", {}),
                    added=record.get("added", []),
                    removed=record.get("removed", []),
                    reprovisioned=record.get("reprovisioned"),
                )
            if not page["more"]:
                return
            after = page["next"]

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answers below the base paths, as WSGI wants it (PEP 3333)."""
        # Bytes as ISO 8859-1, says PEP 3333; the component wants the path as it was sent.
        path = quote(environ.get("PATH_INFO", "").encode("latin-1"), safe="/:@!$&'()*+,;=~-._")
        base = BASE.match(path)
        if base is None:
            if self._otherwise is not None:
                return self._otherwise(environ, start_response)
            root = environ.get("SCRIPT_NAME", "")
            where = f"SCIM is at {root}/scim/v2 and {root}/t/{{tenant}}/scim/v2."
            return _send(start_response, _error(404, f"Nothing is served here. {where}"))
        body = self._body(environ)
        if isinstance(body, Response):
            return _send(start_response, body)
        query = environ.get("QUERY_STRING", "")
        tenant = base[1]
        root = self._public_url or _origin(environ) + environ.get("SCRIPT_NAME", "")
        request = Request(
            method=environ["REQUEST_METHOD"],
            target=(path[base.end() :] or "/") + (f"?{query}" if query else ""),
            headers=list(_headers(environ)),
            body=body,
            base_url=f"{root}/scim/v2" if tenant is None else f"{root}/t/{tenant}/scim/v2",
            tenant_hint=tenant,
            remote_address=environ.get("REMOTE_ADDR"),
        )
        return _send(start_response, self.handle(request))

    def _serve(self, request: Request, acting: Principal | None) -> Response:
        sent = request.header("x-request-id")
        request_id = sent if sent is not None and REQUEST_ID.fullmatch(sent) else str(uuid.uuid4())
        principal = acting
        try:
            response, reported, principal = self._provider.handle(request, request_id, acting)
            if reported is not None:
                log.error("the component reports a failure, status %s: %s (request %s)", response.status, reported, request_id)
        except TimedOut as error:
            log.error("%s (request %s)", error, request_id)
            return _error(
                503,
                f"The server could not finish this request in time (request id {request_id}); whether a change was made is "
                "unknown: read the resource before repeating it.",
                ("retry-after", "1"),
            )
        except Exception as error:
            # What an import did is in the log already.
            if str(error) != IMPORT_FAILED:
                log.exception("the request could not be run (request %s)", request_id)
            return _error(500, f"The server failed on this request; its log has the cause under request id {request_id}.")
        if principal is not None and request.method not in ("GET", "HEAD", "OPTIONS") and response.status < 400:
            self._written(principal.tenant, request_id)
        return response

    def _written(self, tenant: str, request_id: str) -> None:
        if self._on_write is None:
            return
        with self._writes.setdefault(tenant, threading.Lock()):
            try:
                self._on_write(tenant)
            except Exception:
                log.exception("on_write failed; the change is made (request %s, tenant %s)", request_id, tenant)

    def _body(self, environ: WSGIEnvironment) -> bytes | Response:
        limit = self._body_limit
        too_large = _error(413, f"The request body exceeds {limit} bytes; send fewer operations or resources at once.")
        length = environ.get("CONTENT_LENGTH") or "0"
        if not length.isdecimal():
            return _error(400, f"Content-Length: found {length[:20]!r}, expected a number of bytes.")
        wanted = int(length)
        if not environ.get("CONTENT_LENGTH") and environ.get("wsgi.input_terminated"):
            # The server reads a chunked body, and ends the input itself.
            wanted = limit + 1
        elif wanted > limit:
            return too_large
        body: bytes = environ["wsgi.input"].read(wanted) if wanted else b""
        return body if len(body) <= limit else too_large


def _headers(environ: WSGIEnvironment) -> Iterator[tuple[str, str]]:
    for name, value in environ.items():
        if name.startswith("HTTP_"):
            name = name[len("HTTP_") :]
        elif name not in ("CONTENT_TYPE", "CONTENT_LENGTH") or not value:
            continue
        yield name.lower().replace("_", "-"), _utf8(value)


def _utf8(latin1: str) -> str:
    """The value as UTF-8, or else as ISO 8859-1, which is how WSGI passes it."""
    try:
        return latin1.encode("latin-1").decode()
    except UnicodeError:
        return latin1


def _origin(environ: WSGIEnvironment) -> str:
    """Scheme and host as the client knows them. Of several proxies, the first is the one that the client spoke to."""
    forwarded = environ.get("HTTP_X_FORWARDED_PROTO", "").split(",")[0].strip()
    scheme = forwarded if forwarded in ("http", "https") else environ["wsgi.url_scheme"]
    hosts = (environ.get("HTTP_X_FORWARDED_HOST", "").split(",")[0].strip(), environ.get("HTTP_HOST", ""))
    return f"{scheme}://{next((host for host in hosts if HOST.fullmatch(host)), 'localhost')}"


def _error(status: int, detail: str, *headers: tuple[str, str]) -> Response:
    """A SCIM Error (RFC 7644 §3.12) for what does not get as far as the component."""
    body = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"], "status": str(status), "detail": detail}
    return Response(status, [("content-type", MEDIA_TYPE), *headers], json.dumps(body).encode())


def _send(start_response: StartResponse, response: Response) -> list[bytes]:
    headers = [(name.title(), value) for name, value in response.headers]
    if response.status not in (204, 304):
        headers.append(("Content-Length", str(len(response.body))))
    start_response(f"{response.status} {http.client.responses.get(response.status, 'Unknown')}", headers)
    return [response.body]
