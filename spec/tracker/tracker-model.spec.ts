import { isDeepStrictEqual } from 'node:util';
import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { CommitStrategy } from '../../lib/commit-strategy.js';
import { OffsetError } from '../../lib/errors.js';
import { Offset } from '../../lib/offset.js';
import type { CommitEntry, CommitOptions, OffsetStore } from '../../lib/offset-store.js';
import { InMemoryOffsetStore } from '../../lib/stores/memory.js';
import type { TrackedDelivery } from '../../lib/tracker/delivery.js';
import { OffsetTracker } from '../../lib/tracker/offset-tracker.js';
import { FakeClock, settle } from '../support/fake-clock.js';
import { FIVE, FlakyStore, only, type StoreCallRecord } from '../support/flaky-store.js';
import { refuseUnhandledRejections } from '../support/unhandled.js';

refuseUnhandledRejections();

/*
 * Random programs of calls, failures, delays and other trackers' doings are run against the tracker and, step by
 * step, against a plain model of what it ought to hold: the items accepted in the present life of a source (since its
 * last reset, clear or new start), and which of its commits landed. The model learns from the store which commits
 * landed or were fenced, and knows all else by itself.
 */

const SOURCES = ['a', 'b'] as const;
type Source = (typeof SOURCES)[number];

/** Remembers what it holds in a form that can be read at once. */
class OpenStore extends InMemoryOffsetStore {
  readonly offsets = new Map<string, bigint | undefined>();

  override async commit(source: string, offset: Offset, options?: CommitOptions): Promise<void> {
    await super.commit(source, offset, options);
    this.#note(source, offset);
  }

  override async commitMany(entries: Iterable<CommitEntry>): Promise<void> {
    const all = [...entries];
    await super.commitMany(all);
    for (const entry of all) this.#note(entry.source, entry.offset);
  }

  override async reset(source: string, offset: Offset): Promise<number> {
    const epoch = await super.reset(source, offset);
    this.#note(source, offset);
    return epoch;
  }

  override async clear(source: string): Promise<void> {
    await super.clear(source);
    this.offsets.delete(source);
  }

  override async clearAll(): Promise<void> {
    await super.clearAll();
    this.offsets.clear();
  }

  #note(source: string, offset: Offset): void {
    this.offsets.set(source, offset.kind === 'sequence' ? offset.value : undefined);
  }
}

/** Checks nothing, as a simple store of five methods would: all protection has to come from the tracker. */
class BlindStore extends OpenStore {
  override commit(source: string, offset: Offset): Promise<void> {
    return super.commit(source, offset, { allowRegression: true });
  }

  override commitMany(entries: Iterable<CommitEntry>): Promise<void> {
    return super.commitMany(
      Array.from(entries, ({ source, offset }) => ({ source, offset, allowRegression: true })),
    );
  }
}

interface Setup {
  readonly kind: 'full' | 'blind' | 'blind, with commitMany';
  readonly retries: number;
  readonly exclusive: boolean;
}

/** What the model says of a record, once it has had its turn. */
interface Expected {
  refusal?: string;
  accepted?: true;
}

/** A call that waits, in the model, for a reset or clear before it. */
type Waiting =
  | { do: 'change'; to: bigint | undefined; before: number; outcome: { ok?: boolean } }
  | { do: 'record'; offset: bigint; items: number; index?: number; expected: Expected }
  | { do: 'read' };

interface ModelDelivery {
  readonly offset: bigint;
  readonly delivery: TrackedDelivery;
  acked: boolean;
  gone: boolean;
}

class SourceModel {
  /** Undefined until the source was read: the next call does that. */
  newest: bigint | 'none' | undefined;
  accepted: { offset: bigint; items: number }[] = [];
  landed: bigint | undefined;
  /** Every commit that landed, in order. */
  readonly log: bigint[] = [];
  /** How often what was pending was made void: by a change in the store, or by a new start. */
  changes = 0;
  fenced = false;
  recorded = 0;
  deliveries: ModelDelivery[] = [];
  cutBefore = 0;
  tracked: bigint | undefined;
  waiting: Waiting[] = [];

  get pending(): { offset: bigint; items: number }[] {
    return this.accepted.filter(({ offset }) => this.landed === undefined || offset > this.landed);
  }

