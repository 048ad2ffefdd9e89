import { Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { CommitStrategy } from '../../lib/commit-strategy.js';
import { ClosedError, DeliveryError, InvalidOffsetError } from '../../lib/errors.js';
import { Offset } from '../../lib/offset.js';
import { InMemoryOffsetStore } from '../../lib/stores/memory.js';
import { ackDeliveries } from '../../lib/streams/ack-deliveries.js';
import type { Delivery } from '../../lib/streams/delivery.js';
import { type AckOptions, type AckTransform, withAcks } from '../../lib/streams/with-acks.js';
import { OffsetTracker } from '../../lib/tracker/offset-tracker.js';
import { FakeClock } from '../support/fake-clock.js';
import { FlakyStore } from '../support/flaky-store.js';
import { closed, failure, settle, STRATEGIES, until } from '../support/stream-helpers.js';
import { refuseUnhandledRejections } from '../support/unhandled.js';

refuseUnhandledRejections();

const seq = (n: number): Offset => Offset.sequence(n);
const PERIODIC = { strategy: CommitStrategy.periodic(1000) };
const numbers = (from: number, to: number): number[] =>
  Array.from({ length: to - from + 1 }, (_, i) => from + i);

/** A stream that was given the items 0 … count-1, and the deliveries that came out. */
async function handedOut(
  tracker: OffsetTracker,
  count: number,
  options: Partial<AckOptions<number>> = {},
): Promise<{ stream: AckTransform<number>; deliveries: Delivery<number>[] }> {
  const stream = withAcks<number>(tracker, { source: 'a', offsetOf: (n) => n, ...options });
  const deliveries: Delivery<number>[] = [];
  stream.on('data', (delivery) => deliveries.push(delivery));
  for (let n = 0; n < count; n++) stream.write(n);
  await until(() => deliveries.length === count);
  return { stream, deliveries };
}

describe('withAcks()', () => {
  it('hands out each item with its source and offset', async () => {
    const tracker = new OffsetTracker(new InMemoryOffsetStore(), PERIODIC);
    const stream = withAcks<{ id: number; at: string }>(tracker, {
      source: (item) => item.at,
      offsetOf: (item) => item.id,
    });
    stream.end({ id: 7, at: 'shop' });
    const [delivery] = (await stream.toArray()) as Delivery<{ id: number; at: string }>[];
    expect(delivery).toMatchObject({ value: { id: 7, at: 'shop' }, source: 'shop' });
    expect(delivery!.offset).toEqual(seq(7));
    await delivery!.ack();
    await stream.settled();
    expect(tracker.stats('shop').committed).toEqual(seq(7));
  });

  it.each(STRATEGIES)(
    'with %s commits up to the watermark, in whatever order the acks come',
    async (_, strategy) => {
      const store = new FlakyStore();
      const tracker = new OffsetTracker(store, { strategy });
      const { stream, deliveries } = await handedOut(tracker, 6);
      for (const n of [1, 2, 4]) void deliveries[n]!.ack();
      await settle();
      await tracker.commitAll();
      expect(store.committed('a')).toEqual([]);
      void deliveries[0]!.ack();
      await tracker.commitAll();
      expect(tracker.stats('a').committed).toEqual(seq(2));
      expect(tracker.stats('a').inFlight).toBe(3);
      void deliveries[5]!.ack();
      void deliveries[3]!.ack();
      await tracker.commitAll();
      expect(tracker.stats('a').committed).toEqual(seq(5));
      stream.end();
      await closed(stream);
    },
  );

  it('commits the watermark for any order of acks, nacks and interleaved deliveries', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.nat(), { minLength: 1, maxLength: 30 }),
        fc.uniqueArray(fc.nat(29), { maxLength: 3 }),
        async (order, lost) => {
          const tracker = new OffsetTracker(new InMemoryOffsetStore(), {
            strategy: CommitStrategy.periodic(2),
          });
          const { stream, deliveries } = await handedOut(tracker, order.length);
          const left = deliveries.filter((_, n) => !lost.includes(n));
          while (left.length > 0) {
            await left.splice(order[left.length - 1]! % left.length, 1)[0]!.ack();
          }
          const firstLost = Math.min(order.length, ...lost.filter((n) => n < order.length));
          expect(tracker.stats('a').watermark).toEqual(firstLost === 0 ? undefined : seq(firstLost - 1));
          stream.destroy();
          await closed(stream);
          expect(tracker.stats('a').committed).toEqual(firstLost === 0 ? undefined : seq(firstLost - 1));
        },
      ),
      { numRuns: 100 },
    );
  });

  it('does not wait with its end for acks, so that a stage that gathers items can let the last ones go', async () => {
    const tracker = new OffsetTracker(new InMemoryOffsetStore(), PERIODIC);
    const batches: number[][] = [];
    await pipeline(
      Readable.from(numbers(0, 24)),
      withAcks<number>(tracker, 'a'),
      async (deliveries: AsyncIterable<Delivery<number>>) => {
        let batch: Delivery<number>[] = [];
        const done = async (): Promise<void> => {
          batches.push(batch.map((delivery) => delivery.value));
          await Promise.all(batch.map((delivery) => delivery.ack()));
          batch = [];
        };
        for await (const delivery of deliveries) if (batch.push(delivery) === 10) await done();
        if (batch.length > 0) await done();
      },
    );
    await tracker.close();
    expect(batches.map((batch) => batch.length)).toEqual([10, 10, 5]);
    expect(tracker.stats('a').committed).toEqual(seq(24));
  });

  it('counts items, goes on after the committed one, and with `skip` drops what is done', async () => {
    const store = new InMemoryOffsetStore({ a: 4 });
    const values = async (options: Partial<AckOptions<string>>): Promise<unknown[]> => {
      const stream = withAcks<string>(new OffsetTracker(store, PERIODIC), { source: 'a', ...options });
      Readable.from(['u', 'v', 'w', 'x', 'y', 'z']).pipe(stream);
      const deliveries = (await stream.toArray()) as Delivery<string>[];
      return deliveries.map((delivery) => [delivery.value, Offset.format(delivery.offset)]);
    };
    await expect(values({ resume: 'skip' })).resolves.toEqual([['z', 'seq:5']]);
    expect((await values({})).slice(0, 2)).toEqual([
      ['u', 'seq:5'],
      ['v', 'seq:6'],
    ]);
  });

  it('keeps metadata with the watermark', async () => {
    const store = new InMemoryOffsetStore();
    const tracker = new OffsetTracker(store, PERIODIC);
    const { stream, deliveries } = await handedOut(tracker, 3, { metadataOf: (n) => ({ n }) });
    await deliveries[1]!.ack();
    await deliveries[0]!.ack();
    await tracker.commit('a');
    await expect(store.inspect('a')).resolves.toMatchObject({ offset: seq(1), metadata: { n: 1 } });
    stream.destroy();
    await closed(stream);
  });

  it('keeps sources apart: one whose delivery is not done holds no other back', async () => {
    const tracker = new OffsetTracker(new InMemoryOffsetStore(), PERIODIC);
    const stream = withAcks<{ of: string; id: number }>(tracker, {
      source: (item) => item.of,
      offsetOf: (item) => item.id,
    });
    const stuck: Delivery<unknown>[] = [];
    stream.on('data', (delivery) => {
      if (delivery.source === 'stuck' && stuck.length === 0) stuck.push(delivery);
      else void delivery.ack();
    });
    for (let id = 0; id < 10; id++) {
      stream.write({ of: 'stuck', id });
      stream.write({ of: 'free', id });
    }
    await until(() => tracker.stats('free').recorded === 10);
    await tracker.commitAll();
    expect(tracker.stats('free').committed).toEqual(seq(9));
    expect(tracker.stats('stuck')).toMatchObject({ committed: undefined, inFlight: 10 });
    stream.destroy();
    await closed(stream);
  });
});

