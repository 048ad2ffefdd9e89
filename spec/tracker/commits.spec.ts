import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { describe, expect, it } from '@jest/globals';
import { CommitStrategy } from '../../lib/commit-strategy.js';
import { FencedError, InvalidOffsetError, OffsetIoError, OffsetLockError } from '../../lib/errors.js';
import { Offset } from '../../lib/offset.js';
import { OffsetTracker, type OffsetTrackerOptions } from '../../lib/tracker/offset-tracker.js';
import { InMemoryOffsetStore } from '../../lib/stores/memory.js';
import { FakeClock, settle } from '../support/fake-clock.js';
import { FIVE, FlakyStore, only, without } from '../support/flaky-store.js';
import { refuseUnhandledRejections } from '../support/unhandled.js';

refuseUnhandledRejections();

const seq = (n: number): Offset => Offset.sequence(n);

async function begun(options?: OffsetTrackerOptions, sources = ['a']) {
  const clock = new FakeClock();
  const store = new FlakyStore();
  const tracker = new OffsetTracker(store, { clock, ...options });
  for (const source of sources) await tracker.getOffset(source);
  store.calls.length = 0;
  return { clock, store, tracker };
}

const MANUAL = { strategy: CommitStrategy.manual };

describe('One commit in flight per source', () => {
  it('makes one commit at a time, ascending, each with the newest offset', async () => {
    const { store, tracker } = await begun();
    store.hold('commit');
    const recorded = [1, 2, 3, 4].map((n) => tracker.record('a', n));
    await settle();
    expect(store.committed('a')).toEqual([1n]);
    store.held.shift()!.letThrough();
    await recorded[0];
    await settle();
    expect(store.committed('a')).toEqual([1n, 4n]);
    const fifth = tracker.record('a', 5);
    store.open();
    await Promise.all([...recorded, fifth]);
    expect(store.committed('a')).toEqual([1n, 4n, 5n]);
    expect(store.mostAtOnce).toBe(1);
  });

  it('lets sources commit beside one another', async () => {
    const { store, tracker } = await begun({}, ['a', 'b']);
    store.hold('commit');
    const both = [tracker.record('a', 1), tracker.record('b', 1)];
    await settle();
    expect(store.held).toHaveLength(2);
    store.open();
    await Promise.all(both);
  });

  it('commits anew, for those who wait, what a failed commit did not cover', async () => {
    const { store, tracker } = await begun();
    store.hold('commit');
    const first = tracker.record('a', 1);
    const second = tracker.record('a', 2);
    first.catch(() => undefined);
    store.held.shift()!.reject(new Error('no'));
    await expect(first).rejects.toThrow('no');
    store.open();
    await second;
    expect(store.committed('a')).toEqual([1n, 2n]);
  });

  it('is held by two commitAll() at once, and by commit() beside them', async () => {
    for (const joint of [true, false]) {
      const clock = new FakeClock();
      const store = new FlakyStore();
      const tracker = new OffsetTracker(joint ? store : without(store, 'commitMany'), { ...MANUAL, clock });
      await tracker.record('a', 1);
      await tracker.record('b', 1);
      const one = [tracker.commitAll(), tracker.commit('a'), tracker.commitAll(), tracker.commit('b')];
      await tracker.record('a', 2);
      const two = [tracker.commit('a'), tracker.commitAll()];
      await Promise.all([...one, ...two]);
      expect(store.mostAtOnce).toBe(1);
      expect(tracker.stats()).toMatchObject({ pending: 0, recorded: 3 });
      expect(tracker.stats('a').committed).toEqual(seq(2));
      await expect(store.inner.get('a')).resolves.toEqual(seq(2));
    }
  });

  it('does not answer a commit that is asked for from within the store before it landed', async () => {
    const { store, tracker } = await begun(MANUAL);
    let inner: Promise<string> | undefined;
    const events: string[] = [];
    store.fate = (call) => {
      if (call.method === 'commit')
        inner ??= tracker
          .commit('a')
          .then(() => events.push('inner'), String)
          .then(String);
      return call.method === 'commit' ? 'hold' : undefined;
    };
    await tracker.record('a', 1);
    const outer = tracker.commit('a').then(() => events.push('outer'));
    await settle();
    expect(events).toEqual([]);
    store.open();
    await outer;
    await inner;
    expect(events.toSorted()).toEqual(['inner', 'outer']);
    expect(store.committed('a')).toEqual([1n]);
  });

  it('answers all who ask for the same with one commit, and its failure is told to each and not kept', async () => {
    const { store, tracker } = await begun({ strategy: CommitStrategy.eager });
    store.hold('commit');
    await tracker.record('a', 1);
    const both = [tracker.commit('a'), tracker.commit('a')].map((asked) =>
      asked.catch((error: unknown) => error),
    );
    store.fate = () => undefined;
    store.held.shift()!.reject(new Error('no'));
    expect(await Promise.all(both)).toEqual([
      expect.objectContaining({ code: 'OFFSET_IO' }),
      expect.objectContaining({ code: 'OFFSET_IO' }),
    ]);
    expect(store.committed('a')).toEqual([1n]);
    await tracker.record('a', 2);
    await settle();
    expect(store.committed('a')).toEqual([1n, 2n]);
  });

  it('does not keep the failure of the next commit either, which somebody waits for', async () => {
    const { store, tracker } = await begun(MANUAL);
    await tracker.record('a', 1);
    store.hold('commit');
    const first = tracker.commit('a');
    await tracker.record('a', 2);
    const second = tracker.commit('a').catch((error: unknown) => error);
    store.held.shift()!.letThrough();
    await first;
    await settle();
    store.fate = () => undefined;
    store.held.shift()!.reject(new Error('no'));
    expect(await second).toMatchObject({ code: 'OFFSET_IO' });
    await tracker.record('a', 3);
  });

  it('knows of what was recorded during a commit that it is no older than that', async () => {
    const { clock, store, tracker } = await begun(MANUAL);
    await tracker.record('a', 1);
    await clock.advance(100);
    store.hold('commit');
    const committing = tracker.commit('a');
    await clock.advance(50);
    await tracker.record('a', 2);
    store.open();
    await committing;
    await clock.advance(10);
    expect(tracker.stats('a').oldestPendingMs).toBe(60);
  });

  it('takes a clock whose timers are numbers', async () => {
    const due: (() => void)[] = [];
    const clock = {
      now: () => 5,
      setTimeout: (callback: () => void, ms: number) => (ms === 7 ? due.push(callback) : 0),
      clearTimeout: () => undefined,
    };
    const store = new FlakyStore();
    const tracker = new OffsetTracker(store, { clock, strategy: CommitStrategy.interval(7) });
    await tracker.record('a', 1);
    for (const callback of due.splice(0)) callback();
    await settle();
    expect(store.committed('a')).toEqual([1n]);
  });

  it('lets a commit listener record and commit', async () => {
    const { store, tracker } = await begun({ strategy: CommitStrategy.periodic(2) });
    const inListener: Promise<void>[] = [];
    tracker.onCommit((source, offset) => {
      if (offset.kind === 'sequence' && offset.value === 2n) {
        inListener.push(tracker.record(source, 3), tracker.record(source, 4));
      }
    });
    await tracker.record('a', 1);
    await tracker.record('a', 2);
    await Promise.all(inListener);
    expect(store.committed('a')).toEqual([2n, 4n]);
    expect(tracker.stats('a').pending).toBe(0);
  });

  it('tells listeners until they are taken off', async () => {
    const { tracker } = await begun();
    const seen: unknown[] = [];
    const off = tracker.onCommit((source, offset) => {
      seen.push([source, Offset.format(offset)]);
    });
    await tracker.record('a', new Date(5));
    off();
    await tracker.record('a', new Date(6));
    expect(seen).toEqual([['a', 'ts:1970-01-01T00:00:00.005Z']]);
  });
});

