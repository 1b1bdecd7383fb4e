// The application's functions as the component calls them: what they return is checked, what they throw is told.

import type { AuthError as WitAuthError, Principal } from '../component/interfaces/scimwell-provider-authenticator.js';
import type { Answer, Call, Granted } from './messages.js';
import {
  AuthError,
  type Change,
  type Check,
  type Credentials,
  type Entry,
  type Key,
  type KeyRange,
  type Mutation,
  type Reading,
  Refusal,
  type ScanOptions,
  type ScimOptions,
  type Storage,
  StoreError,
  type Value,
} from './types.js';

/** Tells that an import failed. */
export type Tell = (message: string, error: unknown) => void;

/** What one `read` found, and what its entries lead to. */
type Followed = Reading & { followed: Array<Array<Value | undefined>> };

/** Nonsense from an application's function. */
class Unusable extends Error {}

/** Who is calling. */
export async function authenticate(options: ScimOptions, credentials: Credentials, tell: Tell): Promise<Granted> {
  try {
    const principal = await options.authenticate(credentials);
    if (!isPrincipal(principal)) throw new Unusable('it returned no principal: { tenant, subject, permissions }');
    return { ok: principal };
  } catch (error) {
    if (error instanceof AuthError && error.tag !== 'unavailable') {
      const refused: WitAuthError =
        error.tag === 'rate-limited' ? { tag: error.tag, val: Math.max(1, Math.trunc(error.retryAfter)) } : { tag: error.tag };
      return { err: refused };
    }
    tell('authenticator.authenticate failed', error);
    return { err: { tag: 'unavailable', val: 'the application could not decide' } };
  }
}

function isPrincipal(value: unknown): value is Principal {
  const principal = value as Partial<Principal> | null | undefined;
  return (
    typeof principal?.tenant === 'string' && typeof principal.subject === 'string' && typeof principal.permissions === 'object'
  );
}

/** The answer to a call of the component. */
export async function answer(options: ScimOptions, call: Call, tell: Tell): Promise<Answer> {
  try {
    return { ok: await dispatch(options, call) };
  } catch (error) {
    if (call.name === 'policy.review') {
      if (error instanceof Refusal) {
        const refusal = { status: error.status, detail: error.message };
        return { err: error.scimType === undefined ? refusal : { ...refusal, scimType: error.scimType } };
      }
      tell('policy.review failed', error);
      return { failed: 'policy.review failed' };
    }
    if (error instanceof StoreError && error.tag === 'too-large') return { err: { tag: 'too-large' } };
    tell(`${call.name} failed`, error);
    const tag = error instanceof StoreError && error.tag === 'unavailable' ? 'unavailable' : 'other';
    return { err: { tag, val: `${call.name} failed: ${error instanceof Error ? error.message : String(error)}` } };
  }
}

async function dispatch({ storage, review }: ScimOptions, { name, args }: Call): Promise<unknown> {
  switch (name) {
    case 'policy.review':
      return void (await review?.(...(args as [Change])));
    case 'storage.get':
      return get(storage, ...(args as [string, Key[]]));
    case 'storage.scan':
      return scan(storage, ...(args as [string, KeyRange, ScanOptions]));
    case 'storage.read':
      return read(storage, ...(args as [string, Key[], KeyRange[], ScanOptions, Key[]]));
    case 'storage.count': {
      const counted = await storage.count(...(args as [string, KeyRange]));
      if (typeof counted !== 'bigint' && !Number.isSafeInteger(counted)) throw new Unusable('it returned no whole number');
      if (counted < 0) throw new Unusable('it returned a negative number');
      return BigInt(counted);
    }
    case 'storage.commit': {
      const outcome = await storage.commit(...(args as [string, Check[], Mutation[]]));
      if (outcome !== 'committed' && outcome !== 'conflict') {
        throw new Unusable("it returned neither 'committed' nor 'conflict'");
      }
      return outcome;
    }
    default:
      throw new Unusable('the component calls what this version of the package does not know');
  }
}

