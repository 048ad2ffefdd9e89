import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { cp, mkdir, symlink } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { root } from '../support/run-example.js';

const run = promisify(execFile);

/** What `npm pack --json` tells. */
export interface PackReport {
  readonly filename: string;
  /** Bytes of the tarball. */
  readonly size: number;
  /** Bytes of the files in it. */
  readonly unpackedSize: number;
  readonly files: readonly { readonly path: string }[];
}

interface PackageJson {
  readonly name: string;
  readonly exports: Readonly<Record<string, unknown>>;
  readonly dependencies: Readonly<Record<string, string>>;
}

const packageJson = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')) as PackageJson;

/** What users write to import each entry point that holds code. */
export const entryPoints = Object.keys(packageJson.exports)
  .filter((subpath) => subpath !== './package.json')
  .map((subpath) => path.posix.join(packageJson.name, subpath));

/** Not copied before packing: what is made anew, and what npm never packs. */
const LEFT_OUT = new Set(['.git', 'node_modules', 'dist', 'coverage']);

/** Builds and packs a copy of the working tree into the folder, as publishing would: nobody else's `dist` changes. */
export async function packLibrary(folder: string): Promise<PackReport> {
  const copy = path.join(folder, 'copy');
  await cp(root, copy, {
    recursive: true,
    filter: (source) => !LEFT_OUT.has(path.relative(root, source)),
  });
  await symlink(path.join(root, 'node_modules'), path.join(copy, 'node_modules'), 'junction');
  const { stdout } = await run(
    'npm',
    ['pack', '--json', '--foreground-scripts=false', '--pack-destination', folder],
    { cwd: copy, shell: process.platform === 'win32', env: { ...process.env, npm_config_offline: 'true' } },
  );
  return (JSON.parse(stdout) as [PackReport])[0];
}

/**
 * A project with the packed library and what it depends on, and beside that only the named packages. The tarball is
 * unpacked, as npm would; the packages are links to those installed here, so that the network is not needed.
 */
export async function makeProject(
  folder: string,
  tarball: string,
  packages: readonly string[] = [],
): Promise<string> {
  const modules = path.join(folder, 'node_modules');
  const library = path.join(modules, packageJson.name);
  await mkdir(library, { recursive: true });
  await run('tar', ['-xzf', tarball, '--strip-components=1', '-C', library]);
  for (const name of [...Object.keys(packageJson.dependencies), ...packages]) {
    const link = path.join(modules, name);
    await mkdir(path.dirname(link), { recursive: true });
    await symlink(path.join(root, 'node_modules', name), link, 'junction');
  }
  return folder;
}
