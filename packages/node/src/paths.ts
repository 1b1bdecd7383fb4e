// What a URL means: which part is the base path, which names the tenant, and what the client calls this server.

import type { IncomingMessage } from 'node:http';
import type { TLSSocket } from 'node:tls';

/** A path below one of the base paths. */
export interface Place {
  /** The tenant, where the path names one. */
  tenant: string | undefined;
  /** Path and query below the base path, byte for byte. */
  target: string;
}

/** Slashes too many and another case are let through: administrators type this path. */
const BASE = /^\/+(?:t\/+([^/]+)\/+)?scim\/+v2(?=\/|$)/i;
/** What a tenant may be called where a URL names it. */
const TENANT = /^[a-z0-9][a-z0-9._-]{0,63}$/i;

/** The place that a request's URL names, or `undefined` outside `/scim/v2` and `/t/{tenant}/scim/v2`. */
export function place(url: string, prefix: string): Place | undefined {
  const queryAt = url.indexOf('?');
  const [path, query] = queryAt < 0 ? [url, ''] : [url.slice(0, queryAt), url.slice(queryAt)];
  if (!path.startsWith(prefix)) return undefined;
  const found = BASE.exec(path.slice(prefix.length));
  if (!found || (found[1] !== undefined && !TENANT.test(found[1]))) return undefined;
  const rest = path.slice(prefix.length + found[0].length);
  return { tenant: found[1], target: (rest === '' ? '/' : rest) + query };
}

/** Scheme and host as the client knows them. Of several proxies, the first is the one that the client spoke to. */
export function origin(request: IncomingMessage): string {
  const first = (name: string) => {
    const value = request.headers[name];
    return (Array.isArray(value) ? value[0] : value)?.split(',')[0]?.trim();
  };
  const forwarded = first('x-forwarded-proto');
  const secure = (request.socket as Partial<TLSSocket>).encrypted === true;
  const scheme = forwarded === 'http' || forwarded === 'https' ? forwarded : secure ? 'https' : 'http';
  const host = [first('x-forwarded-host'), first('host')].find((name) => name && /^[\w\-.:[\]]+$/.test(name));
  return `${scheme}://${host ?? 'localhost'}`;
}
