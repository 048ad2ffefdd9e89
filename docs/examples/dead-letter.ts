/** onNack: what cannot be worked on is kept elsewhere and acked, so that the stream goes on. */
import { pipeline } from 'node:stream/promises';
import { setImmediate as turn } from 'node:timers/promises';
import { type Delivery, InMemoryOffsetStore, Offset, OffsetTracker, withAcks } from 'streamweave-offset';

const lines = ['{"id":1}', '{"id":2', '{"id":3}', 'oops', '{"id":5}'];
const store = new InMemoryOffsetStore();
const deadLetters: string[] = [];

async function run(crashAt?: number): Promise<void> {
  await using tracker = new OffsetTracker(store);
  await pipeline(
    lines,
    withAcks(tracker, {
      source: 'lines',
      resume: 'skip',
      // The delivery is acked once this resolves: not before its letter is safe. If this fails, so does the stream.
      onNack: async (delivery: Delivery<string>) => {
        await turn();
        deadLetters.push(`${Offset.format(delivery.offset)} ${delivery.value}`);
      },
    }),
    async (deliveries: AsyncIterable<Delivery<string>>) => {
      for await (const delivery of deliveries) {
        let event: { id: number };
        try {
          event = JSON.parse(delivery.value) as { id: number };
        } catch (error) {
          await delivery.nack(error); // one bad line is no reason to stop
          continue;
        }
        if (event.id === crashAt) throw new Error(`crash at ${crashAt}`); // but this is
        console.log('handled', event);
        await delivery.ack();
      }
    },
  ).catch((error: Error) => console.log(error.message));
  console.log('committed', Offset.format((await store.get('lines'))!));
}

await run(5);
await run();
console.log('dead letters:', deadLetters);

/* Prints:
handled { id: 1 }
handled { id: 3 }
crash at 5
committed seq:3
handled { id: 5 }
committed seq:4
dead letters: [ 'seq:1 {"id":2', 'seq:3 oops' ]
*/
