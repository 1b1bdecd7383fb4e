// What a GET costs, by an instance that its tenant has used before and by a fresh one; `cargo xtask bench --embedders` runs it.

import Database from 'better-sqlite3';
import { createScim } from 'scimwell';
import { sqliteStorage } from 'scimwell/sqlite';

/** More than a worker keeps instances for: served in turn, each finds its own gone. */
const TENANTS = 40;
const MILLISECONDS = 2000;

const scim = createScim({
  storage: sqliteStorage(new Database(':memory:')),
  authenticate: ({ tenantHint }) => ({ tenant: tenantHint, subject: 'bench', permissions: { read: true, write: true } }),
  workers: 1,
});

async function send(tenantHint, method, target, body = '') {
  const headers = [{ name: 'content-type', value: 'application/scim+json' }];
  const response = await scim.handle({ method, target, headers, body: Buffer.from(body), baseUrl: 'http://bench', tenantHint });
  if (response.status >= 300) throw new Error(`${method} ${target}: ${response.status} ${Buffer.from(response.body)}`);
  return JSON.parse(Buffer.from(response.body).toString());
}

/** Microseconds of a GET, where request n is of tenant `of(n)`. */
async function measure(of) {
  const started = performance.now();
  let requests = 0;
  for (; performance.now() - started < MILLISECONDS; requests += 1) {
    const { tenant, id } = users[of(requests)];
    await send(tenant, 'GET', `/Users/${id}`);
  }
  return ((performance.now() - started) / requests) * 1000;
}

const started = performance.now();
const users = [];
for (let n = 0; n < TENANTS; n += 1) {
  const tenant = `t${n}`;
  const { id } = await send(tenant, 'POST', '/Users', process.argv[2]);
  if (n === 0) console.log(`start ${((performance.now() - started) * 1000).toFixed(0)}`);
  users.push({ tenant, id });
}
await measure(() => 0);
console.log(`kept ${(await measure(() => 0)).toFixed(0)}`);
console.log(`fresh ${(await measure((n) => n % TENANTS)).toFixed(0)}`);
await scim.close();
