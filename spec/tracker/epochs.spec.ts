import { describe, expect, it } from '@jest/globals';
import { CommitStrategy } from '../../lib/commit-strategy.js';
import { FencedError } from '../../lib/errors.js';
import { Offset } from '../../lib/offset.js';
import { OffsetTracker } from '../../lib/tracker/offset-tracker.js';
import { FakeClock, settle } from '../support/fake-clock.js';
import { FIVE, FlakyStore, only, without } from '../support/flaky-store.js';
import { refuseUnhandledRejections } from '../support/unhandled.js';

refuseUnhandledRejections();

const seq = (n: number): Offset => Offset.sequence(n);
const MANUAL = { strategy: CommitStrategy.manual };

describe('The epoch', () => {
  it('is learned at the first touch, and every commit is made under it', async () => {
    const store = new FlakyStore();
    await store.inner.reset('a', seq(5));
    await store.inner.reset('a', seq(6));
    for (const [n, touch] of (['getOffset', 'getCheckpoint', 'record'] as const).entries()) {
      const tracker = new OffsetTracker(store, MANUAL);
      if (touch !== 'record') await tracker[touch]('a');
      await tracker.record('a', 7 + n);
      await tracker.commit('a');
      expect(store.calls.at(-1)).toMatchObject({ method: 'commit', options: { epoch: 2 } });
      await tracker.close();
    }
  });

  it('is learned together with what another commits while it is being read', async () => {
    const store = new FlakyStore();
    let committed: Promise<void> | undefined;
    store.answered = ({ method }) => {
      if (method === 'epoch') committed ??= store.inner.commit('a', seq(5));
    };
    const tracker = new OffsetTracker(store, MANUAL);
    await expect(tracker.getOffset('a')).resolves.toEqual(seq(5));
    expect(committed).toBeDefined();
  });

  it('is 0 where nothing is stored, and the store inspects but tells no epochs', async () => {
    const store = new FlakyStore();
    const tracker = new OffsetTracker(without(store, 'epoch'), MANUAL);
    await expect(tracker.getOffset('a')).resolves.toEqual(Offset.earliest);
    await tracker.record('a', 1);
    await tracker.commit('a');
    expect(store.calls.at(-1)?.options).toEqual({ epoch: 0 });
  });

  it('of a cleared source is learned, though nothing is stored', async () => {
    for (const inspects of [true, false]) {
      const store = new FlakyStore();
      await store.inner.commit('a', seq(1));
      await store.inner.clear('a');
      const form = inspects ? store : without(store, 'inspect');
      const tracker = new OffsetTracker(form, MANUAL);
      await expect(tracker.getOffset('a')).resolves.toEqual(Offset.earliest);
      await tracker.record('a', 1);
      await tracker.commit('a');
      expect(store.calls.at(-1)?.options).toEqual({ epoch: 1 });
    }
  });

  it('that rose before the first commit is not missed', async () => {
    const store = new FlakyStore();
    const tracker = new OffsetTracker(store);
    await tracker.getOffset('a');
    // It clears a source that nothing was ever committed for.
    await new OffsetTracker(store).clear('a');
    await expect(tracker.record('a', 1)).rejects.toThrow(FencedError);
  });

  it.each<[string, (other: OffsetTracker) => Promise<unknown>]>([
    ['reset', (other) => other.reset('a', 0)],
    ['clear', (other) => other.clear('a')],
    ['clearAll', (other) => other.clearAll()],
  ])('raised by a %s in another tracker fences this one until it reads anew', async (_, change) => {
    for (const reread of ['getOffset', 'getCheckpoint'] as const) {
      const store = new FlakyStore();
      const tracker = new OffsetTracker(store, MANUAL);
      await tracker.record('a', 10);
      await tracker.commit('a');
      await tracker.record('a', 11);
      await change(new OffsetTracker(store));
      // Reading does not make it follow along unawares.
      await tracker[reread]('a');
      const fenced = await tracker.commit('a').catch((error: unknown) => error);
      expect(fenced).toBeInstanceOf(FencedError);
      expect(fenced).toMatchObject({ code: 'OFFSET_FENCED', source: 'a' });
      const calls = store.calls.length;
      await expect(tracker.commit('a')).rejects.toThrow(FencedError);
      await expect(tracker.record('a', 12)).rejects.toThrow(FencedError);
      await expect(tracker.record('a', 12)).rejects.toThrow(
        'getOffset() begins anew under its present epoch',
      );
      await expect(tracker.commitAll()).rejects.toThrow(AggregateError);
      expect(store.calls).toHaveLength(calls);
      await expect(tracker.getAllPending()).resolves.toEqual(new Map([['a', seq(11)]]));

      await tracker[reread]('a');
      // What was pending under the old epoch is dropped.
      await expect(tracker.getAllPending()).resolves.toEqual(new Map());
      expect(tracker.stats('a').pending).toBe(0);
      await tracker.record('a', 3);
      await tracker.commit('a');
      await expect(tracker.getCheckpoint('a')).resolves.toMatchObject({ offset: seq(3), epoch: 1 });
    }
  });

  it('is told fenced by any store that says so, by the code', async () => {
    const store = new FlakyStore();
    const tracker = new OffsetTracker(store, { strategy: CommitStrategy.eager });
    await tracker.record('a', 1);
    await new OffsetTracker(store).reset('a', 0);
    await tracker.record('a', 2);
    await settle();
    await expect(tracker.record('a', 3)).rejects.toThrow(FencedError);
    await expect(tracker.close()).rejects.toThrow(FencedError);
  });

  it('is told in words, with what to do', async () => {
    const store = new FlakyStore();
    const tracker = new OffsetTracker(store);
    await tracker.record('a', 1);
    const waiting = tracker.whenCommitted('a', 9).catch((error: unknown) => error);
    await store.inner.reset('a', seq(0));
    await expect(tracker.record('a', 2)).rejects.toThrow(FencedError);
    const message =
      'Source "a" was reset, cleared or claimed by another while this tracker worked on it under epoch 0; ' +
      'getOffset() begins anew under its present epoch';
    await expect(tracker.record('a', 3)).rejects.toMatchObject({ message, source: 'a' });
    expect(await waiting).toMatchObject({ message, source: 'a' });
    const forgotten = new OffsetTracker(store);
    await forgotten.getOffset('a');
    const lost = forgotten.whenCommitted('a', 9).catch((error: unknown) => error);
    await forgotten.reset('a', 1);
    expect(await lost).toMatchObject({
      code: 'OFFSET_FENCED',
      source: 'a',
      message: 'Source "a" was reset, cleared or begun anew while a commit of it was waited for',
    });
    // A store without epochs may refuse all the same.
    const without = new FlakyStore();
    const plain = new OffsetTracker(only(without, FIVE));
    without.failNext('commit', new FencedError('no', { source: 'a' }));
    await expect(plain.record('a', 1)).rejects.toThrow(FencedError);
    await expect(plain.record('a', 2)).rejects.toThrow('under epoch unknown;');
  });

  it('leaves a read that fails fenced', async () => {
    const store = new FlakyStore();
    const tracker = new OffsetTracker(store);
    await tracker.record('a', 1);
    await store.inner.reset('a', seq(0));
    await expect(tracker.record('a', 2)).rejects.toThrow(FencedError);
    store.failNext('inspect', new Error('no'));
    await expect(tracker.getOffset('a')).rejects.toMatchObject({ code: 'OFFSET_IO' });
    await expect(tracker.record('a', 2)).rejects.toThrow(FencedError);
    await expect(tracker.getOffset('a')).resolves.toEqual(seq(0));
    await tracker.record('a', 2);
  });

  it('refuses a commit that was under way when another reset the source', async () => {
    const store = new FlakyStore();
    const tracker = new OffsetTracker(store);
    await tracker.getOffset('a');
    store.hold('commit');
    const recorded = tracker.record('a', 100).catch((error: unknown) => error);
    const next = tracker.record('a', 101).catch((error: unknown) => error);
    await new OffsetTracker(store.inner).reset('a', 5);
    store.open();
    expect(await recorded).toBeInstanceOf(FencedError);
    expect(await next).toBeInstanceOf(FencedError);
    await expect(store.inner.get('a')).resolves.toEqual(seq(5));
    expect(store.count('commit')).toBe(1);
  });
});

