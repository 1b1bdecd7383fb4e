// A thread with instances of the component.

import { parentPort } from 'node:worker_threads';

import { instantiate, type ImportObject } from '../component/scimwell.js';
import { coreModule, described, guest } from './guest.js';
import type { Done, Job } from './messages.js';
import type { ScimResponse } from './types.js';

/** Instances kept for their tenants' next requests. */
const KEPT = 16;
/** Requests that an instance serves at most: what a request left behind in its memory has an end. */
const REQUESTS = 1000;
/** Bytes of memory above which an instance is not kept: memory never shrinks. */
const MEMORY = 4 * 1024 * 1024;

/** An instance serves one tenant in all its life. */
interface Instance {
  handle(job: Job): ScimResponse & { log?: string };
  memory(): number;
  served: number;
}

/** The least recently used first. */
const kept = new Map<string, Instance>();

function create(): Instance {
  let job: Job | undefined;
  let memory: WebAssembly.Memory | undefined;
  const { imports, rest } = guest(() => {
    if (job === undefined) throw { tag: 'unauthenticated' };
    if ('err' in job.granted) throw job.granted.err;
    return job.granted.ok;
  });
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
        job = undefined;
        rest();
      }
    },
    memory: () => memory?.buffer.byteLength ?? Number.POSITIVE_INFINITY,
    served: 0,
  };
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
    return { trap: described(error) };
  }
}

parentPort?.on('message', (job: Job) => parentPort?.postMessage(run(job)));
