import { describe, expect, it, jest } from '@jest/globals';
import { CommitStrategy } from '../../lib/commit-strategy.js';
import { ClosedError, InvalidOffsetError, SourceNotFoundError, UnsupportedError } from '../../lib/errors.js';
import { Offset } from '../../lib/offset.js';
import type { OffsetStore } from '../../lib/offset-store.js';
import { InMemoryOffsetStore } from '../../lib/stores/memory.js';
import { OffsetTracker } from '../../lib/tracker/offset-tracker.js';
import { FakeClock } from '../support/fake-clock.js';
import { FIVE, FlakyStore, only, without } from '../support/flaky-store.js';
import { refuseUnhandledRejections } from '../support/unhandled.js';

refuseUnhandledRejections();

const seq = (n: number): Offset => Offset.sequence(n);

describe('OffsetTracker, its main uses', () => {
  it('commits each record with auto, the default', async () => {
    const store = new FlakyStore();
    const tracker = new OffsetTracker(store);
    expect(tracker.strategy).toBe(CommitStrategy.auto);
    store.hold('commit');
    let done = false;
    const recorded = tracker.record('orders', 1).then(() => {
      done = true;
    });
    await expect(tracker.getOffset('orders')).resolves.toEqual(Offset.earliest);
    expect(done).toBe(false);
    store.open();
    await recorded;
    await expect(store.inner.get('orders')).resolves.toEqual(seq(1));
    await tracker.record('orders', 2);
    await expect(store.inner.get('orders')).resolves.toEqual(seq(2));
    await expect(tracker.getAllPending()).resolves.toEqual(new Map());
  });

  it('commits every tenth record with periodic(10)', async () => {
    const store = new InMemoryOffsetStore();
    const tracker = new OffsetTracker(store, { strategy: CommitStrategy.periodic(10) });
    for (let n = 1; n <= 9; n++) await tracker.record('orders', n);
    await expect(store.get('orders')).resolves.toBeUndefined();
    expect(tracker.stats('orders').pending).toBe(9);
    await tracker.record('orders', 10);
    await expect(store.get('orders')).resolves.toEqual(seq(10));
    expect(tracker.stats('orders').pending).toBe(0);
  });

  it('commits with manual only when told to', async () => {
    const store = new InMemoryOffsetStore();
    const tracker = new OffsetTracker(store, { strategy: CommitStrategy.manual });
    await tracker.record('orders', 1);
    await tracker.record('orders', 2);
    await expect(store.get('orders')).resolves.toBeUndefined();
    await expect(tracker.getAllPending()).resolves.toEqual(new Map([['orders', seq(2)]]));
    await tracker.commit('orders');
    await expect(store.get('orders')).resolves.toEqual(seq(2));
    await expect(tracker.getAllPending()).resolves.toEqual(new Map());
    await expect(tracker.getAllCommitted()).resolves.toEqual(new Map([['orders', seq(2)]]));
  });

  it('starts where the reset policy says when nothing is stored', async () => {
    const store = new InMemoryOffsetStore({ known: 7 });
    const earliest = new OffsetTracker(store);
    expect(earliest.resetPolicy).toBe('earliest');
    await expect(earliest.getOffset('new')).resolves.toEqual({ kind: 'earliest' });
    await expect(earliest.getOffset('known')).resolves.toEqual(seq(7));
    const latest = new OffsetTracker(store, { resetPolicy: 'latest' });
    expect(latest.resetPolicy).toBe('latest');
    await expect(latest.getOffset('new')).resolves.toEqual({ kind: 'latest' });
    const none = new OffsetTracker(store, { resetPolicy: 'none' });
    const refusal = await none.getOffset('new').catch((error: unknown) => error);
    expect(refusal).toBeInstanceOf(SourceNotFoundError);
    expect(refusal).toMatchObject({ code: 'OFFSET_SOURCE_NOT_FOUND', source: 'new' });
    expect((refusal as Error).message).toContain('"new"');
    await expect(none.getOffset('known')).resolves.toEqual(seq(7));
    await none.record('new', 1);
    await expect(none.getOffset('new')).resolves.toEqual(seq(1));
  });

  it('keeps several sources apart', async () => {
    const store = new InMemoryOffsetStore();
    const tracker = new OffsetTracker(store, { strategy: CommitStrategy.periodic(2) });
    await tracker.record('orders', 10);
    await tracker.record('users', 'u-1');
    await tracker.record('users', 'u-2');
    await expect(tracker.getAllCommitted()).resolves.toEqual(new Map([['users', Offset.custom('u-2')]]));
    await expect(tracker.getAllPending()).resolves.toEqual(new Map([['orders', seq(10)]]));
    await tracker.commitAll();
    await expect(tracker.getAllCommitted()).resolves.toEqual(
      new Map([
        ['users', Offset.custom('u-2')],
        ['orders', seq(10)],
      ]),
    );
  });

  it("recovers in a new process, which switches on the offset's kind", async () => {
    const store = new InMemoryOffsetStore();
    await using first = new OffsetTracker(store);
    await first.record('lines', 41);
    await first.record('feed', new Date('2026-01-02T03:04:05.006Z'));
    await first.record('cursor', 'page-9');
    const second = new OffsetTracker(store, { resetPolicy: 'latest' });
    const found: string[] = [];
    for (const source of ['lines', 'feed', 'cursor', 'fresh']) {
      const offset = await second.getOffset(source);
      switch (offset.kind) {
        case 'sequence':
          found.push(`${source}: from ${offset.value + 1n}`);
          break;
        case 'timestamp':
          found.push(`${source}: after ${offset.value.toISOString()}`);
          break;
        case 'custom':
          found.push(`${source}: after ${offset.value}`);
          break;
        default:
          found.push(`${source}: ${offset.kind}`);
      }
    }
    expect(found).toEqual([
      'lines: from 42',
      'feed: after 2026-01-02T03:04:05.006Z',
      'cursor: after page-9',
      'fresh: latest',
    ]);
  });

  it('lets a consumer start after the offset and lose nothing over restarts', async () => {
    const store = new InMemoryOffsetStore();
    const log = Array.from({ length: 25 }, (_, n) => `item ${n}`);
    const seen: string[] = [];
    const consume = async (atMost: number): Promise<void> => {
      const tracker = new OffsetTracker(store, { strategy: CommitStrategy.periodic(4) });
      const offset = await tracker.getOffset('log');
      const start = offset.kind === 'sequence' ? Number(offset.value) + 1 : 0;
      for (let n = start; n < Math.min(log.length, start + atMost); n++) {
        seen.push(log[n]!);
        await tracker.record('log', n);
      }
      // The first two processes die here, without close().
      if (atMost === Infinity) await tracker.close();
    };
    await consume(10);
    await consume(10);
    await consume(Infinity);
    expect(new Set(seen)).toEqual(new Set(log));
    expect(seen).toHaveLength(25 + 2 + 2);
    await expect(store.get('log')).resolves.toEqual(seq(24));
  });
});

