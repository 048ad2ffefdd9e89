import { once } from 'node:events';
import { Readable, type Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setImmediate as turn, setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { FencedError, InvalidOffsetError, OffsetIoError, UnsupportedError } from '../../lib/errors.js';
import { Offset } from '../../lib/offset.js';
import { InMemoryOffsetStore } from '../../lib/stores/memory.js';
import type { SqliteDatabase } from '../../lib/stores/sqlite.js';
import { transactionalSink, type TransactionalSinkOptions } from '../../lib/streams/transactional-sink.js';
import type { TransactionalOffsetStore } from '../../lib/transactional-store.js';
import { insert, LossyStore, Outputs, TransientError } from '../support/sink-helpers.js';
import { Databases } from '../support/sqlite.js';
import { until } from '../support/stream-helpers.js';
import { gate } from '../support/stream-store.js';
import { refuseUnhandledRejections } from '../support/unhandled.js';

refuseUnhandledRejections();

let databases: Databases;
let outputs: Outputs;
beforeEach(() => {
  databases = new Databases();
  outputs = new Outputs(databases);
});
afterEach(() => databases.destroy());

const numbers = (count: number, from = 0): number[] => Array.from({ length: count }, (_, k) => from + k);
const QUICK = { retries: 3, minDelayMs: 1, maxDelayMs: 2 };

type Options = TransactionalSinkOptions<number, SqliteDatabase>;

/** A sink of numbers into the table, on the store or one around it. */
function sink(
  options: Partial<Options> = {},
  store: TransactionalOffsetStore<SqliteDatabase> = outputs.store,
) {
  return transactionalSink<number, SqliteDatabase>(store, {
    source: 'numbers',
    batchSize: 10,
    retry: QUICK,
    write: (items, tx) => insert(tx, items),
    ...options,
  });
}

async function errorOf(stream: Writable): Promise<unknown> {
  const [error] = (await once(stream, 'error')) as [unknown];
  return error;
}

describe('transactionalSink()', () => {
  it('writes items in order, in batches, each with the commit of its offset', async () => {
    const batches: number[][] = [];
    const commits: unknown[] = [];
    const stream = sink({
      write(items, tx) {
        batches.push(items);
        insert(tx, items);
      },
    });
    stream.on('commit', (commit) => commits.push(commit));
    await pipeline(Readable.from(numbers(25)), stream);
    expect(batches).toEqual([numbers(10), numbers(10, 10), numbers(5, 20)]);
    expect(outputs.items()).toEqual(numbers(25));
    expect(commits).toEqual([9, 19, 24].map((at) => ({ source: 'numbers', offset: Offset.sequence(at) })));
    expect(await outputs.store.get('numbers')).toEqual(Offset.sequence(24));
  });

  it('waits for what write() waits for, with one transaction in flight', async () => {
    let running = 0;
    const most: number[] = [];
    await pipeline(
      Readable.from(numbers(30)),
      sink({
        async write(items, tx) {
          most.push(++running);
          await turn();
          insert(tx, items);
          await turn();
          running--;
        },
      }),
    );
    expect(most).toEqual([1, 1, 1]);
    expect(outputs.items()).toEqual(numbers(30));
  });

  it('has the last batch written before finish', async () => {
    const stream = sink();
    stream.write(0);
    stream.end(1);
    await once(stream, 'finish');
    expect(outputs.items()).toEqual([0, 1]);
  });

  it('writes nothing for no items', async () => {
    await pipeline(Readable.from([]), sink({ write: () => Promise.reject(new Error('called')) }));
    expect(await outputs.store.getAll()).toEqual(new Map());
  });

  it('counts on after the committed offset', async () => {
    await outputs.store.commit('numbers', Offset.sequence(41));
    await pipeline(Readable.from(numbers(5)), sink());
    expect(await outputs.store.get('numbers')).toEqual(Offset.sequence(46));
  });

  it('drops what is done when the source replays and resume is skip', async () => {
    await pipeline(Readable.from(numbers(7)), sink());
    await pipeline(Readable.from(numbers(20)), sink({ resume: 'skip' }));
    expect(outputs.items()).toEqual(numbers(20));
    await pipeline(Readable.from(numbers(30)), sink({ resume: 'skip', offsetOf: (item) => item }));
    expect(outputs.items()).toEqual(numbers(30));
    await pipeline(Readable.from(numbers(30)), sink({ resume: 'skip' }));
    expect(outputs.items()).toEqual(numbers(30));
  });

  it('fails when a committed custom offset does not come up', async () => {
    await outputs.store.commit('numbers', Offset.custom('gone'));
    const replay = pipeline(
      Readable.from(numbers(3)),
      sink({ resume: 'skip', offsetOf: (item) => `line-${item}` }),
    );
    await expect(replay).rejects.toThrow(/did not come up/);
  });

  it('takes several sources in one batch, all or none', async () => {
    const store = new LossyStore(outputs.store);
    const options: Partial<Options> = {
      source: (item) => (item % 2 === 0 ? 'even' : 'odd'),
      offsetOf: (item) => item,
      metadataOf: (item) => ({ item, at: new Date(item) }),
    };
    await pipeline(Readable.from(numbers(10)), sink(options, store));
    expect(store.transactions).toBe(1);
    expect(await outputs.store.inspectAll()).toEqual(
      new Map(
        [
          ['even', 8],
          ['odd', 9],
        ].map(([source, at]) => [
          source,
          {
            offset: Offset.sequence(at as number),
            epoch: 1,
            metadata: { item: at, at: new Date(at as number) },
            committedAt: expect.any(Date),
          },
        ]),
      ),
    );
    const second = sink(options);
    second.write(10);
    await turn();
    await outputs.store.clear('odd');
    // The claim of the second source is what the first does not share.
    second.write(11);
    await outputs.store.clear('even');
    second.end();
    expect(await errorOf(second)).toBeInstanceOf(FencedError);
    expect(outputs.items()).toEqual(numbers(10));
  });

  it('writes a batch that does not fill after maxDelayMs', async () => {
    const stream = sink({ maxDelayMs: 5 });
    stream.write(0);
    const [commit] = (await once(stream, 'commit')) as [unknown];
    expect(commit).toEqual({ source: 'numbers', offset: Offset.sequence(0) });
    stream.write(1);
    await once(stream, 'commit');
    expect(outputs.items()).toEqual([0, 1]);
    stream.end();
    await once(stream, 'finish');
  });

  it('holds items back while the timer has a batch written, and fails by the error of that', async () => {
    const hold = gate();
    const entered = gate();
    const boom = new Error('boom');
    const stream = sink({
      maxDelayMs: 1,
      async write() {
        entered.open();
        await hold.opened;
        throw boom;
      },
    });
    let called = 0;
    stream.write(0);
    await entered.opened;
    stream.write(1, () => called++);
    stream.write(2, () => called++);
    await turn();
    expect(called).toBe(0);
    hold.open();
    expect(await errorOf(stream)).toBe(boom);
    expect(outputs.items()).toEqual([]);
  });
});

describe('when write() fails', () => {
  it.each([
    [
      'throws',
      () => {
        throw new Error('boom');
      },
    ],
    [
      'rejects',
      async () => {
        await turn();
        throw new Error('boom');
      },
    ],
  ])('and %s, its writes and the commit are rolled back, and its error is the stream’s', async (_, fail) => {
    let batch = 0;
    const run = pipeline(
      Readable.from(numbers(30)),
      sink({
        write(items, tx) {
          insert(tx, items);
          if (++batch === 2) return fail();
          return undefined;
        },
      }),
    );
    await expect(run).rejects.toThrow(/^boom$/);
    expect(outputs.items()).toEqual(numbers(10));
    expect(await outputs.store.get('numbers')).toEqual(Offset.sequence(9));
    // A restart leaves nothing out.
    await pipeline(Readable.from(numbers(30)), sink({ resume: 'skip' }));
    expect(outputs.items()).toEqual(numbers(30));
  });

  it('without an error, the stream has one all the same', async () => {
    const stream = sink({ batchSize: 1, write: () => Promise.reject(undefined) });
    stream.write(0);
    expect(await errorOf(stream)).toMatchObject({ code: 'OFFSET_IO' });
  });

  it('for a reason that passes, the batch is written again with the same items', async () => {
    const seen: number[][] = [];
    await pipeline(
      Readable.from(numbers(5)),
      sink(
        {
          write(items, tx) {
            seen.push([...items]);
            insert(tx, items);
            items.length = 0;
            if (seen.length < 3) throw new TransientError('deadlock');
          },
        },
        new LossyStore(outputs.store),
      ),
    );
    expect(seen).toEqual([numbers(5), numbers(5), numbers(5)]);
    expect(outputs.items()).toEqual(numbers(5));
  });

  it('for a reason that does not pass in the tries allowed, the error is typed and names the last', async () => {
    const cause = new TransientError('deadlock');
    let tries = 0;
    const stream = sink(
      {
        batchSize: 2,
        write() {
          tries++;
          throw cause;
        },
      },
      new LossyStore(outputs.store),
    );
    stream.write(0);
    stream.write(1);
    const error = await errorOf(stream);
    expect(error).toBeInstanceOf(OffsetIoError);
    expect(error).toMatchObject({
      code: 'OFFSET_IO',
      source: 'numbers',
      cause,
      message: 'The batch of 2 items (source "numbers" up to "seq:1") failed 4 times: deadlock',
    });
    expect(tries).toBe(4);
  });

  it('and does not end, the stream fails in time and the writes are rolled back', async () => {
    const hold = gate();
    const stream = sink({
      batchSize: 1,
      timeoutMs: 20,
      drainTimeoutMs: 20,
      async write(items, tx) {
        insert(tx, items);
        await hold.opened;
      },
    });
    stream.write(0);
    expect(await errorOf(stream)).toMatchObject({
      code: 'OFFSET_IO',
      message: expect.stringContaining('was not written within 20 ms'),
    });
    hold.open();
    // The connection is free once the transaction has ended.
    expect(await outputs.store.get('numbers')).toBeUndefined();
    expect(outputs.items()).toEqual([]);
  });
});

describe('an item that is out of place', () => {
  it.each([
    ['at the committed offset', [5]],
    ['before the committed offset', [3]],
    ['again in a batch', [6, 7, 7]],
    ['behind in a batch', [6, 9, 8]],
  ])('is refused %s with OFFSET_BEHIND, and nothing of its batch is written', async (_, items) => {
    await outputs.store.commit('numbers', Offset.sequence(5));
    const run = pipeline(Readable.from(items), sink({ offsetOf: (item) => item }));
    await expect(run).rejects.toBeInstanceOf(InvalidOffsetError);
    await expect(run).rejects.toMatchObject({
      code: 'OFFSET_BEHIND',
      source: 'numbers',
      message: expect.stringContaining(`item ${items.length - 1} of source "numbers"`),
    });
    expect(outputs.items()).toEqual([]);
    expect(await outputs.store.get('numbers')).toEqual(Offset.sequence(5));
  });

  it('is refused when its offset is none, with its index', async () => {
    const run = pipeline(Readable.from([0, 1, -2]), sink({ offsetOf: (item) => item }));
    await expect(run).rejects.toMatchObject({
      code: 'OFFSET_INVALID',
      message: expect.stringContaining('item 2 of source "numbers"'),
    });
    expect(outputs.items()).toEqual([]);
  });

  it('is refused when its metadata cannot be kept', async () => {
    const run = pipeline(Readable.from([0]), sink({ metadataOf: () => ({ bad: Number.NaN }) }));
    await expect(run).rejects.toMatchObject({
      code: 'OFFSET_INVALID',
      cause: { code: 'OFFSET_SERIALIZATION' },
    });
  });

  it('does not stop those of a custom offset, which has no order, but for the same once more', async () => {
    await pipeline(Readable.from(numbers(3)), sink({ offsetOf: (item) => `line-${item}` }));
    const again = pipeline(Readable.from([2]), sink({ offsetOf: (item) => `line-${item}` }));
    await expect(again).rejects.toMatchObject({ code: 'OFFSET_BEHIND' });
    expect(outputs.items()).toEqual(numbers(3));
  });
});

describe('fencing', () => {
  it.each<[string, () => Promise<unknown>]>([
    ['a claim', () => outputs.store.claim('numbers')],
    ['a reset', () => outputs.store.reset('numbers', Offset.sequence(99))],
    ['a clear', () => outputs.store.clear('numbers')],
  ])('by %s rolls the writes back', async (_, fence) => {
    const stream = sink({ batchSize: 2 });
    stream.write(0);
    stream.write(1);
    await once(stream, 'commit');
    await fence();
    const before = await outputs.store.inspect('numbers');
    stream.write(2);
    stream.write(3);
    const error = await errorOf(stream);
    expect(error).toBeInstanceOf(FencedError);
    expect(error).toMatchObject({ source: 'numbers' });
    expect(outputs.items()).toEqual([0, 1]);
    expect(await outputs.store.inspect('numbers')).toEqual(before);
  });

  it('keeps two sinks that write the same batch at once from both writing it', async () => {
    const other = new Outputs(databases);
    const first = sink({
      batchSize: 3,
      offsetOf: (item) => item,
      async write(items, tx) {
        insert(tx, items);
      },
    });
    const second = sink(
      { batchSize: 3, offsetOf: (item) => item, write: (items, tx) => insert(tx, items) },
      other.store,
    );
    // Both have read the same place before either writes.
    first.write(0);
    second.write(0);
    await until(() => first.writableLength === 0 && second.writableLength === 0);
    const outcomes = [first, second].map((stream) => {
      stream.write(1);
      stream.end(2);
      return once(stream, 'finish').then(
        () => 'written',
        (error: unknown) => error,
      );
    });
    const settled = await Promise.all(outcomes);
    expect(settled.filter((outcome) => outcome === 'written')).toHaveLength(1);
    expect(settled.find((outcome) => outcome !== 'written')).toBeInstanceOf(FencedError);
    expect(outputs.items()).toEqual([0, 1, 2]);
  });
});

describe('an answer that is lost', () => {
  it.each(['lost after', 'lost before'] as const)('%s the commit took effect is read back', async (fate) => {
    const store = new LossyStore(outputs.store);
    let asked = 0;
    store.fate = () => (++asked === 2 ? fate : 'answered');
    const commits: unknown[] = [];
    const stream = sink({}, store);
    stream.on('commit', ({ offset }) => commits.push(Offset.format(offset)));
    await pipeline(Readable.from(numbers(35)), stream);
    expect(outputs.items()).toEqual(numbers(35));
    expect(commits).toEqual(['seq:9', 'seq:19', 'seq:29', 'seq:34']);
    // Four batches, one that reads, and where it did not take effect, the same batch once more.
    expect(store.transactions).toBe(fate === 'lost after' ? 5 : 6);
    // Reading back has raised no epoch.
    expect(await store.inspect('numbers')).toMatchObject({ epoch: 1 });
  });

  it.each(['lost after', 'lost before'] as const)('%s the very first commit is read back', async (fate) => {
    const store = new LossyStore(outputs.store);
    let asked = 0;
    store.fate = () => (++asked === 1 ? fate : 'answered');
    await pipeline(Readable.from(numbers(3)), sink({}, store));
    expect(outputs.items()).toEqual(numbers(3));
  });

  it('again and again is read back each time, and in the end given up with OFFSET_IO', async () => {
    const store = new LossyStore(outputs.store);
    store.fate = () => 'lost before';
    await expect(pipeline(Readable.from(numbers(3)), sink({}, store))).rejects.toMatchObject({
      code: 'OFFSET_IO',
    });
    expect(outputs.items()).toEqual([]);
  });

  it('is never guessed: when it cannot be read back the error says so, and a restart resumes right', async () => {
    const store = new LossyStore(outputs.store);
    const claim = outputs.store.claim.bind(outputs.store);
    store.fate = () => 'lost after';
    store.using = (tx) =>
      Object.assign(outputs.store.using(tx), { claim: () => Promise.reject(new TransientError('down')) });
    store.claim = claim;
    await expect(pipeline(Readable.from(numbers(3)), sink({}, store))).rejects.toMatchObject({
      code: 'OFFSET_DURABILITY_UNKNOWN',
      message: expect.stringContaining('could not be read back: down'),
    });
    await pipeline(Readable.from(numbers(5)), sink({ resume: 'skip' }));
    expect(outputs.items()).toEqual(numbers(5));
  });

  it('is FencedError when another has taken over meanwhile, who is not fenced by the reading', async () => {
    const store = new LossyStore(outputs.store);
    store.fate = () => {
      // In the transaction's own connection, so that it takes effect with it: as if right after.
      void outputs.store.using(outputs.database).claim!('numbers');
      return 'lost after';
    };
    await expect(pipeline(Readable.from(numbers(3)), sink({}, store))).rejects.toBeInstanceOf(FencedError);
    expect(await outputs.store.epoch('numbers')).toBe(2);
  });

  it('is not taken for written when somebody commits without an epoch', async () => {
    const store = new LossyStore(outputs.store);
    store.fate = () => 'lost before';
    const transaction = store.transaction.bind(store);
    store.transaction = async (work) => {
      try {
        return await transaction(work);
      } catch (error) {
        if (store.transactions === 1) await outputs.store.commit('numbers', Offset.sequence(77));
        throw error;
      }
    };
    await expect(pipeline(Readable.from(numbers(3)), sink({}, store))).rejects.toMatchObject({
      code: 'OFFSET_DURABILITY_UNKNOWN',
    });
    expect(outputs.items()).toEqual([]);
  });
});

describe('destroy and abort', () => {
  it('drop a batch that is not full', async () => {
    const stream = sink();
    stream.write(0);
    await until(() => stream.writableLength === 0);
    stream.destroy();
    await once(stream, 'close');
    expect(outputs.items()).toEqual([]);
    expect(await outputs.store.get('numbers')).toBeUndefined();
  });

  it('roll back a batch whose write() runs, and close after that', async () => {
    const entered = gate();
    const hold = gate();
    const stream = sink({
      batchSize: 1,
      async write(items, tx) {
        insert(tx, items);
        entered.open();
        await hold.opened;
      },
    });
    stream.write(0);
    await entered.opened;
    const reason = new Error('enough');
    let closed = false;
    stream.on('close', () => (closed = true));
    const failed = errorOf(stream);
    stream.destroy(reason);
    await delay(5);
    expect(closed).toBe(false);
    hold.open();
    expect(await failed).toBe(reason);
    expect(outputs.items()).toEqual([]);
    expect(await outputs.store.get('numbers')).toBeUndefined();
  });

  it('let a commit that has begun end', async () => {
    const store = new LossyStore(outputs.store);
    let stream: Writable;
    const reason = new Error('enough');
    store.fate = () => {
      stream.destroy(reason);
      return 'answered';
    };
    stream = sink({ batchSize: 1 }, store);
    stream.write(0);
    expect(await errorOf(stream)).toBe(reason);
    expect(outputs.items()).toEqual([0]);
    expect(await outputs.store.get('numbers')).toEqual(Offset.sequence(0));
  });

  it('end the waits between tries', async () => {
    const entered = gate();
    const stream = sink(
      {
        batchSize: 1,
        retry: { retries: 5, minDelayMs: 60_000, maxDelayMs: 60_000 },
        write() {
          entered.open();
          throw new TransientError('deadlock');
        },
      },
      new LossyStore(outputs.store),
    );
    stream.write(0);
    await entered.opened;
    await turn();
    stream.destroy();
    await once(stream, 'close');
    expect(outputs.items()).toEqual([]);
  });

  it.each([
    ['before', true],
    ['later', false],
  ])('by a signal that is aborted %s give its reason', async (_, early) => {
    const controller = new AbortController();
    const reason = new Error('enough');
    if (early) controller.abort(reason);
    const stream = sink({ signal: controller.signal });
    const failed = errorOf(stream);
    if (!early) {
      stream.write(0);
      controller.abort(reason);
    }
    expect(await failed).toBe(reason);
    expect(outputs.items()).toEqual([]);
  });

  it('by an error before this stage keep that error', async () => {
    const boom = new Error('boom');
    async function* broken(): AsyncGenerator<number> {
      yield* numbers(12);
      throw boom;
    }
    await expect(pipeline(broken, sink())).rejects.toBe(boom);
    // The first batch was in hand when the error came: it is there whole, or not at all.
    const written = outputs.items().length;
    expect([0, 10]).toContain(written);
    expect(outputs.items()).toEqual(numbers(written));
    expect(await outputs.store.get('numbers')).toEqual(written === 0 ? undefined : Offset.sequence(9));
  });
});

describe('crashes anywhere', () => {
  it('lose nothing and repeat nothing, whatever the batches, lost answers and restarts', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 40 }),
        fc.array(
          fc.record({
            batchSize: fc.integer({ min: 1, max: 12 }),
            skip: fc.boolean(),
            // What becomes of the n-th write and commit of the run.
            crashAt: fc.integer({ min: 0, max: 6 }),
            how: fc.constantFrom(
              'before',
              'midway',
              'after',
              'transient',
              'destroy',
              'lost after',
              'lost before',
            ),
          }),
          { maxLength: 5 },
        ),
        async (count, runs) => {
          const own = new Databases();
          try {
            const table = new Outputs(own);
            for (const { batchSize, skip, crashAt, how } of [
              ...runs,
              { batchSize: 7, skip: true, crashAt: -1, how: 'none' },
            ]) {
              const store = new LossyStore(table.store);
              let writes = 0;
              let commits = 0;
              const committed = await table.store.get('numbers');
              const done = committed?.kind === 'sequence' ? Number(committed.value) + 1 : 0;
              const stream: Writable = sink(
                {
                  batchSize,
                  offsetOf: (item) => item,
                  resume: skip ? 'skip' : 'continue',
                  write(items, tx) {
                    const now = writes++ === crashAt;
                    if (now && how === 'before') throw new Error('crash');
                    insert(tx, items.slice(0, 1));
                    if (now && how === 'midway') throw new Error('crash');
                    if (now && how === 'transient') throw new TransientError('deadlock');
                    if (now && how === 'destroy') stream.destroy(new Error('crash'));
                    insert(tx, items.slice(1));
                    if (now && how === 'after') throw new Error('crash');
                  },
                },
                store,
              );
              store.fate = () =>
                commits++ === crashAt && (how === 'lost after' || how === 'lost before') ? how : 'answered';
              await pipeline(
                Readable.from(skip ? numbers(count) : numbers(count - done, done)),
                stream,
              ).catch((error: Error) => expect(error.message).toBe('crash'));
            }
            expect(table.items()).toEqual(numbers(count));
          } finally {
            own.destroy();
          }
        },
      ),
      { numRuns: 60 },
    );
  }, 30_000);
});

