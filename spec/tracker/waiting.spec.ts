import { getEventListeners } from 'node:events';
import { describe, expect, it } from '@jest/globals';
import { CommitStrategy } from '../../lib/commit-strategy.js';
import { ClosedError, FencedError, OffsetIoError } from '../../lib/errors.js';
import { Offset } from '../../lib/offset.js';
import { InMemoryOffsetStore } from '../../lib/stores/memory.js';
import { OffsetTracker } from '../../lib/tracker/offset-tracker.js';
import { FakeClock, settle } from '../support/fake-clock.js';
import { FlakyStore } from '../support/flaky-store.js';
import { refuseUnhandledRejections } from '../support/unhandled.js';

refuseUnhandledRejections();

const MANUAL = { strategy: CommitStrategy.manual };

/** Whether each promise has settled, asked at any time. */
function watch(promise: Promise<unknown>): { state: 'waiting' | 'resolved' | 'rejected'; error?: unknown } {
  const watched: { state: 'waiting' | 'resolved' | 'rejected'; error?: unknown } = { state: 'waiting' };
  promise.then(
    () => {
      watched.state = 'resolved';
    },
    (error: unknown) => {
      watched.state = 'rejected';
      watched.error = error;
    },
  );
  return watched;
}

describe('OffsetTracker.whenCommitted()', () => {
  it('resolves once the offset or one after it is committed, not when it is recorded', async () => {
    const tracker = new OffsetTracker(new InMemoryOffsetStore(), MANUAL);
    const five = watch(tracker.whenCommitted('a', 5));
    const nine = watch(tracker.whenCommitted('a', 9));
    await tracker.record('a', 6);
    await settle();
    expect(five.state).toBe('waiting');
    await tracker.commit('a');
    await settle();
    expect([five.state, nine.state]).toEqual(['resolved', 'waiting']);
    await tracker.record('a', 9);
    await tracker.commitAll();
    await settle();
    expect(nine.state).toBe('resolved');
    // What is committed already needs no further commit.
    await tracker.whenCommitted('a', 2);
  });

  it('reads the store for a source it has not asked about, and begins no commit', async () => {
    const store = new FlakyStore(new InMemoryOffsetStore({ a: 7 }));
    const tracker = new OffsetTracker(store, MANUAL);
    await tracker.whenCommitted('a', 7);
    await tracker.record('a', 8);
    watch(tracker.whenCommitted('a', 8));
    await settle();
    expect(store.committed('a')).toEqual([]);
    await tracker.commit('a');
  });

  it('takes an offset without an order for committed once what was recorded with it is', async () => {
    const tracker = new OffsetTracker(new InMemoryOffsetStore(), MANUAL);
    await tracker.record('a', 'page-1');
    const first = watch(tracker.whenCommitted('a', 'page-1'));
    await tracker.record('a', 'page-2');
    await tracker.commit('a');
    await settle();
    expect(first.state).toBe('resolved');
  });

  it('does not take an offset without an order for committed before a commit covers it', async () => {
    const store = new FlakyStore(new InMemoryOffsetStore());
    const tracker = new OffsetTracker(store, MANUAL);
    await tracker.record('a', 'page-1');
    store.hold('commit');
    const committed = tracker.commit('a');
    await tracker.record('a', 'page-2');
    const second = watch(tracker.whenCommitted('a', 'page-2'));
    const unknown = watch(tracker.whenCommitted('a', 'page-9'));
    await settle();
    store.open();
    await committed;
    await settle();
    expect([second.state, unknown.state]).toEqual(['waiting', 'waiting']);
    await tracker.commit('a');
    await settle();
    expect([second.state, unknown.state]).toEqual(['resolved', 'waiting']);
    await tracker.close();
    expect(unknown.error).toBeInstanceOf(ClosedError);
  });

  it('is rejected when the source is reset, cleared, or taken over by another', async () => {
    const store = new InMemoryOffsetStore();
    const tracker = new OffsetTracker(store, MANUAL);
    await tracker.record('a', 1);
    for (const end of [
      () => tracker.reset('a', 0),
      () => tracker.clear('a'),
      async () => {
        await tracker.record('a', 1);
        await store.claim('a');
        await expect(tracker.commit('a')).rejects.toThrow(FencedError);
      },
    ]) {
      const waiting = watch(tracker.whenCommitted('a', 5));
      await settle();
      await end();
      await settle();
      expect(waiting.error).toBeInstanceOf(FencedError);
    }
    await expect(tracker.whenCommitted('a', 5)).rejects.toThrow(FencedError);
  });

  it('ends with its signal, with its time, and with the tracker, and leaves no timer', async () => {
    const clock = new FakeClock();
    const tracker = new OffsetTracker(new InMemoryOffsetStore(), { ...MANUAL, clock });
    const abort = new AbortController();
    const aborted = watch(tracker.whenCommitted('a', 1, { signal: abort.signal }));
    const late = watch(tracker.whenCommitted('a', 1, { timeoutMs: 50 }));
    const closed = watch(tracker.whenCommitted('a', 1));
    await settle();
    abort.abort(new Error('enough'));
    await clock.advance(50);
    await settle();
    expect(aborted.error).toEqual(new Error('enough'));
    expect(late.error).toBeInstanceOf(OffsetIoError);
    expect(late.error).toMatchObject({ code: 'OFFSET_IO', source: 'a' });
    expect(closed.state).toBe('waiting');
    await tracker.close();
    await settle();
    expect(closed.error).toBeInstanceOf(ClosedError);
    expect(clock.timers).toEqual([]);
    await expect(tracker.whenCommitted('a', 1)).rejects.toThrow(ClosedError);
  });

  it('ends with its signal and with its time also while the store has not told of the source', async () => {
    const clock = new FakeClock();
    const store = new FlakyStore(new InMemoryOffsetStore());
    store.hold('get', 'inspect', 'epoch');
    const tracker = new OffsetTracker(store, { ...MANUAL, clock });
    const abort = new AbortController();
    const aborted = watch(tracker.whenCommitted('a', 1, { signal: abort.signal }));
    const late = watch(tracker.whenCommitted('a', 1, { timeoutMs: 50 }));
    await settle();
    abort.abort(new Error('enough'));
    await clock.advance(50);
    await settle();
    expect(aborted.error).toEqual(new Error('enough'));
    expect(late.error).toMatchObject({ code: 'OFFSET_IO', source: 'a' });
    store.open();
    await tracker.close();
    await expect(tracker.whenCommitted('a', 1, { signal: abort.signal })).rejects.toThrow(ClosedError);
  });

  it('leaves nothing at its signal, however it ends', async () => {
    const tracker = new OffsetTracker(new InMemoryOffsetStore({ a: 1 }), MANUAL);
    const { signal } = new AbortController();
    await tracker.whenCommitted('a', 1, { signal });
    expect(getEventListeners(signal, 'abort')).toEqual([]);
    const committed = tracker.whenCommitted('a', 2, { signal });
    const fenced = tracker.whenCommitted('a', 9, { signal });
    await settle();
    expect(getEventListeners(signal, 'abort')).toHaveLength(2);
    await tracker.record('a', 2);
    await tracker.commit('a');
    await committed;
    await settle();
    expect(getEventListeners(signal, 'abort')).toHaveLength(1);
    await tracker.reset('a', 0);
    await expect(fenced).rejects.toThrow(FencedError);
    await settle();
    expect(getEventListeners(signal, 'abort')).toEqual([]);
    await expect(
      tracker.whenCommitted('a', 3, { signal: AbortSignal.abort(new Error('before')) }),
    ).rejects.toThrow('before');
  });

  it('resolves by the commit that close() makes', async () => {
    const tracker = new OffsetTracker(new InMemoryOffsetStore(), { strategy: CommitStrategy.periodic(10) });
    await tracker.record('a', 1);
    const waiting = tracker.whenCommitted('a', 1);
    await tracker.close();
    await waiting;
  });

  it('refuses bad arguments', async () => {
    const tracker = new OffsetTracker(new InMemoryOffsetStore());
    await expect(tracker.whenCommitted('a', -1)).rejects.toMatchObject({ code: 'OFFSET_INVALID' });
    await expect(tracker.whenCommitted('', 1)).rejects.toThrow(RangeError);
    await expect(tracker.whenCommitted('a', 1, { timeoutMs: 0 })).rejects.toThrow(RangeError);
    await expect(tracker.whenCommitted('a', 1, { signal: 'x' as never })).rejects.toThrow(TypeError);
  });
});