describe('OffsetTracker.commitAll()', () => {
  it('is one atomic commitMany, of what is pending', async () => {
    const { store, tracker } = await begun(MANUAL, ['a', 'b', 'c']);
    await tracker.record('a', 1);
    await tracker.record('b', 2, { metadata: { x: 1 } });
    await tracker.commitAll();
    expect(store.calls.map((call) => [call.method, call.entries])).toEqual([
      [
        'commitMany',
        [
          { source: 'a', offset: seq(1), epoch: 0 },
          { source: 'b', offset: seq(2), epoch: 0, metadata: { x: 1 } },
        ],
      ],
    ]);
    await tracker.commitAll();
    expect(store.calls).toHaveLength(1);
  });

  it('changes nothing when the one step fails, and names all it was about', async () => {
    const { store, tracker } = await begun(MANUAL, ['a', 'b']);
    await tracker.record('a', 1);
    await tracker.record('b', 2);
    store.failNext('commitMany', new Error('no'));
    const failure = await tracker.commitAll().catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(OffsetIoError);
    expect(failure).toMatchObject({
      code: 'OFFSET_IO',
      message: 'Commit of 2 sources ("a" at "seq:1", "b" at "seq:2") failed: no',
      cause: new Error('no'),
    });
    await expect(tracker.getAllPending()).resolves.toEqual(
      new Map([
        ['a', seq(1)],
        ['b', seq(2)],
      ]),
    );
    expect(tracker.stats()).toMatchObject({ pending: 2, failures: 2 });
    await tracker.commitAll();
    expect(tracker.stats()).toMatchObject({ pending: 0, commits: 2 });
  });

  it('leaves a commit of one source alone when it is refused for another', async () => {
    const { store, tracker } = await begun(MANUAL, ['a', 'b']);
    await tracker.record('a', 1);
    await tracker.record('b', 2);
    await store.inner.reset('b', seq(0));
    store.hold('commitMany');
    const all = tracker.commitAll().catch((error: unknown) => error);
    await settle();
    const one = tracker.commit('a');
    store.open();
    expect(await all).toMatchObject({ code: 'OFFSET_FENCED', source: 'b' });
    await one;
    await expect(store.inner.get('a')).resolves.toEqual(seq(1));
    const again = await tracker.commitAll().catch((error: unknown) => error);
    expect(again).toBeInstanceOf(AggregateError);
    expect((again as AggregateError).errors).toEqual([
      expect.objectContaining({ code: 'OFFSET_FENCED', source: 'b' }),
    ]);
  });

  it('tells the failure of the one source that it was refused for, and begins nothing for the others', async () => {
    const told: string[] = [];
    const hear = (message: unknown): void => {
      told.push((message as { source: string }).source);
    };
    const { store, tracker } = await begun(MANUAL, ['a', 'b', 'c']);
    for (const source of ['a', 'b', 'c']) await tracker.record(source, 1);
    await store.inner.reset('b', seq(0));
    subscribe('streamweave-offset:commit-error', hear);
    try {
      await expect(tracker.commitAll()).rejects.toMatchObject({ code: 'OFFSET_FENCED', source: 'b' });
      await settle();
      expect(told).toEqual(['b']);
      expect(store.calls.map(({ method }) => method)).toEqual(['commitMany']);
      // Without a name it is the failure of all of them.
      store.failNext('commitMany', new Error('no'));
      await expect(tracker.commitAll()).rejects.toMatchObject({ code: 'OFFSET_IO' });
      expect(told).toEqual(['b', 'a', 'c']);
    } finally {
      unsubscribe('streamweave-offset:commit-error', hear);
    }
    await expect(tracker.getAllPending()).resolves.toEqual(
      new Map(['a', 'b', 'c'].map((source) => [source, seq(1)])),
    );
  });

  it('tells those who wait for one source, when it fails for all', async () => {
    const { store, tracker } = await begun(MANUAL, ['a', 'b']);
    await tracker.record('a', 1);
    await tracker.record('b', 1);
    store.hold('commitMany');
    const all = tracker.commitAll().catch((error: unknown) => error);
    await settle();
    const one = tracker.commit('a').catch((error: unknown) => error);
    store.fate = () => undefined;
    store.held.shift()!.reject(new Error('no'));
    expect(await all).toBe(await one);
    expect(store.count('commit')).toBe(0);
  });

  it('that is refused late fences the source that it was refused for, and no other', async () => {
    const { clock, store, tracker } = await begun({ ...MANUAL, storeTimeoutMs: 250 }, ['a', 'b']);
    await tracker.record('a', 1);
    await tracker.record('b', 1);
    store.hold('commitMany');
    const all = tracker.commitAll().catch((error: unknown) => error);
    await clock.advance(250);
    await all;
    store.fate = () => undefined;
    store.held.shift()!.reject(new FencedError('late', { source: 'b' }));
    await settle();
    await tracker.commit('a');
    await expect(tracker.commit('b')).rejects.toThrow(FencedError);
  });

  it('tries every source where the store has no commitMany, and names those that failed', async () => {
    const flaky = new FlakyStore();
    const tracker = new OffsetTracker(only(flaky, FIVE), MANUAL);
    for (const source of ['a', 'b', 'c']) await tracker.record(source, 1);
    flaky.fate = (call) =>
      call.method === 'commit' && call.sources[0] === 'b' ? { reject: new Error('no') } : undefined;
    const failure = await tracker.commitAll().catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(AggregateError);
    expect((failure as AggregateError).message).toBe(
      'Commits of 1 sources failed: Commit of source "b" at "seq:1" failed: no',
    );
    expect((failure as AggregateError).errors).toEqual([
      expect.objectContaining({ code: 'OFFSET_IO', source: 'b' }),
    ]);
    await expect(flaky.inner.getAll()).resolves.toEqual(
      new Map([
        ['a', seq(1)],
        ['c', seq(1)],
      ]),
    );
    await expect(tracker.getAllPending()).resolves.toEqual(new Map([['b', seq(1)]]));
  });

  it('takes along what was recorded before it, though its source was not read yet', async () => {
    const { store, tracker } = await begun(MANUAL, []);
    store.hold('inspect');
    const recorded = tracker.record('a', 1);
    const all = tracker.commitAll();
    await settle();
    store.open();
    await all;
    await recorded;
    await expect(store.inner.get('a')).resolves.toEqual(seq(1));
  });

  it('does not hold up commits of other sources while one of its own is being read', async () => {
    const { store, tracker } = await begun(MANUAL);
    await tracker.record('a', 1);
    store.hold('inspect');
    const recorded = tracker.record('b', 1);
    const all = tracker.commitAll();
    await settle();
    await tracker.commit('a');
    await expect(store.inner.get('a')).resolves.toEqual(seq(1));
    store.open();
    await Promise.all([recorded, all]);
    await expect(store.inner.get('b')).resolves.toEqual(seq(1));
  });

  it('does not commit into a reset that begins beside it', async () => {
    const flaky = new FlakyStore();
    // Without epochs nothing but the order of the calls protects the reset.
    const tracker = new OffsetTracker(only(flaky, [...FIVE, 'commitMany']), MANUAL);
    await tracker.record('a', 50);
    await tracker.record('b', 50);
    flaky.hold('commit');
    const all = tracker.commitAll();
    const resetting = tracker.reset('a', 3);
    await settle();
    expect(flaky.mostAtOnce).toBe(1);
    flaky.open();
    await Promise.all([all, resetting]);
    await expect(flaky.inner.getAll()).resolves.toEqual(
      new Map([
        ['a', seq(3)],
        ['b', seq(50)],
      ]),
    );
    expect(flaky.mostAtOnce).toBe(1);
    await expect(tracker.getAllPending()).resolves.toEqual(new Map());
  });
});

