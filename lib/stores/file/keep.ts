import { basename, dirname, join } from 'node:path';
import { both, codeOf, type FileStat, writeFully } from './io.js';
import type { Runtime } from './runtime.js';

/** Why a file is kept beside its successor; part of the name. */
export type KeptKind = 'corrupt' | 'crate';

const MAX_NAMES = 100;

/** A time fit for a file name everywhere: `20260131T235959.999Z`. */
function stamp(ms: number): string {
  return new Date(ms).toISOString().replace(/[-:]/g, '');
}

const sameFile = (a: FileStat, b: FileStat): boolean => a.ino === b.ino && a.dev === b.dev;

/** The name under which the very file is already kept. Only a file with a second name can be. */
async function findKept(
  { fs }: Runtime,
  path: string,
  kind: KeptKind,
  stat: FileStat,
): Promise<string | undefined> {
  if (stat.nlink < 2n) return undefined;
  const directory = dirname(path);
  for (const name of await fs.readdir(directory)) {
    if (!name.startsWith(`${basename(path)}.${kind}-`)) continue;
    const candidate = join(directory, name);
    try {
      if (sameFile(await fs.lstat(candidate), stat)) return candidate;
    } catch {
      // It went away while we looked, or cannot be looked at.
    }
  }
  return undefined;
}

/** Tries names until one is free: nothing that is there is ever written over. */
async function underFreeName(
  runtime: Runtime,
  path: string,
  kind: KeptKind,
  make: (name: string) => Promise<void>,
): Promise<string> {
  const base = `${path}.${kind}-${stamp(runtime.now())}`;
  for (let count = 0; ; count++) {
    const name = count === 0 ? base : `${base}-${count}`;
    try {
      await make(name);
      return name;
    } catch (error) {
      if (codeOf(error) !== 'EEXIST' || count >= MAX_NAMES) throw error;
    }
  }
}

/**
 * Gives the file at the path a second name, `<path>.<kind>-<time>`: a hard link, so that the bytes stay
 * when the first name gets a new file. At most one link is made for a file. The directory is not flushed:
 * whoever replaces the file after this does that.
 *
 * @param stat - the file that is meant; when another has taken its place, nothing is kept
 * @returns the second name; undefined when the file is no longer at the path
 * @throws the original error
 */
export async function linkBeside(
  runtime: Runtime,
  path: string,
  kind: KeptKind,
  stat: FileStat,
): Promise<string | undefined> {
  const { fs } = runtime;
  const kept = await findKept(runtime, path, kind, stat);
  if (kept !== undefined) return kept;
  const name = await underFreeName(runtime, path, kind, (name) => fs.link(path, name));
  if (sameFile(await fs.lstat(name), stat)) return name;
  // The file was replaced just before, and this is a link to its successor.
  await fs.unlink(name);
  return undefined;
}

/**
 * As {@link linkBeside}, and where the file system has no hard links, or does not allow this one, a copy.
 *
 * @throws the original error when neither could be made; a copy that could not be finished is removed
 */
export async function keepBeside(
  runtime: Runtime,
  path: string,
  kind: KeptKind,
  stat: FileStat,
  bytes: Buffer,
): Promise<string | undefined> {
  const { fs } = runtime;
  try {
    return await linkBeside(runtime, path, kind, stat);
  } catch {
    return await underFreeName(runtime, path, kind, async (name) => {
      const fd = await fs.open(name, 'wx', 0o600);
      try {
        await writeFully(fs, fd, bytes);
        await fs.fsync(fd);
      } catch (error) {
        await both(fs.close(fd), fs.unlink(name));
        throw error;
      }
      await fs.close(fd);
    });
  }
}
