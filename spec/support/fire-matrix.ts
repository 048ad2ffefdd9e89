import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Offset } from '../../lib/offset.js';
import { FileOffsetStore } from '../../lib/stores/file/file-store.js';
import type { FileSystem } from '../../lib/stores/file/io.js';
import { noLock, recordingFileSystem, systemError } from './file-fs.js';
import { NEXT_SOURCE } from './fire-job.js';
import { endingOf, operate } from './fire-operation.js';
import { expectTruth, isUntouched, type Scene, setScene } from './fire-scenes.js';

/** What happens at a call: what it throws is the call's error; what it returns, other than undefined, its result. */
type Fault = (call: keyof FileSystem, args: readonly unknown[]) => unknown;

export type Outcome = 'old' | 'new' | 'unknown';

/**
 * Runs the operation in this process, on the real file system, with the fault at the calls from the n-th on;
 * then holds what came of it, and of a commit after it without the fault, against the file.
 *
 * @param base - a directory; the case has one of its own in it
 * @param cause - the code of the fault's error
 */
async function runCase(
  scene: Scene,
  base: string,
  fault: (index: number) => Fault | undefined,
  cause: string | undefined,
): Promise<{ readonly outcome: Outcome; readonly calls: readonly (keyof FileSystem)[] }> {
  const directory = await mkdtemp(join(base, 'case-'));
  const path = await setScene(scene, directory);
  // No power is lost here, so nothing need reach the disk: a flush is a call that may fail, and no more.
  const recorder = await recordingFileSystem({ fsync: async () => {} });
  let count = 0;
  recorder.before = ({ call }, args) => {
    const index = count;
    count += 1;
    return fault(index)?.(call, args);
  };
  const store = new FileOffsetStore(path, { fs: recorder.fs, lock: noLock });
  const operation = await endingOf(operate(store, scene.operation));
  const calls = recorder.calls.map(({ call }) => call);
  recorder.before = () => undefined;
  const failed = !operation.ok && operation.code !== 'OFFSET_DURABILITY_UNKNOWN';
  if (failed && !isUntouched(scene, path)) throw new Error('The old file was changed');
  const next = await endingOf(store.commit(NEXT_SOURCE, Offset.sequence(1n)));
  await store.close();
  const outcome = expectTruth(scene, path, { operation, next }, cause);
  await rm(directory, { recursive: true });
  return { outcome, calls };
}

export interface Matrix {
  readonly cases: number;
  readonly outcomes: Readonly<Record<Outcome, number>>;
  /** The calls that may fail without harm. */
  readonly harmless: ReadonlySet<keyof FileSystem>;
}

/** One error, at each call once: at that call alone, or at it and all that come after it. */
export async function failEverywhere(
  scene: Scene,
  base: string,
  code: string,
  persists: boolean,
): Promise<Matrix> {
  const outcomes = { old: 0, new: 0, unknown: 0 };
  const harmless = new Set<keyof FileSystem>();
  let cases = 0;
  for (let nth = 0; ; nth++) {
    let struck = false;
    let outcome: Outcome;
    let calls: readonly (keyof FileSystem)[];
    try {
      ({ outcome, calls } = await runCase(
        scene,
        base,
        (index) => {
          if (persists ? index < nth : index !== nth) return undefined;
          struck = true;
          return () => {
            throw systemError(code);
          };
        },
        code,
      ));
    } catch (error) {
      throw new Error(
        `${scene.operation}, ${code} at call ${nth}${persists ? ' and after' : ''}: ${String(error)}`,
        {
          cause: error,
        },
      );
    }
    if (!struck) return { cases, outcomes, harmless };
    cases += 1;
    outcomes[outcome] += 1;
    const struckCall = calls[nth];
    if (outcome === 'new' && struckCall !== undefined) harmless.add(struckCall);
  }
}

/** What a write may do that is no error: write less than it was given, or say something else than it did. */
export const SHORT_WRITES = {
  'one byte at a time': { claimed: () => 1, written: () => 1 },
  'half of it at a time': {
    claimed: (length) => Math.ceil(length / 2),
    written: (length) => Math.ceil(length / 2),
  },
  nothing: { claimed: () => 0, written: () => 0 },
  'half of it, and says all': { claimed: (length) => length, written: (length) => Math.floor(length / 2) },
  'nothing, and says all': { claimed: (length) => length, written: () => 0 },
} satisfies Record<string, { claimed: (length: number) => number; written: (length: number) => number }>;

/** Every write of the operation writes short. */
export async function writeShort(
  scene: Scene,
  base: string,
  { claimed, written }: { claimed: (length: number) => number; written: (length: number) => number },
): Promise<Outcome> {
  const { fs } = await recordingFileSystem();
  const fault: Fault = async (call, args) => {
    if (call !== 'write') return undefined;
    const [fd, buffer, offset, length, position] = args as [number, Uint8Array, number, number, number];
    const part = written(length);
    if (part > 0) await fs.write(fd, buffer, offset, part, position);
    return { bytesWritten: claimed(length) };
  };
  return (await runCase(scene, base, () => fault, undefined)).outcome;
}
