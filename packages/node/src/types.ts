// What an application brings. The records are generated from wit/, where each is documented.

import type { Credentials, Principal } from '../component/interfaces/scimwell-provider-authenticator.js';
import type { Change } from '../component/interfaces/scimwell-provider-policy.js';
import type {
  Check,
  Entry,
  Key,
  KeyRange,
  Mutation,
  Outcome,
  ScanOptions,
  Value,
} from '../component/interfaces/scimwell-provider-storage.js';
import type { Header } from '../component/interfaces/scimwell-provider-handler.js';

export type { Change, Check, Credentials, Entry, Header, Key, KeyRange, Mutation, Outcome, Principal, ScanOptions, Value };

/** At once, or later. */
export type Awaitable<T> = T | Promise<T>;

/** What one `read` found. */
export interface Reading {
  /** What each of the keys maps to. */
  values: Array<Value | undefined>;
  /** The entries of each of the ranges. */
  entries: Entry[][];
}

/**
 * An ordered, transactional key-value store for each tenant (wit/storage.wit tells what it must guarantee). Throw a
 * {@link StoreError} where it fails; anything else that is thrown is a 500.
 */
export interface Storage {
  /** The values of `keys`, in that order. */
  get(tenant: string, keys: Key[]): Awaitable<Array<Value | undefined>>;
  /** The entries of a range in byte order; fewer than `limit` means that the range ended. */
  scan(tenant: string, range: KeyRange, options: ScanOptions): Awaitable<Entry[]>;
  /** `get` of `keys`, and `scan` of each of the ranges; worth having where a call is a trip over a network. */
  read?(tenant: string, keys: Key[], ranges: KeyRange[], options: ScanOptions): Awaitable<Reading>;
  /** How many keys a range holds. */
  count(tenant: string, range: KeyRange): Awaitable<number | bigint>;
  /** Apply all mutations if every check holds; all or nothing, durable when it is done. */
  commit(tenant: string, checks: Check[], mutations: Mutation[]): Awaitable<Outcome>;
}

/** A store that failed, thrown by a {@link Storage}. */
export class StoreError extends Error {
  override name = 'StoreError';

  /** `unavailable` is answered with 503, so that the client tries again; `too-large` with 413; `other` with 500. */
  constructor(readonly tag: 'too-large' | 'unavailable' | 'other', message: string, options?: ErrorOptions) {
    super(message, options);
  }
}

/** A caller who is refused, thrown by `authenticate`. */
export class AuthError extends Error {
  override name = 'AuthError';

  /** `retryAfter`: seconds, with `rate-limited`. `unavailable`: it could not be decided for now. */
  constructor(
    readonly tag: 'unauthenticated' | 'forbidden' | 'rate-limited' | 'unavailable',
    message: string = tag,
    readonly retryAfter: number = 1,
  ) {
    super(message);
  }
}

/** A change that is refused, thrown by `review`. The identity provider's administrator reads the message. */
export class Refusal extends Error {
  override name = 'Refusal';

  /** `status` from 400 to 499; `scimType` from RFC 7644 table 9, where one fits. */
  constructor(message: string, readonly status: number = 403, readonly scimType?: string) {
    super(message);
  }
}

/** One line for the application's log. */
export interface LogLine {
  /** What went wrong; it names the import, `storage.commit` for example. */
  message: string;
  /** The id that the response names too. */
  requestId: string;
  /** Whose request, once that is known. */
  tenant?: string;
  /** What was thrown. */
  error?: unknown;
}

/** What {@link createScim} takes. */
export interface ScimOptions {
  /** Where everything is kept. */
  storage: Storage;
  /** The principal of these credentials, or throw an {@link AuthError}. */
  authenticate(credentials: Credentials): Awaitable<Principal>;
  /**
   * Just before a change is committed: throw a {@link Refusal}, or let it be. It may be called again for the same change,
   * and for one that is not committed after all (a dry run, a lost race): it is no place to write what happened.
   */
  review?(change: Change): Awaitable<void>;
  /**
   * After a request that may have changed something, before its reply is sent: the place to follow
   * {@link Scim.changes}. What it throws is logged; the change is made, and the reply is sent all the same.
   */
  onWrite?(tenant: string): Awaitable<void>;
  /** Where clients find `/scim/v2`, `https://example.com/api` for example; else it is read from each request. */
  publicUrl?: string;
  /** The path before `/scim/v2`, `/api` for example; none by default. */
  prefix?: string;
  /** Threads, each of which answers one request at a time; 2 by default. */
  workers?: number;
  /** Milliseconds that a request may take, waiting for its turn included; 30,000 by default. */
  timeout?: number;
  /** Bytes of memory that an instance of the component may use; 256 MiB by default. */
  memory?: number;
  /** Bytes of a request's body; 16 MiB by default. */
  bodyLimit?: number;
  /** Where failures are told; the console by default. */
  log?(line: LogLine): void;
}

/** One request, for an application that reads HTTP itself. */
export interface ScimRequest {
  method: string;
  /** Path and query as received, below the SCIM base path: `/Users?filter=…`. */
  target: string;
  /** Names in lower case. */
  headers: Header[];
  body: Uint8Array;
  /** The public base URL without a trailing slash: `https://example.com/scim/v2`. */
  baseUrl: string;
  /** The tenant that the URL names, where it names one. */
  tenantHint?: string;
  /** The subject of the verified TLS client certificate, as RFC 4514 writes it: `CN=okta,O=acme`. */
  clientCertificateSubject?: string;
  /** The client's address. */
  remoteAddress?: string;
}

/** The answer to a {@link ScimRequest}. */
export interface ScimResponse {
  status: number;
  headers: Header[];
  body: Uint8Array;
}

/** One record of a tenant's change log. */
export interface ChangeRecord {
  /** Its place in the log: what to pass as `after` to go on behind it. */
  sequence: number;
  /** Milliseconds since 1970. */
  time: number;
  /** Who: the principal's subject. */
  subject: string;
  operation: 'create' | 'replace' | 'patch' | 'delete';
  /** The resource type's name; `User` for example. */
  resourceType: string;
  id: string;
  /** The attributes that changed, as they were. */
  before?: Record<string, unknown>;
  /** The same attributes as they are. */
  after?: Record<string, unknown>;
  /** Members that came. */
  added?: string[];
  /** Members that went. */
  removed?: string[];
  /** A POST has brought back somebody who had left: deactivated (a `replace`) or deleted (a `create`). */
  reprovisioned?: 'reactivated' | 'restored';
}
