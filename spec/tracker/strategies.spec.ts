import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { describe, expect, it } from '@jest/globals';
import { CommitStrategy } from '../../lib/commit-strategy.js';
import { Offset } from '../../lib/offset.js';
import { OffsetTracker, type OffsetTrackerOptions } from '../../lib/tracker/offset-tracker.js';
import { FakeClock, settle } from '../support/fake-clock.js';
import { FlakyStore } from '../support/flaky-store.js';
import { refuseUnhandledRejections } from '../support/unhandled.js';

refuseUnhandledRejections();

const seq = (n: number): Offset => Offset.sequence(n);

async function begun(strategy: CommitStrategy, options?: OffsetTrackerOptions) {
  const clock = new FakeClock();
  const store = new FlakyStore();
  const tracker = new OffsetTracker(store, { strategy, clock, ...options });
  await tracker.getOffset('a');
  store.calls.length = 0;
  return { clock, store, tracker };
}

describe('CommitStrategy.periodic', () => {
  it('keeps the count when a commit fails: the next record tries again', async () => {
    const { store, tracker } = await begun(CommitStrategy.periodic(3));
    await tracker.record('a', 1);
    await tracker.record('a', 2);
    store.failNext('commit', new Error('disk full'));
    await expect(tracker.record('a', 3)).rejects.toMatchObject({
      code: 'OFFSET_IO',
      source: 'a',
      message: 'Commit of source "a" at "seq:3" failed: disk full',
      cause: new Error('disk full'),
    });
    expect(tracker.stats('a')).toMatchObject({ recorded: 3, pending: 3, failures: 1 });
    await expect(tracker.getAllPending()).resolves.toEqual(new Map([['a', seq(3)]]));
    await tracker.record('a', 4);
    expect(store.committed('a')).toEqual([3n, 4n]);
    expect(tracker.stats('a')).toMatchObject({ recorded: 4, pending: 0, commits: 1, failures: 1 });
    await expect(store.inner.get('a')).resolves.toEqual(seq(4));
  });

  it('counts what is recorded during a commit towards the next one', async () => {
    const { store, tracker } = await begun(CommitStrategy.periodic(3));
    store.hold('commit');
    await tracker.record('a', 1);
    await tracker.record('a', 2);
    const third = tracker.record('a', 3);
    await tracker.record('a', 4);
    await tracker.record('a', 5);
    expect(store.committed('a')).toEqual([3n]);
    const sixth = tracker.record('a', 6);
    store.held.shift()!.letThrough();
    await third;
    await settle();
    expect(store.committed('a')).toEqual([3n, 6n]);
    store.open();
    await sixth;
    expect(tracker.stats('a')).toMatchObject({ pending: 0, commits: 2 });
  });

  it('counts per source', async () => {
    const { store, tracker } = await begun(CommitStrategy.periodic(2));
    await tracker.record('a', 1);
    await tracker.record('b', 1);
    expect(store.count('commit')).toBe(0);
    await tracker.record('b', 2);
    expect(store.committed('b')).toEqual([2n]);
    expect(store.committed('a')).toEqual([]);
  });

  it('commits maxDelayMs after the first pending record, and is armed anew by the next', async () => {
    const { clock, store, tracker } = await begun(CommitStrategy.periodic(100, { maxDelayMs: 50 }));
    await clock.advance(500);
    await tracker.record('a', 1);
    await clock.advance(30);
    await tracker.record('a', 2);
    expect(clock.timers).toEqual([20]);
    expect(clock.referencedTimers).toEqual([]);
    await clock.advance(19);
    expect(store.committed('a')).toEqual([]);
    await clock.advance(1);
    expect(store.committed('a')).toEqual([2n]);
    expect(clock.timers).toEqual([]);
    await clock.advance(500);
    await tracker.record('a', 3);
    expect(clock.timers).toEqual([50]);
    await clock.advance(50);
    expect(store.committed('a')).toEqual([2n, 3n]);
  });

  it('has no timer left once the n-th record has committed', async () => {
    const { clock, tracker } = await begun(CommitStrategy.periodic(2, { maxDelayMs: 50 }));
    await tracker.record('a', 1);
    expect(clock.timers).toEqual([50]);
    await tracker.record('a', 2);
    expect(clock.timers).toEqual([]);
  });
});