describe('withAcks() and maxInFlight', () => {
  it('takes no more items than may be in flight, and goes on as they are acked', async () => {
    const tracker = new OffsetTracker(new InMemoryOffsetStore(), PERIODIC);
    const stream = withAcks<number>(tracker, { source: 'a', maxInFlight: 5 });
    const open: Delivery<number>[] = [];
    let most = 0;
    stream.on('data', (delivery) => {
      open.push(delivery);
      most = Math.max(most, tracker.stats('a').inFlight);
    });
    Readable.from(numbers(0, 99)).pipe(stream);
    await settle();
    expect(open.map((delivery) => delivery.value)).toEqual([0, 1, 2, 3, 4]);
    // The last of them alone makes no room: the watermark has not moved.
    await open[4]!.ack();
    await settle();
    expect(open).toHaveLength(5);
    await open[0]!.ack();
    await until(() => open.length === 6);
    for (let n = 1; n < 100; n++) {
      await until(() => open.length > n);
      await open[n]!.ack();
    }
    await stream.settled();
    expect(most).toBe(5);
    expect(tracker.stats('a').committed).toEqual(seq(99));
  });

  it('takes the limit of the tracker when it has none of its own', async () => {
    const tracker = new OffsetTracker(new InMemoryOffsetStore(), { ...PERIODIC, maxInFlight: 2 });
    const stream = withAcks<number>(tracker, 'a');
    const open: Delivery<number>[] = [];
    stream.on('data', (delivery) => open.push(delivery));
    Readable.from(numbers(0, 9)).pipe(stream);
    await settle();
    expect(open).toHaveLength(2);
    stream.destroy();
    await closed(stream);
  });
});