describe('OffsetTracker.record()', () => {
  it('takes every form of an offset, and copies Dates', async () => {
    const store = new InMemoryOffsetStore();
    const tracker = new OffsetTracker(store, { strategy: CommitStrategy.manual });
    const date = new Date(5);
    await tracker.record('date', date);
    date.setTime(9);
    await tracker.record('bigint', 2n ** 64n - 1n);
    await tracker.record('object', Offset.parse('seq:3'));
    await tracker.record('earliest', Offset.earliest);
    await tracker.record('text', 'earliest');
    const pending = await tracker.getAllPending();
    expect(pending).toEqual(
      new Map<string, Offset>([
        ['date', Offset.timestamp(new Date(5))],
        ['bigint', { kind: 'sequence', value: 18_446_744_073_709_551_615n }],
        ['object', seq(3)],
        ['earliest', Offset.earliest],
        ['text', Offset.custom('earliest')],
      ]),
    );
    (pending.get('date') as { value: Date }).value.setTime(77);
    await tracker.commitAll();
    await expect(store.get('date')).resolves.toEqual(Offset.timestamp(new Date(5)));
    const { committed } = tracker.stats('date');
    (committed as { value: Date }).value.setTime(78);
    expect(tracker.stats('date').committed).toEqual(Offset.timestamp(new Date(5)));
  });

  it('takes the same offset again as nothing new', async () => {
    const store = new FlakyStore();
    const tracker = new OffsetTracker(store, { strategy: CommitStrategy.periodic(3) });
    await tracker.record('a', 1);
    await tracker.record('a', 1);
    await tracker.record('a', 1);
    expect(tracker.stats('a')).toMatchObject({ recorded: 1, pending: 1 });
    await tracker.commit('a');
    await tracker.record('a', 1);
    expect(tracker.stats('a')).toMatchObject({ recorded: 1, pending: 0 });
    expect(store.count('commit')).toBe(1);
  });

  it('waits with auto for the commit of the same offset that is under way', async () => {
    const store = new FlakyStore();
    const tracker = new OffsetTracker(store);
    await tracker.getOffset('a');
    store.hold('commit');
    const done: string[] = [];
    const first = tracker.record('a', 1).then(() => done.push('first'));
    const second = tracker.record('a', 1).then(() => done.push('second'));
    await tracker.getAllCommitted();
    expect(done).toEqual([]);
    store.open();
    await Promise.all([first, second]);
    expect(store.committed('a')).toEqual([1n]);
  });

  it('refuses an offset behind what is recorded, committed, or committed by another process', async () => {
    const store = new InMemoryOffsetStore();
    const tracker = new OffsetTracker(store, { strategy: CommitStrategy.manual });
    await tracker.record('a', 10);
    const behindRecorded = await tracker.record('a', 9).catch((error: unknown) => error);
    expect(behindRecorded).toBeInstanceOf(InvalidOffsetError);
    expect(behindRecorded).toMatchObject({ code: 'OFFSET_BEHIND', source: 'a' });
    expect((behindRecorded as Error).message).toBe(
      'Offset "seq:9" lies before "seq:10", which is already recorded for source "a"; nothing was changed. ' +
        'To go back on purpose, use reset()',
    );
    expect(tracker.stats('a')).toMatchObject({ recorded: 1, pending: 1 });
    await tracker.commit('a');
    const behindCommitted = await tracker.record('a', 9).catch((error: unknown) => error);
    expect(behindCommitted).toMatchObject({ code: 'OFFSET_BEHIND' });
    expect((behindCommitted as Error).message).toContain(
      '"seq:9" lies before "seq:10", which is already committed',
    );
    expect(tracker.stats('a')).toMatchObject({ recorded: 1, pending: 0 });

    await store.commit('a', seq(20));
    await tracker.record('a', 15);
    const behindOther = await tracker.commit('a').catch((error: unknown) => error);
    expect(behindOther).toBeInstanceOf(InvalidOffsetError);
    expect(behindOther).toMatchObject({ code: 'OFFSET_BEHIND', source: 'a' });
    expect((behindOther as Error).message).toContain('"seq:15" lies before "seq:20"');
    await expect(store.get('a')).resolves.toEqual(seq(20));
    await tracker.record('a', 21);
    await tracker.commit('a');
    await expect(store.get('a')).resolves.toEqual(seq(21));
  });

  it('refuses at the first touch already what lies behind what is stored', async () => {
    const tracker = new OffsetTracker(new InMemoryOffsetStore({ a: 10 }), {
      strategy: CommitStrategy.manual,
    });
    await expect(tracker.record('a', 9)).rejects.toMatchObject({ code: 'OFFSET_BEHIND' });
    await tracker.record('a', 11);
  });

  it('lets offsets without an order replace one another', async () => {
    const store = new InMemoryOffsetStore();
    const tracker = new OffsetTracker(store);
    for (const offset of ['z', 'a', new Date(0), 5n, Offset.latest, Offset.earliest]) {
      await tracker.record('a', offset);
      await expect(store.get('a')).resolves.toEqual(Offset.from(offset));
    }
  });

  it('takes the last writer with monotonic: false', async () => {
    const store = new InMemoryOffsetStore({ a: 10 });
    const tracker = new OffsetTracker(store, { monotonic: false });
    await tracker.record('a', 4);
    await expect(store.get('a')).resolves.toEqual(seq(4));
    await tracker.record('a', 3);
    await expect(store.get('a')).resolves.toEqual(seq(3));
    await expect(tracker.getCheckpoint('a')).resolves.toMatchObject({ epoch: 0 });
  });

  it('gives the metadata of the newest offset to the store, copied and checked', async () => {
    const store = new InMemoryOffsetStore();
    const tracker = new OffsetTracker(store, { strategy: CommitStrategy.manual });
    const metadata = { file: 'a.log', at: new Date(7), nested: { line: 3n } };
    await tracker.record('a', 1, { metadata: { file: 'old' } });
    await tracker.record('a', 2, { metadata });
    metadata.file = 'changed';
    metadata.at.setTime(8);
    metadata.nested.line = 4n;
    await tracker.commit('a');
    const checkpoint = await tracker.getCheckpoint('a');
    expect(checkpoint).toEqual({
      offset: seq(2),
      epoch: 0,
      metadata: { file: 'a.log', at: new Date(7), nested: { line: 3n } },
      committedAt: expect.any(Date),
    });
    await tracker.record('a', 3);
    await tracker.commitAll();
    await expect(tracker.getCheckpoint('a')).resolves.not.toHaveProperty('metadata');
    await tracker.record('a', 4, { metadata: { via: 'commitMany' } });
    await tracker.commitAll();
    await expect(tracker.getCheckpoint('a')).resolves.toMatchObject({ metadata: { via: 'commitMany' } });
    await expect(tracker.record('a', 5, { metadata: { bad: Number.NaN } })).rejects.toMatchObject({
      code: 'OFFSET_SERIALIZATION',
    });
    expect(tracker.stats('a').pending).toBe(0);
  });

  it('keeps the order of records made before the source was read', async () => {
    const store = new FlakyStore();
    store.hold('inspect', 'epoch');
    const tracker = new OffsetTracker(store, { strategy: CommitStrategy.manual });
    const outcomes = [
      tracker.record('a', 1),
      tracker.record('a', 5),
      tracker.record('a', 4).catch((error: { code: string }) => error.code),
      tracker.record('a', 6),
      tracker.commit('a'),
      tracker.record('a', 7),
    ];
    await expect(tracker.getAllPending()).resolves.toEqual(new Map());
    store.open();
    await expect(Promise.all(outcomes)).resolves.toEqual([
      undefined,
      undefined,
      'OFFSET_BEHIND',
      undefined,
      undefined,
      undefined,
    ]);
    expect(store.committed('a')).toEqual([6n]);
    await expect(tracker.getAllPending()).resolves.toEqual(new Map([['a', seq(7)]]));
  });

  it('is refused when the source cannot be read, and reads it anew at the next', async () => {
    const store = new FlakyStore();
    store.failNext('inspect', new Error('EIO: no disk'));
    const tracker = new OffsetTracker(store);
    const both = [tracker.record('a', 1), tracker.record('a', 2), tracker.commit('a')];
    for (const outcome of await Promise.allSettled(both)) {
      expect(outcome).toMatchObject({
        status: 'rejected',
        reason: { code: 'OFFSET_IO', source: 'a', message: 'Read of source "a" failed: EIO: no disk' },
      });
    }
    expect(tracker.stats('a')).toMatchObject({ recorded: 0, pending: 0 });
    await tracker.record('a', 3);
    await expect(store.inner.get('a')).resolves.toEqual(seq(3));
  });
});