describe('OffsetTracker.whenReady()', () => {
  it('resolves when there is room for a further delivery of the source, whatever other sources do', async () => {
    const tracker = new OffsetTracker(new InMemoryOffsetStore(), { ...MANUAL, maxInFlight: 3 });
    const deliveries = [0, 1, 2].map((n) => tracker.track('a', n));
    const ready = watch(tracker.whenReady('a'));
    await tracker.whenReady('b');
    await deliveries[2]!.ack();
    await settle();
    expect(ready.state).toBe('waiting');
    await deliveries[0]!.ack();
    await settle();
    expect(ready.state).toBe('resolved');
    expect(tracker.stats('a').inFlight).toBe(2);
    await tracker.whenReady('a');
  });

  it('goes on waiting while as many as the limit are in flight, or more', async () => {
    const tracker = new OffsetTracker(new InMemoryOffsetStore(), { ...MANUAL, maxInFlight: 3 });
    const deliveries = [0, 1, 2, 3, 4].map((n) => tracker.track('a', n));
    const ready = watch(tracker.whenReady('a'));
    for (const [at, state] of ['waiting', 'waiting', 'resolved'].entries()) {
      await deliveries[at]!.ack();
      await settle();
      expect([tracker.stats('a').inFlight, ready.state]).toEqual([4 - at, state]);
    }
  });

  it('is let go by a reset, which gives all deliveries up, and by close()', async () => {
    const tracker = new OffsetTracker(new InMemoryOffsetStore(), { ...MANUAL, maxInFlight: 1 });
    tracker.track('a', 1);
    const reset = tracker.whenReady('a');
    await tracker.reset('a', 0);
    await reset;
    tracker.track('a', 1);
    const closed = tracker.whenReady('a');
    await tracker.close();
    await closed;
    await expect(tracker.whenReady('a')).rejects.toThrow(ClosedError);
  });

  it('wants a positive limit', () => {
    for (const option of ['maxInFlight', 'stuckAfterMs']) {
      const make = () => new OffsetTracker(new InMemoryOffsetStore(), { [option]: 0 });
      expect(make).toThrow(RangeError);
      expect(make).toThrow(`Expected \`${option}\` to be an integer from 1 to 2147483647, got 0 (number)`);
    }
    expect(() => new OffsetTracker(new InMemoryOffsetStore(), { onNack: 'drop' as never })).toThrow(
      TypeError,
    );
  });
});

