// What an application meets, and what it may do wrong.

import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { once } from 'node:events';
import { test } from 'node:test';

import Database from 'better-sqlite3';
import { AuthError, createScim, Refusal, StoreError } from 'scimwell';
import { sqliteStorage } from 'scimwell/sqlite';

const USER = 'urn:ietf:params:scim:schemas:core:2.0:User';
const ALL = { read: true, write: true };

/** A provider in memory with some functions replaced; what it logs is kept. */
function provider(t, { storage = {}, ...options } = {}) {
  const lines = [];
  const scim = createScim({
    storage: { ...sqliteStorage(new Database(':memory:')), ...storage },
    authenticate({ authorization = '', tenantHint }) {
      if (!authorization.startsWith('Bearer ')) throw new AuthError('unauthenticated');
      return { tenant: tenantHint ?? authorization.slice(7), subject: 'test', permissions: ALL };
    },
    log: (line) => lines.push(line),
    ...options,
  });
  t.after(() => scim.close());
  return { scim, lines, messages: () => lines.map(({ message }) => message) };
}

async function send(scim, method, target, body, tenant = 'acme') {
  const headers = [{ name: 'authorization', value: `Bearer ${tenant}` }];
  if (body !== undefined) headers.push({ name: 'content-type', value: 'application/scim+json' });
  const bytes = body === undefined ? new Uint8Array() : Buffer.from(JSON.stringify(body));
  const answer = await scim.handle({ method, target, headers, body: bytes, baseUrl: 'https://app.example/scim/v2' });
  const text = Buffer.from(answer.body).toString();
  return { ...answer, json: text === '' ? undefined : JSON.parse(text) };
}

const create = (scim, userName, tenant) => send(scim, 'POST', '/Users', { schemas: [USER], userName }, tenant);

/** A failure is a SCIM Error that says nothing of its cause, and the next request finds all well. */
function checkFailure(answer, status) {
  assert.equal(answer.status, status, JSON.stringify(answer.json));
  assert.deepEqual(answer.json.schemas, ['urn:ietf:params:scim:api:messages:2.0:Error']);
  assert.doesNotMatch(answer.json.detail, /secret/);
}

test('a user is created, found and kept apart from other tenants', async (t) => {
  const { scim, lines } = provider(t);
  const created = await create(scim, 'ann');
  assert.equal(created.status, 201);
  assert.equal(created.json.meta.location, `https://app.example/scim/v2/Users/${created.json.id}`);
  assert.equal((await create(scim, 'ann')).status, 409);
  assert.equal((await create(scim, 'ann', 'other')).status, 201);
  assert.equal((await send(scim, 'GET', `/Users/${created.json.id}`)).status, 200);
  assert.equal((await send(scim, 'GET', `/Users/${created.json.id}`, undefined, 'other')).status, 404);
  assert.deepEqual(lines, []);
});

for (const name of ['get', 'scan', 'commit']) {
  // A list scans, a creation reads and commits.
  const request = (scim) => (name === 'scan' ? send(scim, 'GET', '/Users') : create(scim, 'ann'));

  test(`storage.${name} throws`, async (t) => {
    let failing = false;
    const inner = sqliteStorage(new Database(':memory:'));
    const storage = {
      ...inner,
      // `read` is then made of `get` and `scan`.
      read: undefined,
      [name](...args) {
        if (failing) throw new Error('secret');
        return inner[name](...args);
      },
    };
    const { scim, lines } = provider(t, { storage });
    assert.equal((await create(scim, 'somebody')).status, 201);
    failing = true;
    checkFailure(await request(scim), 500);
    assert.match(lines.map(({ message }) => message).join('\n'), new RegExp(`storage\\.${name}|storage\\.read`));
    assert.equal(lines[0].error.message, 'secret');
    assert.equal(lines[0].tenant, 'acme');
    failing = false;
    assert.ok((await request(scim)).status < 300);
  });
}

