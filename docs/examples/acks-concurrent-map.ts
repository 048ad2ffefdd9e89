/** Readable.map() with a concurrency: several orders at a time, and what comes of them in order. */
import { pipeline } from 'node:stream/promises';
import { setImmediate as turn } from 'node:timers/promises';
import {
  ackDeliveries,
  type Delivery,
  InMemoryOffsetStore,
  OffsetTracker,
  withAcks,
} from 'streamweave-offset';

interface Order {
  readonly id: number;
}

const ids = [1, 2, 3, 4, 5];
const orders: Order[] = ids.map((id) => ({ id }));
const store = new InMemoryOffsetStore();

async function run(failing?: number): Promise<void> {
  const done: number[] = [];
  const charge = async (order: Order): Promise<string> => {
    await turn();
    if (order.id === failing) {
      // At the worst moment: when all others are done.
      while (done.length < orders.length - 1) await turn();
      throw new Error(`order ${order.id} failed`);
    }
    done.push(order.id);
    return `receipt ${order.id}`;
  };

  await using tracker = new OffsetTracker(store);
  await pipeline(
    orders,
    withAcks(tracker, { source: 'orders', offsetOf: (order: Order) => order.id, resume: 'skip' }),
    (deliveries) =>
      deliveries.map(
        async (delivery: Delivery<Order>) => {
          const receipt = await charge(delivery.value);
          return delivery.map(() => receipt);
        },
        { concurrency: 3 },
      ),
    async function* print(receipts) {
      for await (const receipt of receipts) {
        console.log(receipt.value);
        yield receipt;
      }
    },
    ackDeliveries(),
  ).catch((error: Error) => console.log(error.message));
  const charged = ids.filter((id) => done.includes(id));
  console.log('done:', charged, 'committed:', await store.get('orders'));
}

await run(3); // 4 and 5 are done, but they come after 3, which is not
await run(); // so they come again with it: repeated, and none lost

/* Prints:
receipt 1
receipt 2
order 3 failed
done: [ 1, 2, 4, 5 ] committed: { kind: 'sequence', value: 2n }
receipt 3
receipt 4
receipt 5
done: [ 3, 4, 5 ] committed: { kind: 'sequence', value: 5n }
*/
