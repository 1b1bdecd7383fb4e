// A thread with an instance of the component that checks a storage.

import { parentPort } from 'node:worker_threads';

import { type ImportObject, instantiate, type Root } from '../component/storage-check/storage-check.js';
import { coreModule, described, guest } from './guest.js';
import type { CheckDone, CheckJob } from './messages.js';

let component: Root | undefined;

/** Grants the tenant that is hinted at, as the check asks of an authenticator. */
function create(): Root {
  const { imports } = guest(({ tenantHint: tenant }) => {
    if (tenant === undefined) throw { tag: 'unauthenticated' };
    return { tenant, subject: 'storage-check', permissions: { read: true, write: true } };
  });
  return instantiate(coreModule, imports as unknown as ImportObject);
}

function run({ step, name, part, parts }: CheckJob): CheckDone {
  const { storageCheck } = (component ??= create());
  switch (step) {
    case 'cases':
      return { cases: storageCheck.cases() };
    case 'run':
      return { verdict: storageCheck.run(name) };
    case 'prepare':
      return { verdict: storageCheck.prepare(name) };
    case 'take-part':
      return { verdict: storageCheck.takePart(name, part, parts) };
    case 'conclude':
      return { verdict: storageCheck.conclude(name, parts) };
  }
}

parentPort?.on('message', (job: CheckJob) => {
  try {
    parentPort?.postMessage(run(job));
  } catch (error) {
    // What trapped is not used again.
    component = undefined;
    parentPort?.postMessage({ trap: described(error) });
  }
});