describe('OffsetTracker.stats()', () => {
  it('gives every figure, of one source and of all', async () => {
    const clock = new FakeClock();
    const store = new FlakyStore();
    const tracker = new OffsetTracker(store, { strategy: CommitStrategy.manual, clock });
    expect(tracker.stats()).toEqual({
      recorded: 0,
      pending: 0,
      inFlight: 0,
      commits: 0,
      failures: 0,
      committed: undefined,
      lastCommitAt: undefined,
      lastCommitMs: undefined,
      oldestPendingMs: undefined,
    });
    await tracker.record('a', 1);
    await clock.advance(40);
    await tracker.record('a', 2);
    await tracker.record('b', 9);
    const deliveries = [3, 4, 5].map((n) => tracker.track('a', n));
    await deliveries[0]!.ack();
    await clock.advance(2);
    expect(tracker.stats('a')).toEqual({
      recorded: 3,
      pending: 3,
      inFlight: 2,
      commits: 0,
      failures: 0,
      committed: undefined,
      watermark: seq(3),
      lastCommitAt: undefined,
      lastCommitMs: undefined,
      oldestPendingMs: 42,
    });
    store.hold('commit');
    const committing = tracker.commit('a');
    await clock.advance(7);
    store.open();
    await committing;
    store.failNext('commit', new Error('no'));
    await expect(tracker.commit('b')).rejects.toThrow('no');
    expect(tracker.stats('a')).toEqual({
      recorded: 3,
      pending: 0,
      inFlight: 2,
      commits: 1,
      failures: 0,
      committed: seq(3),
      watermark: seq(3),
      lastCommitAt: new Date(1_000_049),
      lastCommitMs: 7,
      oldestPendingMs: undefined,
    });
    expect(tracker.stats('b')).toMatchObject({ pending: 1, commits: 0, failures: 1, oldestPendingMs: 9 });
    expect(tracker.stats()).toEqual({
      recorded: 4,
      pending: 1,
      inFlight: 2,
      commits: 1,
      failures: 1,
      committed: undefined,
      lastCommitAt: new Date(1_000_049),
      lastCommitMs: 7,
      oldestPendingMs: 9,
    });
    expect(tracker.stats('never seen')).toMatchObject({ recorded: 0, committed: undefined });
    store.fate = () => undefined;
    await tracker.close();
    expect(tracker.stats('a').commits).toBe(1);
  });
});