describe('A nack', () => {
  it('destroys the stream with its reason, and what is before it is committed', async () => {
    const tracker = new OffsetTracker(new InMemoryOffsetStore(), PERIODIC);
    const bad = new Error('bad item');
    const ended = pipeline(
      Readable.from(numbers(0, 99)),
      withAcks<number>(tracker, 'a'),
      new Writable({
        objectMode: true,
        write(delivery: Delivery<number>, _, callback) {
          if (delivery.value === 40) void delivery.nack(bad);
          else void delivery.ack();
          callback();
        },
      }),
    );
    await expect(ended).rejects.toBe(bad);
    await tracker.close();
    expect(tracker.stats('a').committed).toEqual(seq(39));
  });

  it.each([
    ['nothing', undefined, /^The delivery at "seq:0" of source "a" was nacked$/],
    ['a string', 'no such order', /was nacked: no such order$/],
  ])('of which %s is the reason is a DeliveryError', async (_, reason, message) => {
    const tracker = new OffsetTracker(new InMemoryOffsetStore(), PERIODIC);
    const { stream, deliveries } = await handedOut(tracker, 1);
    const error = new Promise((resolve) => stream.once('error', resolve));
    await deliveries[0]!.nack(reason);
    await expect(error).resolves.toMatchObject({
      name: 'DeliveryError',
      code: 'OFFSET_NACKED',
      source: 'a',
      cause: reason,
      message: expect.stringMatching(message) as unknown,
    });
    await closed(stream);
  });

  it('under `skip` counts as done', async () => {
    const tracker = new OffsetTracker(new InMemoryOffsetStore(), PERIODIC);
    const { stream, deliveries } = await handedOut(tracker, 2, { onNack: 'skip' });
    await deliveries[0]!.nack(new Error('bad'));
    await deliveries[1]!.ack();
    stream.end();
    await stream.settled();
    expect(tracker.stats('a').committed).toEqual(seq(1));
  });

  it('under a function counts as done once that has put the delivery aside', async () => {
    const tracker = new OffsetTracker(new InMemoryOffsetStore(), PERIODIC);
    const dead: unknown[] = [];
    let put = (): void => undefined;
    const { stream, deliveries } = await handedOut(tracker, 1, {
      onNack: async (delivery, reason) => {
        await new Promise<void>((resolve) => {
          put = resolve;
        });
        dead.push([delivery.value, delivery.offset, reason]);
      },
    });
    const nacked = deliveries[0]!.nack('why');
    // Neither a second nack nor an ack does anything while it is being put aside.
    await deliveries[0]!.nack('again');
    await deliveries[0]!.ack();
    expect(tracker.stats('a').inFlight).toBe(1);
    put();
    await nacked;
    expect(dead).toEqual([[0, seq(0), 'why']]);
    stream.end();
    await stream.settled();
    expect(tracker.stats('a').committed).toEqual(seq(0));
  });

  it('under a function that fails destroys the stream with its error, and is not done', async () => {
    const tracker = new OffsetTracker(new InMemoryOffsetStore(), PERIODIC);
    const full = new Error('dead letter queue full');
    const { stream, deliveries } = await handedOut(tracker, 1, {
      onNack: () => {
        throw full;
      },
    });
    const error = new Promise((resolve) => stream.once('error', resolve));
    void deliveries[0]!.nack('why');
    await expect(error).resolves.toBe(full);
    await closed(stream);
    expect(tracker.stats('a').committed).toBeUndefined();
    await expect(stream.settled()).rejects.toBe(full);
  });

  it('takes the policy of the tracker when the stream has none', async () => {
    const nacked: unknown[] = [];
    const tracker = new OffsetTracker(new InMemoryOffsetStore(), {
      ...PERIODIC,
      onNack: ({ source, offset }, reason) => {
        nacked.push([source, offset, reason]);
      },
    });
    const { stream, deliveries } = await handedOut(tracker, 1);
    await deliveries[0]!.nack('why');
    expect(nacked).toEqual([['a', seq(0), 'why']]);
    stream.end();
    await stream.settled();
  });
});