describe('CommitStrategy.interval', () => {
  it('commits by time alone, idle streams too', async () => {
    const { clock, store, tracker } = await begun(CommitStrategy.interval(1000));
    expect(clock.timers).toEqual([]);
    for (let n = 1; n <= 50; n++) await tracker.record('a', n);
    expect(store.count('commit')).toBe(0);
    await clock.advance(999);
    expect(store.count('commit')).toBe(0);
    await clock.advance(1);
    expect(store.committed('a')).toEqual([50n]);
    expect(clock.timers).toEqual([]);
  });

  it('is armed again when the commit has ended, if more was recorded meanwhile', async () => {
    const { clock, store, tracker } = await begun(CommitStrategy.interval(1000));
    store.hold('commit');
    await tracker.record('a', 1);
    await clock.advance(1000);
    await tracker.record('a', 2);
    // 30,000 is the deadline of the commit itself.
    await clock.advance(5000);
    expect(clock.timers).toEqual([25_000]);
    store.open();
    await settle();
    expect(clock.timers).toEqual([1000]);
    await clock.advance(1000);
    expect(store.committed('a')).toEqual([1n, 2n]);
    expect(store.mostAtOnce).toBe(1);
  });

  it('tries again after a failure, which the next record tells once', async () => {
    const { clock, store, tracker } = await begun(CommitStrategy.interval(1000));
    store.failNext('commit', new Error('no'), new Error('no again'));
    await tracker.record('a', 1);
    await clock.advance(1000);
    expect(tracker.stats('a')).toMatchObject({ pending: 1, failures: 1 });
    await expect(tracker.record('a', 2)).rejects.toThrow('Commit of source "a" at "seq:1" failed: no');
    await tracker.record('a', 3);
    expect(tracker.stats('a')).toMatchObject({ recorded: 3, pending: 3 });
    await clock.advance(1000);
    expect(tracker.stats('a')).toMatchObject({ pending: 3, failures: 2 });
    await clock.advance(1000);
    expect(store.committed('a')).toEqual([1n, 3n, 3n]);
    // The second failure was overtaken by a commit that landed.
    await tracker.record('a', 4);
  });

  it('comes back to what is pending after an answer that came too late', async () => {
    for (const late of ['lands', 'fails'] as const) {
      const { clock, store, tracker } = await begun(CommitStrategy.interval(1000), { storeTimeoutMs: 100 });
      store.hold('commit');
      await tracker.record('a', 1);
      await clock.advance(1100);
      expect(tracker.stats('a')).toMatchObject({ failures: 1, pending: 1 });
      await expect(tracker.record('a', 2)).rejects.toMatchObject({ code: 'OFFSET_DURABILITY_UNKNOWN' });
      if (late === 'lands') store.open();
      else store.held.shift()!.reject(new Error('no'));
      await settle();
      store.fate = () => undefined;
      await clock.advance(1000);
      expect(tracker.stats('a')).toMatchObject({ pending: 0, committed: seq(2) });
      expect(store.mostAtOnce).toBe(1);
    }
  });

  it('comes back to what is pending when a reset failed while its time came', async () => {
    const { clock, store, tracker } = await begun(CommitStrategy.interval(1000));
    await tracker.record('a', 1);
    store.hold('reset');
    const resetting = tracker.reset('a', 0).catch((error: Error) => error.message);
    await clock.advance(1500);
    // The timer has fired, and nothing was committed into the reset.
    expect(store.committed('a')).toEqual([]);
    store.held.shift()!.reject(new Error('no'));
    await expect(resetting).resolves.toBe('Reset of source "a" at "seq:0" failed: no');
    await clock.advance(1000);
    expect(store.committed('a')).toEqual([1n]);
  });

  it.each(['interval', 'periodic'])('lets a process with a pending %s exit at once', async (strategy) => {
    const { stdout } = await promisify(execFile)(
      process.execPath,
      ['--import', 'tsx', 'spec/support/pending-process.ts', strategy],
      { timeout: 15_000 },
    );
    expect(stdout).toBe('pending 1');
  });
});

describe('CommitStrategy.eager', () => {
  it('has one commit in flight while anything is pending, newest wins, and never waits', async () => {
    const { store, tracker } = await begun(CommitStrategy.eager);
    store.hold('commit');
    for (let n = 1; n <= 100; n++) await tracker.record('a', n);
    expect(store.committed('a')).toEqual([1n]);
    store.held.shift()!.letThrough();
    await settle();
    expect(store.committed('a')).toEqual([1n, 100n]);
    await tracker.record('a', 101);
    await tracker.record('a', 102);
    store.held.shift()!.letThrough();
    await settle();
    expect(store.committed('a')).toEqual([1n, 100n, 102n]);
    store.open();
    await settle();
    // Idle is all committed.
    expect(store.mostAtOnce).toBe(1);
    expect(tracker.stats('a')).toMatchObject({ recorded: 102, pending: 0, commits: 3, committed: seq(102) });
  });

  it('tells a failure in the background at the next record, once, and has tried again by then', async () => {
    const { store, tracker } = await begun(CommitStrategy.eager);
    store.failNext('commit', new Error('no'));
    await tracker.record('a', 1);
    await settle();
    expect(store.count('commit')).toBe(1);
    await expect(tracker.record('a', 2)).rejects.toMatchObject({
      code: 'OFFSET_IO',
      message: 'Commit of source "a" at "seq:1" failed: no',
    });
    await settle();
    expect(store.committed('a')).toEqual([1n, 2n]);
    expect(tracker.stats('a')).toMatchObject({ recorded: 2, pending: 0 });
    await tracker.record('a', 3);
  });

  it('does not tell a failure that a later commit has made good', async () => {
    const { store, tracker } = await begun(CommitStrategy.eager);
    store.failNext('commit', new Error('no'));
    await tracker.record('a', 1);
    await settle();
    await tracker.commit('a');
    await tracker.record('a', 2);
    await tracker.close();
  });

  it('tells it on close when nothing made it good', async () => {
    const { store, tracker } = await begun(CommitStrategy.eager);
    store.fate = (call) => (call.method.startsWith('commit') ? { reject: new Error('no') } : undefined);
    await tracker.record('a', 1);
    await settle();
    await expect(tracker.close()).rejects.toMatchObject({ code: 'OFFSET_IO', source: 'a' });
  });

  it('stays with one commit when records come from within the commit listener', async () => {
    const { store, tracker } = await begun(CommitStrategy.eager);
    let next = 2;
    tracker.onCommit(() => {
      if (next <= 4) void tracker.record('a', next++);
    });
    await tracker.record('a', 1);
    await settle();
    expect(store.committed('a')).toEqual([1n, 2n, 3n, 4n]);
    expect(store.mostAtOnce).toBe(1);
  });
});
