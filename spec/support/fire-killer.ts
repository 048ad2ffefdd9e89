import { setTimeout } from 'node:timers/promises';
import type { Crew, Worker } from './fire-crew.js';
import type { Random } from './fire-random.js';
import { Watch } from './fire-watch.js';

/** SIGKILL is `kill -9`; SIGUSR2 makes a worker call `process.exit()`. */
export type Death = 'SIGKILL' | 'SIGTERM' | 'SIGUSR2';

export interface Murders {
  readonly deaths: readonly Death[];
  readonly processes: number;
  readonly cycles: number;
  readonly random: Random;
}

export interface Aftermath {
  readonly watch: Watch;
  /** How many died with the lock in their hands, and left it behind. */
  readonly locksLeft: number;
  /** From a death to the first commit that each survivor had acknowledged after it, the longest. */
  readonly longestPauseMs: number;
}

/** The longest pause before one kill, long enough for some rounds of every process. */
const MAX_DELAY_MS = 60;

/** How long a test waits for a survivor before it gives it up; what is promised is less, and asserted by the spec. */
const PATIENCE_MS = 20_000;

/**
 * Processes commit to one file; one after the other is ended at a random moment, and started again. Throws
 * where anything acknowledged was lost or went back, or the file was not whole for a moment.
 */
export async function murder(crew: Crew, { deaths, processes, cycles, random }: Murders): Promise<Aftermath> {
  const watch = new Watch(crew);
  let locksLeft = 0;
  let longest = 0n;
  const start = (index: number): Worker => crew.commit(`p${index}`, { own: 2, shared: true });
  try {
    const workers = Array.from({ length: processes }, (_, index) => start(index));
    for (const worker of workers) await worker.acknowledgedAfter(0n, PATIENCE_MS);
    for (let cycle = 0; cycle < cycles; cycle++) {
      await setTimeout(random.next() * MAX_DELAY_MS);
      const index = random.below(processes);
      const victim = workers[index] as Worker;
      victim.kill(random.pick(deaths));
      await victim.exited();
      const died = process.hrtime.bigint();
      workers[index] = start(index);
      const pauses = await Promise.all(
        workers
          .filter((worker) => worker !== workers[index])
          .map(async (worker) => (await worker.acknowledgedAfter(died, PATIENCE_MS)) - died),
      );
      for (const pause of pauses) if (pause > longest) longest = pause;
      // Only a lock that nobody gives back keeps everybody waiting for a second and more.
      if (pauses.every((pause) => pause > 1_000_000_000n)) locksLeft += 1;
      if (watch.violations.length > 0) break;
      const failed = crew.journal.errors[0];
      if (failed !== undefined) throw new Error(`A process failed: ${failed}`);
    }
    // The last victim's successor comes to its turn too.
    for (const worker of workers) await worker.acknowledgedAfter(process.hrtime.bigint(), PATIENCE_MS);
  } finally {
    await crew.dismiss();
    await watch.finish();
  }
  return { watch, locksLeft, longestPauseMs: Number(longest / 1_000_000n) };
}
