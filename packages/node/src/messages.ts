// What passes between the application's thread and a worker.

import type { MessagePort } from 'node:worker_threads';

import type { AuthError as WitAuthError, Principal } from '../component/interfaces/scimwell-provider-authenticator.js';
import type { Refusal as WitRefusal } from '../component/interfaces/scimwell-provider-policy.js';
import type { StoreError as WitStoreError } from '../component/interfaces/scimwell-provider-storage.js';
import type { StorageCase, Verdict } from '../component/storage-check/interfaces/scimwell-provider-storage-check.js';
import type { ScimRequest, ScimResponse } from './types.js';

/** What a worker starts with. */
export interface Start {
  /** The core modules of the component by name, compiled. */
  modules: Record<string, WebAssembly.Module>;
  /** Where calls of imports are sent, and their answers come from. */
  port: MessagePort;
  /** Changes from 0 when an answer has been sent. */
  signal: SharedArrayBuffer;
}

/** Who is calling, decided before the component asks. */
export type Granted = { ok: Principal } | { err: WitAuthError };

/** A request for the component. */
export interface Job {
  request: ScimRequest;
  granted: Granted;
}

/** How it went. */
export type Done = { response: ScimResponse & { log?: string } } | { trap: string };

/** A step of the check of a storage. */
export interface CheckJob {
  step: 'cases' | 'run' | 'prepare' | 'take-part' | 'conclude';
  name: string;
  part: number;
  parts: number;
}

/** What came of it. */
export type CheckDone = { cases: StorageCase[] } | { verdict: Verdict } | { trap: string };

/** A call of an import that only the application's thread can answer. */
export interface Call {
  /** `storage.commit`, `policy.review`, … */
  name: string;
  args: unknown[];
}

/** Its answer: what the import returns, the error that WIT declares for it, or a failure that ends the call. */
export type Answer = { ok: unknown } | { err: WitStoreError | WitRefusal } | { failed: string };