describe('Delivery.map() and fanOut()', () => {
  it('acks and nacks the one they were made of', async () => {
    const tracker = new OffsetTracker(new InMemoryOffsetStore(), PERIODIC);
    const { stream, deliveries } = await handedOut(tracker, 1);
    const mapped = deliveries[0]!.map((n) => `item ${n}`).map((text) => text.length);
    expect(mapped).toMatchObject({ value: 6, source: 'a' });
    expect(mapped.offset).toEqual(seq(0));
    await mapped.ack();
    expect(tracker.stats('a').recorded).toBe(1);
    expect(() =>
      deliveries[0]!.map(() => {
        throw new Error('not parsed');
      }),
    ).toThrow('not parsed');
    stream.end();
    await stream.settled();
  });

  it('is acked once all of its parts are, each counted once', async () => {
    const tracker = new OffsetTracker(new InMemoryOffsetStore(), PERIODIC);
    const { stream, deliveries } = await handedOut(tracker, 1);
    const parts = deliveries[0]!.map((n) => [n, n + 1, n + 2]).fanOut(3);
    await parts[0]!.ack();
    await parts[0]!.ack();
    await parts[1]!.map(() => 'x').ack();
    expect(tracker.stats('a').recorded).toBe(0);
    const [first, second] = parts[2]!.fanOut(2);
    await second!.ack();
    expect(tracker.stats('a').recorded).toBe(0);
    await first!.ack();
    expect(tracker.stats('a').recorded).toBe(1);
    stream.end();
    await stream.settled();
  });

  it('of no parts is acked at once, and of one that is nacked is nacked', async () => {
    const tracker = new OffsetTracker(new InMemoryOffsetStore(), { ...PERIODIC, onNack: 'skip' });
    const { stream, deliveries } = await handedOut(tracker, 2);
    expect(deliveries[0]!.fanOut(0)).toEqual([]);
    await settle();
    expect(tracker.stats('a').recorded).toBe(1);
    const [one, other] = deliveries[1]!.fanOut(2);
    await one!.nack('bad');
    await one!.ack();
    expect(tracker.stats('a').recorded).toBe(2);
    await other!.ack();
    expect(() => deliveries[0]!.fanOut(-1)).toThrow(RangeError);
    expect(() => deliveries[0]!.fanOut('2' as never)).toThrow(TypeError);
    stream.end();
    await stream.settled();
  });
});

