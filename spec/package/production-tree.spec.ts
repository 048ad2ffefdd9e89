import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { root } from '../support/run-example.js';

interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly license?: string;
  readonly gypfile?: boolean;
  readonly scripts?: Readonly<Record<string, string>>;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
  readonly peerDependenciesMeta?: Readonly<Record<string, { readonly optional?: boolean }>>;
}

/** Licences that ask for no more than to be named. */
const ALLOWED_LICENSES = new Set([
  '0BSD',
  'Apache-2.0',
  'BlueOak-1.0.0',
  'BSD-2-Clause',
  'BSD-3-Clause',
  'ISC',
  'MIT',
]);

/** What npm runs when somebody installs a package. */
const INSTALL_SCRIPTS = ['preinstall', 'install', 'postinstall', 'prepare'];

function readManifest(folder: string): Manifest {
  return JSON.parse(readFileSync(path.join(folder, 'package.json'), 'utf8')) as Manifest;
}

/** Where Node finds the package when a file in the folder imports it. */
function folderOf(name: string, from: string): string {
  const folder = path.join(from, 'node_modules', name);
  try {
    readManifest(folder);
    return folder;
  } catch {
    if (from === path.dirname(from)) throw new Error(`Expected ${name} to be installed; run npm ci`);
    return folderOf(name, path.dirname(from));
  }
}

/** What is installed with the library, whatever else its user has: all it depends on, and what that depends on. */
function productionTree(): Map<string, Manifest> {
  const found = new Map<string, Manifest>();
  const visit = (folder: string): void => {
    const { dependencies, optionalDependencies } = readManifest(folder);
    for (const name of Object.keys({ ...dependencies, ...optionalDependencies })) {
      const other = folderOf(name, folder);
      if (found.has(other)) continue;
      found.set(other, readManifest(other));
      visit(other);
    }
  };
  visit(root);
  return found;
}

describe('what is installed with the library', () => {
  const library = readManifest(root);
  const tree = productionTree();
  const manifests = [...tree.values()];

  it('is these packages, each once', () => {
    expect(manifests.map(({ name }) => name).toSorted()).toEqual([
      'copy-anything',
      'fs-extra',
      'graceful-fs',
      'jsonfile',
      'proper-lockfile',
      'retry',
      'signal-exit',
      'superjson',
      'universalify',
    ]);
  });

  it('has licences that suit any project', () => {
    expect([library, ...manifests].filter(({ license }) => !ALLOWED_LICENSES.has(license ?? ''))).toEqual([]);
  });

  it('runs nothing when it is installed', () => {
    const own = Object.keys(library.scripts ?? {}).filter((script) => INSTALL_SCRIPTS.includes(script));
    expect(own).toEqual([]);
    for (const { name, scripts, gypfile } of manifests) {
      // `prepare` of a package that comes from a registry is not run.
      const run = Object.keys(scripts ?? {}).filter(
        (key) => key !== 'prepare' && INSTALL_SCRIPTS.includes(key),
      );
      expect({ name, run, gypfile }).toEqual({ name, run: [], gypfile: undefined });
    }
  });

  it('has a copy-anything that copies no prototypes', () => {
    const { version } = manifests.find(({ name }) => name === 'copy-anything')!;
    expect(Number(version.split('.')[0])).toBeGreaterThanOrEqual(4);
  });

  it('asks for nothing more: every peer is optional', () => {
    const peers = Object.keys(library.peerDependencies ?? {});
    expect(Object.keys(library.peerDependenciesMeta ?? {}).toSorted()).toEqual(peers.toSorted());
    for (const name of peers) expect(library.peerDependenciesMeta?.[name]).toEqual({ optional: true });
  });

  it('is what the lock file holds, whose hashes npm checks', () => {
    const { packages } = JSON.parse(readFileSync(path.join(root, 'package-lock.json'), 'utf8')) as {
      packages: Readonly<Record<string, object>>;
    };
    for (const [folder, { version }] of tree) {
      const key = path.relative(root, folder).split(path.sep).join('/');
      expect({ [key]: packages[key] }).toEqual({
        [key]: expect.objectContaining({ version, integrity: expect.stringMatching(/^sha512-/) }),
      });
    }
  });
});
