import { existsSync, symlinkSync } from 'node:fs';
import path from 'node:path';
import { build } from 'esbuild';

/**
 * A program of spec/support as one module in the folder, which starts much faster: for those that are started many
 * times, or are to start at once. It holds the packages, too, but for those with a compiled part.
 *
 * @returns the module's path
 */
export async function bundleWorker(program: string, folder: string): Promise<string> {
  const outfile = path.join(folder, `${path.basename(program, '.ts')}.mjs`);
  await build({
    entryPoints: [path.join('spec/support', program)],
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    external: ['libsql', 'pg-native'],
    // What is CommonJS among the packages asks for Node's own modules with require().
    banner: {
      js: "import { createRequire as requireOf } from 'node:module'; const require = requireOf(import.meta.url);",
    },
    outfile,
    logLevel: 'error',
  });
  const modules = path.join(folder, 'node_modules');
  if (!existsSync(modules)) symlinkSync(path.resolve('node_modules'), modules);
  return outfile;
}
