import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { CommitStrategy } from '../../lib/commit-strategy.js';
import { Offset } from '../../lib/offset.js';
import { OffsetTracker, type OffsetTrackerOptions } from '../../lib/tracker/offset-tracker.js';
import { FakeClock, settle } from '../support/fake-clock.js';
import { FlakyStore } from '../support/flaky-store.js';
import { refuseUnhandledRejections } from '../support/unhandled.js';

refuseUnhandledRejections();

// A number is recorded by the short way where nothing but the number matters. It then makes no object: that it makes
// no bigint is what shows.

const seq = (n: number): Offset => Offset.sequence(n);

/** Sees every BigInt() that is called. */
let bigints: jest.SpiedFunction<typeof BigInt>;
beforeEach(() => {
  bigints = jest.spyOn(globalThis, 'BigInt');
});
afterEach(() => {
  bigints.mockRestore();
});

/** How many bigints the call makes. */
function made(call: () => void): number {
  const before = bigints.mock.calls.length;
  call();
  return bigints.mock.calls.length - before;
}

async function begun(strategy: CommitStrategy, options?: OffsetTrackerOptions) {
  const clock = new FakeClock();
  const store = new FlakyStore();
  const tracker = new OffsetTracker(store, { clock, strategy, ...options });
  await tracker.getOffset('a');
  store.calls.length = 0;
  return { clock, store, tracker };
}

