import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

/** The package as it is built: what a child that runs plain JavaScript imports. */
export const PACKAGE = import.meta.resolve('streamweave-offset');

/**
 * Runs the text of a module in a process of its own, without any loader, and gives what it prints, as JSON. Without
 * any option of V8's either: with one, Node cannot use the compiled code that it carries for its own modules.
 */
export async function inChild<T>(source: string, ...args: string[]): Promise<T> {
  const { stdout } = await promisify(execFile)(process.execPath, [
    '--input-type=module',
    '--eval',
    source,
    '--',
    ...args,
  ]);
  return JSON.parse(stdout) as T;
}