test('a storage that is out of reach is a 503', async (t) => {
  const { scim, messages } = provider(t, {
    storage: {
      async commit() {
        throw new StoreError('unavailable', 'secret');
      },
    },
  });
  const answer = await create(scim, 'ann');
  checkFailure(answer, 503);
  assert.ok(answer.headers.some(({ name }) => name === 'retry-after'));
  assert.deepEqual(messages(), ['storage.commit failed']);
});

test('a storage that never answers is a 503, and is named', async (t) => {
  let hanging = false;
  const inner = sqliteStorage(new Database(':memory:'));
  const { scim, lines, messages } = provider(t, {
    storage: { ...inner, commit: (...args) => (hanging ? new Promise(() => {}) : inner.commit(...args)) },
    timeout: 3000,
    workers: 1,
  });
  // However long the thread's start takes here, it must not pass for the storage's doing.
  while ((await create(scim, 'somebody')).status === 503) lines.length = 0;
  hanging = true;
  checkFailure(await create(scim, 'ann'), 503);
  assert.deepEqual(messages(), ['storage.commit has not answered in time']);
  hanging = false;
  let answer = await create(scim, 'ann');
  while (answer.status === 503) answer = await create(scim, 'ann');
  // 409 where an answer that came too late was a commit all the same.
  assert.ok([201, 409].includes(answer.status), String(answer.status));
});

const NONSENSE = [
  ['get', () => []],
  ['get', (_tenant, keys) => keys.map(() => 'text')],
  ['get', () => undefined],
  ['scan', () => [{ key: 'text', value: new Uint8Array() }]],
  ['scan', (_tenant, range) => [{ key: range.end, value: new Uint8Array() }]],
  ['scan', (_tenant, range) => [{ key: range.start, value: new Uint8Array() }, { key: range.start, value: new Uint8Array() }]],
  ['scan', (_tenant, range, { limit }) => Array(limit + 1).fill({ key: range.start, value: new Uint8Array() })],
  ['count', () => -1],
  ['count', () => 'many'],
  ['commit', () => true],
  ['commit', () => undefined],
];

for (const [name, nonsense] of NONSENSE) {
  test(`storage.${name} returns nonsense: ${nonsense}`, async (t) => {
    let reached = false;
    const inner = sqliteStorage(new Database(':memory:'));
    const { scim, messages } = provider(t, {
      storage: {
        ...inner,
        read: undefined,
        [name](...args) {
          if (!reached) return inner[name](...args);
          return nonsense(...args);
        },
      },
    });
    const { id } = (await create(scim, 'ann')).json;
    reached = true;
    const answer = await {
      get: () => send(scim, 'GET', `/Users/${id}`),
      scan: () => send(scim, 'GET', '/Users'),
      count: () => send(scim, 'GET', '/Users?filter=active%20eq%20true&count=0'),
      commit: () => create(scim, 'bob'),
    }[name]();
    checkFailure(answer, 500);
    assert.match(messages()[0], new RegExp(`^storage\\.(${name}|read) failed$`));
    reached = false;
    assert.equal((await create(scim, 'cid')).status, 201);
  });
}

test('commits that always conflict end in a 503', async (t) => {
  const { scim, lines } = provider(t, { storage: { commit: () => 'conflict' } });
  checkFailure(await create(scim, 'ann'), 503);
  assert.match(lines[0].error, /storage\.commit answered `conflict`/);
});

test('a refusal is what the administrator reads', async (t) => {
  const { scim, lines } = provider(t, {
    async review() {
      throw new Refusal('No seats left.', 403);
    },
  });
  const answer = await create(scim, 'ann');
  assert.equal(answer.status, 403);
  assert.equal(answer.json.detail, 'No seats left.');
  assert.deepEqual(lines, []);
});

test('a review that throws is a 500, and the change is not made', async (t) => {
  const { scim, messages } = provider(t, {
    review() {
      throw new Error('secret');
    },
  });
  checkFailure(await create(scim, 'ann'), 500);
  assert.deepEqual(messages(), ['policy.review failed']);
  assert.equal((await send(scim, 'GET', '/Users')).json.totalResults, 0);
});

