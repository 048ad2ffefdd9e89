import { fileURLToPath } from 'node:url';
import type { Kill } from './check.js';
import type { Job } from './job.js';
import { live } from './life.js';
import {
  itemsUpTo,
  killMoments,
  type Observer,
  type Outcome,
  restFor,
  type ScenarioOptions,
} from './scenario.js';
import { openTarget } from './store.js';

const WORKER = fileURLToPath(new URL('./exactly-once-worker.ts', import.meta.url));

/** How many items go into one transaction; fewer where the file is small. */
const BATCH_SIZE = 500;

/** What a worker of this scenario is told to do. */
export interface ExactlyOnceJob extends Pick<Job, 'input' | 'store' | 'source' | 'rest'> {
  readonly batchSize: number;
}

/** What it tells its parent at each commit. */
export interface ExactlyOnceReport {
  readonly commits: number;
  readonly offset: number;
}

/**
 * Starts the worker, kills it as often as asked, starts it again, until it ends by itself; over any database, which
 * the store's URL names.
 */
export async function runExactlyOnce(
  options: Omit<ScenarioOptions, 'strategy' | 'folder' | 'wrongOrder'>,
  observer: Observer,
): Promise<Outcome> {
  const { input, signal } = options;
  const startedAt = performance.now();
  const ends = Float64Array.from(input.items.keys());
  const target = await openTarget(options.store);
  const job: ExactlyOnceJob = {
    input: input.path,
    store: options.store,
    source: `demo ${input.name} exactly once`,
    batchSize: Math.min(BATCH_SIZE, Math.max(1, Math.floor(ends.length / (10 * Math.max(1, options.kills))))),
    rest: restFor(ends.length, options.kills),
  };
  const moments = killMoments(options.kills, options.random, input.bytes);
  const kills: Kill[] = [];
  let commits = 0;
  try {
    // The database may remember an earlier run.
    await target.store.clear(job.source);
    await target.start(job.source);
    const committedItems = async (): Promise<number> => {
      const offset = await target.store.get(job.source);
      return offset?.kind === 'sequence' ? itemsUpTo(ends, Number(offset.value)) : 0;
    };
    for (;;) {
      const killAt = moments[kills.length];
      let last: ExactlyOnceReport = { commits: 0, offset: 0 };
      const end = await live(
        WORKER,
        job,
        signal,
        (report) => {
          last = report as ExactlyOnceReport;
          observer.progress(itemsUpTo(ends, last.offset));
        },
        // A life that has committed nothing yet is not killed: that would be a kill of nothing.
        () => killAt !== undefined && last.offset >= killAt,
      );
      commits += last.commits;
      if (end === 'done') {
        observer.progress(ends.length);
        break;
      }
      // Nothing runs now. What is written and what is committed are one and the same.
      const outputLines = (await target.read(job.source)).length;
      const kill = { outputLines, uncommitted: Math.abs(outputLines - (await committedItems())) };
      kills.push(kill);
      observer.killed(kill, kills.length, outputLines);
    }
    return {
      outputs: await target.read(job.source),
      kills,
      committedItems: await committedItems(),
      commits,
      ms: performance.now() - startedAt,
    };
  } finally {
    await target.close();
  }
}
