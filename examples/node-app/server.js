// A small SaaS product: its accounts have users, and a number of seats. Customers' identity providers keep the users by SCIM.

import { createHash, timingSafeEqual } from 'node:crypto';
import { createServer } from 'node:http';

import Database from 'better-sqlite3';
import { AuthError, createScim } from 'scimwell';
import { sqliteStorage } from 'scimwell/sqlite';

import { Users } from './users.js';

const { DATABASE = 'app.db', HOST = '127.0.0.1', PORT = '8080', SEATS = '25', SCIM_TOKEN } = process.env;
if (!SCIM_TOKEN) {
  console.error('SCIM_TOKEN is not set: choose a token for the identity provider, SCIM_TOKEN=… npm start');
  process.exit(1);
}

const users = new Users(new Database(DATABASE), Number(SEATS));
const token = digest(`Bearer ${SCIM_TOKEN}`);

const scim = createScim({
  // On a connection of its own: it begins and ends transactions.
  storage: sqliteStorage(new Database(DATABASE)),

  // One token for all accounts, to be short: a product keeps a token for each, and its digest only.
  authenticate({ authorization, tenantHint }) {
    if (!timingSafeEqual(digest(authorization ?? ''), token)) throw new AuthError('unauthenticated');
    return { tenant: tenantHint ?? 'default', subject: 'scim-token', permissions: { read: true, write: true } };
  },

  review: (change) => users.review(change),
  onWrite: (account) => users.follow(scim, account),
});

// What was committed before a crash, and not yet followed.
for (const account of users.accounts()) await users.follow(scim, account);

const server = createServer((request, response) => {
  scim(request, response, () => {
    // The product itself, as far as this example goes: who may sign in.
    const account = /^\/accounts\/([^/]+)\/users$/.exec(request.url ?? '')?.[1];
    response.statusCode = account ? 200 : 404;
    response.setHeader('content-type', 'application/json');
    response.end(`${JSON.stringify(account ? users.list(account) : { error: 'not found' }, undefined, 2)}\n`);
  });
});
server.listen(Number(PORT), HOST, () => {
  const address = server.address();
  const port = typeof address === 'object' ? address?.port : PORT;
  console.log(`listening on http://${HOST}:${port}`);
});

/** @param {string} text */
function digest(text) {
  return createHash('sha256').update(text).digest();
}
