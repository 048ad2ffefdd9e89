/** p-queue: deliveries go into a queue of the caller's own, which limits what waits there as well. */
import { setImmediate as turn } from 'node:timers/promises';
import { pipeline } from 'node:stream/promises';
import PQueue from 'p-queue';
import { type Delivery, InMemoryOffsetStore, OffsetTracker, withAcks } from 'streamweave-offset';

interface Order {
  readonly id: number;
}

const ids = [1, 2, 3, 4, 5, 6];
const orders: Order[] = ids.map((id) => ({ id }));
const store = new InMemoryOffsetStore();

async function run(failing?: number): Promise<void> {
  const done: number[] = [];
  const charge = async (order: Order): Promise<void> => {
    await turn();
    if (order.id === failing) {
      // At the worst moment: when all others are done.
      while (done.length < orders.length - 1) await turn();
      throw new Error(`order ${order.id} failed`);
    }
    done.push(order.id);
  };

  await using tracker = new OffsetTracker(store);
  const acks = withAcks(tracker, { source: 'orders', offsetOf: (order: Order) => order.id, resume: 'skip' });
  try {
    await pipeline(orders, acks, async (deliveries: AsyncIterable<Delivery<Order>>) => {
      const queue = new PQueue({ concurrency: 3 });
      for await (const delivery of deliveries) {
        await queue.onSizeLessThan(2); // else the queue would take in all that there is, up to maxInFlight
        queue
          .add(async () => {
            await charge(delivery.value);
            await delivery.ack();
          })
          .catch((error: unknown) => void delivery.nack(error));
      }
    });
    // The queue works on when the pipeline has ended: this is what waits for it, and what a late nack fails.
    await acks.settled();
  } catch (error) {
    console.log((error as Error).message);
  }
  const charged = ids.filter((id) => done.includes(id));
  console.log('done:', charged, 'committed:', await store.get('orders'));
}

await run(2); // 3 to 6 are done, but they come after 2, which is not
await run(); // so they come again with it: repeated, and none lost

/* Prints:
order 2 failed
done: [ 1, 3, 4, 5, 6 ] committed: { kind: 'sequence', value: 1n }
done: [ 2, 3, 4, 5, 6 ] committed: { kind: 'sequence', value: 6n }
*/
