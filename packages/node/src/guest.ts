// The side of the imports that is in a worker's thread. Imports are synchronous, the application's functions need not be: so
// this thread sleeps while the application's thread answers.

import { randomBytes } from 'node:crypto';
import { receiveMessageOnPort, workerData } from 'node:worker_threads';

import type { Credentials, Principal } from '../component/interfaces/scimwell-provider-authenticator.js';
import type { Answer, Start } from './messages.js';

const { modules, port, signal } = workerData as Start;
const answered = new Int32Array(signal);

/** The imports of one instance. */
export interface Guest {
  /** By interface, as the transpiled components want them. */
  imports: Record<string, unknown>;
  /** Takes the grant away: between two requests an instance has no store. */
  rest(): void;
}

/** Imports that grant what `authenticate` returns; where it throws an error of WIT, nothing. */
export function guest(authenticate: (credentials: Credentials) => Principal): Guest {
  let generation = 0;
  let principal: Principal | undefined;
  const rest = () => {
    generation += 1;
    principal = undefined;
  };

  class Store {
    readonly #tenant: string;
    readonly #generation = generation;

    constructor(tenant: string) {
      this.#tenant = tenant;
    }

    // A store that was opened under an earlier grant is worthless.
    #call(name: string, ...args: unknown[]): unknown {
      if (this.#generation !== generation) throw { tag: 'access-denied' };
      return call(name, this.#tenant, ...args);
    }

    get(...args: unknown[]) {
      return this.#call('storage.get', ...args);
    }

    scan(...args: unknown[]) {
      return this.#call('storage.scan', ...args);
    }

    read(...args: unknown[]) {
      return this.#call('storage.read', ...args);
    }

    count(...args: unknown[]) {
      return this.#call('storage.count', ...args);
    }

    commit(...args: unknown[]) {
      return this.#call('storage.commit', ...args);
    }
  }

  const imports = {
    'scimwell:provider/authenticator': {
      authenticate(credentials: Credentials) {
        rest();
        return (principal = authenticate(credentials));
      },
    },
    'scimwell:provider/policy': { review: (change: unknown) => call('policy.review', change) },
    'scimwell:provider/storage': {
      Store,
      open(tenant: string) {
        if (principal === undefined || principal.tenant !== tenant) throw { tag: 'access-denied' };
        return new Store(tenant);
      },
    },
    'wasi:clocks/monotonic-clock': { now: () => process.hrtime.bigint() },
    'wasi:clocks/wall-clock': {
      now() {
        const now = Date.now();
        return { seconds: BigInt(Math.floor(now / 1000)), nanoseconds: (now % 1000) * 1_000_000 };
      },
    },
    'wasi:random/insecure-seed': { insecureSeed: () => [random(), random()] },
    'wasi:random/random': { getRandomU64: random },
  };
  return { imports, rest };
}

/** A core module of the component. */
export function coreModule(name: string): WebAssembly.Module {
  const module = modules[name];
  if (module === undefined) throw new Error(`the package has no core module ${name}: build it again`);
  return module;
}

/** What a trap looks like to the application's thread. */
export function described(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : JSON.stringify(error);
}

/** What the application's thread answers. */
function call(name: string, ...args: unknown[]): unknown {
  Atomics.store(answered, 0, 0);
  port.postMessage({ name, args });
  // Whoever takes too long is not waited for: the application's thread ends this one.
  Atomics.wait(answered, 0, 0);
  const answer = receiveMessageOnPort(port)?.message as Answer;
  if ('ok' in answer) return answer.ok;
  // Plain objects are errors that WIT declares; an Error ends the call as a trap.
  throw 'err' in answer ? answer.err : new Error(answer.failed);
}

function random(): bigint {
  return randomBytes(8).readBigUInt64LE();
}
