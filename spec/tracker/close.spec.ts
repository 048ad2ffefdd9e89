import { describe, expect, it } from '@jest/globals';
import { CommitStrategy } from '../../lib/commit-strategy.js';
import { ClosedError, OffsetIoError } from '../../lib/errors.js';
import { Offset } from '../../lib/offset.js';
import { OffsetTracker, type OffsetTrackerOptions } from '../../lib/tracker/offset-tracker.js';
import { FakeClock, settle } from '../support/fake-clock.js';
import { FlakyStore, without } from '../support/flaky-store.js';
import { refuseUnhandledRejections } from '../support/unhandled.js';

refuseUnhandledRejections();

const seq = (n: number): Offset => Offset.sequence(n);
const PERIODIC = { strategy: CommitStrategy.periodic(100, { maxDelayMs: 1000 }) };

function begun(options?: OffsetTrackerOptions) {
  const clock = new FakeClock();
  const store = new FlakyStore();
  return { clock, store, tracker: new OffsetTracker(store, { clock, ...options }) };
}

describe('OffsetTracker.close()', () => {
  it.each([
    CommitStrategy.auto,
    CommitStrategy.eager,
    CommitStrategy.interval(1000),
    CommitStrategy.periodic(100, { maxDelayMs: 1000 }),
  ])('commits what is pending with $kind, and leaves no timer', async (strategy) => {
    for (const joint of [true, false]) {
      const clock = new FakeClock();
      const store = new FlakyStore();
      const tracker = new OffsetTracker(joint ? store : without(store, 'commitMany'), { strategy, clock });
      // Not awaited: what was called before the close is committed by it.
      const recorded = [tracker.record('a', 1), tracker.record('a', 2), tracker.record('b', 1)];
      const acked = tracker.track('c', 7).ack();
      await tracker.close();
      await Promise.all([...recorded, acked]);
      await expect(store.inner.getAll()).resolves.toEqual(
        new Map([
          ['a', seq(2)],
          ['b', seq(1)],
          ['c', seq(7)],
        ]),
      );
      expect(tracker.stats().pending).toBe(0);
      expect(clock.timers).toEqual([]);
      expect(store.mostAtOnce).toBe(1);
    }
  });

  it('does not commit with manual, but waits for the commits that were asked for', async () => {
    const { clock, store, tracker } = begun({ strategy: CommitStrategy.manual });
    const events: string[] = [];
    void tracker.record('a', 1);
    void tracker.commit('a').then(() => events.push('committed'));
    void tracker.record('b', 1);
    await tracker.close();
    events.push('closed');
    expect(events).toEqual(['committed', 'closed']);
    await expect(store.inner.getAll()).resolves.toEqual(new Map([['a', seq(1)]]));
    expect(tracker.stats('b').pending).toBe(1);
    expect(clock.timers).toEqual([]);
  });

  it('refuses every later call, and leaves the store open', async () => {
    const { store, tracker } = begun();
    const delivery = tracker.track('a', 2);
    const acked = tracker.track('b', 1);
    await acked.ack();
    await tracker.record('a', 1);
    const closing = tracker.close();
    // From the call on, not only once it is over.
    await expect(tracker.record('a', 2)).rejects.toThrow(ClosedError);
    await closing;
    const calls: (() => Promise<unknown>)[] = [
      () => tracker.record('a', 2),
      () => tracker.record('new', 2),
      () => tracker.getOffset('a'),
      () => tracker.getCheckpoint('a'),
      () => tracker.commit('a'),
      () => tracker.commitAll(),
      () => tracker.reset('a', 1),
      () => tracker.clear('a'),
      () => tracker.clearAll(),
      () => tracker.getAllCommitted(),
      () => tracker.getAllPending(),
      () => delivery.ack(),
    ];
    for (const call of calls) {
      await expect(call()).rejects.toThrow(ClosedError);
      await expect(call()).rejects.toMatchObject({ code: 'OFFSET_CLOSED' });
    }
    expect(() => tracker.track('a', 3)).toThrow(ClosedError);
    void delivery.nack();
    await acked.ack();
    expect(tracker.stats('a')).toMatchObject({ recorded: 1, pending: 0 });
    expect(tracker.strategy.kind).toBe('auto');
    expect(tracker.resetPolicy).toBe('earliest');
    await store.inner.commit('a', seq(2));
  });

  it('gives the same promise again, and disposes', async () => {
    const { store, tracker } = begun(PERIODIC);
    await tracker.record('a', 1);
    const first = tracker.close();
    expect(tracker.close()).toBe(first);
    await first;
    expect(tracker.close()).toBe(first);
    {
      await using other = new OffsetTracker(store, PERIODIC);
      await other.record('a', 2);
    }
    await expect(store.inner.get('a')).resolves.toEqual(seq(2));
  });

  it('tells the failure of the source whose commit failed, commits the others, and tries again when called again', async () => {
    const { store, tracker } = begun(PERIODIC);
    for (const source of ['a', 'b', 'c']) await tracker.record(source, 1);
    store.fate = (call) =>
      call.method.startsWith('commit') && call.sources.includes('b')
        ? { reject: new Error('no') }
        : undefined;
    const failed = tracker.close();
    expect(tracker.close()).toBe(failed);
    await expect(failed).rejects.toMatchObject({ code: 'OFFSET_IO', source: 'b' });
    await expect(store.inner.getAll()).resolves.toEqual(
      new Map([
        ['a', seq(1)],
        ['c', seq(1)],
      ]),
    );
    store.fate = (call) => (call.method.startsWith('commit') ? { reject: new Error('no') } : undefined);
    await expect(tracker.close()).rejects.toThrow('no');
    store.fate = () => undefined;
    await tracker.close();
    await expect(store.inner.get('b')).resolves.toEqual(seq(1));
    await expect(tracker.record('a', 2)).rejects.toThrow(ClosedError);
  });

  it('tells of several failures in one', async () => {
    const { store, tracker } = begun(PERIODIC);
    for (const source of ['a', 'b']) await tracker.record(source, 1);
    store.fate = (call) => (call.method.startsWith('commit') ? { reject: new Error('no') } : undefined);
    const failure = await tracker.close().catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(AggregateError);
    expect((failure as AggregateError).errors.map((error: OffsetIoError) => error.source)).toEqual([
      'a',
      'b',
    ]);
  });

  it('ends at its deadline with an error that names what is not committed', async () => {
    const { clock, store, tracker } = begun(PERIODIC);
    for (const source of ['a', 'b']) await tracker.record(source, 5);
    store.hold('commitMany', 'inspect');
    const late = tracker.record('c', 1).catch((error: unknown) => error);
    const closing = tracker.close({ timeoutMs: 300 }).catch((error: unknown) => error);
    await clock.advance(300);
    expect(await closing).toBeInstanceOf(OffsetIoError);
    expect(await closing).toMatchObject({
      code: 'OFFSET_DURABILITY_UNKNOWN',
      message:
        'The tracker was closed, but its last commits did not end within 300 ms (timeoutMs); not known to be ' +
        'committed: "a" at "seq:5", "b" at "seq:5", "c", whose earlier calls have not ended',
    });
    // The store's own deadlines go on, and keep no process alive.
    expect(clock.timers.length).toBeGreaterThan(0);
    expect(clock.referencedTimers).toEqual([]);
    const again = tracker.close();
    store.open();
    await again;
    expect(await late).toBeUndefined();
    await expect(store.inner.getAll()).resolves.toEqual(
      new Map([
        ['a', seq(5)],
        ['b', seq(5)],
        ['c', seq(1)],
      ]),
    );
    expect(clock.timers).toEqual([]);
  });

  it('has ten seconds by default', async () => {
    const { clock, store, tracker } = begun(PERIODIC);
    await tracker.record('a', 5);
    store.hold('commitMany');
    const closing = tracker.close().catch((error: Error) => error.message);
    await clock.advance(9_999);
    await expect(Promise.race([closing, Promise.resolve('open')])).resolves.toBe('open');
    await clock.advance(1);
    await expect(closing).resolves.toContain('within 10000 ms');
    store.open();
    await settle();
  });

  it('ends the tries of a failing commit at its deadline, and begins them anew when called again', async () => {
    const { clock, store, tracker } = begun({ ...PERIODIC, retry: { retries: 3, minDelayMs: 4000 } });
    await tracker.record('a', 5);
    store.fate = (call) => (call.method.startsWith('commit') ? { reject: new Error('no') } : undefined);
    const closing = tracker.close({ timeoutMs: 100 }).catch((error: unknown) => error);
    await clock.advance(100);
    expect(await closing).toMatchObject({ code: 'OFFSET_DURABILITY_UNKNOWN' });
    await settle();
    expect(clock.timers).toEqual([]);
    const calls = store.calls.length;
    await clock.advance(100_000);
    expect(store.calls).toHaveLength(calls);
    store.failNext('commitMany', new Error('no'));
    const again = tracker.close({ timeoutMs: 60_000 });
    await clock.advance(4000);
    await again;
    await expect(store.inner.get('a')).resolves.toEqual(seq(5));
    expect(clock.timers).toEqual([]);
  });

  it('waits for a reset, a clear and a first read that are under way', async () => {
    const { store, tracker } = begun(PERIODIC);
    await tracker.record('a', 5);
    store.hold('reset', 'clear', 'inspect');
    const before = [
      tracker.reset('a', 1),
      tracker.record('a', 2),
      tracker.clear('b'),
      tracker.record('c', 3),
    ];
    let closed = false;
    const closing = tracker.close().then(() => {
      closed = true;
    });
    await settle();
    expect(closed).toBe(false);
    store.open();
    await closing;
    await Promise.all(before);
    await expect(store.inner.getAll()).resolves.toEqual(
      new Map([
        ['a', seq(2)],
        ['c', seq(3)],
      ]),
    );
  });

  it('ends, and commits the others, where the first read of a source fails while it waits', async () => {
    const { store, tracker } = begun(PERIODIC);
    await tracker.record('a', 5);
    store.hold('inspect');
    const unread = expect(tracker.record('b', 1)).rejects.toThrow('out of reach');
    const closing = tracker.close();
    await settle();
    for (const call of store.held.splice(0)) call.reject(new Error('out of reach'));
    store.open();
    await unread;
    await closing;
    await expect(store.inner.getAll()).resolves.toEqual(new Map([['a', seq(5)]]));
  });

  it('races commitAll(), and every promise ends', async () => {
    const { store, tracker } = begun(PERIODIC);
    for (const source of ['a', 'b']) await tracker.record(source, 1);
    const all = [tracker.commitAll(), tracker.commit('a'), tracker.close(), tracker.close()];
    await Promise.all(all);
    expect(store.mostAtOnce).toBe(1);
    expect(tracker.stats().pending).toBe(0);
  });

  it('of a tracker that was never used does nothing', async () => {
    const { store, tracker } = begun();
    await tracker.close();
    expect(store.calls).toEqual([]);
  });
});
