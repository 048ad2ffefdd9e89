import { FileOffsetStore, type OffsetStore } from 'streamweave-offset';
import type { ExactlyOnceTarget } from './target.js';

/** What opens a store of offsets alone, by the scheme of its URL; further stores are further lines here. */
const openers: Readonly<Record<string, (rest: string) => OffsetStore>> = {
  file: (path) => new FileOffsetStore(path),
};

/** What opens a database that holds the results, too, by the scheme of its URL. Drivers are loaded when asked for. */
const targets: Readonly<Record<string, (rest: string, url: string) => Promise<ExactlyOnceTarget>>> = {
  sqlite: async (path) => (await import('./sqlite-target.js')).openSqlite(path),
  postgres: async (_, url) => (await import('./postgres-target.js')).openPostgres(url),
  postgresql: async (_, url) => (await import('./postgres-target.js')).openPostgres(url),
};

/**
 * Whether the URL names a database that holds the results beside the offsets, such as `sqlite:demo.db`, or else a
 * store of offsets alone, such as `file:offsets.json`.
 *
 * @throws Error that says which schemes there are
 */
export function isDatabase(url: string): boolean {
  if (opening(targets, url) !== undefined) return true;
  if (opening(openers, url) !== undefined) return false;
  throw unknown(url, { ...openers, ...targets });
}

/**
 * The store of offsets that a URL such as `file:offsets.json` names.
 *
 * @throws Error that says which schemes there are
 */
export function openStore(url: string): OffsetStore {
  const open = opening(openers, url);
  if (open === undefined) throw unknown(url, openers);
  return open();
}

/**
 * The database that a URL such as `sqlite:demo.db` names.
 *
 * @throws Error that says which schemes there are
 */
export async function openTarget(url: string): Promise<ExactlyOnceTarget> {
  const open = opening(targets, url);
  if (open === undefined) throw unknown(url, targets);
  return open();
}

type Openers<Opened> = Readonly<Record<string, (rest: string, url: string) => Opened>>;

function opening<Opened>(schemes: Openers<Opened>, url: string): (() => Opened) | undefined {
  const colon = url.indexOf(':');
  const scheme = url.slice(0, Math.max(colon, 0));
  const rest = url.slice(colon + 1);
  const open = Object.hasOwn(schemes, scheme) ? schemes[scheme] : undefined;
  return open === undefined || rest === '' ? undefined : () => open(rest, url);
}

function unknown(url: string, schemes: object): Error {
  const forms = Object.keys(schemes).map((name) => `${name}:PATH`);
  return new Error(`Expected a store as ${forms.join(' or ')}, got "${url}"`);
}
