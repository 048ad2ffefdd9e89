import { Readable } from 'node:stream';
import { getEventListeners } from 'node:events';
import { setImmediate as turn } from 'node:timers/promises';
import { CommitStrategy } from '../../lib/commit-strategy.js';
import { Offset, type OffsetInput } from '../../lib/offset.js';
import type { CommitOptions } from '../../lib/offset-store.js';
import { InMemoryOffsetStore } from '../../lib/stores/memory.js';
import { CountedTracker } from './counted-tracker.js';
import { CommitHistory } from './endings-checks.js';
import type { FormRun } from './endings-forms.js';
import { FakeClock } from './fake-clock.js';

/** One item takes the worker this long, and one commit a store as long as the world says; all else takes no time. */
export const WORK_MS = 10;
export const DRAIN_MS = 200;
export const CLOSE_MS = 300;
export const STORE_MS = 1_000;
/** A run that takes longer than that hangs: all its work, and every deadline, is far shorter. */
const LIMIT_MS = 20_000;

/** How many items there are, and the one at which a run ends. */
export const COUNT = 24;
export const LAST_ITEM = 11;

export const SOURCE = 'a';

export interface Item {
  readonly id: number;
  /** With gaps. */
  readonly offset: number;
}

export const itemOf = (id: number): Item => ({ id, offset: id * 3 + 2 });
/** The item of an offset; -1 for none. */
export const idOf = (offset: Offset | undefined): number =>
  offset?.kind === 'sequence' ? (Number(offset.value) - 2) / 3 : -1;

export const boom = new Error('boom');

/** At which instant something is done to a run: in the middle of it, in each case. */
export type Instant = 'working' | 'committing' | 'idle';

/** How a run ends. */
export interface Plan {
  /** What the source does when it has given the items. */
  readonly source: 'ends' | 'fails' | 'idles';
  readonly workFails?: boolean;
  readonly sinkFails?: boolean;
  /** The loop over the items leaves; `take-source` takes a number of items of the source. */
  readonly leaves?: 'break' | 'take' | 'take-source';
  readonly act?: {
    readonly at: Instant;
    readonly what: 'abort' | 'abort pipeline' | 'destroy(error)' | 'destroy()';
  };
}

/** Whether the source gives all that it has, and nothing else ends the run. */
export function isClean({ source, workFails, sinkFails, leaves, act }: Plan): boolean {
  const left = leaves === 'break' || leaves === 'take';
  return source === 'ends' && workFails !== true && sinkFails !== true && !left && act === undefined;
}

/** A store in memory whose commits take time, and that can be made to answer no more. */
class SlowStore extends InMemoryOffsetStore {
  hangs = false;
  /** Whether the commit of this item fails. */
  fails: (id: number) => boolean = () => false;
  readonly #waiting: Array<() => void> = [];
  onBegin: (id: number) => void = () => undefined;
  onLanded: (id: number) => void = () => undefined;

  constructor(
    readonly clock: FakeClock,
    readonly commitMs: number,
  ) {
    super();
  }

  override async commit(source: string, offset: OffsetInput, options?: CommitOptions): Promise<void> {
    const id = idOf(Offset.from(offset));
    this.onBegin(id);
    await new Promise<void>((resolve) => {
      this.clock.setTimeout(() => {
        if (this.hangs) this.#waiting.push(resolve);
        else resolve();
      }, this.commitMs);
    });
    if (this.fails(id)) throw new Error('disk full');
    await super.commit(source, offset, options);
    this.onLanded(id);
  }

  // The joint commit of close() is one commit like any.
  override async commitMany(entries: Parameters<InMemoryOffsetStore['commitMany']>[0]): Promise<void> {
    for (const { source, offset, ...options } of entries) await this.commit(source, offset, options);
  }

  answer(): void {
    this.hangs = false;
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}

/** What is the same at every run of a cell, the crashes included: what is stored, and what was done. */
export class World {
  readonly clock = new FakeClock();
  readonly store: SlowStore;
  readonly history = new CommitHistory(COUNT);

  constructor(
    readonly strategy: CommitStrategy,
    commitMs: number,
  ) {
    this.store = new SlowStore(this.clock, commitMs);
    this.store.onBegin = (id) => this.history.began(id);
    this.store.onLanded = (id) => this.history.landed(id);
  }

  async committed(): Promise<number> {
    return idOf(await this.store.get(SOURCE));
  }
}

/** One run: from its start to its end, whichever that is. */
export class Run implements FormRun {
  readonly tracker: CountedTracker;
  readonly option = new AbortController();
  readonly ofPipeline = new AbortController();
  readonly drainTimeoutMs = DRAIN_MS;
  readonly closeTimeoutMs = CLOSE_MS;
  readonly source: Readable;
  /** What is destroyed by the ending of that name. */
  destroy: (error?: Error) => unknown = () => undefined;
  /** When the run was told to end. */
  toldAt: number | undefined;
  /** The worst of its history until then. */
  worstBefore = 0;
  /** How many timers are those of the work, which nothing cuts short. */
  working = 0;
  /** What a process does before it closes the tracker. */
  beforeClose: () => Promise<void> = () => Promise.resolve();
  #acted = false;

