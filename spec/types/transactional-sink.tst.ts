import type { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { describe, expect, test } from 'tstyche';
import {
  type CommitEvent,
  type OffsetStore,
  type OffsetTracker,
  type OffsetWritable,
  type TransactionalOffsetStore,
  transactionalSink,
} from 'streamweave-offset';

interface Order {
  readonly id: number;
}

/** What the statements of a transaction run on, with some database. */
interface Transaction {
  query(text: string, values: unknown[]): Promise<void>;
}

declare const store: TransactionalOffsetStore<Transaction>;
declare const plain: OffsetStore;
declare const tracker: OffsetTracker;
declare const orders: AsyncIterable<Order>;

describe('transactionalSink()', () => {
  test('gives write() the items, and the transaction of its store', async () => {
    const sink = transactionalSink(store, {
      source: 'orders',
      offsetOf: (order: Order) => order.id,
      write: async (items, tx) => {
        expect(items).type.toBe<Order[]>();
        expect(tx).type.toBe<Transaction>();
        await tx.query('insert …', [items.map(({ id }) => id)]);
      },
    });
    expect(sink).type.toBe<OffsetWritable>();
    expect(sink).type.toBeAssignableTo<Writable>();
    sink.on('commit', (commit) => expect(commit).type.toBe<CommitEvent>());
    await pipeline(orders, sink);
  });

  test('learns what the items are from one annotation, on whichever function', () => {
    transactionalSink(store, {
      source: 'orders',
      write: (items: Order[], tx) => {
        expect(tx).type.toBe<Transaction>();
        return items;
      },
      offsetOf: (order) => {
        expect(order).type.toBe<Order>();
        return order.id;
      },
    });
    transactionalSink(store, {
      source: (order: Order) => `orders/${order.id % 2}`,
      write: (items) => expect(items).type.toBe<Order[]>(),
    });
  });

  test('wants a store with transactions, a source and what writes', () => {
    const write = async (_items: Order[], _tx: Transaction): Promise<void> => undefined;
    expect(transactionalSink).type.toBeCallableWith(store, { source: 'orders', write });
    expect(transactionalSink).type.toBeCallableWith(store, {
      source: 'orders',
      write,
      batchSize: 10,
      maxDelayMs: 5,
    });
    expect(transactionalSink).type.not.toBeCallableWith(plain, { source: 'orders', write });
    expect(transactionalSink).type.not.toBeCallableWith(tracker, { source: 'orders', write });
    expect(transactionalSink).type.not.toBeCallableWith(store, { source: 'orders' });
    expect(transactionalSink).type.not.toBeCallableWith(store, { write });
    expect(transactionalSink).type.not.toBeCallableWith(store, 'orders');
    expect(transactionalSink).type.not.toBeCallableWith(store, { source: 'orders', write, batch: 10 });
    // The transaction of another database.
    expect(transactionalSink).type.not.toBeCallableWith(store, {
      source: 'orders',
      write: async (_items: Order[], _tx: { exec(): void }) => undefined,
    });
  });
});
