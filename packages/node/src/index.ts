/**
 * A SCIM 2.0 service provider for Node applications, on the application's own storage.
 *
 * ```js
 * const scim = createScim({ storage, authenticate, review });
 * http.createServer(scim).listen(8080);       // or app.use(scim) in Express
 * ```
 *
 * @module
 */

import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { TLSSocket } from 'node:tls';

import { answer, authenticate, type Tell } from './imports.js';
import type { Done, Granted, Job } from './messages.js';
import { compile } from './modules.js';
import { origin, place } from './paths.js';
import { Threads, TimedOut } from './threads.js';
import type { ChangeRecord, Credentials, Header, Principal, ScimOptions, ScimRequest, ScimResponse } from './types.js';

export * from './types.js';

/** The media type of SCIM (RFC 7644 §8.1). */
const MEDIA_TYPE = 'application/scim+json';
/** Records of the change log in one request. */
const LOG_PAGE = 1000;

/** A service provider: a request handler of `node:http`, and middleware of Express and its like. */
export interface Scim {
  /** Answers below `/scim/v2` and `/t/{tenant}/scim/v2`; anything else goes to `next`, or is a 404. */
  (request: IncomingMessage, response: ServerResponse, next?: (error?: unknown) => void): void;
  /** Answers one request of an application that reads HTTP itself. Never rejects. */
  handle(request: ScimRequest): Promise<ScimResponse>;
  /** Answers one request as this principal, whatever its credentials are: for the application's own. Never rejects. */
  handleAs(principal: Principal, request: Pick<ScimRequest, 'method' | 'target'> & Partial<ScimRequest>): Promise<ScimResponse>;
  /**
   * What changed in a tenant behind record `after` (0: from the beginning), in the order of the commits. Whoever keeps the
   * last `sequence` in the transaction that applies a record misses none and applies none twice, crashes included.
   */
  changes(tenant: string, after: number): AsyncGenerator<ChangeRecord, void, undefined>;
  /** Ends the threads. */
  close(): Promise<void>;
}

