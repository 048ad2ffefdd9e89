/**
 * The lock that keeps processes from fighting over the file. It keeps them from nothing else: it can be
 * stolen, released by a stranger and held by two, and no commit is lost by that, because the token of
 * replace.ts decides. So nothing is ever concluded from having it, or from giving it back.
 */
import { OffsetLockError, type OffsetError } from '../../errors.js';
import { quote } from '../../validate.js';
import { codeOf, ioError } from './io.js';
import type { Runtime } from './runtime.js';

/** What is used of proper-lockfile. */
export interface LockModule {
  lock(file: string, options: LockOptions): Promise<() => Promise<void>>;
}

export interface LockOptions {
  /** `false`: the path is a real path already; resolving it again would need the file to exist. */
  readonly realpath: false;
  /** A lock that was not refreshed for so many milliseconds may be taken over. */
  readonly stale: number;
  /** How often the holder refreshes it, in milliseconds. */
  readonly update: number;
  /** 0: proper-lockfile's own retries also retry what can never succeed. */
  readonly retries: 0;
  /** Called when the holder finds that the lock is no longer its own. proper-lockfile's default throws. */
  readonly onCompromised: (error: Error) => void;
}

/** How long the survivors of a crash wait. The least that proper-lockfile takes; safe because the token decides. */
const LOCK_STALE_MS = 2000;
const LOCK_UPDATE_MS = 1000;

/** A lock that was had. */
export interface Lease {
  /** Whether the lock was found to be another's. What is under way is then begun anew, for courtesy's sake. */
  readonly lost: boolean;
  /** Gives the lock back, if it is still ours; never rejects. */
  release(): Promise<void>;
}

const lockPathOf = (path: string): string => `${path}.lock`;

/** proper-lockfile, loaded when first needed: loading it installs listeners for the signals that end a process. */
async function loadLock(): Promise<LockModule> {
  const { default: lockfile } = await import('proper-lockfile');
  return lockfile;
}

/**
 * Tries once. Gives undefined when another holds the lock.
 *
 * @throws the original error when the lock cannot be had at all
 */
export async function tryLock(runtime: Runtime, path: string): Promise<Lease | undefined> {
  const lock = runtime.lock ?? (await loadLock());
  let lost = false;
  let release: () => Promise<void>;
  try {
    release = await lock.lock(path, {
      realpath: false,
      stale: LOCK_STALE_MS,
      update: LOCK_UPDATE_MS,
      retries: 0,
      onCompromised: () => {
        lost = true;
      },
    });
  } catch (error) {
    const code = codeOf(error);
    if (code === 'ELOCKED') return undefined;
    // On Windows a lock that another is just removing refuses with these.
    if (runtime.fs.windows && (code === 'EPERM' || code === 'EACCES' || code === 'EBUSY')) return undefined;
    throw error;
  }
  return {
    get lost() {
      return lost;
    },
    async release() {
      try {
        await release();
      } catch {
        // It was lost, or is broken. It turns stale by itself, and safety does not rest on it.
      }
    },
  };
}

async function describe(runtime: Runtime, lockPath: string): Promise<string> {
  try {
    const stat = await runtime.fs.lstat(lockPath);
    if (!stat.isDirectory()) {
      return 'It is not a directory, so no process of this library made it. Move it away, or choose another path for the store';
    }
    const refreshed = new Date(Number(stat.mtimeMs));
    const age = runtime.now() - refreshed.getTime();
    if (age < -LOCK_UPDATE_MS) {
      return (
        `It was last refreshed at ${refreshed.toISOString()}, which is in the future: the clock was set back, and ` +
        'until it has caught up nobody can tell whether the holder is alive. If it is not, remove the lock'
      );
    }
    return `It was last refreshed ${Math.max(0, Math.round(age))} ms ago`;
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return 'It has been free since, for a moment at least';
    return `Nothing is known of its holder (${codeOf(error) ?? 'no reason given'})`;
  }
}

/** The refusal of a call that has waited for the lock, or against other writers, as long as it may. */
export async function lockTimeoutError(runtime: Runtime, path: string): Promise<OffsetLockError> {
  const lockPath = lockPathOf(path);
  return new OffsetLockError(
    `Waited ${runtime.lockTimeoutMs} ms for other writers of ${quote(path)}, and nothing was changed. ` +
      `The lock is ${quote(lockPath)}. ${await describe(runtime, lockPath)}`,
  );
}

/** The error for a lock that cannot be had at all. Whatever stands in its place is left alone. */
export async function lockError(runtime: Runtime, path: string, cause: unknown): Promise<OffsetError> {
  const lockPath = lockPathOf(path);
  const code = codeOf(cause);
  if (code === 'ENOTDIR' || code === 'ENOTEMPTY' || code === 'EEXIST') {
    const what =
      code === 'ENOTDIR'
        ? await describe(runtime, lockPath)
        : 'It was left behind and is not empty, as a lock of this library is. Move it away';
    return new OffsetLockError(`Could not take the lock ${quote(lockPath)}: ${code}. ${what}`, { cause });
  }
  return ioError('take the lock', lockPath, cause);
}
