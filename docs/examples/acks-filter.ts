/** A filter acks what it drops: its work is done, and nobody behind it will say so. */
import { setImmediate as turn } from 'node:timers/promises';
import { pipeline } from 'node:stream/promises';
import {
  ackDeliveries,
  type Delivery,
  InMemoryOffsetStore,
  Offset,
  OffsetTracker,
  withAcks,
} from 'streamweave-offset';

interface Order {
  readonly id: number;
  readonly total: number;
}

const orders: Order[] = [0, 250, 0, 40, 0, 0].map((total, id) => ({ id, total }));
const store = new InMemoryOffsetStore();

/** Goes on with those that are wanted, and acks the others. */
async function* wanted<T>(
  deliveries: AsyncIterable<Delivery<T>>,
  isWanted: (value: T) => boolean,
): AsyncGenerator<Delivery<T>> {
  for await (const delivery of deliveries) {
    if (isWanted(delivery.value)) yield delivery;
    else await delivery.ack();
  }
}

async function run(crashAt?: number): Promise<void> {
  await using tracker = new OffsetTracker(store);
  await pipeline(
    orders,
    withAcks(tracker, { source: 'orders', offsetOf: (order: Order) => order.id, resume: 'skip' }),
    (deliveries) => wanted(deliveries, (order: Order) => order.total > 0),
    async function* work(deliveries) {
      for await (const delivery of deliveries) {
        await turn();
        if (delivery.value.id === crashAt) throw new Error(`crash at ${crashAt}`);
        console.log('working on', delivery.value);
        yield delivery;
      }
    },
    ackDeliveries(),
  ).catch((error: Error) => console.log(error.message));
  console.log('committed', Offset.format((await store.get('orders'))!));
}

await run(3); // 0 and 2 were dropped, 1 is done
await run(); // 4 and 5 are dropped, and the end is reached all the same

/* Prints:
working on { id: 1, total: 250 }
crash at 3
committed seq:2
working on { id: 3, total: 40 }
committed seq:5
*/
