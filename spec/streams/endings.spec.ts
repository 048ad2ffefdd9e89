import { getEventListeners } from 'node:events';
import { Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { CommitStrategy } from '../../lib/commit-strategy.js';
import { commitOffsets, type OffsetWritable } from '../../lib/streams/commit-offsets.js';
import type { OffsetStreamOptions } from '../../lib/streams/stream-options.js';
import { type OffsetTransform, withOffsets } from '../../lib/streams/with-offsets.js';
import type { OffsetTrackerOptions } from '../../lib/tracker/offset-tracker.js';
import { CountedTracker } from '../support/counted-tracker.js';
import { closed, failure, settle, STRATEGIES, TimerCount, until } from '../support/stream-helpers.js';
import { gate, ScriptedStore } from '../support/stream-store.js';

interface Item {
  readonly id: number;
}

type Form = 'withOffsets' | 'commitOffsets';

/** Everything of one run, so that an ending can be done to it and what it left be looked at. */
class Run {
  readonly store = new ScriptedStore();
  readonly tracker: CountedTracker;
  readonly option = new AbortController();
  readonly ofPipeline = new AbortController();
  readonly stream: OffsetTransform<Item> | OffsetWritable;
  /** How many items the source gives before it waits for the end that is done to the stream. */
  readonly items: number;

  constructor(
    readonly form: Form,
    strategy: CommitStrategy,
    {
      items = 5,
      drainTimeoutMs,
      ...trackerOptions
    }: OffsetTrackerOptions & { items?: number; drainTimeoutMs?: number } = {},
  ) {
    this.items = items;
    this.tracker = new CountedTracker(this.store, { strategy, ...trackerOptions });
    const options: OffsetStreamOptions<Item> = {
      source: 'a',
      offsetOf: (item) => item.id,
      signal: this.option.signal,
      drainTimeoutMs,
    };
    this.stream =
      form === 'withOffsets' ? withOffsets(this.tracker, options) : commitOffsets(this.tracker, options);
  }

  get recorded(): number {
    return this.tracker.stats('a').recorded;
  }

  /** Gives the items, then does `then`; what it does not end itself goes on being open. */
  async *source(then: () => unknown, { ends = false } = {}): AsyncGenerator<Item> {
    for (let id = 0; id < this.items; id++) yield { id };
    await until(() => this.recorded >= Math.min(this.items, this.expectedRecords));
    await then();
    if (!ends) await until(() => this.stream.closed);
  }

  /** A store without answers lets `auto` record only one. */
  expectedRecords = Infinity;

  /** Through the form under test, with a sink where it is no sink itself. */
  through(source: () => AsyncIterable<Item>, sink: Writable = new Sink()): Promise<void> {
    const { signal } = this.ofPipeline;
    return this.form === 'withOffsets'
      ? pipeline(source, this.stream as OffsetTransform<Item>, sink, { signal })
      : pipeline(source, this.stream, { signal });
  }
}

class Sink extends Writable {
  constructor(write: (item: Item) => Error | null = () => null) {
    super({ objectMode: true, write: (item: Item, _encoding, callback) => callback(write(item)) });
  }
}

interface Ending {
  readonly name: string;
  readonly forms: readonly Form[];
  /** Ends the run in its way; gives what the caller sees: an error, or undefined for none. */
  readonly end: (run: Run) => Promise<unknown>;
  /** What the caller is expected to see. */
  readonly sees: unknown;
}

const boom = new Error('boom');
const both: readonly Form[] = ['withOffsets', 'commitOffsets'];
const transform: readonly Form[] = ['withOffsets'];

const ABRUPT: readonly Ending[] = [
  {
    name: 'an upstream error',
    forms: both,
    end: (run) =>
      failure(
        run.through(() =>
          run.source(() => {
            throw boom;
          }),
        ),
      ),
    sees: boom,
  },
  {
    name: 'a downstream error',
    forms: transform,
    end: (run) =>
      failure(
        run.through(() => run.source(() => undefined), new Sink((item) => (item.id === 3 ? boom : null))),
      ),
    sees: boom,
  },
  {
    name: 'a sink that throws',
    forms: transform,
    end: (run) =>
      failure(
        pipeline(
          () => run.source(() => undefined),
          run.stream as OffsetTransform<Item>,
          async (items: AsyncIterable<Item>) => {
            for await (const item of items) if (item.id === 3) throw boom;
          },
        ),
      ),
    sees: boom,
  },
  {
    name: 'an abort through the option',
    forms: both,
    end: (run) => failure(run.through(() => run.source(() => run.option.abort(boom)))),
    sees: boom,
  },
  {
    name: "an abort through the pipeline's signal",
    forms: both,
    end: (run) => failure(run.through(() => run.source(() => run.ofPipeline.abort(boom)))),
    sees: expect.objectContaining({ name: 'AbortError', cause: boom }),
  },
  {
    name: 'destroy(error)',
    forms: both,
    end: (run) => failure(run.through(() => run.source(() => run.stream.destroy(boom)))),
    sees: boom,
  },
  {
    name: 'destroy()',
    forms: both,
    end: (run) => failure(run.through(() => run.source(() => run.stream.destroy()))),
    sees: expect.objectContaining({ code: 'ERR_STREAM_PREMATURE_CLOSE' }),
  },
  {
    name: 'a break out of for await',
    forms: transform,
    end: async (run) => {
      const stream = run.stream as OffsetTransform<Item>;
      Readable.from(run.source(() => undefined)).pipe(stream);
      for await (const item of stream) if (item.id === 3 || run.expectedRecords === 0) break;
      return undefined;
    },
    sees: undefined,
  },
  {
    name: 'take(n)',
    forms: transform,
    end: async (run) => {
      const stream = run.stream as OffsetTransform<Item>;
      Readable.from(run.source(() => undefined)).pipe(stream);
      await stream.take(3).toArray();
      return undefined;
    },
    sees: undefined,
  },
];

const rows = (endings: readonly Ending[]): Array<[string, Form, Ending]> =>
  endings.flatMap((ending) =>
    ending.forms.map((form) => [ending.name, form, ending] as [string, Form, Ending]),
  );

let timers: TimerCount;
beforeEach(() => {
  timers = new TimerCount();
  timers.start();
});
afterEach(() => timers.stop());

async function expectNothingLeft(run: Run): Promise<void> {
  await closed(run.stream);
  expect(run.tracker.listeners).toBe(0);
  expect(getEventListeners(run.option.signal, 'abort')).toHaveLength(0);
  expect(getEventListeners(run.ofPipeline.signal, 'abort')).toHaveLength(0);
  expect(timers.live).toBe(0);
  // A rejection that nobody handles is told in a later turn, and fails the test.
  await settle();
}

describe.each(STRATEGIES)('with %s', (_name, strategy) => {
  it.each(both)('%s commits all at a clean end, before it ends (manual: nothing)', async (form) => {
    const run = new Run(form, strategy, { items: 10 });
    const log: string[] = [];
    run.stream.on('commit', ({ offset }) => log.push(`commit ${(offset as { value: bigint }).value}`));
    run.stream.on('finish', () => log.push('finish'));
    run.stream.on('end', () => log.push('end'));
    await run.through(() => run.source(() => undefined, { ends: true }));
    if (strategy.kind === 'manual') {
      expect(await run.store.at('a')).toBeUndefined();
      expect(log).toHaveLength(form === 'withOffsets' ? 2 : 1);
      expect(run.tracker.stats('a').pending).toBe(10);
    } else {
      expect(await run.store.at('a')).toBe('seq:9');
      // Node's order of the other two is its own affair.
      const ends = form === 'withOffsets' ? 2 : 1;
      expect(log.at(-1 - ends)).toBe('commit 9');
    }
    await expectNothingLeft(run);
  });

  it.each(rows(ABRUPT))(
    'after %s, %s commits what was recorded (manual: nothing)',
    async (_ending, form, ending) => {
      const run = new Run(form, strategy);
      const seen = await ending.end(run);
      if (seen instanceof Error && seen === ending.sees) expect(seen).toBe(ending.sees);
      else expect(seen).toEqual(ending.sees);
      await closed(run.stream);
      expect(run.recorded).toBeGreaterThanOrEqual(3);
      const last = `seq:${run.recorded - 1}`;
      expect(await run.store.at('a')).toBe(strategy.kind === 'manual' ? undefined : last);
      expect(run.tracker.stats('a').pending).toBe(strategy.kind === 'manual' ? run.recorded : 0);
      await expectNothingLeft(run);
    },
  );
});

describe('with a store that never answers', () => {
  let never = gate();
  beforeEach(() => {
    never = gate();
  });
  // What the tracker still waits for is let go of, so that its deadline holds no timer.
  afterEach(async () => {
    never.open();
    await until(() => timers.live === 0);
  });

  const held = STRATEGIES.filter(([name]) => name !== 'manual');

  describe.each(held)('under %s', (_name, strategy) => {
    const closes = rows(ABRUPT.filter(({ name }) => !/downstream|throws|break|take/.test(name)));
    it.each(closes)('after %s, %s closes within drainTimeoutMs', async (_ending, form, ending) => {
      const run = new Run(form, strategy, { drainTimeoutMs: 20 });
      run.store.beforeCommit = () => never.opened;
      run.expectedRecords =
        strategy.kind === 'auto' ? 1 : strategy.kind === 'periodic' ? Math.min(strategy.n, 5) : 5;
      const seen = await ending.end(run);
      if (ending.sees === boom) expect(seen).toBe(boom);
      await closed(run.stream);
      expect(run.tracker.listeners).toBe(0);
    });

    it.each(both)('%s fails a clean end within storeTimeoutMs', async (form) => {
      const run = new Run(form, strategy, { storeTimeoutMs: 20, drainTimeoutMs: 20 });
      run.store.beforeCommit = () => never.opened;
      const items = Readable.from([{ id: 0 }]);
      const error = await failure(
        form === 'withOffsets'
          ? pipeline(items, run.stream as OffsetTransform<Item>, new Sink())
          : pipeline(items, run.stream),
      );
      expect(error).toMatchObject({ code: 'OFFSET_DURABILITY_UNKNOWN', source: 'a' });
      await closed(run.stream);
      expect(timers.live).toBe(0);
    });
  });
});

describe('an abort through the option', () => {
  it.each(both)('%s is destroyed at once when the signal was aborted before', async (form) => {
    const run = new Run(form, STRATEGIES[0]![1]);
    const signal = AbortSignal.abort(boom);
    const stream =
      form === 'withOffsets'
        ? withOffsets<Item>(run.tracker, { source: 'b', signal })
        : commitOffsets<Item>(run.tracker, { source: 'b', signal });
    expect(await failure(pipeline(Readable.from([{ id: 0 }]), stream))).toBe(boom);
    expect(run.tracker.stats('b').recorded).toBe(0);
    run.stream.destroy();
  });

  it.each([
    ['the reason by default, a DOMException', undefined],
    ['an Error', boom],
    ['a string', 'enough'],
    ['an object', { why: 'enough' }],
  ])('gives %s as it is', async (_name, given) => {
    const run = new Run('commitOffsets', STRATEGIES[0]![1]);
    const seen = await failure(run.through(() => run.source(() => run.option.abort(given))));
    expect(seen).toBe(run.option.signal.reason);
  });

  it.each([0, '', false, null])(
    'gives a reason that is no reason to Node, %p, as the cause',
    async (given) => {
      const run = new Run('commitOffsets', STRATEGIES[0]![1]);
      const seen = await failure(run.through(() => run.source(() => run.option.abort(given))));
      expect(seen).toMatchObject({ name: 'AbortError', code: 'ABORT_ERR', cause: given });
    },
  );

  it.each(both)('reaches %s while its clean end waits for the store', async (form) => {
    const run = new Run(form, STRATEGIES[2]![1], { drainTimeoutMs: 20 });
    const held = gate();
    run.store.beforeCommit = () => held.opened;
    const done = run.through(() => run.source(() => undefined, { ends: true }));
    done.catch(() => undefined);
    await until(() => run.store.asked === 1);
    run.option.abort(boom);
    expect(await failure(done)).toBe(boom);
    await closed(run.stream);
    held.open();
    await until(() => timers.live === 0);
    expect(await run.store.at('a')).toBe('seq:4');
  });
});

describe('a stream that ended while the store was asked where its source stands', () => {
  it.each(both)('%s records nothing more', async (form) => {
    const run = new Run(form, STRATEGIES[4]![1]);
    const held = gate();
    let asked = false;
    run.store.beforeRead = () => {
      asked = true;
      return held.opened;
    };
    const stream = form === 'withOffsets' ? withOffsets(run.tracker, 'a') : commitOffsets(run.tracker, 'a');
    stream.on('error', () => undefined);
    stream.write('item');
    await until(() => asked);
    const end = closed(stream);
    stream.destroy(boom);
    held.open();
    await end;
    await settle();
    expect(run.recorded).toBe(0);
    expect(timers.live).toBe(0);
    run.stream.destroy();
  });
});

it('commits nothing where nothing was recorded', async () => {
  const run = new Run('commitOffsets', STRATEGIES[0]![1], { items: 0 });
  await run.through(() => run.source(() => undefined, { ends: true }));
  expect(run.store.asked).toBe(0);
});

it('ends clean where the tracker was closed before, for that committed everything', async () => {
  const run = new Run('commitOffsets', STRATEGIES[2]![1]);
  await run.through(() => run.source(() => run.tracker.close(), { ends: true }));
  expect(await run.store.at('a')).toBe('seq:4');
});
