"""What an application meets, and what it may do wrong."""

import io
import json
import logging
import tempfile
import threading
import time
import unittest
from pathlib import Path

from scimwell import AuthError, Entry, Principal, Refusal, Request, Scim, StoreError
from scimwell.sqlite import SqliteStorage

USER = "urn:ietf:params:scim:schemas:core:2.0:User"


def authenticate(credentials):
    token = (credentials.authorization or "").removeprefix("Bearer ")
    if not token:
        raise AuthError("unauthenticated")
    return Principal(credentials.tenant_hint or token, "test")


class Storage(SqliteStorage):
    """Has single functions replaced while `broken` names them."""

    broken = {}

    def get(self, *arguments):
        return self.broken.get("get", super().get)(*arguments)

    def scan(self, *arguments):
        return self.broken.get("scan", super().scan)(*arguments)

    def count(self, *arguments):
        return self.broken.get("count", super().count)(*arguments)

    def commit(self, *arguments):
        return self.broken.get("commit", super().commit)(*arguments)


class Case(unittest.TestCase):
    """A provider for each test; compiling the component takes a while, so that its imports are replaced instead."""

    @classmethod
    def setUpClass(cls):
        cls.scim = Scim(storage=None, authenticate=authenticate, timeout=20)

    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.storage = Storage(Path(directory.name) / "store.db")
        self.storage.broken = {}
        self.imports = self.scim._provider.imports
        self.imports.storage = self.storage
        self.imports.authenticate = authenticate
        self.imports.review = None
        self.scim._provider.runtime.timeout = 20
        self.scim._on_write = None

    def send(self, method, target, body=None, tenant="acme"):
        headers = [("authorization", f"Bearer {tenant}"), ("content-type", "application/scim+json")]
        encoded = b"" if body is None else json.dumps(body).encode()
        response = self.scim.handle(Request(method, target, headers, encoded, "https://app.example/scim/v2"))
        return response.status, json.loads(response.body) if response.body else None

    def create(self, name, tenant="acme"):
        return self.send("POST", "/Users", {"schemas": [USER], "userName": name}, tenant)

    def check_failure(self, send, status, logged):
        """A failure is a SCIM Error that says nothing of its cause; the log does, once."""
        with self.assertLogs("scimwell", logging.ERROR) as logs:
            found, body = send()
        self.assertEqual(found, status, body)
        self.assertEqual(body["schemas"], ["urn:ietf:params:scim:api:messages:2.0:Error"])
        self.assertNotIn("secret", body["detail"])
        self.assertEqual(len(logs.records), 1, logs.output)
        self.assertIn(logged, logs.output[0])

    def test_users_of_tenants(self):
        status, ann = self.create("ann")
        self.assertEqual(status, 201)
        self.assertEqual(ann["meta"]["location"], f"https://app.example/scim/v2/Users/{ann['id']}")
        self.assertEqual(self.create("ann")[0], 409)
        self.assertEqual(self.create("ann", "other")[0], 201)
        self.assertEqual(self.send("GET", f"/Users/{ann['id']}")[0], 200)
        self.assertEqual(self.send("GET", f"/Users/{ann['id']}", tenant="other")[0], 404)

    def requests(self):
        """By the storage's function, a request that needs it."""
        _, ann = self.create("ann")
        return {
            "get": lambda: self.send("GET", f"/Users/{ann['id']}"),
            "scan": lambda: self.send("GET", "/Users"),
            "count": lambda: self.send("GET", "/Users?filter=active%20eq%20true&count=0"),
            "commit": lambda: self.create("bob"),
        }

    def test_a_storage_that_raises(self):
        def raises(*_):
            raise KeyError("secret")

        for name, send in self.requests().items():
            with self.subTest(name):
                self.storage.broken = {name: raises}
                # `read` is made of `get` and `scan`.
                self.check_failure(send, 500, "storage.")
                self.storage.broken = {}
                self.assertLess(send()[0], 300)

    def test_a_storage_out_of_reach(self):
        def raises(*_):
            raise StoreError("unavailable", "secret")

        self.storage.broken = {"commit": raises}
        self.check_failure(lambda: self.create("ann"), 503, "storage.commit failed")

    def test_nonsense(self):
        requests = self.requests()
        for name, nonsense in [
            ("get", lambda _tenant, _keys: []),
            ("get", lambda _tenant, keys: ["text"] * len(keys)),
            ("get", lambda _tenant, _keys: None),
            ("scan", lambda _tenant, _range, _options: [(b"a", b"b")]),
            ("scan", lambda _tenant, range, _options: [Entry(range.end, b"")]),
            ("scan", lambda _tenant, range, _options: [Entry(range.start, b"")] * 2),
            ("scan", lambda _tenant, range, options: [Entry(range.start, b"")] * (options.limit + 1)),
            ("scan", lambda _tenant, range, _options: [Entry(range.start, "text")]),
            ("count", lambda _tenant, _range: -1),
            ("count", lambda _tenant, _range: "many"),
            ("count", lambda _tenant, _range: 2**64),
            ("commit", lambda _tenant, _checks, _mutations: True),
            ("commit", lambda _tenant, _checks, _mutations: None),
        ]:
            with self.subTest(name):
                self.storage.broken = {name: nonsense}
                self.check_failure(requests[name], 500, "storage.")
        self.storage.broken = {}
        self.assertEqual(self.create("cid")[0], 201)

    def test_commits_that_always_conflict(self):
        self.storage.broken = {"commit": lambda *_: "conflict"}
        self.check_failure(lambda: self.create("ann"), 503, "storage.commit answered `conflict`")

    def test_a_storage_that_answers_too_late(self):
        self.scim._provider.runtime.timeout = 2
        self.storage.broken = {"commit": lambda *_: time.sleep(2.5) or "committed"}
        self.check_failure(lambda: self.create("ann"), 503, "in storage.commit")
        self.storage.broken = {}
        self.scim._provider.runtime.timeout = 20
        self.assertEqual(self.create("ann")[0], 201)

    def test_refusals(self):
        def refuses(_change):
            raise Refusal("No seats left.")

        def raises(_change):
            raise KeyError("secret")

        self.imports.review = refuses
        status, body = self.create("ann")
        self.assertEqual((status, body["detail"]), (403, "No seats left."))
        self.imports.review = raises
        self.check_failure(lambda: self.create("ann"), 500, "policy.review failed")
        self.imports.review = None
        self.assertEqual(self.send("GET", "/Users")[1]["totalResults"], 0)

    def test_callers(self):
        def refusing(error):
            def refuse(_credentials):
                raise error

            return refuse

        for error, status in [
            (AuthError("unauthenticated"), 401),
            (AuthError("forbidden"), 403),
            (AuthError("rate-limited", retry_after=7), 429),
        ]:
            self.imports.authenticate = refusing(error)
            self.assertEqual(self.send("GET", "/Users")[0], status)
        for authenticate in [refusing(KeyError("secret")), lambda _: None, lambda _: Principal(7, "test")]:
            self.imports.authenticate = authenticate
            self.check_failure(lambda: self.send("GET", "/Users"), 503, "authenticator.authenticate failed")

    def test_memory_is_bounded(self):
        self.scim._provider.runtime.memory = 4 * 1024 * 1024
        self.addCleanup(setattr, self.scim._provider.runtime, "memory", 256 * 1024 * 1024)
        self.check_failure(lambda: self.create("a" * 200_000 * 10), 500, "trapped")
        self.assertEqual(self.create("ann")[0], 201)

    def test_changes_are_followed(self):
        seen = []

        def follow(tenant):
            after = seen[-1].sequence if seen else 0
            seen.extend(self.scim.changes(tenant, after))

        self.scim._on_write = follow
        threads = [threading.Thread(target=self.create, args=(f"user{n}",)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual({record.after["userName"] for record in seen}, {f"user{n}" for n in range(8)})
        self.assertEqual(sorted(record.sequence for record in seen), [record.sequence for record in seen])

    def test_wsgi(self):
        def request(method, path, body=b"", **environ):
            answer = {}
            environ = {
                "REQUEST_METHOD": method,
                "SCRIPT_NAME": "/api",
                "PATH_INFO": path,
                "QUERY_STRING": "",
                "CONTENT_LENGTH": str(len(body)),
                "CONTENT_TYPE": "application/scim+json",
                "HTTP_AUTHORIZATION": "Bearer acme",
                "HTTP_HOST": "app.example",
                "wsgi.url_scheme": "https",
                "wsgi.input": io.BytesIO(body),
            } | environ
            answer["body"] = b"".join(self.scim(environ, lambda status, headers: answer.update(status=status, headers=headers)))
            return answer

        body = json.dumps({"schemas": [USER], "userName": "jörg"}, ensure_ascii=False).encode()
        created = request("POST", "/scim/v2/Users", body)
        self.assertEqual(created["status"], "201 Created")
        location = dict(created["headers"])["Location"]
        self.assertTrue(location.startswith("https://app.example/api/scim/v2/Users/"), location)
        path = location.removeprefix("https://app.example/api")
        self.assertEqual(json.loads(request("GET", path)["body"])["userName"], "jörg")
        found = request("GET", "/scim/v2/Users", QUERY_STRING="filter=userName%20eq%20%22j%C3%B6rg%22")
        self.assertEqual(json.loads(found["body"])["totalResults"], 1)
        self.assertEqual(json.loads(request("GET", "//t/other/SCIM/v2/Users")["body"])["totalResults"], 0)
        self.assertEqual(request("GET", "/else")["status"], "404 Not Found")
        self.assertEqual(request("GET", "/scim/v2x")["status"], "404 Not Found")
        self.assertEqual(request("POST", "/scim/v2/Users", CONTENT_LENGTH="99999999")["status"][:3], "413")
        self.assertEqual(request("POST", "/scim/v2/Users", CONTENT_LENGTH="-1")["status"][:3], "400")
        self.assertEqual(request("DELETE", path), {"status": "204 No Content", "headers": [], "body": b""})


if __name__ == "__main__":
    unittest.main()