describe('A time limit', () => {
  it('is named in the refusal of a wrong one, and where it is over', async () => {
    const tracker = new OffsetTracker(new InMemoryOffsetStore(), MANUAL);
    await tracker.getOffset('a');
    const expected = 'Expected `timeoutMs` to be an integer from 1 to 2147483647, got 0 (number)';
    await expect(tracker.whenCommitted('a', 1, { timeoutMs: 0 })).rejects.toThrow(expected);
    await expect(tracker.whenCommitted('a', 1, { timeoutMs: 1 })).rejects.toThrow(
      'Source "a" was not committed up to "seq:1" within 1 ms (timeoutMs)',
    );
    await expect(tracker.whenCommitted('a', 1, 5 as never)).rejects.toThrow(
      'Expected `options` to be an object',
    );
    await expect(tracker.close({ timeoutMs: 0 })).rejects.toThrow(expected);
    await expect(tracker.close(5 as never)).rejects.toThrow('Expected `options` to be an object');
    await tracker.close();
  });
});

describe('OffsetTracker.stats(), of all sources', () => {
  it('tells the last commit of any, though others were asked for after it', async () => {
    const clock = new FakeClock();
    const tracker = new OffsetTracker(new InMemoryOffsetStore(), { clock });
    for (const source of ['a', 'b', 'c']) await tracker.getOffset(source);
    await tracker.record('a', 1);
    await clock.advance(10);
    await tracker.record('b', 1);
    await clock.advance(10);
    await tracker.record('a', 2);
    expect(tracker.stats().lastCommitAt).toEqual(new Date(1_000_020));
    await clock.advance(10);
    await tracker.record('b', 2);
    expect(tracker.stats().lastCommitAt).toEqual(new Date(1_000_030));
  });
});