describe('The end of withAcks()', () => {
  it('settled() waits for the last ack and commits; until then nothing after the watermark is', async () => {
    const tracker = new OffsetTracker(new InMemoryOffsetStore(), PERIODIC);
    const { stream, deliveries } = await handedOut(tracker, 3);
    stream.end();
    let settled = false;
    const waiting = stream.settled().then(() => {
      settled = true;
    });
    await deliveries[2]!.ack();
    await deliveries[0]!.ack();
    await settle();
    expect(settled).toBe(false);
    await deliveries[1]!.ack();
    await waiting;
    expect(tracker.stats('a')).toMatchObject({ committed: seq(2), pending: 0 });
    await closed(stream);
  });

  it('settled() says how many deliveries were forgotten when time is up, and ends with its signal', async () => {
    const tracker = new OffsetTracker(new InMemoryOffsetStore(), PERIODIC);
    const { stream } = await handedOut(tracker, 2, { drainTimeoutMs: 20 });
    await expect(stream.settled({ timeoutMs: 1 })).rejects.toThrow('The stream had not ended');
    stream.end();
    await closed(stream);
    const late = await failure(stream.settled({ timeoutMs: 1 }));
    expect(late).toBeInstanceOf(DeliveryError);
    expect(late).toMatchObject({
      code: 'OFFSET_UNACKED',
      message: expect.stringMatching(/^2 deliveries/) as unknown,
    });
    const abort = new AbortController();
    const waiting = stream.settled({ signal: abort.signal });
    abort.abort(new Error('enough'));
    await expect(waiting).rejects.toThrow('enough');
    await expect(stream.settled({ signal: abort.signal })).rejects.toThrow('enough');
    await expect(stream.settled({ timeoutMs: 0 })).rejects.toThrow(RangeError);
  });

  it('still emits commits that come after the end, until all is settled', async () => {
    const tracker = new OffsetTracker(new InMemoryOffsetStore(), PERIODIC);
    const { stream, deliveries } = await handedOut(tracker, 2);
    const commits: unknown[] = [];
    stream.on('commit', (commit) => commits.push(commit));
    stream.end();
    await new Promise((resolve) => stream.once('end', resolve));
    await deliveries[0]!.ack();
    await deliveries[1]!.ack();
    await closed(stream);
    expect(commits).toEqual([{ source: 'a', offset: seq(1) }]);
  });

  it('a failed commit destroys the stream and rejects the ack, whether that is awaited or not', async () => {
    for (const awaited of [true, false]) {
      const store = new FlakyStore();
      const tracker = new OffsetTracker(store);
      const { stream, deliveries } = await handedOut(tracker, 2);
      store.failNext('commit', new Error('disk full'));
      const error = new Promise((resolve) => stream.once('error', resolve));
      const acked = deliveries[0]!.ack();
      if (awaited) await expect(acked).rejects.toThrow('disk full');
      await expect(error).resolves.toMatchObject({ code: 'OFFSET_IO', source: 'a' });
      await closed(stream);
    }
  });

  it('after it a nack is still told, by an error event and by settled()', async () => {
    const tracker = new OffsetTracker(new InMemoryOffsetStore(), PERIODIC);
    const { stream, deliveries } = await handedOut(tracker, 2);
    stream.end();
    await new Promise((resolve) => stream.once('end', resolve));
    const bad = new Error('bad');
    const error = new Promise((resolve) => stream.once('error', resolve));
    await deliveries[0]!.nack(bad);
    await expect(stream.settled()).rejects.toBe(bad);
    await expect(error).resolves.toBe(bad);
    expect(tracker.stats('a').committed).toBeUndefined();
  });

  it('a loop whose last ack fails is told once: by the ack', async () => {
    const store = new FlakyStore();
    const tracker = new OffsetTracker(store);
    await tracker.getOffset('a');
    const stream = Readable.from([1, 2]).pipe(withAcks<number>(tracker, 'a'));
    let failed: unknown;
    for await (const delivery of stream as AsyncIterable<Delivery<number>>) {
      await settle();
      if (delivery.value === 2) store.failNext('commit', new Error('disk full'));
      await delivery.ack().catch((error: unknown) => {
        failed = error;
      });
    }
    expect(failed).toMatchObject({ code: 'OFFSET_IO' });
    await settle();
  });

  it('gives up what was not acked when it is destroyed: a new stream of the same tracker begins after the committed', async () => {
    const store = new InMemoryOffsetStore();
    const tracker = new OffsetTracker(store, PERIODIC);
    const first = await handedOut(tracker, 6);
    await first.deliveries[0]!.ack();
    await first.deliveries[1]!.ack();
    first.stream.destroy(new Error('connection lost'));
    await closed(first.stream);
    expect(tracker.stats('a')).toMatchObject({ committed: seq(1), inFlight: 0 });
    const second = withAcks<number>(tracker, { source: 'a', offsetOf: (n) => n });
    const again: Delivery<number>[] = [];
    second.on('data', (delivery) => again.push(delivery));
    for (const n of [2, 3]) second.write(n);
    await until(() => again.length === 2);
    // Late acks of the first stream say nothing about the second's deliveries.
    for (const delivery of first.deliveries) await delivery.ack();
    await tracker.commit('a');
    expect(tracker.stats('a').committed).toEqual(seq(1));
    for (const delivery of again) await delivery.ack();
    second.end();
    await second.settled();
    expect(tracker.stats('a').committed).toEqual(seq(3));
  });

  it('lets an ack after the tracker was closed reject with ClosedError', async () => {
    const tracker = new OffsetTracker(new InMemoryOffsetStore(), PERIODIC);
    const { stream, deliveries } = await handedOut(tracker, 1);
    await tracker.close();
    const error = new Promise((resolve) => stream.once('error', resolve));
    await expect(deliveries[0]!.ack()).rejects.toThrow(ClosedError);
    await expect(error).resolves.toBeInstanceOf(ClosedError);
  });

  it('emits stuck for a delivery that takes too long, once, and not for those behind it', async () => {
    const clock = new FakeClock();
    const tracker = new OffsetTracker(new InMemoryOffsetStore(), { ...PERIODIC, clock });
    const { stream, deliveries } = await handedOut(tracker, 3, { stuckAfterMs: 500 });
    const reports: unknown[] = [];
    stream.on('stuck', (report) => reports.push(report));
    await clock.advance(499);
    expect(reports).toEqual([]);
    await clock.advance(1);
    expect(reports).toEqual([{ source: 'a', offset: seq(0), ageMs: 500, inFlight: 3 }]);
    await clock.advance(5_000);
    expect(reports).toHaveLength(1);
    await deliveries[0]!.ack();
    await clock.advance(500);
    expect(reports).toHaveLength(2);
    expect(reports[1]).toMatchObject({ offset: seq(1), inFlight: 2 });
    for (const delivery of deliveries) await delivery.ack();
    await clock.advance(500);
    stream.end();
    await closed(stream);
    expect(clock.timers).toEqual([]);
  });
});