describe('Retries', () => {
  const retry = { retries: 4, minDelayMs: 100, maxDelayMs: 500 };

  it('wait longer each time, half of it by chance, and end with an error that tells all', async () => {
    for (const [chance, delays] of [
      [0, [50, 100, 200, 250]],
      [0.5, [75, 150, 300, 375]],
      [0.999999, [100, 200, 400, 500]],
    ] as const) {
      const { clock, store, tracker } = await begun({ retry, random: () => chance });
      const cause = new Error('ECONNRESET');
      store.fate = (call) => (call.method === 'commit' ? { reject: cause } : undefined);
      const outcome = tracker.record('a', 7).catch((error: unknown) => error);
      for (const delay of delays) {
        await settle();
        expect(clock.timers).toEqual([delay]);
        await clock.advance(delay);
      }
      expect(store.count('commit')).toBe(5);
      expect(await outcome).toBeInstanceOf(OffsetIoError);
      expect(await outcome).toMatchObject({
        code: 'OFFSET_IO',
        source: 'a',
        message: 'Commit of source "a" at "seq:7" failed 5 times: ECONNRESET',
        cause,
      });
      expect(clock.timers).toEqual([]);
      expect(tracker.stats('a')).toMatchObject({ pending: 1, failures: 1 });
    }
  });

  it('take along what was recorded meanwhile', async () => {
    const { clock, store, tracker } = await begun({ retry });
    store.failNext('commit', new Error('no'));
    const first = tracker.record('a', 1);
    await settle();
    const second = tracker.record('a', 2);
    await clock.advance(100);
    await Promise.all([first, second]);
    expect(store.committed('a')).toEqual([1n, 2n]);
    expect(tracker.stats('a')).toMatchObject({ pending: 0, commits: 1, failures: 0 });
  });

  it('take along in commitAll() what was recorded meanwhile', async () => {
    const { clock, store, tracker } = await begun({ ...MANUAL, retry }, ['a', 'b']);
    await tracker.record('a', 1);
    await tracker.record('b', 1);
    store.failNext('commitMany', new Error('no'));
    const all = tracker.commitAll();
    await settle();
    await tracker.record('a', 2);
    await clock.advance(100);
    await all;
    expect(store.committed('a')).toEqual([1n, 2n]);
    expect(tracker.stats()).toMatchObject({ pending: 0, commits: 2 });
  });

  it('are not made after a refusal', async () => {
    for (const refusal of [
      new FencedError('fenced', { source: 'a' }),
      new InvalidOffsetError('behind', { code: 'OFFSET_BEHIND', source: 'a' }),
    ]) {
      const { clock, store, tracker } = await begun({ retry });
      store.failNext('commit', refusal);
      await expect(tracker.record('a', 1)).rejects.toBe(refusal);
      expect(store.count('commit')).toBe(1);
      expect(clock.timers).toEqual([]);
    }
  });

  it('name the source where a refusal does not, and keep its class and code', async () => {
    const { store, tracker } = await begun({ retry });
    const refusal = new FencedError('stale epoch');
    store.failNext('commit', refusal);
    const failure = await tracker.record('a', 1).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(FencedError);
    expect(failure).toMatchObject({
      code: 'OFFSET_FENCED',
      source: 'a',
      message: 'Commit of source "a" at "seq:1" failed: stale epoch',
      cause: refusal,
    });
    await expect(tracker.record('a', 2)).rejects.toThrow(FencedError);
  });

  it('are made for reads, resets and clears too, and keep the class of the error', async () => {
    const { clock, store, tracker } = await begun({ retry: { retries: 1, minDelayMs: 1 } });
    for (const [method, call] of [
      ['get', () => tracker.getOffset('a')],
      ['reset', () => tracker.reset('a', 1)],
      ['clear', () => tracker.clear('a')],
      ['getAll', () => tracker.getAllCommitted()],
      ['clearAll', () => tracker.clearAll()],
    ] as const) {
      store.failNext(method, new OffsetLockError('busy'));
      const outcome = call();
      await clock.advance(1);
      await outcome;
      store.failNext(method, new OffsetLockError('busy'), new OffsetLockError('busy'));
      const failing = call().catch((error: unknown) => error);
      await clock.advance(1);
      expect(await failing).toMatchObject({ name: 'OffsetLockError', code: 'OFFSET_LOCK_TIMEOUT' });
      expect(String(await failing)).toContain('failed 2 times: busy');
      await tracker.getCheckpoint('a');
    }
  });
});

