import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Kill } from './check.js';
import type { Input } from './data.js';
import type { Job, Report } from './job.js';
import { live } from './life.js';
import { OutputFile } from './output-file.js';
import { openStore } from './store.js';
import type { OutputLine } from './work.js';

const WORKER = fileURLToPath(new URL('./worker.ts', import.meta.url));
const WRONG_ORDER = fileURLToPath(new URL('./wrong-order.ts', import.meta.url));

/** A small file is slowed down so that at least this much time lies between two kills. */
const LEAST_MS_PER_KILL = 200;

/** About how long an item takes where nothing slows it down; a guess is enough. */
const ITEM_MS = 0.01;

/** What a scenario tells while it runs. */
export interface Observer {
  /** How many items lie up to the one done last. */
  progress(items: number): void;
  killed(kill: Kill, number: number, items: number): void;
}

export interface ScenarioOptions {
  readonly input: Input;
  readonly strategy: string;
  readonly store: string;
  readonly kills: number;
  /** Chooses the moments of the kills; numbers in [0, 1). */
  readonly random: () => number;
  /** Where the output goes. */
  readonly folder: string;
  readonly wrongOrder: boolean;
  readonly signal: AbortSignal;
}

/** What came of it. */
export interface Outcome {
  readonly outputs: readonly OutputLine[];
  readonly kills: readonly Kill[];
  readonly committedItems: number;
  /** Commits that the workers were told have landed, all lives together. */
  readonly commits: number;
  readonly ms: number;
}

/** Starts the worker, kills it as often as asked, starts it again, until it ends by itself. */
export async function runScenario(options: ScenarioOptions, observer: Observer): Promise<Outcome> {
  const { input, strategy, signal } = options;
  const startedAt = performance.now();
  const ends = Float64Array.from(input.items.keys());
  const output = new OutputFile(join(options.folder, `${strategy.replace(':', '-')}.out.jsonl`));
  const store = openStore(options.store);
  const job: Job = {
    input: input.path,
    output: output.path,
    store: options.store,
    source: `demo ${input.name} ${strategy}`,
    strategy,
    rest: restFor(ends.length, options.kills),
  };
  const moments = killMoments(options.kills, options.random, input.bytes);
  const kills: Kill[] = [];
  let commits = 0;
  let furthest = 0;
  try {
    // The store may remember an earlier run.
    await store.clear(job.source);
    const committedItems = async (): Promise<number> => {
      const offset = await store.get(job.source);
      return offset?.kind === 'sequence' ? itemsUpTo(ends, Number(offset.value)) : 0;
    };
    for (;;) {
      const killAt = moments[kills.length];
      const sizeAtStart = output.size;
      let landed = 0;
      const end = await live(
        options.wrongOrder ? WRONG_ORDER : WORKER,
        job,
        signal,
        (report) => (landed = (report as Report).commits),
        () => {
          // A life that has added nothing yet is not killed: that would be a kill of nothing.
          if (output.size <= sizeAtStart) return false;
          const offset = output.lastOffset;
          observer.progress(itemsUpTo(ends, offset));
          return killAt !== undefined && offset >= killAt;
        },
      );
      commits += landed;
      if (end === 'done') {
        observer.progress(itemsUpTo(ends, output.lastOffset));
        break;
      }
      // Nothing runs now. What is done and not committed is what the next life may repeat, and no more.
      furthest = Math.max(furthest, output.lastOffset);
      const done = itemsUpTo(ends, furthest);
      const uncommitted = Math.max(0, done - (await committedItems()));
      const kill = { outputLines: output.countLines(), uncommitted };
      kills.push(kill);
      observer.killed(kill, kills.length, done);
    }
    return {
      outputs: output.lines(),
      kills,
      committedItems: await committedItems(),
      commits,
      ms: performance.now() - startedAt,
    };
  } finally {
    output.close();
    await store.close?.();
  }
}

/** Positions in the file, in order; the worker is killed when it is seen to have done the item there. */
export function killMoments(kills: number, random: () => number, bytes: number): number[] {
  // One in each of as many equal parts, and none near the end of its part, so that all of them come to pass.
  return Array.from({ length: kills }, (_, part) => ((part + 0.1 + 0.7 * random()) / kills) * bytes);
}

export function restFor(items: number, kills: number): Job['rest'] {
  const missingMs = kills * LEAST_MS_PER_KILL - items * ITEM_MS;
  if (missingMs <= 0) return undefined;
  const rests = Math.min(items, Math.ceil(missingMs));
  return { everyItems: Math.floor(items / rests), ms: Math.ceil(missingMs / rests) };
}

/** How many items end at or before the offset. */
export function itemsUpTo(ends: Float64Array, offset: number): number {
  let low = 0;
  let high = ends.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (ends[middle]! <= offset) low = middle + 1;
    else high = middle;
  }
  return low;
}