describe('The short way to record a number', () => {
  it.each([
    ['manual', CommitStrategy.manual],
    ['interval', CommitStrategy.interval(1000)],
    ['periodic', CommitStrategy.periodic(1000)],
  ])('is open with %s while nothing else happens', async (_, strategy) => {
    const { store, tracker } = await begun(strategy);
    await tracker.record('a', 1);
    expect(
      made(() => {
        for (let n = 2; n <= 900; n++) void tracker.record('a', n);
      }),
    ).toBe(0);
    expect(tracker.stats('a')).toMatchObject({ recorded: 900, pending: 900, watermark: seq(900) });
    await tracker.commit('a');
    expect(store.committed('a')).toEqual([900n]);
  });

  it('is open again after each commit, and while one is under way', async () => {
    const { store, tracker } = await begun(CommitStrategy.periodic(10));
    for (const round of [0, 10, 20]) {
      void tracker.record('a', round + 1);
      expect(
        made(() => {
          for (let n = 2; n < 10; n++) void tracker.record('a', round + n);
        }),
      ).toBe(0);
      await tracker.record('a', round + 10);
    }
    expect(store.committed('a')).toEqual([10n, 20n, 30n]);
    store.hold('commit');
    for (let n = 31; n <= 40; n++) void tracker.record('a', n);
    void tracker.record('a', 41);
    expect(
      made(() => {
        for (let n = 42; n < 50; n++) void tracker.record('a', n);
      }),
    ).toBe(0);
    store.open();
    await tracker.commit('a');
    expect(store.committed('a')).toEqual([10n, 20n, 30n, 40n, 49n]);
  });

  it('answers with the next commit, once one is asked for that covers whatever comes before it', async () => {
    const { store, tracker } = await begun(CommitStrategy.periodic(2));
    store.hold('commit');
    const answers: Promise<void>[] = [];
    for (let n = 1; n <= 4; n++) answers.push(tracker.record('a', n));
    expect(
      made(() => {
        for (let n = 5; n <= 9; n++) answers.push(tracker.record('a', n));
      }),
    ).toBe(0);
    const done: number[] = [];
    for (const [index, answer] of answers.entries()) void answer.then(() => done.push(index + 1));
    await settle();
    expect(done).toEqual([1, 3]);
    store.held.shift()!.letThrough();
    await settle();
    expect(done).toEqual([1, 3, 2]);
    expect(store.committed('a')).toEqual([2n, 9n]);
    store.open();
    await settle();
    expect(done.toSorted((a, b) => a - b)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
  });

  it('is open with eager while a commit is under way, and with auto never', async () => {
    const { store, tracker } = await begun(CommitStrategy.eager);
    store.hold('commit');
    void tracker.record('a', 1);
    expect(
      made(() => {
        for (let n = 2; n <= 9; n++) void tracker.record('a', n);
      }),
    ).toBe(0);
    store.open();
    await settle();
    expect(store.committed('a')).toEqual([1n, 9n]);
    const auto = await begun(CommitStrategy.auto);
    await Promise.all([1, 2, 3].map((n) => auto.tracker.record('a', n)));
    expect(auto.store.committed('a')).toEqual([1n, 3n]);
  });

  it('is taken by acks too', async () => {
    const { tracker } = await begun(CommitStrategy.manual);
    await tracker.record('a', 1);
    const deliveries = [2, 3, 4, 5].map((n) => tracker.track('a', n));
    expect(
      made(() => {
        for (const delivery of deliveries) void delivery.ack();
      }),
    ).toBe(0);
    expect(tracker.stats('a')).toMatchObject({ recorded: 5, watermark: seq(5) });
  });

  it('is closed with monotonic: false, where any number may be the next', async () => {
    const { tracker } = await begun(CommitStrategy.manual, { monotonic: false });
    await tracker.record('a', 5);
    await tracker.record('a', 3);
    expect(tracker.stats('a').watermark).toEqual(seq(3));
  });

  it('does not carry metadata on to the next offset', async () => {
    const { store, tracker } = await begun(CommitStrategy.manual);
    await tracker.record('a', 1, { metadata: { of: 1 } });
    await tracker.record('a', 2);
    await tracker.commit('a');
    expect((await store.inner.inspect('a'))?.metadata).toBeUndefined();
  });

  it('is closed for what is no number, or not the next', async () => {
    const { tracker } = await begun(CommitStrategy.manual);
    await tracker.record('a', 5);
    await tracker.record('a', 6);
    await expect(tracker.record('a', 6.5)).rejects.toMatchObject({ code: 'OFFSET_INVALID' });
    await expect(tracker.record('a', 2 ** 53)).rejects.toMatchObject({ code: 'OFFSET_INVALID' });
    await expect(tracker.record('a', 4)).rejects.toMatchObject({ code: 'OFFSET_BEHIND' });
    await tracker.record('a', 2n ** 60n);
    await expect(tracker.record('a', 7)).rejects.toMatchObject({ code: 'OFFSET_BEHIND' });
    expect(tracker.stats('a').recorded).toBe(3);
    await tracker.record('a', 'cursor');
    await tracker.record('a', 8);
    await tracker.record('a', 9);
    expect(tracker.stats('a')).toMatchObject({ recorded: 6, watermark: seq(9) });
  });

  it('is closed while a reset is under way: what is recorded meanwhile comes after it', async () => {
    const { store, tracker } = await begun(CommitStrategy.manual);
    await tracker.record('a', 1);
    await tracker.record('a', 2);
    store.hold('reset');
    const resetting = tracker.reset('a', 10);
    const recorded = tracker.record('a', 11);
    store.open();
    await Promise.all([resetting, recorded]);
    expect(tracker.stats('a')).toMatchObject({ committed: seq(10), watermark: seq(11), pending: 1 });
  });

  it('is closed by the failure of a commit of several, so that the next record begins another', async () => {
    const { store, tracker } = await begun(CommitStrategy.eager);
    store.failNext('commit', new Error('no'));
    await tracker.record('a', 1);
    await settle();
    store.hold('commitMany');
    const all = tracker.commitAll().catch((error: unknown) => error);
    await settle();
    await expect(tracker.record('a', 2)).rejects.toThrow('no');
    await tracker.record('a', 3);
    await tracker.record('a', 4);
    store.fate = () => undefined;
    store.held.shift()!.reject(new Error('no'));
    expect(await all).toMatchObject({ code: 'OFFSET_IO' });
    await settle();
    await tracker.record('a', 5);
    await settle();
    await expect(store.inner.get('a')).resolves.toEqual(seq(5));
  });

  it('is no longer open after the failure of a commit of several than periodic(n) says', async () => {
    const { store, tracker } = await begun(CommitStrategy.periodic(10));
    for (let n = 1; n <= 5; n++) void tracker.record('a', n);
    store.hold('commit', 'commitMany');
    const all = tracker.commitAll().catch((error: unknown) => error);
    await settle();
    for (let n = 6; n <= 9; n++) void tracker.record('a', n);
    store.fate = () => undefined;
    store.held.shift()!.reject(new Error('no'));
    expect(await all).toMatchObject({ code: 'OFFSET_IO' });
    await tracker.record('a', 10);
    await expect(store.inner.get('a')).resolves.toEqual(seq(10));
  });
});
