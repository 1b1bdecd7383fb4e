/**
 * Proves a {@link Storage}: everything that the contract (wit/storage.wit) says of it, case by case.
 *
 * ```js
 * for await (const { name, clause, verdict, detail } of checkStorage(storage)) {
 *   test(name, () => assert.equal(verdict, 'passed', `${clause} ${detail}`));
 * }
 * ```
 *
 * @module
 */

import { answer } from './imports.js';
import type { CheckDone, CheckJob } from './messages.js';
import { compile } from './modules.js';
import { Threads } from './threads.js';
import type { Storage } from './types.js';

/** How a case ended. */
export interface CheckedCase {
  name: string;
  /** What the contract says about it. */
  clause: string;
  verdict: 'passed' | 'failed' | 'skipped';
  /** What was expected and what came, or why it was skipped. */
  detail: string;
}

/** Threads that take part in a race. */
const PARTS = 4;

/**
 * Runs all cases on an empty storage, or one for tests: each in a tenant of its own, whose name starts with `storage-check-`.
 * `timeout`: milliseconds for each step of a case.
 */
export async function* checkStorage(
  storage: Storage,
  { timeout = 60_000 }: { timeout?: number } = {},
): AsyncGenerator<CheckedCase, void, undefined> {
  const modules = compile('storage-check/', 256 * 1024 * 1024);
  const threads = new Threads<CheckJob, CheckDone>(PARTS, './check-worker.js', modules);
  const options = {
    storage,
    authenticate() {
      throw new Error('the check grants itself what it needs');
    },
  };
  const run = async (step: CheckJob['step'], name = '', part = 0): Promise<CheckDone> => {
    const job = { step, name, part, parts: PARTS };
    try {
      // What the storage throws comes back as the verdict's detail.
      return await threads.run(job, performance.now() + timeout, (call) => answer(options, call, () => {}));
    } catch (error) {
      return { trap: error instanceof Error ? error.message : String(error) };
    }
  };
  try {
    const found = await run('cases');
    if (!('cases' in found)) throw new Error('trap' in found ? found.trap : 'the check told no cases');
    for (const { name, clause, race } of found.cases) {
      const done = [await run(race ? 'prepare' : 'run', name)];
      if (race && passed(done)) {
        done.push(...(await Promise.all(Array.from({ length: PARTS }, (_, part) => run('take-part', name, part)))));
        // Whatever they found, this empties the tenant.
        done.push(await run('conclude', name));
      }
      yield { name, clause, ...summary(done) };
    }
  } finally {
    await threads.close();
  }
}

function passed(done: CheckDone[]): boolean {
  return done.every((one) => 'verdict' in one && one.verdict.tag === 'passed');
}

function summary(done: CheckDone[]): Pick<CheckedCase, 'verdict' | 'detail'> {
  for (const one of done) {
    if ('trap' in one) return { verdict: 'failed', detail: one.trap };
    if ('verdict' in one && one.verdict.tag !== 'passed') return { verdict: one.verdict.tag, detail: one.verdict.val };
  }
  return { verdict: 'passed', detail: '' };
}
