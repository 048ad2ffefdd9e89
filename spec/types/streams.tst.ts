import { Readable, type Transform, type Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { describe, expect, test } from 'tstyche';
import {
  type CommitEvent,
  commitOffsets,
  type FileLine,
  Offset,
  type OffsetStreamOptions,
  type OffsetTracker,
  type OffsetTransform,
  type OffsetWritable,
  readLines,
  withOffsets,
} from 'streamweave-offset';

interface Order {
  readonly id: number;
  readonly shop: string;
}

declare const tracker: OffsetTracker;
declare const orders: AsyncIterable<Order>;
declare const readable: Readable;
declare const sink: Writable;

describe('withOffsets()', () => {
  test('learns what the items are from one annotation, on whichever function', () => {
    const byOffset = withOffsets(tracker, {
      source: (order) => order.shop,
      offsetOf: (order: Order) => order.id,
      metadataOf: (order) => ({ shop: order.shop }),
    });
    expect(byOffset).type.toBe<OffsetTransform<Order>>();
    const bySource = withOffsets(tracker, {
      source: (order: Order) => order.shop,
      offsetOf: (order, index) => {
        expect(order).type.toBe<Order>();
        expect(index).type.toBe<number>();
        return order.id;
      },
    });
    expect(bySource).type.toBe<OffsetTransform<Order>>();
    const byMetadata = withOffsets(tracker, {
      source: 'orders',
      metadataOf: (order: Order) => ({ shop: order.shop }),
      offsetOf: (order) => order.id,
    });
    expect(byMetadata).type.toBe<OffsetTransform<Order>>();
  });

  test('or from the call, or from where it is wanted', () => {
    expect(withOffsets<Order>(tracker, { source: 'orders', offsetOf: (order) => order.id })).type.toBe<
      OffsetTransform<Order>
    >();
    const placed: OffsetTransform<Order> = withOffsets(tracker, {
      source: (order) => order.shop,
      offsetOf: (order) => order.id,
    });
    void placed;
    const options: OffsetStreamOptions<Order> = { source: ({ shop }) => shop, offsetOf: ({ id }) => id };
    expect(withOffsets(tracker, options)).type.toBe<OffsetTransform<Order>>();
  });

  test('knows nothing of the items by a name alone', () => {
    expect(withOffsets(tracker, 'orders')).type.toBe<OffsetTransform<unknown>>();
    // The compiler does not look from an argument of pipeline() at the one before it.
    // @ts-expect-error 'order' is of type 'unknown'
    void pipeline(orders, withOffsets(tracker, { source: 'orders', offsetOf: (order) => order.id }), sink);
  });

  test('gives items out as they went in', async () => {
    const stream = withOffsets<Order>(tracker, 'orders');
    for await (const order of stream) expect(order).type.toBe<Order>();
    stream.on('data', (order) => expect(order).type.toBe<Order>());
  });

  test('tells a function as the last stage, too, what it gets', async () => {
    await pipeline(orders, withOffsets<Order>(tracker, 'orders'), async (items) => {
      for await (const order of items) expect(order).type.toBe<Order>();
    });
  });

  test('is a stream of Node at any place of a pipeline', async () => {
    const stream = withOffsets<Order>(tracker, 'orders');
    expect(stream).type.toBeAssignableTo<Transform>();
    await pipeline(orders, stream, sink);
    await pipeline(
      orders,
      async function* (items) {
        for await (const order of items) {
          expect(order).type.toBe<Order>();
          yield order;
        }
      },
      stream,
      async function* (items) {
        for await (const order of items) yield order.id;
      },
      sink,
    );
    readable.pipe(stream).pipe(sink);
    readable.compose(stream);
  });

  test("tells of commits by 'commit' events", () => {
    const stream = withOffsets<Order>(tracker, 'orders');
    stream.on('commit', (commit) => expect(commit).type.toBe<CommitEvent>());
    stream.once('commit', ({ source, offset }) => {
      expect(source).type.toBe<string>();
      expect(offset).type.toBe<Offset>();
    });
    stream.on('error', (error) => expect(error).type.toBe<Error>());
    // Other events as ever, and the stream itself for the next call.
    expect(stream.on('drain', () => undefined).once('commit', () => undefined)).type.toBe<
      OffsetTransform<Order>
    >();
  });

  test('takes its options by name and kind', () => {
    expect(withOffsets).type.not.toBeCallableWith('orders', tracker);
    expect(withOffsets).type.not.toBeCallableWith(tracker);
    expect(withOffsets).type.not.toBeCallableWith(tracker, {});
    expect(withOffsets).type.not.toBeCallableWith(tracker, { source: 'orders', offset: (o: Order) => o.id });
    expect(withOffsets).type.not.toBeCallableWith(tracker, { source: 'orders', resume: 'restart' });
    expect(withOffsets).type.not.toBeCallableWith(tracker, {
      source: 'orders',
      signal: new AbortController(),
    });
    expect(withOffsets).type.not.toBeCallableWith(tracker, { source: (o: Order) => o.id });
    expect(withOffsets).type.not.toBeCallableWith(tracker, {
      source: 'a',
      offsetOf: (o: Order) => ({ at: o.id }),
    });
    expect(withOffsets).type.not.toBeCallableWith(tracker, {
      source: 'a',
      offsetOf: async (o: Order) => o.id,
    });
    expect(withOffsets).type.not.toBeCallableWith(tracker, { source: 'a', metadataOf: (o: Order) => o.id });
    // @ts-expect-error Property 'offset' does not exist on type 'Order'
    withOffsets<Order>(tracker, { source: 'orders', offsetOf: (order) => order.offset });
    // Its functions are of one mind about what the items are.
    expect(withOffsets).type.not.toBeCallableWith(tracker, {
      source: (order: Order) => order.shop,
      offsetOf: (line: FileLine) => line.offset,
    });
  });
});

describe('commitOffsets()', () => {
  test('is the last stage, and tells of commits', async () => {
    const last = commitOffsets(tracker, { source: 'orders', offsetOf: (order: Order) => order.id });
    expect(last).type.toBe<OffsetWritable>();
    expect(last).type.toBeAssignableTo<Writable>();
    await pipeline(orders, last);
    last.on('commit', (commit) => expect(commit).type.toBe<CommitEvent>()).on('finish', () => undefined);
    last.once('commit', ({ offset }) => expect(offset).type.toBe<Offset>());
    readable.pipe(commitOffsets(tracker, 'orders'));
  });

  test('takes what withOffsets() takes', () => {
    expect<Parameters<typeof commitOffsets<Order>>>().type.toBe<Parameters<typeof withOffsets<Order>>>();
    expect(commitOffsets).type.not.toBeCallableWith(tracker, { offsetOf: (order: Order) => order.id });
    expect(commitOffsets).type.not.toBeCallableWith('orders', tracker);
  });
});

test('readLines() gives lines', async () => {
  for await (const line of readLines('a.jsonl')) expect(line).type.toBe<FileLine>();
  expect<FileLine['line']>().type.toBe<string>();
});