  constructor(
    readonly world: World,
    readonly plan: Plan,
    readonly from: number,
    readonly hangs: boolean,
  ) {
    const { clock, store, strategy, history } = world;
    this.tracker = new CountedTracker(store, { strategy, clock, storeTimeoutMs: STORE_MS });
    history.start();
    history.onBegin = (id) => {
      if (plan.act?.at === 'committing' && id >= LAST_ITEM - 3) this.#actIn(store.commitMs / 2);
    };
    let next = from;
    this.source = new Readable({
      objectMode: true,
      highWaterMark: 1,
      read() {
        give(this);
      },
    });
    const give = (source: Readable): void => {
      if (next === (plan.source === 'ends' ? COUNT : LAST_ITEM)) {
        if (plan.source === 'ends') {
          source.push(null);
          if (isClean(plan)) this.told();
        } else if (plan.source === 'fails') {
          this.told();
          source.destroy(boom);
        } else if (plan.act?.at === 'idle') {
          this.#actIn(100);
        }
      } else {
        source.push(itemOf(next++));
      }
    };
  }

  #sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.world.clock.setTimeout(resolve, ms);
    });
  }

  get leaving(): Plan['leaves'] {
    return this.plan.leaves;
  }

  /** The work for an item. */
  async work(item: Item, times = 1): Promise<void> {
    if (item.id === LAST_ITEM && this.plan.act?.at === 'working') this.#actIn(WORK_MS / 2);
    this.working++;
    await this.#sleep(WORK_MS * times);
    this.working--;
    if (item.id === LAST_ITEM && this.plan.workFails === true) {
      this.told();
      throw boom;
    }
    this.world.history.done(item.id);
  }

  /** Whether a sink fails at the item. */
  sinkError(item: Item): Error | undefined {
    if (item.id !== LAST_ITEM || this.plan.sinkFails !== true) return undefined;
    this.told();
    return boom;
  }

  /** Whether a loop over the items is left at this one. */
  leaves(item: Item): boolean {
    if (item.id !== LAST_ITEM || this.plan.leaves !== 'break') return false;
    this.told();
    return true;
  }

  /** From now on it is to end. */
  told(): void {
    if (this.toldAt !== undefined) return;
    this.toldAt = this.world.clock.now();
    this.worstBefore = this.world.history.worst;
    if (this.hangs) this.world.store.hangs = true;
  }

  #actIn(ms: number): void {
    if (this.#acted) return;
    this.#acted = true;
    this.world.clock.setTimeout(() => {
      this.told();
      switch (this.plan.act!.what) {
        case 'abort':
          this.option.abort(boom);
          break;
        case 'abort pipeline':
          this.ofPipeline.abort(boom);
          break;
        case 'destroy(error)':
          this.destroy(boom);
          break;
        case 'destroy()':
          this.destroy();
          break;
      }
    }, ms);
  }

  /** What the run has left behind that it should have let go of. */
  leaks(): string[] {
    const leaks: string[] = [];
    const count = (what: string, n: number): void => {
      if (n > 0) leaks.push(`leak: ${n} ${what}`);
    };
    count('listeners of commits', this.tracker.listeners);
    count('listeners of the signal given', getEventListeners(this.option.signal, 'abort').length);
    count("listeners of the pipeline's signal", getEventListeners(this.ofPipeline.signal, 'abort').length);
    count('source not closed', this.source.destroyed ? 0 : 1);
    return leaks;
  }
}

/** Thrown where nothing is left that could end the run. */
export class HangError extends Error {}

/** Lets time pass until the promise has settled; time goes from one timer to the next. */
export async function drive<T>(clock: FakeClock, promise: Promise<T>): Promise<T> {
  let settled = false;
  const settle = (): void => {
    settled = true;
  };
  promise.then(settle, settle);
  const startedAt = clock.now();
  for (let idle = 0; ;) {
    await turn();
    if (settled) return promise;
    if (clock.now() - startedAt > LIMIT_MS)
      throw new HangError('It has not ended, and every deadline is over');
    const next = clock.timers[0];
    if (next !== undefined) {
      idle = 0;
      await clock.advance(next);
    } else if (++idle > 20) {
      throw new HangError('Nothing is left that could end it');
    }
  }
}

/** While it runs, all timers are the clock's. */
export async function withTimers<T>(clock: FakeClock, work: () => Promise<T>): Promise<T> {
  const { setTimeout, clearTimeout } = globalThis;
  globalThis.setTimeout = ((callback: () => void, ms = 0) =>
    clock.setTimeout(callback, ms)) as typeof globalThis.setTimeout;
  globalThis.clearTimeout = (timer: unknown) => clock.clearTimeout(timer);
  try {
    return await work();
  } finally {
    globalThis.setTimeout = setTimeout;
    globalThis.clearTimeout = clearTimeout;
  }
}
