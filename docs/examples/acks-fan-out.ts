/** One to many: an order becomes its lines, and is acked when all of them are. */
import { setImmediate as turn } from 'node:timers/promises';
import { pipeline } from 'node:stream/promises';
import { ackDeliveries, InMemoryOffsetStore, OffsetTracker, withAcks } from 'streamweave-offset';

interface Order {
  readonly id: number;
  readonly lines: readonly string[];
}

const orders: Order[] = [
  { id: 1, lines: ['apples', 'pears'] },
  { id: 2, lines: [] },
  { id: 3, lines: ['plums', 'cherries'] },
];
const store = new InMemoryOffsetStore();

async function run(crashAt?: string): Promise<void> {
  await using tracker = new OffsetTracker(store);
  await pipeline(
    orders,
    withAcks(tracker, { source: 'orders', offsetOf: (order: Order) => order.id, resume: 'skip' }),
    async function* split(deliveries) {
      for await (const delivery of deliveries) {
        const { lines } = delivery.value;
        // (An order without lines has nothing to wait for: fanOut(0) acks it.)
        for (const [at, part] of delivery.fanOut(lines.length).entries()) yield part.map(() => lines[at]!);
      }
    },
    async function* ship(deliveries) {
      for await (const delivery of deliveries) {
        await turn();
        if (delivery.value === crashAt) throw new Error(`crash at ${crashAt}`);
        console.log('shipping', delivery.value);
        yield delivery;
      }
    },
    ackDeliveries(),
  ).catch((error: Error) => console.log(error.message));
  console.log('committed', await store.get('orders'));
}

await run('cherries'); // the plums are shipped, the order is not done
await run(); // so it comes again, with its plums

/* Prints:
shipping apples
shipping pears
shipping plums
crash at cherries
committed { kind: 'sequence', value: 2n }
shipping plums
shipping cherries
committed { kind: 'sequence', value: 3n }
*/