describe('withAcks() and bad input', () => {
  const broken: readonly [string, Partial<AckOptions<number>>, RegExp][] = [
    [
      'an offsetOf that throws',
      { offsetOf: (n) => (n === 2 ? fail() : n) },
      /^The offset of item 2 of source "a"/,
    ],
    [
      'an offset that is none',
      { offsetOf: (n) => (n === 2 ? -1 : n) },
      /^The offset of item 2 of source "a"/,
    ],
    ['a source that is none', { source: (n) => (n === 2 ? '' : 'a') }, /^The source of item 2/],
    [
      'metadata that cannot be kept',
      { metadataOf: (n) => (n === 2 ? { f: fail as never } : {}) },
      /^The metadata of item 2/,
    ],
    [
      'metadata that is null',
      { metadataOf: (n) => (n === 2 ? (null as never) : {}) },
      /^The metadata of item 2 .*got null/,
    ],
  ];

  it.each(broken)('names the item of %s', async (_, options, message) => {
    const tracker = new OffsetTracker(new InMemoryOffsetStore(), PERIODIC);
    const stream = withAcks<number>(tracker, { source: 'a', offsetOf: (n) => n, ...options });
    const slowly = async function* (): AsyncGenerator<number> {
      for (let n = 0; n < 6; n++) {
        yield n;
        await settle();
      }
    };
    const error = await failure(pipeline(slowly, stream, ackDeliveries()));
    expect(error).toBeInstanceOf(InvalidOffsetError);
    expect(error).toMatchObject({ message: expect.stringMatching(message) as unknown });
    await closed(stream);
    expect(tracker.stats('a').committed).toEqual(seq(1));
  });

  it('refuses wrong arguments', () => {
    const tracker = new OffsetTracker(new InMemoryOffsetStore());
    expect(() => withAcks({} as never, 'a')).toThrow(TypeError);
    expect(() => withAcks(tracker, 5 as never)).toThrow(TypeError);
    expect(() => withAcks(tracker, { source: 'a', maxInFlight: 0 })).toThrow(RangeError);
    expect(() => withAcks(tracker, { source: 'a', maxInFlight: '9' as never })).toThrow(TypeError);
    expect(() => withAcks(tracker, { source: 'a', stuckAfterMs: 0 })).toThrow(RangeError);
    expect(() => withAcks(tracker, { source: 'a', onNack: 'ignore' as never })).toThrow(
      "Expected `onNack` to be 'fail', 'skip' or a function",
    );
  });

  it('destroys the stream for an offset before the one handed out last', async () => {
    const tracker = new OffsetTracker(new InMemoryOffsetStore(), PERIODIC);
    const error = await failure(
      pipeline(
        Readable.from([1, 2, 5, 4]),
        withAcks<number>(tracker, { source: 'a', offsetOf: (n) => n }),
        ackDeliveries(),
      ),
    );
    expect(error).toMatchObject({ code: 'OFFSET_BEHIND', source: 'a' });
  });
});