describe('what it refuses', () => {
  const write = (): void => undefined;

  it.each<[string, unknown]>([
    ['nothing', undefined],
    ['an array', []],
    ['no source', { write }],
    ['no write', { source: 'a' }],
    ['a source that is none', { source: '', write }],
    ['no batch', { source: 'a', write, batchSize: 0 }],
    ['no delay', { source: 'a', write, maxDelayMs: 0 }],
    ['no time', { source: 'a', write, timeoutMs: 0 }],
    ['retries that are no number', { source: 'a', write, retry: { retries: '1' } }],
    ['a signal that is none', { source: 'a', write, signal: 1 }],
    ['another way to resume', { source: 'a', write, resume: 'again' }],
    ['a negative highWaterMark', { source: 'a', write, highWaterMark: -1 }],
  ])('are options with %s', (_, options) => {
    expect(() => transactionalSink(outputs.store, options as Options)).toThrow(/^Expected /);
  });

  it('are stores that are in no database, or cannot be claimed', () => {
    const options = { source: 'a', write };
    const plain = new InMemoryOffsetStore() as unknown as TransactionalOffsetStore<unknown>;
    expect(() => transactionalSink(plain, options)).toThrow(TypeError);
    const unclaimed = Object.assign(new LossyStore(outputs.store), { claim: undefined });
    expect(() => transactionalSink(unclaimed as unknown as LossyStore<SqliteDatabase>, options)).toThrow(
      UnsupportedError,
    );
  });
});
