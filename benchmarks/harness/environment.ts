import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';

const require = createRequire(import.meta.url);

/** What the figures were compared with, and what they stand on. */
const PACKAGES = [
  'conf',
  'fs-extra',
  'ioredis',
  'keyv-file',
  'libsql',
  'lmdb',
  'lowdb',
  'node-persist',
  'pg',
  'proper-lockfile',
  'superjson',
  'write-file-atomic',
];

/** The version in the package.json above the file that the name leads to; many packages do not export theirs. */
async function versionOf(name: string): Promise<string> {
  for (const folder of require.resolve.paths(name) ?? []) {
    try {
      const text = await readFile(path.join(folder, name, 'package.json'), 'utf8');
      return (JSON.parse(text) as { version: string }).version;
    } catch {
      // Not in this folder.
    }
  }
  return 'not installed';
}

/** What must be known of a run to compare it with another. */
export async function environment(): Promise<object> {
  const versions = await Promise.all(PACKAGES.map(async (name) => [name, await versionOf(name)] as const));
  return {
    date: new Date().toISOString(),
    node: process.version,
    machine: {
      cpu: os.cpus()[0]?.model,
      cores: os.cpus().length,
      memoryGiB: Math.round(os.totalmem() / 2 ** 30),
      platform: process.platform,
      // Version and patch level: what follows is the builder's own mark.
      release: os.release().split('.', 2).join('.'),
    },
    versions: Object.fromEntries(versions),
  };
}