describe('ackDeliveries()', () => {
  it.each(STRATEGIES)('with %s has committed everything when the pipeline ends', async (_, strategy) => {
    const tracker = new OffsetTracker(new InMemoryOffsetStore(), { strategy });
    await pipeline(
      Readable.from(numbers(0, 49)),
      withAcks<number>(tracker, 'a'),
      (deliveries: AsyncIterable<Delivery<number>>) =>
        Readable.from(deliveries).map(
          async (delivery: Delivery<number>) => {
            for (let turns = 0; turns < (delivery.value * 7) % 5; turns++) await settle();
            return delivery.map((n) => n * 2);
          },
          { concurrency: 4 },
        ),
      ackDeliveries(),
    );
    expect(tracker.stats('a').committed).toEqual(strategy.kind === 'manual' ? undefined : seq(49));
    expect(tracker.stats('a')).toMatchObject({ recorded: 50, inFlight: 0 });
  });

  it('fails with the error of the last commit', async () => {
    const store = new FlakyStore();
    const tracker = new OffsetTracker(store, PERIODIC);
    store.fate = (call) => (call.method === 'commit' ? { reject: new Error('disk full') } : undefined);
    const ended = pipeline(Readable.from([1, 2, 3]), withAcks<number>(tracker, 'a'), ackDeliveries());
    await expect(ended).rejects.toThrow('disk full');
  });

  it('waits for deliveries that are acked elsewhere, and tells of those that are forgotten', async () => {
    const tracker = new OffsetTracker(new InMemoryOffsetStore(), PERIODIC);
    const aside: Delivery<number>[] = [];
    const evens = async function* (deliveries: AsyncIterable<Delivery<number>>) {
      for await (const delivery of deliveries) {
        if (delivery.value % 2 === 0) yield delivery;
        else aside.push(delivery);
      }
    };
    let ended = false;
    const ending = pipeline(
      Readable.from(numbers(0, 9)),
      withAcks<number>(tracker, 'a'),
      evens,
      ackDeliveries(),
    ).then(() => {
      ended = true;
    });
    await settle();
    expect(ended).toBe(false);
    for (const delivery of aside.splice(0)) void delivery.ack();
    await ending;
    expect(tracker.stats('a').committed).toEqual(seq(9));
    const forgotten = pipeline(
      Readable.from(numbers(0, 9)),
      withAcks<number>(tracker, 'a'),
      evens,
      ackDeliveries({ ackTimeoutMs: 20 }),
    );
    await expect(forgotten).rejects.toMatchObject({ code: 'OFFSET_UNACKED' });
    expect(() => ackDeliveries({ ackTimeoutMs: 0 })).toThrow(RangeError);
  });

  it('refuses what is no delivery', async () => {
    await expect(pipeline(Readable.from([1]), ackDeliveries())).rejects.toThrow('deliveries of withAcks()');
  });
});

function fail(): never {
  throw new Error('no such thing');
}
