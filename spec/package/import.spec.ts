import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { build, type Metafile } from 'esbuild';

const ENTRIES = {
  index: 'lib/index.ts',
  sqlite: 'lib/stores/sqlite.ts',
  postgres: 'lib/stores/postgres.ts',
  redis: 'lib/stores/redis.ts',
};

/** What a store loads by itself once it is used. */
const DEPENDENCIES = ['fs-extra', 'proper-lockfile', 'superjson'];

let folder: string;
let metafile: Metafile;

beforeAll(async () => {
  // Outside of the repository, where no package can be found: an import that needs one fails.
  folder = await mkdtemp(join(tmpdir(), 'streamweave-offset-import-'));
  ({ metafile } = await build({
    entryPoints: ENTRIES,
    outdir: folder,
    outExtension: { '.js': '.mjs' },
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    packages: 'external',
    metafile: true,
    logLevel: 'error',
  }));
});

afterAll(async () => {
  await rm(folder, { recursive: true });
});

/** What a process has loaded of Node when it has imported the file. */
async function loadedBy(name: string): Promise<string[]> {
  const source =
    'const before = new Set(process.moduleLoadList); await import(process.argv[1]);' +
    'console.log(JSON.stringify(process.moduleLoadList.filter((name) => !before.has(name))))';
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['--input-type=module', '--eval', source, join(folder, `${name}.mjs`)],
    { env: { PATH: process.env['PATH'] } },
  );
  return JSON.parse(stdout) as string[];
}

describe('the import of the package', () => {
  it.each(Object.keys(ENTRIES))('needs no other package: %s', async (name) => {
    await expect(loadedBy(name)).resolves.toEqual(expect.any(Array));
  });

  it('loads of Node nothing that only files need', async () => {
    const loaded = await loadedBy('index');
    for (const name of ['crypto', 'zlib', 'fs/promises'])
      expect(loaded).not.toContain(`NativeModule ${name}`);
  });

  it('leads to no package but the dependencies, and to those only when they are used', () => {
    const imports = Object.values(metafile.inputs).flatMap((input) => input.imports);
    const packages = imports.filter(({ path, external }) => external === true && !path.startsWith('node:'));
    expect(packages.filter(({ kind }) => kind !== 'dynamic-import')).toEqual([]);
    expect([...new Set(packages.map(({ path }) => path))].toSorted()).toEqual(DEPENDENCIES);
  });
});
