/** The simple case: stages that work on one item after the other, and ackDeliveries() as the last. */
import { setImmediate as turn } from 'node:timers/promises';
import { pipeline } from 'node:stream/promises';
import { ackDeliveries, InMemoryOffsetStore, OffsetTracker, withAcks } from 'streamweave-offset';

interface Order {
  readonly id: number;
}

const orders: Order[] = [1, 2, 3, 4, 5, 6].map((id) => ({ id }));
const store = new InMemoryOffsetStore();

async function run(crashAt?: number): Promise<void> {
  await using tracker = new OffsetTracker(store);
  await pipeline(
    orders,
    // Right after the source: from here on only its ack says that an order is done.
    withAcks(tracker, { source: 'orders', offsetOf: (order: Order) => order.id, resume: 'skip' }),
    async function* work(deliveries) {
      for await (const delivery of deliveries) {
        await turn();
        if (delivery.value.id === crashAt) throw new Error(`crash at ${crashAt}`);
        console.log('working on', delivery.value.id);
        yield delivery;
      }
    },
    async function* format(deliveries) {
      for await (const delivery of deliveries) yield delivery.map((order) => `order ${order.id}`);
    },
    ackDeliveries(),
  );
}

await run(4).catch((error: Error) => console.log(error.message));
console.log('committed', await store.get('orders'));
await run();
console.log('committed', await store.get('orders'));

/* Prints:
working on 1
working on 2
working on 3
crash at 4
committed { kind: 'sequence', value: 3n }
working on 4
working on 5
working on 6
committed { kind: 'sequence', value: 6n }
*/