describe('The deadline of a call of the store', () => {
  it('takes a timer only where the answer is not there at once', async () => {
    let timers = 0;
    const clock = new FakeClock();
    const setTimer = clock.setTimeout.bind(clock);
    clock.setTimeout = (callback, ms) => {
      timers++;
      return setTimer(callback, ms);
    };
    const memory = new OffsetTracker(new InMemoryOffsetStore(), { clock });
    await memory.getOffset('a');
    timers = 0;
    for (let n = 0; n < 10; n++) await memory.record('a', n);
    expect(timers).toBe(0);
    const store = new FlakyStore();
    store.hold('commit');
    const tracker = new OffsetTracker(store, { clock });
    await tracker.getOffset('a');
    timers = 0;
    const waits = tracker.record('a', 1);
    await settle();
    expect(clock.timers).toEqual([30_000]);
    store.open();
    await waits;
    expect([timers, clock.timers]).toEqual([1, []]);
  });
});

describe('A store that behaves badly', () => {
  it('may throw where it should reject, and reject with anything', async () => {
    for (const [thrown, text] of [
      ['just text', 'just text'],
      [undefined, 'undefined'],
      [null, 'null'],
      [404, '404 (number)'],
      [Object.create(null), 'an object'],
      [Symbol('s'), 'a symbol'],
      [{ message: 'from another realm' }, 'from another realm'],
    ]) {
      for (const fate of [{ reject: thrown }, { throw: thrown }]) {
        const { store, tracker } = await begun();
        store.fate = (call) => (call.method === 'commit' ? fate : undefined);
        const failure = await tracker.record('a', 1).catch((error: unknown) => error);
        expect(failure).toBeInstanceOf(OffsetIoError);
        expect(failure).toMatchObject({ source: 'a', cause: thrown });
        expect((failure as Error).message).toBe(`Commit of source "a" at "seq:1" failed: ${text}`);
        store.open();
        await tracker.record('a', 2);
      }
    }
  });

  it('that never answers is a typed error, after which no second commit is begun', async () => {
    const { clock, store, tracker } = await begun({ storeTimeoutMs: 250, retry: { retries: 5 } });
    store.hold('commit');
    const first = tracker.record('a', 1).catch((error: unknown) => error);
    await clock.advance(249);
    expect(tracker.stats('a').failures).toBe(0);
    await clock.advance(1);
    expect(await first).toBeInstanceOf(OffsetIoError);
    expect(await first).toMatchObject({
      name: 'OffsetIoError',
      code: 'OFFSET_DURABILITY_UNKNOWN',
      source: 'a',
      message:
        'Commit of source "a" at "seq:1" had no answer from the store within 250 ms (storeTimeoutMs); whether it took ' +
        'effect is unknown, and nothing recorded was dropped',
    });
    expect(clock.timers).toEqual([]);
    const second = await tracker.record('a', 2).catch((error: unknown) => error);
    expect(second).toMatchObject({
      code: 'OFFSET_DURABILITY_UNKNOWN',
      source: 'a',
      message:
        'The store has still not answered an earlier change of source "a"; nothing else was begun, for it could be ' +
        'overtaken',
      cause: await first,
    });
    await expect(tracker.commitAll()).rejects.toThrow(AggregateError);
    await expect(tracker.reset('a', 0)).rejects.toMatchObject({ code: 'OFFSET_DURABILITY_UNKNOWN' });
    await expect(tracker.clear('a')).rejects.toMatchObject({ code: 'OFFSET_DURABILITY_UNKNOWN' });
    await expect(tracker.clearAll()).rejects.toMatchObject({ code: 'OFFSET_DURABILITY_UNKNOWN' });
    expect(store.count('commit') + store.count('commitMany')).toBe(1);
    expect(store.count('reset') + store.count('clear') + store.count('clearAll')).toBe(0);

    store.open();
    await settle();
    expect(tracker.stats('a')).toMatchObject({ committed: seq(1), pending: 1, commits: 1 });
    await tracker.commit('a');
    expect(store.committed('a')).toEqual([1n, 2n]);
    expect(store.mostAtOnce).toBe(1);
  });

  it('whose late answer is a refusal fences the source, and whose late failure does not', async () => {
    const { clock, store, tracker } = await begun({ storeTimeoutMs: 250 });
    store.hold('commit');
    const first = tracker.record('a', 1).catch((error: { code: string }) => error.code);
    await clock.advance(250);
    expect(await first).toBe('OFFSET_DURABILITY_UNKNOWN');
    store.held.shift()!.reject(new Error('no'));
    await settle();
    const second = tracker.record('a', 2).catch((error: { code: string }) => error.code);
    await clock.advance(250);
    expect(await second).toBe('OFFSET_DURABILITY_UNKNOWN');
    store.held.shift()!.reject(new FencedError('late', { source: 'a' }));
    await settle();
    await expect(tracker.record('a', 3)).rejects.toMatchObject({ code: 'OFFSET_FENCED' });
  });

  it('that does not answer a commitMany leaves each of its sources to wait for it', async () => {
    const { clock, store, tracker } = await begun({ ...MANUAL, storeTimeoutMs: 250 }, ['a', 'b']);
    await tracker.record('a', 1);
    await tracker.record('b', 1);
    store.hold('commitMany');
    const all = tracker.commitAll().catch((error: unknown) => error);
    await clock.advance(250);
    expect(await all).toMatchObject({ code: 'OFFSET_DURABILITY_UNKNOWN' });
    await expect(tracker.commit('a')).rejects.toMatchObject({ code: 'OFFSET_DURABILITY_UNKNOWN' });
    await tracker.record('b', 2);
    store.open();
    await settle();
    expect(tracker.stats()).toMatchObject({ commits: 2, pending: 1 });
    await expect(tracker.getAllPending()).resolves.toEqual(new Map([['b', seq(2)]]));
    await tracker.commitAll();
    expect(store.mostAtOnce).toBe(1);
  });

  it('that does not answer a read is an I/O error, and the next read tries anew', async () => {
    const { clock, store, tracker } = await begun({ storeTimeoutMs: 250 }, []);
    store.hold('inspect');
    const first = tracker.getOffset('a').catch((error: unknown) => error);
    const recorded = tracker.record('a', 1).catch((error: unknown) => error);
    await clock.advance(250);
    expect(await first).toMatchObject({ code: 'OFFSET_IO', source: 'a' });
    expect(await recorded).toBe(await first);
    store.open();
    await tracker.record('a', 2);
    await expect(store.inner.get('a')).resolves.toEqual(seq(2));
  });
});