describe('OffsetTracker.lag()', () => {
  it('counts the positions between the committed sequence and the head', async () => {
    const clock = new FakeClock();
    const tracker = new OffsetTracker(new InMemoryOffsetStore({ a: 10 }), { clock });
    await expect(tracker.lag('a', 25)).resolves.toEqual({ positions: 15n, ms: undefined });
    await tracker.record('a', 20);
    await clock.advance(70);
    await expect(tracker.lag('a', 25)).resolves.toEqual({ positions: 5n, ms: 70 });
    await expect(tracker.lag('a', 20)).resolves.toEqual({ positions: 0n, ms: 0 });
    await expect(tracker.lag('a', 3)).resolves.toEqual({ positions: 0n, ms: 0 });
    await expect(tracker.lag('a', 2n ** 64n - 1n)).resolves.toMatchObject({ positions: 2n ** 64n - 21n });
  });

  it('counts everything where nothing is committed, save under the policy latest', async () => {
    const store = new InMemoryOffsetStore();
    await expect(new OffsetTracker(store).lag('a', 4)).resolves.toEqual({ positions: 5n, ms: undefined });
    const latest = new OffsetTracker(store, { resetPolicy: 'latest' });
    await expect(latest.lag('a', 4)).resolves.toEqual({ positions: undefined, ms: undefined });
  });

  it('is a time between timestamps, and unknown where offsets have no distance', async () => {
    const at = (ms: number): Date => new Date(1_700_000_000_000 + ms);
    const store = new InMemoryOffsetStore({ dated: Offset.timestamp(at(0)), named: 'page-1' });
    const tracker = new OffsetTracker(store);
    await expect(tracker.lag('dated', at(1500))).resolves.toEqual({ positions: undefined, ms: 1500 });
    await expect(tracker.lag('dated', at(-5))).resolves.toEqual({ positions: undefined, ms: 0 });
    const unknown = { positions: undefined, ms: undefined };
    await expect(tracker.lag('dated', 7)).resolves.toEqual(unknown);
    await expect(tracker.lag('named', 'page-9')).resolves.toEqual(unknown);
    await expect(tracker.lag('named', 9)).resolves.toEqual(unknown);
    await expect(tracker.lag('nothing', at(0))).resolves.toEqual(unknown);
    await tracker.record('begins', Offset.latest);
    await expect(tracker.lag('begins', 9)).resolves.toEqual(unknown);
    await tracker.record('begins at the first', Offset.earliest);
    await expect(tracker.lag('begins at the first', 9)).resolves.toMatchObject({ positions: 10n });
    await expect(tracker.lag('a', 1.5)).rejects.toMatchObject({ code: 'OFFSET_INVALID' });
  });
});

describe('OffsetTracker.sources()', () => {
  it('names what the tracker was asked about', async () => {
    const tracker = new OffsetTracker(new InMemoryOffsetStore(), MANUAL);
    expect(tracker.sources()).toEqual([]);
    await tracker.record('b', 1);
    await tracker.getOffset('a');
    expect(tracker.sources()).toEqual(['b', 'a']);
  });
});
