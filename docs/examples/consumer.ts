/** A consumer that starts from its offset, and does each item's work before it records the item. */
import { CommitStrategy, InMemoryOffsetStore, Offset, OffsetTracker } from 'streamweave-offset';

const orders = Array.from({ length: 8 }, (_, id) => ({ id, total: id * 10 }));

async function consume(tracker: OffsetTracker, stopAfter: number): Promise<void> {
  const offset = await tracker.getOffset('orders');
  const start = offset.kind === 'sequence' ? Number(Offset.increment(offset).value) : 0;
  console.log('starting at', start);
  for (const order of orders.slice(start, stopAfter)) {
    console.log('working on', order.id);
    await tracker.record('orders', order.id);
  }
}

const store = new InMemoryOffsetStore();
const strategy = CommitStrategy.periodic(3);
await consume(new OffsetTracker(store, { strategy }), 5); // dies after item 4: 3 committed, 2 pending
await consume(new OffsetTracker(store, { strategy }), 8); // repeats the 2, loses none

/* Prints:
starting at 0
working on 0
working on 1
working on 2
working on 3
working on 4
starting at 3
working on 3
working on 4
working on 5
working on 6
working on 7
*/
