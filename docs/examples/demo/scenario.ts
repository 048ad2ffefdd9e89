import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Kill } from './check.js';
import type { Input } from './data.js';
import type { Job, Report } from './job.js';
import { OutputFile } from './output-file.js';
import { openStore } from './store.js';
import type { OutputLine } from './work.js';

const WORKER = fileURLToPath(new URL('./worker.ts', import.meta.url));
const WRONG_ORDER = fileURLToPath(new URL('./wrong-order.ts', import.meta.url));

/** How often the parent looks how far the worker is. */
const LOOK_EVERY_MS = 2;

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

/** A worker that ended by itself and not well. */
export class WorkerError extends Error {}

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
      const life = await live(job, options.wrongOrder, moments[kills.length], output, signal, (offset) =>
        observer.progress(itemsUpTo(ends, offset)),
      );
      commits += life.commits;
      if (!life.killed) {
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
function killMoments(kills: number, random: () => number, bytes: number): number[] {
  // One in each of as many equal parts, and none near the end of its part, so that all of them come to pass.
  return Array.from({ length: kills }, (_, part) => ((part + 0.1 + 0.7 * random()) / kills) * bytes);
}

function restFor(items: number, kills: number): Job['rest'] {
  const missingMs = kills * LEAST_MS_PER_KILL - items * ITEM_MS;
  if (missingMs <= 0) return undefined;
  const rests = Math.min(items, Math.ceil(missingMs));
  return { everyItems: Math.floor(items / rests), ms: Math.ceil(missingMs / rests) };
}

/** How many items end at or before the offset. */
function itemsUpTo(ends: Float64Array, offset: number): number {
  let low = 0;
  let high = ends.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (ends[middle]! <= offset) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** One life of the worker: it ends by itself, or is killed once it has done the item at `killAt`. */
async function live(
  job: Job,
  wrongOrder: boolean,
  killAt: number | undefined,
  output: OutputFile,
  signal: AbortSignal,
  onProgress: (offset: number) => void,
): Promise<{ killed: boolean; commits: number }> {
  const sizeAtStart = output.size;
  const program = wrongOrder ? WRONG_ORDER : WORKER;
  const worker = fork(program, [JSON.stringify(job)], {
    stdio: ['ignore', 'inherit', 'pipe', 'ipc'],
  });
  let commits = 0;
  worker.on('message', (report: Report) => {
    commits = report.commits;
  });
  const said = collect(worker);
  // The reports that a worker sent before its death come in before the channel is closed.
  const ended = Promise.all([once(worker, 'exit'), once(worker, 'disconnect')]);
  ended.catch(() => undefined);
  const lives = (): boolean => worker.exitCode === null && worker.signalCode === null;
  const kill = (): boolean => worker.kill('SIGKILL');
  signal.addEventListener('abort', kill, { once: true });
  try {
    while (lives() && !signal.aborted) {
      await Promise.race([ended, delay(LOOK_EVERY_MS)]);
      // A life that has added nothing yet is not killed: that would be a kill of nothing.
      if (!lives() || output.size <= sizeAtStart) continue;
      const offset = output.lastOffset;
      onProgress(offset);
      if (killAt !== undefined && offset >= killAt) {
        kill();
        break;
      }
    }
    if (signal.aborted) kill();
    await ended;
  } finally {
    signal.removeEventListener('abort', kill);
  }
  signal.throwIfAborted();
  if (worker.signalCode === 'SIGKILL') return { killed: true, commits };
  if (worker.exitCode === 0) return { killed: false, commits };
  throw new WorkerError(
    `The worker ended by itself with ${worker.signalCode ?? `exit code ${worker.exitCode}`}:\n${said()}`,
  );
}

/** The end of what the worker writes on stderr. */
function collect(worker: ChildProcess): () => string {
  let text = '';
  worker.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
    text = (text + chunk).slice(-4000);
  });
  return () => text.trim();
}
