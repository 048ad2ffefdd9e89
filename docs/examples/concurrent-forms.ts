/** Where acks stand in a pipeline, and where they need not be. */
import { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { ackDeliveries, InMemoryOffsetStore, OffsetTracker, withAcks, withOffsets } from 'streamweave-offset';

interface Order {
  readonly id: number;
}

const orders: readonly Order[] = [{ id: 1 }, { id: 2 }, { id: 3 }];
const tracker = new OffsetTracker(new InMemoryOffsetStore());

async function* workOnEach<T>(items: Iterable<T> | AsyncIterable<T>): AsyncGenerator<T> {
  for await (const item of items) yield item;
}

// #region skeleton
await pipeline(
  orders,
  withAcks(tracker, { source: 'orders', offsetOf: (order: Order) => order.id }),
  workOnEach, // whatever you like, as long as each delivery is acked or nacked once
  ackDeliveries(),
);
// #endregion
console.log(await tracker.getOffset('orders'));

const options = { source: 'orders', offsetOf: (order: Order) => order.id, resume: 'skip' } as const;
const sink = (): Writable => new Writable({ objectMode: true, write: (_item, _encoding, done) => done() });

// #region placement
// Wrong: the work comes after the recorder.
await pipeline(orders, withOffsets(tracker, options), workOnEach, sink());
// Right: the recorder comes after the work …
await pipeline(orders, workOnEach, withOffsets(tracker, options), sink());
// … or acks, wherever the work is.
await pipeline(orders, withAcks(tracker, options), workOnEach, ackDeliveries());
// #endregion

const acks = withAcks(tracker, options);
// #region stuck
acks.on('stuck', ({ source, offset, ageMs, inFlight }) => {
  console.warn('stuck:', source, offset, `for ${ageMs} ms, ${inFlight} in flight`);
});
// #endregion
await pipeline(orders, acks, ackDeliveries());
await tracker.close();

/* Prints:
{ kind: 'sequence', value: 3n }
*/
