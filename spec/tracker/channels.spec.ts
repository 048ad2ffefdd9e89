import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { afterEach, describe, expect, it } from '@jest/globals';
import { CommitStrategy } from '../../lib/commit-strategy.js';
import { Offset } from '../../lib/offset.js';
import { InMemoryOffsetStore } from '../../lib/stores/memory.js';
import { OffsetTracker } from '../../lib/tracker/offset-tracker.js';
import { FakeClock, settle } from '../support/fake-clock.js';
import { FlakyStore } from '../support/flaky-store.js';
import { refuseUnhandledRejections } from '../support/unhandled.js';

refuseUnhandledRejections();

const seq = (n: number): Offset => Offset.sequence(n);
const MANUAL = { strategy: CommitStrategy.manual };
const ends: (() => void)[] = [];

afterEach(() => {
  for (const end of ends.splice(0)) end();
});

/** Every message of a channel from now on. */
function listen(name: string): Record<string, unknown>[] {
  const messages: Record<string, unknown>[] = [];
  const listener = (message: unknown): void => {
    messages.push(message as Record<string, unknown>);
  };
  subscribe(`streamweave-offset:${name}`, listener);
  ends.push(() => unsubscribe(`streamweave-offset:${name}`, listener));
  return messages;
}

describe('The diagnostics channels', () => {
  it('commit: tells each that landed, with what it covered and how long it took', async () => {
    const messages = listen('commit');
    const clock = new FakeClock();
    const store = new FlakyStore();
    const tracker = new OffsetTracker(store, { ...MANUAL, clock });
    for (const n of [1, 2, 5]) await tracker.record('a', n);
    await tracker.record('b', 9);
    store.hold('commit');
    const committing = tracker.commit('a');
    await clock.advance(30);
    store.open();
    await committing;
    expect(messages).toEqual([{ tracker, source: 'a', offset: seq(5), items: 3, durationMs: 30 }]);
    // A commit of several sources tells each.
    await tracker.record('a', 6);
    await tracker.commitAll();
    expect(messages.slice(1).map(({ source, items }) => [source, items])).toEqual([
      ['a', 1],
      ['b', 1],
    ]);
  });

  it('behind: is not told of other failures', async () => {
    const messages = listen('behind');
    const store = new FlakyStore();
    const tracker = new OffsetTracker(store, MANUAL);
    await tracker.record('a', 1);
    store.failNext('commit', new Error('no'));
    await expect(tracker.commit('a')).rejects.toThrow('no');
    await store.inner.reset('a', seq(0));
    await expect(tracker.commit('a')).rejects.toMatchObject({ code: 'OFFSET_FENCED' });
    expect(messages).toEqual([]);
  });

  it('commit-error: tells each that failed for good, not each try', async () => {
    const messages = listen('commit-error');
    const clock = new FakeClock();
    const store = new FlakyStore();
    const tracker = new OffsetTracker(store, {
      ...MANUAL,
      clock,
      retry: { retries: 2, minDelayMs: 10, maxDelayMs: 10 },
      random: () => 0,
    });
    await tracker.record('a', 1);
    store.fate = (call) => (call.method === 'commit' ? { reject: new Error('down') } : undefined);
    const failed = expect(tracker.commit('a')).rejects.toThrow('down');
    await clock.advance(5);
    await clock.advance(5);
    await failed;
    expect(messages).toHaveLength(1);
    expect(messages[0]).toMatchObject({ tracker, source: 'a', offset: seq(1), durationMs: 10 });
    expect(messages[0]!['error']).toMatchObject({ code: 'OFFSET_IO', source: 'a' });
  });

  it('fenced: tells once that a source was taken over', async () => {
    const fenced = listen('fenced');
    const failed = listen('commit-error');
    const store = new InMemoryOffsetStore();
    const tracker = new OffsetTracker(store, MANUAL);
    await tracker.record('a', 1);
    await store.claim('a');
    await expect(tracker.commit('a')).rejects.toMatchObject({ code: 'OFFSET_FENCED' });
    await expect(tracker.record('a', 2)).rejects.toMatchObject({ code: 'OFFSET_FENCED' });
    expect(fenced).toHaveLength(1);
    expect(fenced[0]).toMatchObject({ tracker, source: 'a', error: { code: 'OFFSET_FENCED' } });
    expect(failed).toHaveLength(1);
  });

  it('behind: tells of what is refused, by the tracker and by the store', async () => {
    const messages = listen('behind');
    const store = new InMemoryOffsetStore();
    const tracker = new OffsetTracker(store, MANUAL);
    await tracker.record('a', 5);
    await expect(tracker.record('a', 4)).rejects.toMatchObject({ code: 'OFFSET_BEHIND' });
    tracker.track('b', 5);
    expect(() => tracker.track('b', 3)).toThrow('lies before');
    // Another process went further meanwhile.
    await store.commit('a', seq(8));
    await expect(tracker.commit('a')).rejects.toMatchObject({ code: 'OFFSET_BEHIND' });
    expect(messages.map(({ source, offset }) => [source, offset])).toEqual([
      ['a', seq(4)],
      ['b', seq(3)],
      ['a', seq(5)],
    ]);
    expect(messages[0]).toMatchObject({ tracker, error: { code: 'OFFSET_BEHIND' } });
  });

  it('stuck: tells of a delivery that holds its source back, once, and only while something is in flight', async () => {
    const messages = listen('stuck');
    const clock = new FakeClock();
    const tracker = new OffsetTracker(new InMemoryOffsetStore(), { ...MANUAL, clock, stuckAfterMs: 1_000 });
    await tracker.track('quick', 1).ack();
    const first = tracker.track('a', 1);
    await clock.advance(600);
    const second = tracker.track('a', 2);
    await clock.advance(400);
    expect(messages).toEqual([{ tracker, source: 'a', offset: seq(1), ageMs: 1_000, inFlight: 2 }]);
    await clock.advance(10_000);
    expect(messages).toHaveLength(1);
    await first.ack();
    await clock.advance(1_000);
    expect(messages[1]).toMatchObject({ offset: seq(2), inFlight: 1 });
    await second.ack();
    await clock.advance(1_000);
    // No timer goes on without deliveries, and none keeps the process alive.
    expect(clock.timers).toEqual([]);
    tracker.track('a', 3);
    expect(clock.timers).toEqual([250]);
    expect(clock.referencedTimers).toEqual([]);
    await tracker.close();
    expect(clock.timers).toEqual([]);
  });

  it('stuck: the age is that of the delivery, not that of those before it', async () => {
    const messages = listen('stuck');
    const clock = new FakeClock();
    const tracker = new OffsetTracker(new InMemoryOffsetStore(), { ...MANUAL, clock, stuckAfterMs: 1_000 });
    const first = tracker.track('a', 1);
    await clock.advance(500);
    tracker.track('a', 2);
    await first.ack();
    await clock.advance(900);
    expect(messages).toEqual([]);
    await clock.advance(350);
    expect(messages).toHaveLength(1);
    expect(messages[0]).toMatchObject({ offset: seq(2), inFlight: 1 });
    // Known to a quarter of the time.
    expect(messages[0]!['ageMs']).toBeGreaterThanOrEqual(1_000);
    expect(messages[0]!['ageMs']).toBeLessThanOrEqual(1_250);
    await tracker.close();
  });

  it('give copies: what a listener does to them changes nothing', async () => {
    const messages = listen('commit');
    const tracker = new OffsetTracker(new InMemoryOffsetStore());
    await tracker.record('a', new Date(5));
    (messages[0]!['offset'] as { value: Date }).value.setTime(0);
    expect(tracker.stats('a').committed).toEqual(Offset.timestamp(new Date(5)));
    await settle();
  });
});

