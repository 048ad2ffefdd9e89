import type { Readable, Transform, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { describe, expect, test } from 'tstyche';
import {
  ackDeliveries,
  type AckOptions,
  type AckTransform,
  type CommitEvent,
  type Delivery,
  Offset,
  type OffsetTracker,
  type StuckReport,
  withAcks,
} from 'streamweave-offset';

interface Order {
  readonly id: number;
  readonly lines: readonly string[];
}

declare const tracker: OffsetTracker;
declare const orders: AsyncIterable<Order>;
declare const readable: Readable;
declare const delivery: Delivery<Order>;

describe('withAcks()', () => {
  test('makes deliveries of the items', async () => {
    const acks = withAcks(tracker, { source: 'orders', offsetOf: (order: Order) => order.id });
    expect(acks).type.toBe<AckTransform<Order>>();
    expect(acks).type.toBeAssignableTo<Transform>();
    for await (const item of acks) expect(item).type.toBe<Delivery<Order>>();
    acks.on('data', (item) => expect(item).type.toBe<Delivery<Order>>());
    expect(withAcks(tracker, 'orders')).type.toBe<AckTransform<unknown>>();
    expect(withAcks<Order>(tracker, 'orders')).type.toBe<AckTransform<Order>>();
  });

  test('tells the stages of a pipeline what they get', async () => {
    await pipeline(
      orders,
      withAcks(tracker, { source: 'orders', offsetOf: (order: Order) => order.id }),
      async function* (deliveries) {
        for await (const item of deliveries) {
          expect(item).type.toBe<Delivery<Order>>();
          yield item.map((order) => order.lines.length);
        }
      },
      async function* (deliveries) {
        for await (const item of deliveries) {
          expect(item).type.toBe<Delivery<number>>();
          yield* item.fanOut(item.value);
        }
      },
      ackDeliveries(),
    );
    readable.pipe(withAcks<Order>(tracker, 'orders')).pipe(ackDeliveries());
  });

  test('tells a function as the last stage, too, what it gets', async () => {
    await pipeline(orders, withAcks<Order>(tracker, 'orders'), async (deliveries) => {
      for await (const item of deliveries) expect(item).type.toBe<Delivery<Order>>();
    });
  });

  test('learns what the items are from one annotation, on whichever function', () => {
    const acks = withAcks(tracker, {
      source: (order) => order.lines[0]!,
      offsetOf: (order: Order) => order.id,
      metadataOf: (order) => ({ lines: order.lines.length }),
      onNack: async (nacked, reason) => {
        expect(nacked).type.toBe<Delivery<Order>>();
        expect(reason).type.toBe<unknown>();
      },
    });
    expect(acks).type.toBe<AckTransform<Order>>();
    const byNack = withAcks(tracker, {
      source: 'orders',
      onNack: (nacked: Delivery<Order>) => void nacked.value.id,
    });
    expect(byNack).type.toBe<AckTransform<Order>>();
    const options: AckOptions<Order> = { source: 'orders', offsetOf: ({ id }) => id };
    expect(withAcks(tracker, options)).type.toBe<AckTransform<Order>>();
  });

  test('tells of commits and of what is stuck', () => {
    const acks = withAcks<Order>(tracker, 'orders');
    acks.on('commit', (commit) => expect(commit).type.toBe<CommitEvent>());
    acks.once('stuck', (report) => expect(report).type.toBe<StuckReport>());
    acks.on('error', (error) => expect(error).type.toBe<Error>());
    expect(acks.on('drain', () => undefined)).type.toBe<AckTransform<Order>>();
    expect(acks.settled({ timeoutMs: 1000 })).type.toBe<Promise<void>>();
  });

  test('takes its options by name and kind', () => {
    expect(withAcks).type.toBeCallableWith(tracker, { source: 'orders', maxInFlight: 8, stuckAfterMs: 1000 });
    expect(withAcks).type.toBeCallableWith(tracker, { source: 'orders', onNack: 'skip' });
    expect(withAcks).type.not.toBeCallableWith(tracker, { source: 'orders', onNack: 'retry' });
    expect(withAcks).type.not.toBeCallableWith(tracker, { source: 'orders', onNack: true });
    expect(withAcks).type.not.toBeCallableWith(tracker, { source: 'orders', concurrency: 8 });
    expect(withAcks).type.not.toBeCallableWith(tracker, { maxInFlight: 8 });
    expect(withAcks).type.not.toBeCallableWith(tracker);
    // What it hands an `onNack` is what `offsetOf` takes.
    expect(withAcks).type.not.toBeCallableWith(tracker, {
      source: 'orders',
      offsetOf: (order: Order) => order.id,
      onNack: (nacked: Delivery<string>) => void nacked.value.length,
    });
  });
});

describe('Delivery', () => {
  test('says what and where it is', () => {
    expect(delivery.value).type.toBe<Order>();
    expect(delivery.source).type.toBe<string>();
    expect(delivery.offset).type.toBe<Offset>();
    expect(delivery.ack()).type.toBe<Promise<void>>();
    expect(delivery.nack(new Error('no'))).type.toBe<Promise<void>>();
    // @ts-expect-error Cannot assign to 'value' because it is a read-only property
    delivery.value = { id: 1, lines: [] };
  });

  test('becomes one of another value, or several', () => {
    expect(delivery.map((order) => order.id)).type.toBe<Delivery<number>>();
    expect(delivery.map(async (order) => order.id)).type.toBe<Delivery<Promise<number>>>();
    expect(delivery.fanOut(2)).type.toBe<Delivery<Order>[]>();
    expect(delivery.fanOut(2).map((part, i) => part.map((order) => order.lines[i]!))).type.toBe<
      Delivery<string>[]
    >();
    const fanOut: typeof delivery.fanOut = (count) => delivery.fanOut(count);
    expect(fanOut).type.not.toBeCallableWith();
    expect(fanOut).type.not.toBeCallableWith('2');
  });

  test('of something is one of anything wider', () => {
    expect<Delivery<Order>>().type.toBeAssignableTo<Delivery<unknown>>();
    expect<Delivery<Order>>().type.toBeAssignableTo<Delivery<{ readonly id: number }>>();
    expect<Delivery<unknown>>().type.not.toBeAssignableTo<Delivery<Order>>();
  });
});

test('ackDeliveries() is a last stage', () => {
  expect(ackDeliveries()).type.toBe<Writable>();
  expect(ackDeliveries).type.toBeCallableWith({ highWaterMark: 1 });
  expect(ackDeliveries).type.not.toBeCallableWith(tracker);
});
