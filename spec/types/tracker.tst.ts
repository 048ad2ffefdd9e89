import { describe, expect, test } from 'tstyche';
import {
  type Checkpoint,
  CommitStrategy,
  InMemoryOffsetStore,
  type Lag,
  type NackedDelivery,
  Offset,
  OffsetTracker,
  type TrackedDelivery,
  type TrackerStats,
} from 'streamweave-offset';

const store = new InMemoryOffsetStore();
declare const tracker: OffsetTracker;

describe('OffsetTracker', () => {
  test('takes its options by name', () => {
    expect(OffsetTracker).type.toBeConstructableWith(store);
    expect(OffsetTracker).type.toBeConstructableWith(store, {
      strategy: CommitStrategy.periodic(100),
      resetPolicy: 'none',
      exclusive: true,
      monotonic: false,
      retry: { retries: 3, minDelayMs: 10, maxDelayMs: 1000 },
      maxInFlight: 100,
      stuckAfterMs: 1000,
      onNack: 'skip',
    });
    expect(OffsetTracker).type.toBeConstructableWith(store, {
      onNack: async (delivery: NackedDelivery, reason: unknown) => void [delivery.offset, reason],
    });
    expect(OffsetTracker).type.not.toBeConstructableWith(store, { onNack: 'retry' });
    // Options that come from elsewhere may be undefined.
    expect(OffsetTracker).type.toBeConstructableWith(store, { strategy: undefined, resetPolicy: undefined });
    expect(OffsetTracker).type.not.toBeConstructableWith(store, { strategy: 100 });
    expect(OffsetTracker).type.not.toBeConstructableWith(store, { strategy: 'auto' });
    expect(OffsetTracker).type.not.toBeConstructableWith(store, { strategy: CommitStrategy.periodic });
    expect(OffsetTracker).type.not.toBeConstructableWith(store, { resetPolicy: 'newest' });
    expect(OffsetTracker).type.not.toBeConstructableWith(store, { commitStrategy: CommitStrategy.auto });
    expect(OffsetTracker).type.not.toBeConstructableWith();
  });

  test('gives offsets, and undefined only where there may be none', () => {
    expect(tracker.getOffset('a')).type.toBe<Promise<Offset>>();
    expect(tracker.getCheckpoint('a')).type.toBe<Promise<Checkpoint | undefined>>();
    expect(tracker.getAllCommitted()).type.toBe<Promise<Map<string, Offset>>>();
    expect(tracker.getAllPending()).type.toBe<Promise<Map<string, Offset>>>();
    expect(tracker.stats()).type.toBe<TrackerStats>();
    expect<TrackerStats['committed']>().type.toBe<Offset | undefined>();
  });

  test('records every form of offset', () => {
    const record: OffsetTracker['record'] = (...args) => tracker.record(...args);
    expect(tracker.record('a', 1)).type.toBe<Promise<void>>();
    expect(record).type.toBeCallableWith('a', 1n);
    expect(record).type.toBeCallableWith('a', new Date(0));
    expect(record).type.toBeCallableWith('a', 'cursor');
    expect(record).type.toBeCallableWith('a', Offset.sequence(1));
    expect(record).type.toBeCallableWith('a', 1, { metadata: { host: 'h', at: new Date(0), n: 1n } });
    expect(record).type.not.toBeCallableWith('a');
    expect(record).type.not.toBeCallableWith('a', undefined);
    expect(record).type.not.toBeCallableWith('a', 1, { metadata: { run: () => 1 } });
    expect(record).type.not.toBeCallableWith('a', 1, { meta: {} });
  });

  test('hands out deliveries', () => {
    const delivery = tracker.track('a', 1);
    expect(delivery).type.toBe<TrackedDelivery>();
    expect(delivery.ack()).type.toBe<Promise<void>>();
  });

  test('says where it stands', () => {
    expect(tracker.sources()).type.toBe<string[]>();
    expect<TrackerStats['watermark']>().type.toBe<Offset | undefined>();
    expect(tracker.lag('a', 10)).type.toBe<Promise<Lag>>();
    expect<Lag>().type.toBe<{ readonly positions: bigint | undefined; readonly ms: number | undefined }>();
    expect(tracker.whenCommitted('a', 10, { timeoutMs: 100 })).type.toBe<Promise<void>>();
    const lag: OffsetTracker['lag'] = (...args) => tracker.lag(...args);
    expect(lag).type.not.toBeCallableWith('a');
  });

  test('is disposed of at the end of a block', () => {
    expect<OffsetTracker>().type.toBeAssignableTo<AsyncDisposable>();
  });
});