async function get(storage: Storage, tenant: string, keys: Key[]): Promise<Array<Value | undefined>> {
  return checkedValues(await storage.get(tenant, keys), keys.length);
}

async function scan(storage: Storage, tenant: string, range: KeyRange, options: ScanOptions): Promise<Entry[]> {
  return checkedEntries(await storage.scan(tenant, range, options), range, options);
}

async function read(
  storage: Storage,
  tenant: string,
  keys: Key[],
  ranges: KeyRange[],
  options: ScanOptions,
  follow: Key[],
): Promise<Followed> {
  const reading = await readTogether(storage, tenant, keys, ranges, options);
  if (follow.length === 0) return { ...reading, followed: [] };
  // Storages of applications need not know this: what entries lead to is a `get` of its own.
  const leads = ranges.map(({ start }, at) =>
    (reading.entries[at] ?? []).flatMap(({ key }) => follow.map((prefix) => leadsTo(start, key, prefix))),
  );
  const wanted = leads.flat().filter((key) => key !== undefined);
  const values = wanted.length === 0 ? [] : await get(storage, tenant, wanted);
  let next = 0;
  const followed = leads.map((of) => of.map((key) => (key === undefined ? undefined : values[next++])));
  return { ...reading, followed };
}

/** The prefix, and what the key has beyond the start of its range. */
function leadsTo(start: Key, key: Key, prefix: Key): Key | undefined {
  if (Buffer.compare(key.subarray(0, start.length), start) !== 0) return undefined;
  return Buffer.concat([prefix, key.subarray(start.length)]);
}

async function readTogether(
  storage: Storage,
  tenant: string,
  keys: Key[],
  ranges: KeyRange[],
  options: ScanOptions,
): Promise<Reading> {
  if (storage.read === undefined) {
    const values = keys.length === 0 ? [] : await get(storage, tenant, keys);
    const entries: Entry[][] = [];
    for (const range of ranges) entries.push(await scan(storage, tenant, range, options));
    return { values, entries };
  }
  const reading = await storage.read(tenant, keys, ranges, options);
  if (!Array.isArray(reading?.entries) || reading.entries.length !== ranges.length) {
    throw new Unusable('it returned another number of lists of entries than it was asked for');
  }
  const values = checkedValues(reading.values, keys.length);
  return { values, entries: ranges.map((range, at) => checkedEntries(reading.entries[at], range, options)) };
}

function checkedValues(values: unknown, wanted: number): Array<Value | undefined> {
  if (!Array.isArray(values) || values.length !== wanted) {
    throw new Unusable('it returned another number of values than it was asked for');
  }
  return values.map((value: unknown) => {
    if (value === undefined || value === null) return undefined;
    if (value instanceof Uint8Array) return value;
    throw new Unusable('it returned a value that is neither a Uint8Array nor undefined');
  });
}

function checkedEntries(entries: unknown, range: KeyRange, options: ScanOptions): Entry[] {
  if (!Array.isArray(entries)) throw new Unusable('it returned no array of entries');
  if (entries.length > options.limit) throw new Unusable('it returned more entries than the limit');
  let last: Uint8Array | undefined;
  return entries.map((entry: Partial<Entry> | undefined) => {
    const key = entry?.key;
    const value = options.keysOnly ? new Uint8Array() : entry?.value;
    if (!(key instanceof Uint8Array) || !(value instanceof Uint8Array)) {
      throw new Unusable('it returned an entry that is not a key and a value, each a Uint8Array');
    }
    if (Buffer.compare(key, range.start) < 0 || Buffer.compare(key, range.end) >= 0) {
      throw new Unusable('it returned a key outside the range');
    }
    const order = last === undefined ? 0 : Buffer.compare(last, key);
    if (last !== undefined && (options.reverse ? order <= 0 : order >= 0)) {
      throw new Unusable('it returned keys out of order');
    }
    last = key;
    return { key, value };
  });
}