  begin(newest: bigint | 'none' | undefined): void {
    this.newest = newest;
    this.accepted = [];
    this.fenced = false;
  }
}

/** The same as expect().toEqual(), which is too slow to be called at every step. */
function same(actual: unknown, wanted: unknown): void {
  if (!isDeepStrictEqual(actual, wanted)) expect(actual).toStrictEqual(wanted);
}

const FAILURE = new Error('the store says no');

class Run {
  readonly clock = new FakeClock();
  readonly inner: OpenStore;
  readonly store: FlakyStore;
  readonly sources = { a: new SourceModel(), b: new SourceModel() };
  mode: 'ok' | 'fail' | 'hold' | 'doAndReject' = 'ok';
  tracker!: OffsetTracker;
  /** What promises told that they should not have. */
  readonly violations: unknown[] = [];
  lastRecord: Expected = {};
  /** The other tracker has its own way to the store, and no failures. */
  other: OffsetTracker;

  constructor(
    readonly strategy: CommitStrategy,
    readonly setup: Setup,
  ) {
    this.inner = setup.kind === 'full' ? new OpenStore() : new BlindStore();
    this.store = new FlakyStore(this.inner);
    this.store.fate = (call) => {
      if (call.method !== 'commit' && call.method !== 'commitMany') return undefined;
      // What sets an offset back is a reset, in a store that has none.
      if (call.options?.allowRegression === true) return undefined;
      if (this.mode === 'fail') return { reject: FAILURE };
      if (this.mode === 'doAndReject') return { doAndReject: FAILURE };
      return this.mode === 'hold' ? 'hold' : undefined;
    };
    this.store.answered = (call, error) => this.#answered(call, error);
    this.other = new OffsetTracker(this.inner);
    this.reopen();
  }

