// The product's own table of users. It follows the change log of SCIM, and is what the seats are counted in.

import { Refusal } from 'scimwell';

/** Milliseconds for which a change that was let through keeps its seat if it never comes: longer than a request takes. */
const RESERVED = 60_000;

export class Users {
  /** @param {import('better-sqlite3').Database} database @param {number} seats of each account */
  constructor(database, seats) {
    this.database = database;
    this.seats = seats;
    database.pragma('journal_mode = WAL');
    database.pragma('busy_timeout = 5000');
    database.exec(`
      CREATE TABLE IF NOT EXISTS users (account TEXT, id TEXT, name TEXT, active INTEGER, PRIMARY KEY (account, id));
      CREATE TABLE IF NOT EXISTS reserved_seats (account TEXT, id TEXT, until INTEGER, PRIMARY KEY (account, id));
      CREATE TABLE IF NOT EXISTS followed (account TEXT PRIMARY KEY, sequence INTEGER NOT NULL);
    `);
    // IMMEDIATE: of two who want the last seat, one waits for the other.
    this.review = database.transaction(this.review.bind(this)).immediate;
    this.apply = database.transaction(this.apply.bind(this)).immediate;
  }

  /** @param {string} sql @param {Record<string, unknown>} [parameters] */
  run(sql, parameters = {}) {
    return this.database.prepare(sql).run(parameters);
  }

  /** Who may sign in to an account. @param {string} account */
  list(account) {
    const sql = 'SELECT id, name, active FROM users WHERE account = ? ORDER BY name';
    const rows = /** @type {{ id: string, name: string, active: number }[]} */ (this.database.prepare(sql).all(account));
    return rows.map((row) => ({ ...row, active: row.active === 1 }));
  }

  /** Refuses a user for whom there is no seat. @param {import('scimwell').Change} change */
  review({ tenant: account, resourceType, id, after }) {
    if (resourceType !== 'User' || after === undefined) return;
    this.run('INSERT INTO followed VALUES (@account, 0) ON CONFLICT DO NOTHING', { account });
    if (JSON.parse(after).active === false) return;
    this.run('DELETE FROM reserved_seats WHERE until < @now', { now: Date.now() });
    const taken = this.database
      .prepare(
        `SELECT count(*) FROM (SELECT id FROM users WHERE account = @account AND active AND id <> @id
         UNION SELECT id FROM reserved_seats WHERE account = @account AND id <> @id)`,
      )
      .pluck()
      .get({ account, id });
    if (Number(taken) >= this.seats) {
      throw new Refusal(
        `No seats left: all ${this.seats} of this account are taken. Deactivate a user or buy more seats, then provision again.`,
      );
    }
    this.run('INSERT OR REPLACE INTO reserved_seats VALUES (@account, @id, @until)', {
      account,
      id,
      until: Date.now() + RESERVED,
    });
  }

  /** The accounts that SCIM has written to. @returns {string[]} */
  accounts() {
   
    return /** @type {string[]} */ (this.database.prepare('SELECT account FROM followed').pluck().all());
  }

  /** Applies what the change log has beyond what was applied. @param {import('scimwell').Scim} scim @param {string} account */
  async follow(scim, account) {
    const after = this.database.prepare('SELECT sequence FROM followed WHERE account = ?').pluck().get(account) ?? 0;
    for await (const record of scim.changes(account, Number(after))) this.apply(account, record);
  }

  /** One record and its place in the log, in one transaction. @param {string} account @param {import('scimwell').ChangeRecord} record */
  apply(account, { sequence, resourceType, operation, id, before = {}, after = {} }) {
    const { changes } = this.run(
      'INSERT INTO followed VALUES (@account, @sequence) ON CONFLICT DO UPDATE SET sequence = @sequence WHERE sequence < @sequence',
      { account, sequence },
    );
    // Without a change, another process was faster.
    if (changes === 0 || resourceType !== 'User') return;
    if (operation === 'delete') {
      this.run('DELETE FROM users WHERE account = @account AND id = @id', { account, id });
    } else {
      // A record has the attributes that changed, as they were and as they are: one that was removed is only in `before`.
      this.run('INSERT INTO users VALUES (@account, @id, NULL, 1) ON CONFLICT DO NOTHING', { account, id });
      if ('userName' in after) {
        this.run('UPDATE users SET name = @name WHERE account = @account AND id = @id', { account, id, name: after.userName });
      }
      if ('active' in before || 'active' in after) {
        const active = after.active === false ? 0 : 1;
        // Sessions of who is no longer active would end here.
        this.run('UPDATE users SET active = @active WHERE account = @account AND id = @id', { account, id, active });
      }
    }
    this.run('DELETE FROM reserved_seats WHERE account = @account AND id = @id', { account, id });
  }
}
