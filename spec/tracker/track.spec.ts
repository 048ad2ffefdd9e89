import { describe, expect, it } from '@jest/globals';
import { CommitStrategy } from '../../lib/commit-strategy.js';
import { FencedError, InvalidOffsetError } from '../../lib/errors.js';
import { Offset } from '../../lib/offset.js';
import { InMemoryOffsetStore } from '../../lib/stores/memory.js';
import { OffsetTracker } from '../../lib/tracker/offset-tracker.js';
import { settle } from '../support/fake-clock.js';
import { FlakyStore } from '../support/flaky-store.js';
import { refuseUnhandledRejections } from '../support/unhandled.js';

refuseUnhandledRejections();

const seq = (n: number): Offset => Offset.sequence(n);
const MANUAL = { strategy: CommitStrategy.manual };

function trackAll(tracker: OffsetTracker, offsets: number[], source = 'a') {
  return new Map(offsets.map((n) => [n, tracker.track(source, n)]));
}

describe('OffsetTracker.track()', () => {
  it('records the watermark in the order of arrival, over gaps, whatever the order of the acks', async () => {
    const tracker = new OffsetTracker(new InMemoryOffsetStore(), MANUAL);
    const deliveries = trackAll(tracker, [3, 10, 11, 500]);
    const after = async (acked: number): Promise<unknown> => {
      await deliveries.get(acked)!.ack();
      return (await tracker.getAllPending()).get('a');
    };
    expect(await after(11)).toBeUndefined();
    expect(await after(10)).toBeUndefined();
    expect(tracker.stats('a')).toMatchObject({ inFlight: 4, recorded: 0 });
    expect(await after(3)).toEqual(seq(11));
    expect(tracker.stats('a')).toMatchObject({ inFlight: 1, recorded: 3, pending: 3 });
    expect(await after(500)).toEqual(seq(500));
    expect(tracker.stats('a')).toMatchObject({ inFlight: 0, recorded: 4 });
  });

  it('acks once: a second ack, and an ack after a nack, do nothing', async () => {
    const tracker = new OffsetTracker(new InMemoryOffsetStore(), MANUAL);
    const deliveries = trackAll(tracker, [1, 2, 3]);
    await deliveries.get(1)!.ack();
    await deliveries.get(1)!.ack();
    void deliveries.get(1)!.nack();
    expect(tracker.stats('a')).toMatchObject({ recorded: 1, inFlight: 2 });
    void deliveries.get(2)!.nack(new Error('bad item'));
    void deliveries.get(2)!.nack();
    await deliveries.get(2)!.ack();
    await deliveries.get(3)!.ack();
    // The nack holds the watermark.
    await expect(tracker.getAllPending()).resolves.toEqual(new Map([['a', seq(1)]]));
    expect(tracker.stats('a')).toMatchObject({ recorded: 1, inFlight: 2 });
  });

  it('commits as record() would: an ack resolves with auto once its watermark is committed', async () => {
    const store = new FlakyStore();
    const tracker = new OffsetTracker(store);
    const deliveries = trackAll(tracker, [1, 2]);
    await deliveries.get(2)!.ack();
    store.hold('commit');
    let done = false;
    const acked = deliveries
      .get(1)!
      .ack()
      .then(() => {
        done = true;
      });
    await settle();
    expect(done).toBe(false);
    store.open();
    await acked;
    expect(store.committed('a')).toEqual([2n]);
  });

  it('counts the items passed towards periodic(n)', async () => {
    const store = new FlakyStore();
    const tracker = new OffsetTracker(store, { strategy: CommitStrategy.periodic(3) });
    const deliveries = trackAll(tracker, [1, 2, 3, 4]);
    await deliveries.get(2)!.ack();
    await deliveries.get(3)!.ack();
    expect(store.committed('a')).toEqual([]);
    await deliveries.get(1)!.ack();
    expect(store.committed('a')).toEqual([3n]);
    await deliveries.get(4)!.ack();
    expect(tracker.stats('a')).toMatchObject({ recorded: 4, pending: 1, commits: 1 });
  });

  it('carries the metadata of the delivery at the watermark, copied', async () => {
    const store = new InMemoryOffsetStore();
    const tracker = new OffsetTracker(store);
    const metadata = { line: 1 };
    const first = tracker.track('a', 1, { metadata });
    const second = tracker.track('a', 2, { metadata: { line: 2 } });
    metadata.line = 99;
    await first.ack();
    await expect(tracker.getCheckpoint('a')).resolves.toMatchObject({ metadata: { line: 1 } });
    await second.ack();
    await expect(tracker.getCheckpoint('a')).resolves.toMatchObject({ metadata: { line: 2 } });
  });

  it('refuses what lies before the offset tracked last, whether or not that is done', async () => {
    const tracker = new OffsetTracker(new InMemoryOffsetStore(), MANUAL);
    const first = tracker.track('a', 10);
    expect(() => tracker.track('a', 9)).toThrow(InvalidOffsetError);
    await first.ack();
    expect(() => tracker.track('a', 9)).toThrow('"seq:9" lies before "seq:10"');
    await tracker.track('a', 10).ack();
    await tracker.track('b', 9).ack();
    expect(tracker.stats()).toMatchObject({ inFlight: 0 });
    const any = new OffsetTracker(new InMemoryOffsetStore(), { monotonic: false });
    const deliveries = trackAll(any, [10, 4]);
    await deliveries.get(4)!.ack();
    await deliveries.get(10)!.ack();
    expect(any.stats('a').committed).toEqual(seq(4));
  });

  it('refuses in every kind of offset what lies before, and nothing that has no order', async () => {
    const tracker = new OffsetTracker(new InMemoryOffsetStore(), MANUAL);
    tracker.track('dated', new Date(5));
    tracker.track('dated', new Date(5));
    expect(() => tracker.track('dated', new Date(4))).toThrow(InvalidOffsetError);
    for (const [source, first, before] of [
      ['bigint, then number', 10n, 9],
      ['number, then bigint', 10, 9n],
      ['bigints', 2n ** 64n - 1n, 2n ** 64n - 2n],
    ] as const) {
      tracker.track(source, first);
      tracker.track(source, first);
      expect(() => tracker.track(source, before)).toThrow('lies before');
      expect(tracker.stats(source).inFlight).toBe(2);
    }
    tracker.track('mixed', 10n);
    tracker.track('mixed', 11);
    tracker.track('mixed', 12n);
    for (const page of ['page-2', 'page-1']) tracker.track('named', page);
    expect(tracker.stats('named').inFlight).toBe(2);
    expect(tracker.stats('mixed').inFlight).toBe(3);
  });

  it('does not lose what is tracked and acked before the source was read', async () => {
    const store = new FlakyStore();
    store.hold('inspect', 'epoch');
    const tracker = new OffsetTracker(store, MANUAL);
    const deliveries = trackAll(tracker, [1, 2, 3]);
    const acks = [deliveries.get(2)!.ack(), deliveries.get(1)!.ack()];
    const fourth = tracker.track('a', 4);
    await settle();
    store.open();
    await Promise.all(acks);
    await expect(tracker.getAllPending()).resolves.toEqual(new Map([['a', seq(2)]]));
    await fourth.ack();
    expect(tracker.stats('a')).toMatchObject({ inFlight: 2, recorded: 2 });
    await deliveries.get(3)!.ack();
    await expect(tracker.getAllPending()).resolves.toEqual(new Map([['a', seq(4)]]));
    expect(tracker.stats('a')).toMatchObject({ inFlight: 0, recorded: 4 });
  });

  it.each(['reset', 'clear', 'clearAll'] as const)('ignores deliveries from before a %s', async (change) => {
    const store = new FlakyStore();
    const tracker = new OffsetTracker(store);
    const old = trackAll(tracker, [50, 51, 52]);
    await old.get(50)!.ack();
    store.hold(change);
    const changing =
      change === 'reset'
        ? tracker.reset('a', 1)
        : change === 'clear'
          ? tracker.clear('a')
          : tracker.clearAll();
    await settle();
    // One that is acked while the change is under way comes from before it, too.
    const during = old.get(51)!.ack();
    store.open();
    await changing;
    await during;
    expect(tracker.stats('a').inFlight).toBe(0);
    await old.get(52)!.ack();
    await expect(store.inner.get('a')).resolves.toEqual(change === 'reset' ? seq(1) : undefined);
    await tracker.track('a', 2).ack();
    await expect(store.inner.get('a')).resolves.toEqual(seq(2));
  });

  it('keeps deliveries from after the call of a reset, behind whichever is not done', async () => {
    const store = new FlakyStore();
    const tracker = new OffsetTracker(store, MANUAL);
    const old = tracker.track('a', 50);
    await tracker.record('a', 49);
    store.hold('reset');
    const resetting = tracker.reset('a', 0);
    const [first, second, third] = [1, 2, 3].map((n) => tracker.track('a', n));
    await first!.ack();
    await third!.ack();
    store.open();
    await resetting;
    // The first was acked while the old one stood before it.
    await expect(tracker.getAllPending()).resolves.toEqual(new Map([['a', seq(1)]]));
    await old.ack();
    await expect(tracker.getAllPending()).resolves.toEqual(new Map([['a', seq(1)]]));
    expect(tracker.stats('a')).toMatchObject({ inFlight: 2, recorded: 2, pending: 1 });
    await second!.ack();
    await expect(tracker.getAllPending()).resolves.toEqual(new Map([['a', seq(3)]]));
    expect(tracker.stats('a')).toMatchObject({ inFlight: 0, recorded: 4, pending: 3 });
  });

  it('keeps deliveries from before a reset that failed', async () => {
    const store = new FlakyStore();
    const tracker = new OffsetTracker(store, MANUAL);
    const deliveries = trackAll(tracker, [1, 2]);
    store.failNext('reset', new Error('no'));
    const resetting = tracker.reset('a', 0).catch(() => 'failed');
    const during = deliveries.get(1)!.ack();
    await expect(resetting).resolves.toBe('failed');
    await during;
    await deliveries.get(2)!.ack();
    await expect(tracker.getAllPending()).resolves.toEqual(new Map([['a', seq(2)]]));
  });

  it('ignores deliveries of a fenced life once a new one has begun', async () => {
    const store = new FlakyStore();
    const tracker = new OffsetTracker(store);
    const old = trackAll(tracker, [10, 11, 12, 13]);
    await old.get(10)!.ack();
    await store.inner.reset('a', seq(2));
    await expect(old.get(11)!.ack()).rejects.toThrow(FencedError);
    store.hold('inspect');
    const reading = tracker.getOffset('a');
    const during = old.get(12)!.ack();
    // The reader has not been told yet where to begin anew.
    const unawares = tracker.track('a', 14);
    store.open();
    await expect(reading).resolves.toEqual(seq(2));
    await during;
    await old.get(13)!.ack();
    await unawares.ack();
    expect(tracker.stats('a').inFlight).toBe(0);
    await expect(store.inner.get('a')).resolves.toEqual(seq(2));
    await tracker.track('a', 3).ack();
    await expect(store.inner.get('a')).resolves.toEqual(seq(3));
  });

  it('lets go of what a stream had handed out, and not of what another has', async () => {
    const tracker = new OffsetTracker(new InMemoryOffsetStore(), MANUAL);
    tracker.abandon('unknown', 1);
    const deliveries = trackAll(tracker, [1, 2, 3]);
    await deliveries.get(3)!.ack();
    // The first two, whose place is given up.
    tracker.abandon('a', 2);
    await settle();
    expect(tracker.stats('a')).toMatchObject({ inFlight: 0, watermark: seq(3) });
    await deliveries.get(1)!.ack();
    expect(tracker.stats('a')).toMatchObject({ recorded: 1, watermark: seq(3) });
    // Something stands behind them: whoever goes on may not go back.
    tracker.track('a', 9);
    tracker.abandon('a', 3);
    expect(() => tracker.track('a', 4)).toThrow(InvalidOffsetError);
    tracker.abandon('a', 4);
    expect(tracker.stats('a').inFlight).toBe(0);
    await tracker.track('a', 4).ack();
    expect(tracker.stats('a').watermark).toEqual(seq(4));
  });

  it('refuses an ack once the tracker is closed', async () => {
    const tracker = new OffsetTracker(new InMemoryOffsetStore(), MANUAL);
    const delivery = tracker.track('a', 1);
    await tracker.close();
    await expect(delivery.ack()).rejects.toMatchObject({ code: 'OFFSET_CLOSED' });
  });
});