describe('OffsetTracker with stores of fewer capabilities', () => {
  it('works with the five methods alone', async () => {
    const flaky = new FlakyStore();
    const tracker = new OffsetTracker(only(flaky, FIVE), { strategy: CommitStrategy.manual });
    await tracker.record('a', 1);
    await tracker.record('b', 2);
    await tracker.commitAll();
    expect(flaky.calls.find((call) => call.method === 'commit')?.options).toEqual({});
    await expect(tracker.getAllCommitted()).resolves.toEqual(
      new Map([
        ['a', seq(1)],
        ['b', seq(2)],
      ]),
    );
    await tracker.reset('a', 0);
    await expect(flaky.inner.get('a')).resolves.toEqual(seq(0));
    await tracker.record('a', 1);
    await tracker.clear('b');
    await expect(tracker.getOffset('b')).resolves.toEqual(Offset.earliest);
    await tracker.clearAll();
    await expect(tracker.getAllCommitted()).resolves.toEqual(new Map());
    await tracker.close();
  });

  it('commits under the epoch with a store that has epochs and no inspect or reset', async () => {
    const flaky = new FlakyStore();
    await flaky.inner.claim('a');
    const store = only(flaky, [...FIVE, 'epoch']);
    const reading = new OffsetTracker(store);
    await reading.record('a', 1);
    expect(flaky.calls.at(-1)?.options).toEqual({ epoch: 1 });
    const resetting = new OffsetTracker(store);
    await resetting.reset('a', 0);
    await resetting.record('a', 1);
    expect(flaky.calls.at(-1)?.options).toEqual({ epoch: 1 });
    await flaky.inner.claim('a');
    await expect(resetting.record('a', 2)).rejects.toMatchObject({ code: 'OFFSET_FENCED' });
  });

  it('gives with getCheckpoint() what is stored, at the first touch and later, and says what failed', async () => {
    const store = new FlakyStore();
    await store.inner.commit('a', seq(1), { metadata: { x: 1 } });
    const tracker = new OffsetTracker(store);
    const first = await tracker.getCheckpoint('a');
    expect(first).toMatchObject({ offset: seq(1), metadata: { x: 1 } });
    await expect(tracker.getCheckpoint('a')).resolves.toEqual(first);
    for (const call of [() => tracker.getCheckpoint('a'), () => tracker.getOffset('a')]) {
      store.fate = () => ({ reject: new Error('no') });
      await expect(call()).rejects.toMatchObject({ message: 'Read of source "a" failed: no', source: 'a' });
    }
    const owner = new OffsetTracker(store, { exclusive: true });
    await expect(owner.getOffset('a')).rejects.toThrow('Claim of source "a" failed: no');
  });

  it('refuses getCheckpoint() without inspect, and exclusive without claim', async () => {
    const store = without(new FlakyStore(), 'inspect', 'claim');
    await expect(new OffsetTracker(store).getCheckpoint('a')).rejects.toThrow(UnsupportedError);
    await expect(new OffsetTracker(store).getCheckpoint('a')).rejects.toThrow(
      'Expected a store with inspect() for getCheckpoint(), and this one has none',
    );
    expect(() => new OffsetTracker(store, { exclusive: true })).toThrow(UnsupportedError);
    expect(() => new OffsetTracker(store, { exclusive: true })).toThrow('claim()');
  });
});