/** A service provider on this storage; the component is loaded at once, in the background. */
export function createScim(options: ScimOptions): Scim {
  const timeout = options.timeout ?? 30_000;
  const prefix = normal(options.prefix ?? '');
  const publicUrl = options.publicUrl?.replace(/\/+$/, '').replace(/\/scim\/v2$/, '');
  const bodyLimit = options.bodyLimit ?? 16 * 1024 * 1024;
  const threads = new Threads<Job, Done>(
    Math.max(1, options.workers ?? 2),
    './worker.js',
    compile('', options.memory ?? 256 * 1024 * 1024),
  );
  const writes = new Map<string, Promise<void>>();

  async function serve(request: ScimRequest, acting?: Principal): Promise<ScimResponse> {
    const deadline = performance.now() + timeout;
    const requestId = requestIdOf(request.headers);
    let tenant: string | undefined;
    const tell: Tell = (message, error) => {
      const line = { message, requestId, ...(tenant !== undefined && { tenant }), ...(error !== undefined && { error }) };
      if (options.log) options.log(line);
      else console.error(`scimwell: ${message} (request ${requestId}${tenant ? `, tenant ${tenant}` : ''})`, error ?? '');
    };
    let response: ScimResponse;
    try {
      const granted = acting ? { ok: acting } : await within(authenticate(options, credentials(request), tell), deadline);
      tenant = 'ok' in granted ? granted.ok.tenant : undefined;
      response = await run(request, granted, deadline, requestId, tell);
    } catch (error) {
      response = failed(error, requestId, tell);
    }
    const mayHaveWritten = !['GET', 'HEAD', 'OPTIONS'].includes(request.method);
    if (tenant !== undefined && mayHaveWritten && (response.status < 400 || response.status >= 500)) {
      await written(tenant, tell);
    }
    return response;
  }

  async function run(
    request: ScimRequest,
    granted: Granted,
    deadline: number,
    requestId: string,
    tell: Tell,
  ): Promise<ScimResponse> {
    let told = false;
    const telling: Tell = (message, error) => {
      told = true;
      tell(message, error);
    };
    const done: Done = await threads.run({ request, granted }, deadline, (call) => answer(options, call, telling));
    if ('trap' in done) {
      // Where the application's function failed, that is in the log already.
      if (!told) tell('the component trapped', done.trap);
      return scimError(500, `The server failed on this request; its log has the cause under request id ${requestId}.`);
    }
    const { status, headers, body, log } = done.response;
    if (log !== undefined && !told) tell(`the component reports a failure, status ${status}`, log);
    return { status, headers, body };
  }

  /** One call of `onWrite` at a time for each tenant, so that it never applies a record twice. */
  async function written(tenant: string, tell: Tell): Promise<void> {
    const { onWrite } = options;
    if (onWrite === undefined) return;
    const before = writes.get(tenant);
    const mine = (async () => {
      await before;
      try {
        await onWrite(tenant);
      } catch (error) {
        tell('onWrite failed; the change is made', error);
      }
    })();
    writes.set(tenant, mine);
    await mine;
    if (writes.get(tenant) === mine) writes.delete(tenant);
  }

  async function listen(request: IncomingMessage, response: ServerResponse, next?: (error?: unknown) => void): Promise<void> {
    const found = place(request.url ?? '/', prefix);
    if (found === undefined) {
      if (next) return next();
      const detail = `Nothing is served here. SCIM is at ${prefix}/scim/v2 and ${prefix}/t/{tenant}/scim/v2.`;
      return send(response, scimError(404, detail));
    }
    const body = await bodyOf(request, bodyLimit, timeout);
    if ('refused' in body) {
      // What the client has not sent yet is not read.
      response.setHeader('connection', 'close');
      return send(response, body.refused);
    }
    const root = publicUrl ?? `${origin(request)}${prefix}`;
    const answered = await serve({
      method: request.method ?? 'GET',
      target: found.target,
      headers: headersOf(request),
      body: body.bytes,
      baseUrl: found.tenant === undefined ? `${root}/scim/v2` : `${root}/t/${found.tenant}/scim/v2`,
      ...(found.tenant !== undefined && { tenantHint: found.tenant }),
      ...certified(request),
      ...(request.socket.remoteAddress !== undefined && { remoteAddress: request.socket.remoteAddress }),
    });
    send(response, answered);
  }

  async function* changes(tenant: string, after: number): AsyncGenerator<ChangeRecord, void, undefined> {
    const principal = { tenant, subject: 'application', permissions: { read: true, admin: true } };
    for (let from = after; ; ) {
      const target = `/admin/log?after=${from}&count=${LOG_PAGE}`;
      const { status, body } = await serve(complete({ method: 'GET', target }), principal);
      const text = Buffer.from(body).toString('utf8');
      if (status !== 200) throw new Error(`the change log of tenant ${tenant} cannot be read: ${status} ${text}`);
      const page = JSON.parse(text) as { records: ChangeRecord[]; next: number; more: boolean };
      yield* page.records;
      if (!page.more) return;
      from = page.next;
    }
  }

  const handler = (request: IncomingMessage, response: ServerResponse, next?: (error?: unknown) => void) => {
    listen(request, response, next).catch((error: unknown) => {
      // The client went away, or its request broke off.
      response.destroy(error instanceof Error ? error : undefined);
    });
  };
  return Object.assign(handler, {
    handle: (request: ScimRequest) => serve(request),
    handleAs: (principal: Principal, request: Parameters<Scim['handleAs']>[1]) => serve(complete(request), principal),
    changes,
    close: () => threads.close(),
  });
}

/** The request with what it need not say. */
function complete(request: Parameters<Scim['handleAs']>[1]): ScimRequest {
  return { headers: [], body: new Uint8Array(), baseUrl: 'http://localhost/scim/v2', ...request };
}

/** What the component would pass to `authenticate`. */
function credentials(request: ScimRequest): Credentials {
  const authorization = request.headers.find((header) => header.name === 'authorization')?.value;
  const { tenantHint, clientCertificateSubject, remoteAddress } = request;
  return {
    ...(authorization !== undefined && { authorization }),
    ...(tenantHint !== undefined && { tenantHint }),
    ...(clientCertificateSubject !== undefined && { clientCertificateSubject }),
    ...(remoteAddress !== undefined && { remoteAddress }),
  };
}