describe('A nack of tracker.track()', () => {
  const tracked = (onNack?: ConstructorParameters<typeof OffsetTracker>[1]) => {
    const tracker = new OffsetTracker(new InMemoryOffsetStore(), { ...MANUAL, ...onNack });
    return { tracker, deliveries: [1, 2].map((n) => tracker.track('a', n)) };
  };

  it('holds the watermark by default', async () => {
    const { tracker, deliveries } = tracked();
    await deliveries[0]!.nack('bad');
    await deliveries[1]!.ack();
    expect(tracker.stats('a')).toMatchObject({ watermark: undefined, inFlight: 2 });
  });

  it('counts as done under `skip`, and once a function has put it aside', async () => {
    const put: unknown[] = [];
    for (const onNack of ['skip', (_delivery: unknown, reason: unknown) => void put.push(reason)] as const) {
      const { tracker, deliveries } = tracked({ onNack });
      await deliveries[0]!.nack('bad');
      await deliveries[0]!.nack('again');
      await deliveries[1]!.ack();
      expect(tracker.stats('a')).toMatchObject({ watermark: seq(2), inFlight: 0 });
    }
    expect(put).toEqual(['bad']);
  });

  it('rejects as the function does, and holds the watermark', async () => {
    const { tracker, deliveries } = tracked({ onNack: () => Promise.reject(new Error('queue full')) });
    await expect(deliveries[0]!.nack('bad')).rejects.toThrow('queue full');
    await deliveries[0]!.ack();
    expect(tracker.stats('a').watermark).toBeUndefined();
  });
});