test('an authenticate that throws, hangs or returns nonsense is a 503', async (t) => {
  for (const authenticate of [
    () => {
      throw new Error('secret');
    },
    () => new Promise(() => {}),
    () => ({ tenant: 7 }),
    () => undefined,
  ]) {
    const { scim, messages } = provider(t, { authenticate, timeout: 500 });
    checkFailure(await send(scim, 'GET', '/Users'), 503);
    assert.match(messages()[0], /^authenticator\.authenticate /);
  }
});

test('refused callers', async (t) => {
  const refused = async (error) => {
    const { scim, lines } = provider(t, {
      authenticate() {
        throw error;
      },
    });
    const { status } = await send(scim, 'GET', '/Users');
    assert.deepEqual(lines, []);
    return status;
  };
  assert.equal(await refused(new AuthError('unauthenticated')), 401);
  assert.equal(await refused(new AuthError('forbidden')), 403);
  assert.equal(await refused(new AuthError('rate-limited', 'slow down', 7)), 429);
});

test('an instance that wants too much memory is thrown away', async (t) => {
  const { scim, messages } = provider(t, { memory: 4 * 1024 * 1024 });
  checkFailure(await create(scim, 'a'.repeat(6 * 1024 * 1024)), 500);
  assert.deepEqual(messages(), ['the component trapped']);
  assert.equal((await create(scim, 'ann')).status, 201);
});

test('changes are followed before the reply, one tenant at a time', async (t) => {
  const seen = [];
  let running = 0;
  const { scim } = provider(t, {
    async onWrite(tenant) {
      running += 1;
      assert.equal(running, 1);
      for await (const { sequence, operation, after } of scim.changes(tenant, seen.at(-1)?.sequence ?? 0)) {
        seen.push({ sequence, operation, userName: after?.userName });
      }
      running -= 1;
    },
  });
  const names = Array.from({ length: 12 }, (_, n) => `user${n}`);
  await Promise.all(names.map((name) => create(scim, name)));
  assert.deepEqual(seen.map(({ userName }) => userName).sort(), names.sort());
  assert.ok(seen.every(({ sequence }, at) => at === 0 || sequence > seen[at - 1].sequence));
});

test('an onWrite that throws is told of, and the reply stands', async (t) => {
  const { scim, messages } = provider(t, {
    onWrite() {
      throw new Error('secret');
    },
  });
  assert.equal((await create(scim, 'ann')).status, 201);
  assert.deepEqual(messages(), ['onWrite failed; the change is made']);
});

test('over HTTP', async (t) => {
  const { scim } = provider(t, { prefix: 'api', bodyLimit: 1000 });
  const server = createServer((request, response) =>
    request.url === '/own' ? scim(request, response, () => response.end('own')) : scim(request, response),
  );
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const origin = `http://127.0.0.1:${server.address().port}`;
  const headers = { authorization: 'Bearer acme', 'content-type': 'application/scim+json' };
  const post = (body) => fetch(`${origin}/api/scim/v2/Users`, { method: 'POST', headers, body });
  assert.equal(await (await fetch(`${origin}/own`)).text(), 'own');
  assert.equal((await fetch(`${origin}/else`)).status, 404);
  const created = await post(JSON.stringify({ schemas: [USER], userName: 'jörg' }));
  assert.equal(created.status, 201);
  assert.equal((await created.json()).userName, 'jörg');
  const location = created.headers.get('location');
  assert.ok(location.startsWith(`${origin}/api/scim/v2/Users/`), location);
  assert.equal((await post('x'.repeat(1001))).status, 413);
  const elsewhere = await fetch(`${origin}//API/t/other/SCIM/v2/Users`, { headers });
  assert.equal(elsewhere.status, 404, 'the prefix is as the application wrote it');
  const other = await fetch(`${origin}/api/t/other/SCIM/v2/Users`, { headers });
  assert.equal((await other.json()).totalResults, 0);
  assert.equal((await fetch(location, { method: 'DELETE', headers })).status, 204);
  assert.equal((await fetch(location, { headers })).status, 404);
});
