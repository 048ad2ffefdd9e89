import { ioError } from './io.js';
import { realPath } from './location.js';
import { Rounds } from './rounds.js';
import { type Limits, loadRuntime, type Runtime, type RuntimeParts } from './runtime.js';
import { Witness } from './witness.js';

/** The queue of a file, as one of the stores that use it has it. */
export interface Handle {
  readonly runtime: Runtime;
  readonly path: string;
  readonly rounds: Rounds;
  /** What this store has seen of the file. */
  readonly witness: Witness;
  /** Lets go. The last one to do so closes the queue; what waits in it is finished first. */
  release(): Promise<void>;
}

interface Shared {
  readonly rounds: Rounds;
  users: number;
}

/**
 * The queues of this process, by real path and limits. Stores of the same file so share their rounds.
 * Nothing breaks where two queues lead to one file: they then meet as two processes do.
 */
const queues = new Map<string, Shared>();

/**
 * The queue of the file at the path, which need not exist. The path is resolved now, and not again.
 *
 * @throws OffsetIoError `OFFSET_IO` where the path leads nowhere
 */
export async function openQueue(path: string, limits: Limits, parts: RuntimeParts): Promise<Handle> {
  const runtime = await loadRuntime(limits, parts);
  let real: string;
  try {
    real = await realPath(runtime.fs, path);
  } catch (error) {
    throw ioError('find', path, error);
  }
  // Stores with parts of their own (tests) have queues of their own: they may stand for different processes.
  if (Object.values(parts).some((part) => part !== undefined)) {
    const rounds = new Rounds(runtime, real);
    return { runtime, path: real, rounds, witness: new Witness(), release: () => rounds.close() };
  }
  const key = JSON.stringify([real, limits.maxFileBytes, limits.lockTimeoutMs, limits.lockHoldMs]);
  let shared = queues.get(key);
  if (shared === undefined) {
    shared = { rounds: new Rounds(runtime, real), users: 0 };
    queues.set(key, shared);
  }
  const { rounds } = shared;
  const used = shared;
  used.users += 1;
  return {
    runtime,
    path: real,
    rounds,
    witness: new Witness(),
    async release() {
      used.users -= 1;
      if (used.users > 0) return;
      // A store that comes while this one closes has a queue of its own.
      queues.delete(key);
      await rounds.close();
    },
  };
}
