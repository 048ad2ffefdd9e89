/** Web streams: withOffsets() as a TransformStream, and a ReadableStream as a source. */
import { Duplex } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { ReadableStream, TransformStream, WritableStream } from 'node:stream/web';
import {
  commitOffsets,
  CommitStrategy,
  InMemoryOffsetStore,
  Offset,
  OffsetTracker,
  withOffsets,
} from 'streamweave-offset';

interface Order {
  readonly id: number;
}

function ordersFrom(first: number, last: number): ReadableStream<Order> {
  let id = first;
  return new ReadableStream<Order>({
    pull(controller) {
      if (id <= last) controller.enqueue({ id: id++ });
      else controller.close();
    },
  });
}

const tracker = new OffsetTracker(new InMemoryOffsetStore(), { strategy: CommitStrategy.periodic(100) });
const options = { source: 'orders', offsetOf: (order: Order) => order.id };

// Among web streams: Duplex.toWeb() makes of it a pair that pipeThrough() takes.
const recorded = withOffsets(tracker, options);
recorded.on('commit', ({ offset }) => console.log('committed', Offset.format(offset)));
await ordersFrom(1, 3)
  .pipeThrough(
    new TransformStream<Order, Order>({
      transform(order, controller) {
        console.log('working on', order.id);
        controller.enqueue(order);
      },
    }),
  )
  .pipeThrough<Order>(Duplex.toWeb(recorded))
  .pipeTo(new WritableStream<Order>({ write: (order) => console.log('passed', order.id) }));

// Among Node's: pipeline() takes a ReadableStream as any other source.
await pipeline(
  ordersFrom(4, 5),
  async function* (orders: AsyncIterable<Order>) {
    for await (const order of orders) {
      console.log('working on', order.id);
      yield order;
    }
  },
  commitOffsets(tracker, options),
);
console.log(await tracker.getOffset('orders'));
await tracker.close();

/* Prints:
working on 1
working on 2
working on 3
passed 1
passed 2
passed 3
committed seq:3
working on 4
working on 5
{ kind: 'sequence', value: 5n }
*/
