// The storage in SQLite keeps the contract, and the check finds storages that don't.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';

import Database from 'better-sqlite3';
import { sqliteStorage } from 'scimwell/sqlite';
import { checkStorage } from 'scimwell/storage-check';

const directory = mkdtempSync(join(tmpdir(), 'scimwell-'));
after(() => rmSync(directory, { recursive: true }));

/** The failures of a storage: by the case's name, what it found. */
async function failures(storage) {
  const failed = new Map();
  let passed = 0;
  for await (const { name, verdict, detail } of checkStorage(storage)) {
    if (verdict === 'failed') failed.set(name, detail);
    if (verdict === 'passed') passed += 1;
  }
  assert.ok(passed > 5, `only ${passed} cases passed`);
  return failed;
}

test('SQLite in a file keeps the contract', async () => {
  assert.deepEqual(await failures(sqliteStorage(new Database(join(directory, 'kept.db')))), new Map());
});

test('a storage whose functions answer later keeps it too', async () => {
  const storage = sqliteStorage(new Database(':memory:'));
  const later = (name) => async (...args) => {
    await new Promise(setImmediate);
    return storage[name](...args);
  };
  const slow = { get: later('get'), scan: later('scan'), count: later('count'), commit: later('commit') };
  assert.deepEqual(await failures(slow), new Map());
});

test('a storage that ignores checks is found out', async () => {
  const storage = sqliteStorage(new Database(':memory:'));
  const failed = await failures({ ...storage, commit: (tenant, _checks, mutations) => storage.commit(tenant, [], mutations) });
  assert.ok(failed.size > 0);
});

test('a storage that fails is told of by the words of its error', async () => {
  const storage = sqliteStorage(new Database(':memory:'));
  const failed = await failures({
    ...storage,
    count() {
      throw new Error('no idea how many');
    },
  });
  assert.ok([...failed.values()].some((detail) => detail.includes('no idea how many')), String([...failed]));
});
