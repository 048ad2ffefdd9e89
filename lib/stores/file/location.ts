import { basename, dirname, join, resolve } from 'node:path';
import { codeOf, type FileSystem } from './io.js';

/** As many symbolic links as Linux follows. */
const MAX_LINKS = 40;

/**
 * The real path of a file that may not exist yet: symbolic links are followed to their target, that of the
 * file itself included, and the target need not exist either. A rename onto the link would replace the
 * link; a rename onto the real path replaces what it points to.
 *
 * @throws the original error
 */
export async function realPath(fs: FileSystem, path: string, links = 0): Promise<string> {
  try {
    return await fs.realpath(path);
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error;
  }
  let target: string | undefined;
  try {
    if ((await fs.lstat(path)).isSymbolicLink()) target = await fs.readlink(path);
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error;
  }
  if (target !== undefined) {
    if (links >= MAX_LINKS) throw Object.assign(new Error(`too many links at ${path}`), { code: 'ELOOP' });
    return await realPath(fs, resolve(dirname(path), target), links + 1);
  }
  const parent = dirname(path);
  return parent === path ? path : join(await realPath(fs, parent, links), basename(path));
}

async function makeDirectory(fs: FileSystem, path: string): Promise<void> {
  try {
    await fs.mkdir(path);
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error;
  }
}

/** Makes the directory and those above it. That another makes them at the same time is no error. */
export async function makeDirectories(fs: FileSystem, path: string): Promise<void> {
  try {
    await makeDirectory(fs, path);
  } catch (error) {
    const parent = dirname(path);
    if (codeOf(error) !== 'ENOENT' || parent === path) throw error;
    await makeDirectories(fs, parent);
    await makeDirectory(fs, path);
  }
}

/** The directories above the one that holds the file, from the nearest to the root. */
export function ancestorsOf(path: string): string[] {
  const ancestors: string[] = [];
  for (let at = dirname(path), up = dirname(at); up !== at; at = up, up = dirname(at)) ancestors.push(up);
  return ancestors;
}
