/**
 * What the compiler is asked to accept and to refuse; `npm run typecheck` is what runs these. Nothing here is
 * executed but the last line.
 */
import type { Readable, Transform } from 'node:stream';
import { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { expect, it } from '@jest/globals';
import {
  commitOffsets,
  type CommitEvent,
  type Offset,
  type OffsetStreamOptions,
  type OffsetTracker,
  type OffsetTransform,
  type OffsetWritable,
  withOffsets,
} from '../../lib/index.js';

// oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- how the compiler is asked for sameness
type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;

/** Compiles only where both types are the same. */
function same<A, B>(_proof: Equal<A, B>): void {}

interface Order {
  readonly id: number;
  readonly shop: string;
}

export async function typed(
  tracker: OffsetTracker,
  orders: AsyncIterable<Order>,
  readable: Readable,
  sink: Writable,
): Promise<void> {
  // One annotation tells what the items are: on offsetOf, on source, on metadataOf, or on the call.
  const byOffset = withOffsets(tracker, {
    source: (order) => order.shop,
    offsetOf: (order: Order) => order.id,
    metadataOf: (order) => ({ shop: order.shop }),
  });
  same<typeof byOffset, OffsetTransform<Order>>(true);
  const bySource = withOffsets(tracker, {
    source: (order: Order) => order.shop,
    offsetOf: (order, index) => {
      same<typeof order, Order>(true);
      same<typeof index, number>(true);
      return order.id;
    },
  });
  same<typeof bySource, OffsetTransform<Order>>(true);
  const byMetadata = withOffsets(tracker, {
    source: 'orders',
    metadataOf: (order: Order) => ({ shop: order.shop }),
    offsetOf: (order) => order.id,
  });
  same<typeof byMetadata, OffsetTransform<Order>>(true);
  const byCall = withOffsets<Order>(tracker, { source: 'orders', offsetOf: (order) => order.id });
  same<typeof byCall, OffsetTransform<Order>>(true);
  // Or where it is wanted.
  const byPlace: OffsetTransform<Order> = withOffsets(tracker, 'orders');
  const options: OffsetStreamOptions<Order> = { source: ({ shop }) => shop, offsetOf: ({ id }) => id };
  same<ReturnType<typeof withOffsets<Order>>, typeof byPlace>(true);
  // A name tells nothing of the items.
  const byName = withOffsets(tracker, 'orders');
  same<typeof byName, OffsetTransform<unknown>>(true);

  // Items come out as they went in.
  for await (const order of byOffset) same<typeof order, Order>(true);
  byOffset.on('data', (order) => same<typeof order, Order>(true));

  // 'commit' events, on both forms; other events as ever.
  const last: OffsetWritable = commitOffsets(tracker, options);
  byOffset.on('commit', (commit) => same<typeof commit, CommitEvent>(true));
  last.on('commit', (commit) => {
    same<typeof commit, CommitEvent>(true);
    same<typeof commit.source, string>(true);
    same<typeof commit.offset, Offset>(true);
  });
  last.once('commit', ({ offset }) => same<typeof offset, Offset>(true)).on('finish', () => undefined);
  last.on('error', (error) => same<typeof error, Error>(true));

  // They are Node's streams, at any place of a pipeline.
  const transform: Transform = byOffset;
  const writable: Writable = last;
  await pipeline(orders, byOffset, sink);
  await pipeline(orders, last);
  await pipeline(orders, transform, writable);
  await pipeline(
    orders,
    async function* (items: AsyncIterable<Order>) {
      for await (const order of items) yield order;
    },
    byOffset,
    async function* (items: AsyncIterable<Order>) {
      for await (const order of items) yield order.id;
    },
    sink,
  );
  readable.pipe(byOffset).pipe(last);
  readable.compose(byOffset);

  // @ts-expect-error -- an offset is a bigint, a number, a Date, a string or an Offset
  withOffsets(tracker, { source: 'orders', offsetOf: (order: Order) => ({ at: order.id }) });
  // @ts-expect-error -- and not a promise of one
  withOffsets(tracker, { source: 'orders', offsetOf: async (order: Order) => order.id });
  // @ts-expect-error -- items have no such field
  withOffsets<Order>(tracker, { source: 'orders', offsetOf: (order) => order.offset });
  // @ts-expect-error -- a source is a string
  withOffsets(tracker, { source: (order: Order) => order.id });
  // @ts-expect-error -- metadata is a plain object
  withOffsets(tracker, { source: 'orders', metadataOf: (order: Order) => order.id });
  // @ts-expect-error -- there is no such resume
  withOffsets(tracker, { source: 'orders', resume: 'restart' });
  // @ts-expect-error -- the source is wanted
  commitOffsets(tracker, { offsetOf: (order: Order) => order.id });
  // @ts-expect-error -- and the tracker first
  commitOffsets('orders', tracker);
}

it('is checked by the compiler', () => {
  expect(typed).toBeInstanceOf(Function);
});