describe('exclusive: true', () => {
  it('claims each source once, at its first touch', async () => {
    const store = new FlakyStore();
    const tracker = new OffsetTracker(store, { exclusive: true });
    await tracker.getOffset('a');
    await tracker.getOffset('a');
    await tracker.record('a', 1);
    await tracker.record('b', 1);
    expect(store.calls.filter((call) => call.method === 'claim').map((call) => call.sources)).toEqual([
      ['a'],
      ['b'],
    ]);
    await expect(tracker.getCheckpoint('a')).resolves.toMatchObject({ epoch: 1, offset: seq(1) });
  });

  it('lets the newest owner win, and the older one claim again through getOffset()', async () => {
    const store = new FlakyStore();
    const first = new OffsetTracker(store, { exclusive: true });
    await first.record('a', 1);
    const second = new OffsetTracker(store, { exclusive: true });
    await expect(second.getOffset('a')).resolves.toEqual(seq(1));
    await expect(first.record('a', 2)).rejects.toThrow(FencedError);
    await second.record('a', 2);
    await expect(first.getOffset('a')).resolves.toEqual(seq(2));
    await first.record('a', 3);
    await expect(second.record('a', 3)).rejects.toThrow(FencedError);
    await expect(store.inner.epoch('a')).resolves.toBe(3);
    await expect(store.inner.get('a')).resolves.toEqual(seq(3));
  });

  it('claims anew after clear(), and with a store that cannot inspect or reset', async () => {
    const flaky = new FlakyStore();
    const tracker = new OffsetTracker(without(flaky, 'inspect', 'reset'), { exclusive: true });
    await tracker.record('a', 1);
    await tracker.clear('a');
    await tracker.record('a', 1);
    await expect(flaky.inner.epoch('a')).resolves.toBe(3);
    await tracker.reset('a', 0);
    await tracker.record('a', 1);
    await expect(flaky.inner.epoch('a')).resolves.toBe(4);
  });
});

