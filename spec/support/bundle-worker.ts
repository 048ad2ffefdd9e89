import { existsSync, symlinkSync } from 'node:fs';
import path from 'node:path';
import { build } from 'esbuild';

/** A program with what it imports of ours as one module in the folder, which starts much faster; packages stay outside. */
export async function bundleWorker(program: string, folder: string): Promise<string> {
  const outfile = path.join(folder, `${path.basename(program, '.ts')}.mjs`);
  await build({
    entryPoints: [program],
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    packages: 'external',
    outfile,
    logLevel: 'error',
  });
  const modules = path.join(folder, 'node_modules');
  if (!existsSync(modules)) symlinkSync(path.resolve('node_modules'), modules);
  return outfile;
}
