/** A process that runs forms under every strategy at once, each for a source and a file of its own. */
import { appendFileSync, mkdirSync, openSync, readFileSync, writeSync } from 'node:fs';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { CommitStrategy } from '../../lib/commit-strategy.js';
import type { Offset } from '../../lib/offset.js';
import type { CommitEntry, CommitOptions } from '../../lib/offset-store.js';
import { FileOffsetStore } from '../../lib/stores/file/file-store.js';
import { OffsetTracker } from '../../lib/tracker/offset-tracker.js';
import type { Form, FormRun } from './endings-forms.js';
import { type Item, itemOf, idOf, SOURCE } from './endings-world.js';

export const STRATEGIES: ReadonlyArray<readonly [string, CommitStrategy]> = [
  ['auto', CommitStrategy.auto],
  ['periodic(3)', CommitStrategy.periodic(3)],
  ['periodic(3, { maxDelayMs })', CommitStrategy.periodic(3, { maxDelayMs: 2 })],
  ['interval', CommitStrategy.interval(5)],
  ['eager', CommitStrategy.eager],
  ['manual', CommitStrategy.manual],
];

/** The files of a strategy in a folder: what was done and committed when, and the offsets themselves. */
export function filesOf(folder: string, strategy: string): { log: string; offsets: string } {
  const name = `${folder}/${strategy.replace(/\W/g, '')}`;
  return { log: `${name}.log`, offsets: `${name}.json` };
}

/** The folder of a form. */
export function folderOf(folder: string, form: Form): string {
  return `${folder}/${form.name.replace(/\W/g, '')}`;
}

/** A store in a file that keeps a log of its commits; each line is one system call, which a kill cannot cut in two. */
class LoggedStore extends FileOffsetStore {
  readonly #log: (line: string) => void;

  constructor(path: string, log: (line: string) => void) {
    super(path);
    this.#log = log;
  }

  override async commit(source: string, offset: Offset, options?: CommitOptions): Promise<void> {
    this.#log(`begun ${idOf(offset)}`);
    await super.commit(source, offset, options);
    this.#log(`landed ${idOf(offset)}`);
  }

  override async commitMany(entries: Iterable<CommitEntry>): Promise<void> {
    const all = [...entries];
    for (const { offset } of all) this.#log(`begun ${idOf(offset)}`);
    await super.commitMany(all);
    for (const { offset } of all) this.#log(`landed ${idOf(offset)}`);
  }
}

/** One run of a form in this process, under one strategy. */
export class ProcessRun implements FormRun {
  readonly tracker: OffsetTracker;
  readonly source: Readable;
  readonly leaving = undefined;
  readonly ofPipeline = new AbortController();
  readonly drainTimeoutMs = 20_000;
  readonly closeTimeoutMs = 20_000;
  destroy: (error?: Error) => unknown = () => undefined;
  readonly #log: (line: string) => void;

  private constructor(
    folder: string,
    strategy: string,
    readonly option: AbortController,
    log: (line: string) => void,
    from: number,
    count: number,
  ) {
    this.#log = log;
    const store = new LoggedStore(filesOf(folder, strategy).offsets, log);
    this.tracker = new OffsetTracker(store, { strategy: new Map(STRATEGIES).get(strategy) });
    let next = from;
    this.source = new Readable({
      objectMode: true,
      highWaterMark: 1,
      read() {
        this.push(next < count ? itemOf(next++) : null);
      },
    });
  }

  /** Begins after what is committed. */
  static async begin(
    folder: string,
    strategy: string,
    stop: AbortController,
    count = Infinity,
  ): Promise<ProcessRun> {
    const { log, offsets } = filesOf(folder, strategy);
    mkdirSync(folder, { recursive: true });
    const file = openSync(log, 'a');
    const from = idOf(await new FileOffsetStore(offsets).get(SOURCE)) + 1;
    writeSync(file, `start ${from}\n`);
    return new ProcessRun(folder, strategy, stop, (line) => writeSync(file, `${line}\n`), from, count);
  }

  async work(item: Item, times = 1): Promise<void> {
    await sleep(times);
    this.#log(`done ${item.id}`);
  }

  sinkError(): undefined {
    return undefined;
  }

  leaves(): boolean {
    return false;
  }

  beforeClose(): Promise<void> {
    return Promise.resolve();
  }
}

/**
 * Runs the forms under every strategy until SIGTERM: the handler aborts, what is aborted commits what is recorded,
 * and once every tracker is closed the process ends by itself, if nothing is left that holds it.
 */
export async function runUntilTerminated(forms: readonly Form[], folder: string): Promise<void> {
  const reason = new Error('SIGTERM');
  const stops: AbortController[] = [];
  process.on('SIGTERM', () => {
    for (const stop of stops) stop.abort(reason);
  });
  const runOne = async (form: Form, strategy: string): Promise<void> => {
    const stop = new AbortController();
    stops.push(stop);
    const run = await ProcessRun.begin(folderOf(folder, form), strategy, stop);
    try {
      await form.run(run);
      throw new Error('It ended by itself');
    } catch (error) {
      if (!stop.signal.aborted) throw error;
      const seen = error === reason || (error as Error).cause === reason ? 'the reason' : String(error);
      appendFileSync(filesOf(folderOf(folder, form), strategy).log, `saw ${seen}\n`);
    } finally {
      await run.tracker.close();
    }
  };
  await Promise.all(forms.flatMap((form) => STRATEGIES.map(([strategy]) => runOne(form, strategy))));
  const left = process.getActiveResourcesInfo().filter((name) => name === 'Timeout');
  if (left.length > 0) throw new Error(`${left.length} timers are left`);
}

/** What a log tells of the last run in it. */
export interface Logged {
  readonly from: number;
  /** The items done in the last run. */
  readonly done: readonly number[];
  /** The items done in any run. */
  readonly ever: ReadonlySet<number>;
  /** The item of the last commit that was acknowledged, in any run; -1 for none. */
  readonly landed: number;
  /** How many items were done in the last run since the beginning of the last commit that was acknowledged. */
  readonly doneSince: number;
  readonly saw: string | undefined;
}

export function readLog(folder: string, strategy: string): Logged {
  let from = 0;
  let landed = -1;
  let saw: string | undefined;
  const ever = new Set<number>();
  let done: number[] = [];
  let doneAtBegin = new Map<number, number>();
  let doneBefore = 0;
  for (const line of readFileSync(filesOf(folder, strategy).log, 'utf8').split('\n')) {
    const [, what, text] = /^(\w+) (.*)$/.exec(line) ?? [];
    const id = Number(text);
    if (what === 'start') {
      from = id;
      done = [];
      doneAtBegin = new Map();
      doneBefore = 0;
      saw = undefined;
    } else if (what === 'done') {
      done.push(id);
      ever.add(id);
    } else if (what === 'begun') {
      doneAtBegin.set(id, done.length);
    } else if (what === 'landed') {
      landed = id;
      doneBefore = doneAtBegin.get(id)!;
    } else if (what === 'saw') {
      saw = text;
    }
  }
  return { from, done, ever, landed, doneSince: done.length - doneBefore, saw };
}
