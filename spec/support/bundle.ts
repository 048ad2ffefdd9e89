import { resolve } from 'node:path';
import { build } from 'esbuild';

/** A program of spec/support as one file of JavaScript, for those that are started many times. */
export async function bundle(name: string, outfile: string): Promise<void> {
  const entry = resolve(__dirname, name);
  await build({ entryPoints: [entry], outfile, bundle: true, platform: 'node', external: ['pg-native'] });
}
