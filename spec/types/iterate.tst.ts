import { Readable } from 'node:stream';
import { describe, expect, test } from 'tstyche';
import type { OffsetTracker } from 'streamweave-offset';
import { type IterateOptions, iterateWithOffsets } from '../../lib/streams/iterate.js';

interface Order {
  readonly id: number;
  readonly shop: string;
}

declare const tracker: OffsetTracker;
declare const orders: Order[];

async function* feed(): AsyncGenerator<Order> {
  yield* orders;
}

describe('iterateWithOffsets()', () => {
  test('learns what the items are from the iterable alone', async () => {
    const options = { source: 'orders' };
    expect(iterateWithOffsets(orders, tracker, options)).type.toBe<AsyncGenerator<Order, void, undefined>>();
    expect(iterateWithOffsets(feed(), tracker, options)).type.toBe<AsyncGenerator<Order, void, undefined>>();
    expect(iterateWithOffsets(new Set(['a']), tracker, 'letters')).type.toBe<
      AsyncGenerator<string, void, undefined>
    >();
    expect(iterateWithOffsets(new ReadableStream<Order>(), tracker, options)).type.toBe<
      AsyncGenerator<Order, void, undefined>
    >();
    // Of an iterable of promises the loop gets what they resolve to.
    expect(iterateWithOffsets([Promise.resolve(1)], tracker, 'numbers')).type.toBe<
      AsyncGenerator<number, void, undefined>
    >();
    for await (const order of iterateWithOffsets(feed(), tracker, {
      source: (item) => item.shop,
      offsetOf: (item, index) => {
        expect(item).type.toBe<Order>();
        expect(index).type.toBe<number>();
        return item.id;
      },
      metadataOf: ({ shop }) => ({ shop }),
    })) {
      expect(order).type.toBe<Order>();
    }
  });

  test('gives what a Readable says that it holds, which is nothing, or what the call says', async () => {
    const readable = Readable.from(orders);
    for await (const order of iterateWithOffsets<Order>(readable, tracker, { source: (item) => item.shop })) {
      expect(order).type.toBe<Order>();
    }
  });

  test('takes the options of the streams, save that of their buffers', () => {
    const options: IterateOptions<Order> = { source: ({ shop }) => shop, offsetOf: ({ id }) => id };
    expect(iterateWithOffsets(orders, tracker, options)).type.toBe<AsyncGenerator<Order, void, undefined>>();
    expect(iterateWithOffsets).type.not.toBeCallableWith(orders, tracker, { source: 'a', highWaterMark: 1 });
    expect(iterateWithOffsets).type.not.toBeCallableWith(orders, tracker, { source: 'a', resume: 'restart' });
    expect(iterateWithOffsets).type.not.toBeCallableWith(orders, tracker);
    expect(iterateWithOffsets).type.not.toBeCallableWith(tracker, orders, 'orders');
    expect(iterateWithOffsets).type.not.toBeCallableWith({}, tracker, 'orders');
    // @ts-expect-error Property 'offset' does not exist on type 'Order'
    iterateWithOffsets(orders, tracker, { source: 'orders', offsetOf: (order) => order.offset });
    // @ts-expect-error Type 'string[]' is not assignable to type 'OffsetInput'
    iterateWithOffsets(orders, tracker, { source: 'orders', offsetOf: (order) => [order.shop] });
  });
});
