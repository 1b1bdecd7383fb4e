// A thread with instances of the component. Imports of the component are synchronous, the application's functions need not be:
// so the component runs here, and this thread sleeps while the application's thread answers.

import { randomBytes } from 'node:crypto';
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';

import { instantiate, type ImportObject } from '../component/scimwell.js';
import type { Principal } from '../component/interfaces/scimwell-provider-authenticator.js';
import type { Answer, Done, Job, Start } from './messages.js';

/** Instances kept for their tenants' next requests. */
const KEPT = 16;
/** Requests that an instance serves at most: what a request left behind in its memory has an end. */
const REQUESTS = 1000;
/** Bytes of memory above which an instance is not kept: memory never shrinks. */
const MEMORY = 4 * 1024 * 1024;

const { modules, port, signal } = workerData as Start;
const answered = new Int32Array(signal);

/** An instance serves one tenant in all its life. */
interface Instance {
  handle(job: Job): Extract<Done, { response: unknown }>['response'];
  memory(): number;
  served: number;
}

/** The least recently used first. */
const kept = new Map<string, Instance>();

/** What an import of the application answers. */
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

function create(): Instance {
  let job: Job | undefined;
  let generation = 0;
  let principal: Principal | undefined;
  let memory: WebAssembly.Memory | undefined;

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
      authenticate() {
        generation += 1;
        principal = undefined;
        if (job === undefined) throw { tag: 'unauthenticated' };
        if ('err' in job.granted) throw job.granted.err;
        return (principal = job.granted.ok);
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
  // The generated types name interfaces with their versions, the generated code without.
  const component = instantiate(coreModule, imports as unknown as ImportObject, (module, coreImports) => {
    const instance = new WebAssembly.Instance(module, coreImports);
    const exported = instance.exports['memory'];
    if (exported instanceof WebAssembly.Memory) memory ??= exported;
    return instance;
  });
  return {
    handle(next) {
      job = next;
      try {
        return component.handler.handle(next.request);
      } finally {
        // Between two requests it has no store.
        job = undefined;
        generation += 1;
        principal = undefined;
      }
    },
    memory: () => memory?.buffer.byteLength ?? Number.POSITIVE_INFINITY,
    served: 0,
  };
}

function coreModule(name: string): WebAssembly.Module {
  const module = modules[name];
  if (module === undefined) throw new Error(`the package has no core module ${name}: build it again`);
  return module;
}

function random(): bigint {
  return randomBytes(8).readBigUInt64LE();
}

function run(job: Job): Done {
  const tenant = 'ok' in job.granted ? job.granted.ok.tenant : undefined;
  try {
    const instance = (tenant !== undefined && kept.get(tenant)) || create();
    if (tenant !== undefined) kept.delete(tenant);
    const response = instance.handle(job);
    instance.served += 1;
    // Whatever failed in any way is thrown away.
    if (tenant !== undefined && response.status < 500 && instance.served < REQUESTS && instance.memory() <= MEMORY) {
      kept.set(tenant, instance);
      for (const oldest of kept.keys()) {
        if (kept.size <= KEPT) break;
        kept.delete(oldest);
      }
    }
    return { response };
  } catch (error) {
    return { trap: error instanceof Error ? (error.stack ?? error.message) : JSON.stringify(error) };
  }
}

parentPort?.on('message', (job: Job) => parentPort?.postMessage(run(job)));