  #answered(call: StoreCallRecord, error: unknown): void {
    const changes =
      call.method === 'reset' || call.method.startsWith('clear') || call.options?.allowRegression === true;
    if (changes) {
      // No commit is in flight now: those that land from now on are the new life's.
      for (const source of call.sources.length > 0 ? call.sources : SOURCES) {
        const model = this.sources[source as Source];
        model.landed = undefined;
        model.changes++;
      }
    } else if (call.method === 'commit' || call.method === 'commitMany') {
      if (error === undefined) {
        const entries = call.entries ?? [{ source: call.sources[0]!, offset: call.offset! }];
        for (const { source, offset } of entries) {
          if (offset.kind !== 'sequence') continue;
          const model = this.sources[source as Source];
          model.landed = offset.value;
          model.log.push(offset.value);
        }
      } else if (error instanceof OffsetError && error.code === 'OFFSET_FENCED') {
        this.sources[error.source as Source].fenced = true;
      }
    }
  }

  reopen(): void {
    const { kind, retries, exclusive } = this.setup;
    const store: OffsetStore =
      kind === 'full' ? this.store : only(this.store, kind === 'blind' ? FIVE : [...FIVE, 'commitMany']);
    this.tracker = new OffsetTracker(store, {
      strategy: this.strategy,
      clock: this.clock,
      storeTimeoutMs: 400,
      retry: { retries, minDelayMs: 10, maxDelayMs: 20 },
      exclusive: exclusive && kind === 'full',
      random: () => 0.5,
    });
    for (const source of SOURCES) this.sources[source] = new SourceModel();
  }

  // What the tracker is asked to do, in both worlds.

  record(source: Source, offset: bigint): void {
    const model = this.sources[source];
    const expected = this.#modelRecord(model, source, { do: 'record', offset, items: 1, expected: {} });
    this.#watch(model, offset, expected, this.tracker.record(source, offset));
    this.lastRecord = expected;
  }

  track(source: Source, gap: bigint): void {
    const model = this.sources[source];
    const least = [model.newest, model.tracked].reduce<bigint>(
      (most, n) => (typeof n === 'bigint' && n > most ? n : most),
      0n,
    );
    const offset = least + gap;
    model.tracked = offset;
    model.deliveries.push({
      offset,
      delivery: this.tracker.track(source, offset),
      acked: false,
      gone: false,
    });
  }

  ack(source: Source, which: number): void {
    const model = this.sources[source];
    const each = model.deliveries[which % model.deliveries.length]!;
    let expected: Expected = {};
    let reached: bigint | undefined;
    if (!each.acked) {
      each.acked = true;
      const advance = this.#advance(model);
      if (advance !== undefined) {
        expected = this.#modelRecord(model, source, advance);
        reached = advance.offset;
      }
    }
    this.#watch(model, reached, expected, each.delivery.ack());
  }

  commit(source: Source): void {
    const model = this.sources[source];
    const target = model.waiting.length === 0 ? model.pending.at(-1)?.offset : undefined;
    void this.#landsBy([[source, target]], this.tracker.commit(source));
  }

  commitAll(): void {
    const targets = SOURCES.map((source): [Source, bigint | undefined] => {
      const model = this.sources[source];
      return [source, model.waiting.length === 0 ? model.pending.at(-1)?.offset : undefined];
    });
    void this.#landsBy(targets, this.tracker.commitAll());
  }

  change(sources: readonly Source[], to: bigint | undefined, call: Promise<void>): void {
    const outcome: { ok?: boolean } = {};
    for (const source of sources) {
      const model = this.sources[source];
      model.tracked = undefined;
      model.waiting.push({ do: 'change', to, before: model.deliveries.length, outcome });
    }
    call.then(
      () => {
        outcome.ok = true;
      },
      (error: { code: string }) => {
        outcome.ok = false;
        if (error.code !== 'OFFSET_DURABILITY_UNKNOWN') this.violations.push(error);
      },
    );
  }

  getOffset(source: Source): void {
    const model = this.sources[source];
    const idle = model.waiting.length === 0;
    if (idle) this.#modelRead(model, source);
    else model.waiting.push({ do: 'read' });
    const stored = this.inner.offsets.get(source);
    void this.tracker.getOffset(source).then((offset) => {
      const wanted = stored === undefined ? Offset.earliest : Offset.sequence(stored);
      if (idle && !Offset.equals(offset, wanted)) this.violations.push({ offset, wanted });
    });
  }

  async close(): Promise<void> {
    let outcome: 'open' | 'ok' | 'failed' = 'open';
    const watch = (closing: Promise<void>): void => {
      outcome = 'open';
      closing.then(
        () => {
          outcome = 'ok';
        },
        () => {
          outcome = 'failed';
        },
      );
    };
    const checkClosed = (): void => {
      if (outcome !== 'ok' || this.strategy.kind === 'manual') return;
      for (const source of SOURCES) {
        const pending = this.sources[source].pending.at(-1)?.offset;
        expect([source, pending]).toEqual([source, undefined]);
      }
    };
    watch(this.tracker.close({ timeoutMs: 200 }));
    await settle();
    // Whatever the store does, it ends in time.
    if (outcome === 'open') await this.clock.advance(200);
    expect(outcome).not.toBe('open');
    this.#catchUp();
    checkClosed();
    await this.#invariants();
    this.mode = 'ok';
    for (const call of this.store.held.splice(0)) call.letThrough();
    await settle();
    watch(this.tracker.close());
    await this.clock.advance(200);
    expect(outcome).not.toBe('open');
    this.#catchUp();
    const refused = SOURCES.some((source) => this.sources[source].fenced || this.#isBehind(source));
    if (!refused) expect(outcome).toBe('ok');
    checkClosed();
    expect(this.clock.timers).toEqual([]);
    this.store.mostAtOnce = 0;
  }

  /** After each step: what had to wait has its turn, and both worlds are compared. */
  async compare(recorded?: Source): Promise<void> {
    await settle();
    this.#catchUp();
    await this.#invariants();
    if (
      this.mode !== 'ok' ||
      this.store.held.length > 0 ||
      recorded === undefined ||
      this.lastRecord.accepted !== true
    )
      return;
    const model = this.sources[recorded];
    if (model.fenced || model.waiting.length > 0 || this.#isBehind(recorded) || this.setup.retries > 0)
      return;
    const { pending } = this.tracker.stats(recorded);
    if (this.strategy.kind === 'auto' || this.strategy.kind === 'eager') expect(pending).toBe(0);
    if (this.strategy.kind === 'periodic') expect(pending).toBeLessThan(this.strategy.n);
  }

  /** After a long time with a store in order, no strategy that has a timer leaves anything. */
  compareIdle(): void {
    if (this.mode !== 'ok' || this.store.held.length > 0) return;
    for (const source of SOURCES) {
      const { fenced } = this.sources[source];
      const timed =
        this.strategy.kind === 'interval' || (this.strategy.kind === 'periodic' && this.strategy.maxDelayMs);
      if (timed && !fenced && !this.#isBehind(source)) expect(this.tracker.stats(source).pending).toBe(0);
    }
  }

  async #invariants(): Promise<void> {
    same(this.violations, []);
    same(this.store.mostAtOnce <= 1, true);
    const pending = new Map<string, Offset>();
    for (const source of SOURCES) {
      const model = this.sources[source];
      const newest = model.pending.at(-1);
      if (newest !== undefined) pending.set(source, Offset.sequence(newest.offset));
      const stats = this.tracker.stats(source);
      same(
        { source, recorded: stats.recorded, pending: stats.pending, inFlight: stats.inFlight },
        {
          source,
          recorded: model.recorded,
          pending: model.pending.reduce((sum, { items }) => sum + items, 0),
          inFlight: model.deliveries.filter((each) => !each.gone).length,
        },
      );
      if (model.landed !== undefined) {
        // What landed is known here, and was recorded.
        same(stats.committed, Offset.sequence(model.landed));
        same(
          model.accepted.some(({ offset }) => offset === model.landed),
          true,
        );
      }
    }
    try {
      same(await this.tracker.getAllPending(), pending);
    } catch (error) {
      if (!(error instanceof OffsetError) || error.code !== 'OFFSET_CLOSED') throw error;
    }
  }

  /** Another has committed past what is pending here, so that it can only be refused. */
  #isBehind(source: Source): boolean {
    const newest = this.sources[source].pending.at(-1)?.offset;
    const stored = this.inner.offsets.get(source);
    return newest !== undefined && stored !== undefined && newest < stored;
  }

  // The model.

  #modelRecord(model: SourceModel, source: Source, call: Waiting & { do: 'record' }): Expected {
    if (model.waiting.length > 0) {
      model.waiting.push(call);
      return call.expected;
    }
    if (call.index !== undefined && call.index < model.cutBefore) return call.expected;
    if (model.newest === undefined) model.newest = this.inner.offsets.get(source) ?? 'none';
    if (model.fenced) call.expected.refusal = 'OFFSET_FENCED';
    else if (model.newest !== 'none' && call.offset < model.newest) call.expected.refusal = 'OFFSET_BEHIND';
    else if (call.offset !== model.newest) {
      model.newest = call.offset;
      model.accepted.push({ offset: call.offset, items: call.items });
      model.recorded += call.items;
      call.expected.accepted = true;
    }
    return call.expected;
  }

  #modelRead(model: SourceModel, source: Source): void {
    if (model.fenced) {
      model.begin(this.inner.offsets.get(source) ?? 'none');
      model.landed = undefined;
      model.changes++;
      this.#cut(model, source, model.deliveries.length);
    } else {
      model.newest ??= this.inner.offsets.get(source) ?? 'none';
    }
  }

  #advance(model: SourceModel): (Waiting & { do: 'record' }) | undefined {
    const left = model.deliveries.filter((each) => !each.gone);
    const end = left.findIndex((each) => !each.acked);
    const passed = end === -1 ? left : left.slice(0, end);
    for (const each of passed) each.gone = true;
    const last = passed.at(-1);
    if (last === undefined) return undefined;
    const index = model.deliveries.indexOf(last);
    return { do: 'record', offset: last.offset, items: passed.length, index, expected: {} };
  }

  #cut(model: SourceModel, source: Source, before: number): void {
    model.cutBefore = Math.max(model.cutBefore, before);
    for (const each of model.deliveries.slice(0, before)) each.gone = true;
    const advance = this.#advance(model);
    if (advance !== undefined) this.#modelRecord(model, source, advance);
  }

  #catchUp(): void {
    for (const source of SOURCES) {
      const model = this.sources[source];
      while (model.waiting.length > 0) {
        const first = model.waiting[0]!;
        if (first.do === 'change' && first.outcome.ok === undefined) break;
        const rest = model.waiting.slice(1);
        model.waiting = [];
        if (first.do === 'record') this.#modelRecord(model, source, first);
        else if (first.do === 'read') this.#modelRead(model, source);
        else if (first.outcome.ok === true) {
          model.begin(first.to ?? 'none');
          this.#cut(model, source, first.before);
          // A cleared source is read anew by the next call, before which another may commit.
          if (model.newest === 'none' && rest.length === 0) model.newest = undefined;
        }
        model.waiting = rest;
      }
    }
  }

  /** A record that resolves with auto says that its offset is in the store. */
  #watch(model: SourceModel, offset: bigint | undefined, expected: Expected, call: Promise<void>): void {
    const { log, changes } = model;
    const since = log.length;
    call.then(
      () => {
        if (expected.refusal !== undefined) this.violations.push(`resolved, not ${expected.refusal}`);
        if (this.strategy.kind !== 'auto' || offset === undefined || expected.accepted !== true) return;
        if (model.changes === changes && !log.slice(since).some((landed) => landed >= offset)) {
          this.violations.push(`record of ${offset} resolved, and it is not committed`);
        }
      },
      (error: OffsetError) => {
        if (!(error instanceof OffsetError)) this.violations.push(error);
        if (expected.refusal !== undefined && error.code !== expected.refusal) this.violations.push(error);
      },
    );
  }

  async #landsBy(targets: [Source, bigint | undefined][], call: Promise<void>): Promise<void> {
    const before = targets.map(([source]) => {
      const model = this.sources[source];
      return { model, since: model.log.length, changes: model.changes };
    });
    try {
      await call;
    } catch (error) {
      if (!(error instanceof OffsetError) && !(error instanceof AggregateError)) this.violations.push(error);
      return;
    }
    for (const [n, [source, target]] of targets.entries()) {
      const { model, since, changes } = before[n]!;
      // What was pending when it was called has landed, or was made void meanwhile.
      if (target === undefined || model.changes > changes) continue;
      if (!model.log.slice(since).some((landed) => landed >= target)) {
        this.violations.push(`commit of ${source} resolved, and ${target} is not committed`);
      }
    }
  }
}