describe('OffsetTracker and bad input', () => {
  const store = new InMemoryOffsetStore();

  it.each<[string, unknown, string]>([
    ['nothing', undefined, 'got undefined'],
    ['null', null, 'got null'],
    ['a text', 'file:a', 'got "file:a" (string)'],
    ['half a store', { get() {}, commit() {} }, 'got an object'],
  ])('refuses %s for a store', (_, given, message) => {
    expect(() => new OffsetTracker(given as OffsetStore)).toThrow(TypeError);
    expect(() => new OffsetTracker(given as OffsetStore)).toThrow(message);
    expect(() => new OffsetTracker(given as OffsetStore)).toThrow(
      'get(), commit(), getAll(), clear() and clearAll()',
    );
  });

  it.each<[string, unknown, typeof TypeError | typeof RangeError, string]>([
    ['options', null, TypeError, '`options` to be an object or undefined, got null'],
    ['options', [], TypeError, '`options` to be an object or undefined, got an array'],
    ['strategy', { strategy: 'auto' }, TypeError, '`strategy` to be CommitStrategy.auto'],
    ['strategy', { strategy: { kind: 'sometimes' } }, TypeError, '`strategy` to be'],
    ['strategy', { strategy: { kind: 'periodic', n: 0 } }, RangeError, '`n` to be a positive integer, got 0'],
    [
      'strategy',
      { strategy: { kind: 'periodic' } },
      TypeError,
      '`n` to be a positive integer, got undefined',
    ],
    [
      'strategy',
      { strategy: { kind: 'interval', ms: 2 ** 31 } },
      RangeError,
      '`ms` to be an integer from 1 to',
    ],
    [
      'resetPolicy',
      { resetPolicy: 'newest' },
      TypeError,
      "`resetPolicy` to be 'earliest', 'latest' or 'none'",
    ],
    ['exclusive', { exclusive: 1 }, TypeError, '`exclusive` to be a boolean, got 1 (number)'],
    ['monotonic', { monotonic: 'no' }, TypeError, '`monotonic` to be a boolean, got "no" (string)'],
    ['retry', { retry: 3 }, TypeError, '`retry` to be an object or undefined, got 3 (number)'],
    [
      'retry.retries',
      { retry: { retries: -1 } },
      RangeError,
      '`retry.retries` to be an integer from 0 to 1000',
    ],
    [
      'retry.retries',
      { retry: { retries: '3' } },
      TypeError,
      '`retry.retries` to be an integer from 0 to 1000',
    ],
    [
      'retry.minDelayMs',
      { retry: { minDelayMs: 0.5 } },
      RangeError,
      '`retry.minDelayMs` to be an integer from 0',
    ],
    [
      'retry.maxDelayMs',
      { retry: { minDelayMs: 10, maxDelayMs: 9 } },
      RangeError,
      'from 10 to 2147483647, got 9',
    ],
    [
      'storeTimeoutMs',
      { storeTimeoutMs: 0 },
      RangeError,
      '`storeTimeoutMs` to be an integer from 1 to 2147483647',
    ],
    ['storeTimeoutMs', { storeTimeoutMs: null }, TypeError, '`storeTimeoutMs` to be an integer'],
    [
      'clock',
      { clock: null },
      TypeError,
      '`clock` to be a Clock with now(), setTimeout() and clearTimeout(), got null',
    ],
    ['clock', { clock: { now: Date.now } }, TypeError, '`clock` to be a Clock'],
    ['random', { random: 0.5 }, TypeError, '`random` to be a function, got 0.5 (number)'],
  ])('refuses a wrong option: %s', (_, options, kind, message) => {
    expect(() => new OffsetTracker(store, options as never)).toThrow(kind);
    expect(() => new OffsetTracker(store, options as never)).toThrow(message);
  });

  const sources: [unknown, typeof TypeError | typeof RangeError][] = [
    [undefined, TypeError],
    [7, TypeError],
    ['', RangeError],
    ['a\0b', RangeError],
    ['\ud800', RangeError],
    ['x'.repeat(1025), RangeError],
  ];

  it('refuses what is no source name, by rejection, in every method that takes one', async () => {
    for (const [source, kind] of sources) {
      const tracker = new OffsetTracker(store);
      const name = source as string;
      for (const call of [
        () => tracker.record(name, 1),
        () => tracker.getOffset(name),
        () => tracker.getCheckpoint(name),
        () => tracker.commit(name),
        () => tracker.reset(name, 1),
        () => tracker.clear(name),
      ]) {
        await expect(call()).rejects.toThrow(kind);
        await expect(call()).rejects.toThrow('the source name to be a well-formed string');
      }
      expect(() => tracker.track(name, 1)).toThrow(kind);
      if (source !== undefined) expect(() => tracker.stats(name)).toThrow(kind);
    }
  });

  it('refuses what is no offset, and changes nothing', async () => {
    const tracker = new OffsetTracker(store);
    for (const offset of [
      -1,
      Number.NaN,
      1.5,
      2 ** 53,
      -1n,
      2n ** 64n,
      new Date(Number.NaN),
      null,
      undefined,
      {},
      '\ud800',
    ]) {
      const given = offset as never;
      await expect(tracker.record('a', given)).rejects.toMatchObject({ code: 'OFFSET_INVALID' });
      await expect(tracker.reset('a', given)).rejects.toMatchObject({ code: 'OFFSET_INVALID' });
      expect(() => tracker.track('a', given)).toThrow(InvalidOffsetError);
    }
    expect(tracker.stats('a')).toMatchObject({ recorded: 0, inFlight: 0 });
    await expect(store.getAll()).resolves.toEqual(new Map());
  });

  it('refuses wrong options of methods', async () => {
    const tracker = new OffsetTracker(store);
    await expect(tracker.record('a', 1, null as never)).rejects.toThrow(
      '`options` to be an object or undefined, got null',
    );
    await expect(tracker.record('a', 1, { metadata: 5 as never })).rejects.toMatchObject({
      code: 'OFFSET_SERIALIZATION',
    });
    expect(() => tracker.track('a', 1, 'x' as never)).toThrow(TypeError);
    expect(() => tracker.track('a', 1, { metadata: { f: (() => 1) as never } })).toThrow('metadata.f');
    expect(tracker.stats('a').inFlight).toBe(0);
    for (const [options, kind] of [
      [null, TypeError],
      [{ timeoutMs: 0 }, RangeError],
      [{ timeoutMs: '5' }, TypeError],
      [{ timeoutMs: 2 ** 31 }, RangeError],
    ] as const) {
      await expect(tracker.close(options as never)).rejects.toThrow(kind);
    }
    // That was no close.
    await tracker.record('a', 1);
    await tracker.close();
    await expect(tracker.record('a', 2)).rejects.toThrow(ClosedError);
  });
});

describe('OffsetTracker with the default clock', () => {
  it('commits when a real interval has passed', async () => {
    jest.useFakeTimers();
    try {
      const store = new InMemoryOffsetStore();
      const tracker = new OffsetTracker(store, { strategy: CommitStrategy.interval(500) });
      await tracker.record('a', 1);
      await jest.advanceTimersByTimeAsync(499);
      await expect(store.get('a')).resolves.toBeUndefined();
      await jest.advanceTimersByTimeAsync(1);
      await expect(store.get('a')).resolves.toEqual(seq(1));
      expect(jest.getTimerCount()).toBe(0);
    } finally {
      jest.useRealTimers();
    }
  });
});
