import { mkdir, mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import type { Crew } from './fire-crew.js';
import {
  aftercare,
  expectTruth,
  makeScenes,
  OPERATIONS,
  type Scene,
  setScene,
  stateOf,
} from './fire-scenes.js';
import { ageLock, callsIn, inParallel, type SystemCall, traced, type Traced } from './fire-strace.js';

/** The errors that a disk, or what stands before it, gives. */
export const ERRORS = ['EIO', 'ENOSPC', 'EROFS', 'EACCES', 'EDQUOT', 'EMFILE'] as const;

/** How many cases run at a time: each waits for its processes most of the time. */
const WIDTH = 3;

/** One call of the system in one operation. */
export interface BreakIn extends SystemCall {
  readonly scene: Scene;
}

/** These change nothing: a process that dies before one leaves what it leaves when it dies before the next other. */
const READING = new Set([
  'close',
  'getdents64',
  'lseek',
  'newfstatat',
  'fstat',
  'pread64',
  'readlink',
  'statx',
]);

/** The calls that may have changed something when the next comes. */
export function changing(breakIns: readonly BreakIn[]): BreakIn[] {
  return breakIns.filter(({ name }) => !READING.has(name));
}

/** Every call that every operation makes. */
export async function findBreakIns(crew: Crew): Promise<BreakIn[]> {
  const scenes = await makeScenes(crew.directory);
  const found: BreakIn[] = [];
  for (const operation of OPERATIONS) {
    const scene = scenes[operation];
    const directory = join(crew.directory, `clean-${operation}`);
    await mkdir(directory);
    const path = await setScene(scene, directory);
    const job = { kind: 'operation', operation, next: false, path } as const;
    const result = await traced(crew, job, ['main', 'pool'], '-e', 'trace=%file,%desc');
    const { trace, endings } = result;
    if (endings?.operation.ok !== true || stateOf(scene, path) !== 'new') {
      throw new Error(`Expected ${operation} to succeed, got ${JSON.stringify(endings)}\n${trace}`);
    }
    for (const call of callsIn(result)) found.push({ ...call, scene });
  }
  return found;
}

/** Runs the operation once for each of its calls, with what strace injects there. */
async function breakIn(
  crew: Crew,
  breakIns: readonly BreakIn[],
  inject: (index: number) => string,
  next: boolean,
  judge: (scene: Scene, path: string, result: Traced, index: number) => Promise<void>,
): Promise<void> {
  await inParallel(breakIns, WIDTH, async ({ scene, thread, name, nth }, index) => {
    const { operation } = scene;
    const what = inject(index);
    const directory = await mkdtemp(join(crew.directory, 'case-'));
    const path = await setScene(scene, directory);
    const job = { kind: 'operation', operation, next, path } as const;
    const injection = `inject=${name}:${what}:when=${nth}`;
    const result = await traced(crew, job, [thread], '-e', `trace=${name}`, '-e', injection);
    try {
      await judge(scene, path, result, index);
    } catch (error) {
      const said = JSON.stringify(result.endings);
      throw new Error(
        `${operation}, ${what} at ${name} number ${nth} of the ${thread} thread: ${said}\n${result.trace.slice(-2000)}`,
        {
          cause: error,
        },
      );
    }
  });
}

export interface Deaths {
  readonly old: number;
  readonly new: number;
}

/** SIGKILL at the entry of each call, which is not made any more. */
export async function killAt(crew: Crew, breakIns: readonly BreakIn[]): Promise<Deaths> {
  const deaths = { old: 0, new: 0 };
  await breakIn(
    crew,
    breakIns,
    () => 'signal=SIGKILL',
    false,
    async (scene, path, { signal }) => {
      if (signal !== 'SIGKILL') throw new Error('The process survived');
      const state = stateOf(scene, path);
      deaths[state] += 1;
      ageLock(path);
      await aftercare(scene, path);
    },
  );
  return deaths;
}

export interface Failures {
  /** The error did no harm: it was at a call that the result does not depend on. */
  readonly new: number;
  readonly old: number;
  readonly unknown: number;
}

/** Each call fails with an error of the system, and is not made. */
export async function failAt(
  crew: Crew,
  breakIns: readonly BreakIn[],
  error: (index: number) => string,
): Promise<Failures> {
  const failures = { old: 0, new: 0, unknown: 0 };
  await breakIn(
    crew,
    breakIns,
    (index) => `error=${error(index)}`,
    true,
    async (scene, path, { endings }, index) => {
      if (endings === undefined) throw new Error('The process died');
      failures[expectTruth(scene, path, endings, error(index))] += 1;
    },
  );
  return failures;
}

/** Writes that claim to have written, and have not: the file system lies, as a full one may. */
export async function lieAt(crew: Crew, breakIns: readonly BreakIn[], claimed: number): Promise<Failures> {
  const failures = { old: 0, new: 0, unknown: 0 };
  await breakIn(
    crew,
    breakIns,
    () => `retval=${claimed}`,
    true,
    async (scene, path, { endings }) => {
      if (endings === undefined) throw new Error('The process died');
      failures[expectTruth(scene, path, endings, undefined)] += 1;
    },
  );
  return failures;
}
