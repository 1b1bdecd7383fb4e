"""The storage in SQLite keeps the contract, and the check finds storages that don't."""

import tempfile
import unittest
from pathlib import Path

from scimwell.sqlite import SqliteStorage
from scimwell.storage_check import check_storage


class Forgetful(SqliteStorage):
    """Ignores checks."""

    def commit(self, tenant, checks, mutations):
        return super().commit(tenant, [], mutations)


class Failing(SqliteStorage):
    """Does not count."""

    def count(self, tenant, range):
        raise ValueError("no idea how many")


class StorageTest(unittest.TestCase):
    def cases(self, kind):
        with tempfile.TemporaryDirectory() as directory:
            return list(check_storage(kind(Path(directory) / "store.db")))

    def failed(self, kind):
        return {case.name: case.detail for case in self.cases(kind) if case.verdict == "failed"}

    def test_sqlite_keeps_the_contract(self):
        cases = self.cases(SqliteStorage)
        self.assertGreater(len(cases), 10)
        for case in cases:
            with self.subTest(case.name):
                self.assertEqual(case.verdict, "passed", f"{case.clause} {case.detail}")

    def test_ignored_checks_are_found(self):
        self.assertTrue(self.failed(Forgetful))

    def test_a_failure_is_told_in_its_own_words(self):
        self.assertIn("no idea how many", "".join(self.failed(Failing).values()))


if __name__ == "__main__":
    unittest.main()
