import { FileOffsetStore, type OffsetStore } from 'streamweave-offset';

/** What opens a store, by the scheme of its URL; further stores are further lines here. */
const openers: Readonly<Record<string, (rest: string) => OffsetStore>> = {
  file: (path) => new FileOffsetStore(path),
};

/**
 * The store that a URL such as `file:offsets.json` names.
 *
 * @throws Error that says which schemes there are
 */
export function openStore(url: string): OffsetStore {
  const colon = url.indexOf(':');
  const scheme = url.slice(0, Math.max(colon, 0));
  const rest = url.slice(colon + 1);
  const open = Object.hasOwn(openers, scheme) ? openers[scheme] : undefined;
  if (open === undefined || rest === '') {
    const forms = Object.keys(openers).map((name) => `${name}:PATH`);
    throw new Error(`Expected a store as ${forms.join(' or ')}, got "${url}"`);
  }
  return open(rest);
}