function within(granted: Promise<Granted>, deadline: number): Promise<Granted> {
  return new Promise((resolve, reject) => {
    const late = () => reject(new TimedOut('authenticator.authenticate'));
    const timer = setTimeout(late, deadline - performance.now());
    granted.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

function failed(error: unknown, requestId: string, tell: Tell): ScimResponse {
  if (error instanceof TimedOut) {
    tell(error.message, undefined);
    const detail =
      `The server could not finish this request in time (request id ${requestId}); whether a change was made is unknown: read ` +
      'the resource before repeating it.';
    const response = scimError(503, detail);
    response.headers.push({ name: 'retry-after', value: '1' });
    return response;
  }
  tell('the request could not be run', error);
  return scimError(500, `The server failed on this request; its log has the cause under request id ${requestId}.`);
}

/** A SCIM Error (RFC 7644 §3.12) for what does not get as far as the component. */
function scimError(status: number, detail: string): ScimResponse {
  const body = { schemas: ['urn:ietf:params:scim:api:messages:2.0:Error'], status: String(status), detail };
  return { status, headers: [{ name: 'content-type', value: MEDIA_TYPE }], body: Buffer.from(JSON.stringify(body)) };
}

function send(response: ServerResponse, { status, headers, body }: ScimResponse): void {
  response.statusCode = status;
  for (const { name, value } of headers) response.appendHeader(name, value);
  if (status !== 204 && status !== 304) response.setHeader('content-length', body.length);
  response.end(body);
}

/** The whole body, or the answer to one that is too long or too slow. */
function bodyOf(
  request: IncomingMessage,
  limit: number,
  timeout: number,
): Promise<{ bytes: Uint8Array } | { refused: ScimResponse }> {
  const tooLarge = scimError(413, `The request body exceeds ${limit} bytes; send fewer operations or resources at once.`);
  if (Number(request.headers['content-length'] ?? 0) > limit) return Promise.resolve({ refused: tooLarge });
  return new Promise((resolve, reject) => {
    const refuse = (refused: ScimResponse) => {
      clearTimeout(timer);
      request.pause();
      resolve({ refused });
    };
    const late = scimError(408, 'The request body took too long to arrive; send it again.');
    const timer = setTimeout(() => refuse(late), timeout);
    const chunks: Buffer[] = [];
    let length = 0;
    request.on('data', (chunk: Buffer) => {
      length += chunk.length;
      chunks.push(chunk);
      if (length > limit) refuse(tooLarge);
    });
    request.on('end', () => {
      clearTimeout(timer);
      resolve({ bytes: Buffer.concat(chunks) });
    });
    request.on('error', (error) => {
      clearTimeout(timer);
      reject(error);
    });
  });
}

/** Names in lower case; values as UTF-8, or else as ISO 8859-1, which is how Node reads them. */
function headersOf(request: IncomingMessage): Header[] {
  const headers: Header[] = [];
  for (let at = 0; at + 1 < request.rawHeaders.length; at += 2) {
    const name = request.rawHeaders[at] ?? '';
    const value = request.rawHeaders[at + 1] ?? '';
    headers.push({ name: name.toLowerCase(), value: utf8(value) });
  }
  return headers;
}

/**
 * The subject of the client's certificate as RFC 4514 writes it, most specific first: `CN=okta,O=acme`. Only of one that the
 * server has verified: `requestCert` and `ca` in the options of `https.createServer`.
 */
function certified({ socket }: IncomingMessage): { clientCertificateSubject?: string } {
  if (!(socket instanceof TLSSocket) || !socket.authorized) return {};
  const subject = socket.getPeerX509Certificate()?.subject;
  // Node writes a line for each part, the most general first, and ` + ` within one; both are escaped within values.
  return subject ? { clientCertificateSubject: subject.split('\n').reverse().join(',').replaceAll(' + ', '+') } : {};
}

function utf8(latin1: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.from(latin1, 'latin1'));
  } catch {
    return latin1;
  }
}

/** The id that the client or a proxy gave the request, where it can do no harm in a log, or else a new one. */
function requestIdOf(headers: Header[]): string {
  const sent = headers.find((header) => header.name === 'x-request-id')?.value;
  return sent !== undefined && /^[\w.:-]{1,64}$/.test(sent) ? sent : randomUUID();
}

function normal(prefix: string): string {
  const trimmed = prefix.replace(/^\/+|\/+$/g, '');
  return trimmed === '' ? '' : `/${trimmed}`;
}