describe('reset(), clear() and clearAll()', () => {
  it('drop what is pending and adopt the new epoch', async () => {
    const store = new FlakyStore();
    const tracker = new OffsetTracker(store, MANUAL);
    await tracker.record('a', 50, { metadata: { old: true } });
    await tracker.reset('a', 7);
    expect(tracker.stats('a')).toMatchObject({ pending: 0, committed: seq(7) });
    await tracker.commitAll();
    await expect(tracker.getCheckpoint('a')).resolves.toMatchObject({ offset: seq(7), epoch: 1 });
    await expect(tracker.record('a', 6)).rejects.toMatchObject({ code: 'OFFSET_BEHIND' });
    await tracker.record('a', 8);
    await tracker.commit('a');

    await tracker.record('a', 60);
    await tracker.clear('a');
    expect(tracker.stats('a')).toMatchObject({ pending: 0, committed: undefined });
    await tracker.commitAll();
    await expect(tracker.getOffset('a')).resolves.toEqual(Offset.earliest);
    await tracker.record('a', 1);
    await tracker.commit('a');

    await tracker.record('a', 70);
    await tracker.record('b', 70);
    await tracker.clearAll();
    expect(tracker.stats()).toMatchObject({ pending: 0 });
    await tracker.commitAll();
    await expect(tracker.getAllCommitted()).resolves.toEqual(new Map());
    await tracker.record('a', 2);
    await tracker.record('b', 2);
    await tracker.commitAll();
    await expect(tracker.getCheckpoint('a')).resolves.toMatchObject({ offset: seq(2), epoch: 3 });
  });

  it('go forward, back, and to an offset of another kind', async () => {
    const store = new FlakyStore();
    const tracker = new OffsetTracker(store);
    await tracker.record('a', 10);
    for (const offset of [20n, 3n, 'cursor', new Date(9), Offset.earliest, Offset.latest]) {
      await tracker.reset('a', offset);
      await expect(tracker.getOffset('a')).resolves.toEqual(Offset.from(offset));
    }
    await tracker.reset('new', 5);
    await tracker.record('new', 6);
    await expect(store.inner.get('new')).resolves.toEqual(seq(6));
  });

  it.each<[string, (tracker: OffsetTracker) => Promise<void>, bigint | undefined]>([
    ['reset', (tracker) => tracker.reset('a', 1), 1n],
    ['clear', (tracker) => tracker.clear('a'), undefined],
    ['clearAll', (tracker) => tracker.clearAll(), undefined],
  ])('%s waits for the commit in flight, though the store has no epochs', async (_, change, left) => {
    for (const strategy of [CommitStrategy.auto, CommitStrategy.eager, CommitStrategy.interval(5)]) {
      const clock = new FakeClock();
      const flaky = new FlakyStore();
      const tracker = new OffsetTracker(only(flaky, FIVE), { strategy, clock });
      await tracker.getOffset('a');
      flaky.fate = (call) => (call.method === 'get' || call.method === 'getAll' ? undefined : 'hold');
      const recorded = [tracker.record('a', 8), tracker.record('a', 9)];
      await clock.advance(5);
      const changing = change(tracker);
      await clock.advance(100);
      expect(flaky.held.map((call) => call.options?.allowRegression ?? call.method)).toEqual(['commit']);
      while (flaky.held.length > 0) {
        flaky.held.shift()!.letThrough();
        await clock.advance(100);
      }
      await Promise.all([...recorded, changing]);
      const offset = await flaky.inner.get('a');
      expect(offset?.kind === 'sequence' ? offset.value : offset).toBe(left);
      expect(flaky.held).toEqual([]);
      await expect(tracker.getAllPending()).resolves.toEqual(new Map());
    }
  });

  it('let what is called meanwhile queue, and keep its order', async () => {
    for (const change of ['reset', 'clear', 'clearAll'] as const) {
      const store = new FlakyStore();
      const tracker = new OffsetTracker(store, MANUAL);
      await tracker.record('a', 50);
      store.hold(change);
      let ended = 0;
      const step = async (name: string, promise: Promise<unknown>): Promise<string> => {
        const [outcome] = await Promise.allSettled([promise]);
        ended++;
        return outcome.status === 'fulfilled' ? name : `${name} ${(outcome.reason as { code: string }).code}`;
      };
      const changing =
        change === 'reset'
          ? tracker.reset('a', 1)
          : change === 'clear'
            ? tracker.clear('a')
            : tracker.clearAll();
      const steps = [
        step('change', changing),
        step('record 2', tracker.record('a', 2)),
        step('record 3', tracker.record('a', 3)),
        step('record 2 again', tracker.record('a', 2)),
        step('commit', tracker.commit('a')),
        step('record 4', tracker.record('a', 4)),
        step('reset', tracker.reset('a', 0)),
        step('record 1', tracker.record('a', 1)),
      ];
      await settle();
      expect(ended).toBe(0);
      store.open();
      await expect(Promise.all(steps)).resolves.toEqual([
        'change',
        'record 2',
        'record 3',
        'record 2 again OFFSET_BEHIND',
        'commit',
        'record 4',
        'reset',
        'record 1',
      ]);
      expect(store.committed('a')).toEqual([3n]);
      await expect(tracker.getAllPending()).resolves.toEqual(new Map([['a', seq(1)]]));
      await tracker.close();
    }
  });

  it('change nothing here when the store fails', async () => {
    const store = new FlakyStore();
    const tracker = new OffsetTracker(store, MANUAL);
    await tracker.record('a', 5);
    store.fate = (call) => (/reset|clear/.test(call.method) ? { reject: new Error('no') } : undefined);
    await expect(tracker.reset('a', 1)).rejects.toThrow('Reset of source "a" at "seq:1" failed: no');
    await expect(tracker.clear('a')).rejects.toThrow('Clear of source "a" failed: no');
    await expect(tracker.clearAll()).rejects.toThrow('Clear of all sources failed: no');
    await expect(tracker.getAllPending()).resolves.toEqual(new Map([['a', seq(5)]]));
    await tracker.commit('a');
    await expect(store.inner.get('a')).resolves.toEqual(seq(5));
  });

  it('that fail at the first touch do not take the records after them along', async () => {
    const store = new FlakyStore();
    const tracker = new OffsetTracker(store);
    store.failNext('reset', new Error('no'));
    const resetting = tracker.reset('a', 1).catch((error: Error) => error.message);
    const recorded = tracker.record('a', 5);
    await expect(resetting).resolves.toContain('failed: no');
    await recorded;
    await expect(store.inner.get('a')).resolves.toEqual(seq(5));
  });

  it('that get no answer leave the epoch as it was until the answer comes', async () => {
    for (const change of ['reset', 'clear', 'clearAll'] as const) {
      const clock = new FakeClock();
      const store = new FlakyStore();
      const tracker = new OffsetTracker(store, { ...MANUAL, clock, storeTimeoutMs: 100 });
      await tracker.record('a', 49);
      await tracker.commit('a');
      await tracker.record('a', 50);
      store.hold(change);
      const changing =
        change === 'reset'
          ? tracker.reset('a', 1)
          : change === 'clear'
            ? tracker.clear('a')
            : tracker.clearAll();
      const outcome = changing.catch((error: unknown) => error);
      await clock.advance(100);
      expect(await outcome).toMatchObject({ code: 'OFFSET_DURABILITY_UNKNOWN' });
      await expect(tracker.commit('a')).rejects.toMatchObject({ code: 'OFFSET_DURABILITY_UNKNOWN' });
      store.open();
      await settle();
      // It took effect after all: what was pending before must not be written over it.
      await expect(tracker.getAllPending()).resolves.toEqual(new Map());
      await tracker.commitAll();
      await expect(store.inner.get('a')).resolves.toEqual(change === 'reset' ? seq(1) : undefined);
      await tracker.record('a', 2);
      await tracker.commit('a');
      await expect(store.inner.inspect('a')).resolves.toMatchObject({ offset: seq(2), epoch: 1 });
    }
  });

  it('two clearAll() at once, and sources first touched meanwhile, come to a good end', async () => {
    const store = new FlakyStore();
    const tracker = new OffsetTracker(store);
    await tracker.record('a', 1);
    await store.inner.commit('new', seq(9));
    store.hold('clearAll');
    const clearing = [tracker.clearAll(), tracker.clearAll()];
    const recorded = [tracker.record('new', 3), tracker.record('a', 2)];
    await settle();
    expect(store.committed('new')).toEqual([]);
    while (store.held.length > 0) {
      store.held.shift()!.letThrough();
      await settle();
    }
    await Promise.all([...clearing, ...recorded]);
    await expect(store.inner.getAll()).resolves.toEqual(
      new Map([
        ['a', seq(2)],
        ['new', seq(3)],
      ]),
    );
    await tracker.record('new', 4);
    await tracker.record('later', 1);
  });
});