type Real = Run;
type Model = object;

abstract class Step implements fc.AsyncCommand<Model, Real> {
  check(): boolean {
    return true;
  }

  async run(_: Model, run: Real): Promise<void> {
    await this.act(run);
    await run.compare(this.recorded);
  }

  get recorded(): Source | undefined {
    return undefined;
  }

  abstract act(run: Run): void | Promise<void>;
  abstract toString(): string;
}

function step(name: string, act: (run: Run) => void | Promise<void>, recorded?: Source): Step {
  return new (class extends Step {
    override act = act;
    override get recorded(): Source | undefined {
      return recorded;
    }
    override toString(): string {
      return name;
    }
  })();
}

const source = fc.constantFrom(...SOURCES);

const steps: { weight: number; arbitrary: fc.Arbitrary<Step> }[] = [
  {
    weight: 14,
    arbitrary: fc.tuple(source, fc.constantFrom(-1n, 0n, 1n, 1n, 1n, 7n)).map(([name, by]) =>
      step(
        `record ${name} ${by}`,
        (run) => {
          const { newest } = run.sources[name];
          const base = typeof newest === 'bigint' ? newest : (run.inner.offsets.get(name) ?? 10n);
          run.record(name, base + by < 0n ? 0n : base + by);
        },
        name,
      ),
    ),
  },
  {
    weight: 5,
    arbitrary: fc
      .tuple(source, fc.constantFrom(1n, 3n))
      .map(([name, gap]) => step(`track ${name} +${gap}`, (run) => run.track(name, gap))),
  },
  {
    weight: 6,
    arbitrary: fc.tuple(source, fc.nat(20)).map(([name, which]) =>
      step(`ack ${name} ${which}`, (run) => {
        if (run.sources[name].deliveries.length > 0) run.ack(name, which);
      }),
    ),
  },
  { weight: 4, arbitrary: source.map((name) => step(`commit ${name}`, (run) => run.commit(name))) },
  { weight: 3, arbitrary: fc.constant(step('commitAll', (run) => run.commitAll())) },
  {
    weight: 1,
    arbitrary: fc.constant(
      step('commitAll twice, and commit a', (run) => {
        run.commitAll();
        run.commitAll();
        run.commit('a');
      }),
    ),
  },
  {
    weight: 2,
    arbitrary: fc
      .tuple(source, fc.bigInt(0n, 20n))
      .map(([name, to]) =>
        step(`reset ${name} ${to}`, (run) => run.change([name], to, run.tracker.reset(name, to))),
      ),
  },
  {
    weight: 1,
    arbitrary: fc.tuple(source, fc.bigInt(0n, 20n)).map(([name, to]) =>
      step(`commitAll beside reset ${name} ${to}`, (run) => {
        run.commitAll();
        run.change([name], to, run.tracker.reset(name, to));
      }),
    ),
  },
  {
    weight: 1,
    arbitrary: source.map((name) =>
      step(`clear ${name}`, (run) => run.change([name], undefined, run.tracker.clear(name))),
    ),
  },
  {
    weight: 1,
    arbitrary: fc.constant(
      step('clearAll', (run) => {
        // Where one source cannot be cleared, when the others go on is the tracker's affair.
        if (run.store.held.length === 0) run.change(SOURCES, undefined, run.tracker.clearAll());
      }),
    ),
  },
  { weight: 3, arbitrary: source.map((name) => step(`getOffset ${name}`, (run) => run.getOffset(name))) },
  {
    weight: 5,
    arbitrary: fc.constantFrom(1, 60, 150, 500, 5000).map((ms) =>
      step(`advance ${ms}`, async (run) => {
        await run.clock.advance(ms);
        if (ms === 5000) run.compareIdle();
      }),
    ),
  },
  {
    weight: 5,
    arbitrary: fc.constantFrom('ok', 'ok', 'fail', 'hold', 'hold', 'doAndReject').map((mode) =>
      step(`store: ${mode}`, (run) => {
        run.mode = mode;
      }),
    ),
  },
  {
    weight: 5,
    arbitrary: fc.constant(step('answer', (run) => run.store.held.shift()?.letThrough())),
  },
  {
    weight: 2,
    arbitrary: fc.constant(step('answer no', (run) => run.store.held.shift()?.reject(FAILURE))),
  },
  {
    weight: 2,
    arbitrary: fc.tuple(source, fc.constantFrom('reset', 'clear', 'commit')).map(([name, what]) =>
      step(`other ${what} ${name}`, async (run) => {
        // A store without epochs cannot protect one tracker from another.
        if (run.setup.kind !== 'full') return;
        if (what === 'reset') await run.other.reset(name, 5);
        else if (what === 'clear') await run.other.clear(name);
        else {
          await run.other.reset('unrelated', 1);
          await run.inner.commit(name, Offset.sequence((run.inner.offsets.get(name) ?? 10n) + 3n));
        }
      }),
    ),
  },
  {
    weight: 1,
    arbitrary: fc.constant(
      step('close, and begin anew', async (run) => {
        await run.close();
        run.reopen();
      }),
    ),
  },
];

const setups = fc.record<Setup>({
  kind: fc.constantFrom('full', 'full', 'blind', 'blind, with commitMany'),
  retries: fc.constantFrom(0, 0, 2),
  exclusive: fc.boolean(),
});

const STRATEGIES = [
  CommitStrategy.auto,
  CommitStrategy.periodic(3),
  CommitStrategy.periodic(3, { maxDelayMs: 100 }),
  CommitStrategy.interval(100),
  CommitStrategy.eager,
  CommitStrategy.manual,
];

describe('OffsetTracker does as its model, whatever is called and whatever the store does', () => {
  it.each(STRATEGIES)('with %j', async (strategy) => {
    await fc.assert(
      fc.asyncProperty(
        setups,
        fc.commands(
          steps.flatMap(({ weight, arbitrary }) => Array.from({ length: weight }, () => arbitrary)),
          { maxCommands: 60, size: 'max' },
        ),
        async (setup, commands) => {
          const run = new Run(strategy, setup);
          await fc.asyncModelRun(() => ({ model: {}, real: run }), commands);
          await run.close();
        },
      ),
      { numRuns: 170 },
    );
  });
});
