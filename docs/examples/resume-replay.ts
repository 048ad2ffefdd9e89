/** A source that can only be read from its beginning: what is done already is dropped. */
import { pipeline } from 'node:stream/promises';
import { setImmediate as turn } from 'node:timers/promises';
import { ackDeliveries, InMemoryOffsetStore, Offset, OffsetTracker, withAcks } from 'streamweave-offset';

/** Stands for a download, a decompressed file, a child process's output: there is no way to begin in its middle. */
async function* readings(): AsyncGenerator<number> {
  yield* [20.5, 20.7, 21.1, 21.0, 20.8];
}

const store = new InMemoryOffsetStore();

async function run(crashAt?: number): Promise<void> {
  // #region run
  await using tracker = new OffsetTracker(store);
  await pipeline(
    readings(),
    // No offsetOf: readings are counted, 0, 1, 2 …
    withAcks(tracker, { source: 'readings', resume: 'skip' }),
    async function* work(deliveries) {
      for await (const delivery of deliveries) {
        await turn(); // the work takes a moment
        if (delivery.value === crashAt) throw new Error(`crash at ${crashAt}`);
        console.log('handled', Offset.format(delivery.offset), delivery.value);
        yield delivery;
      }
    },
    ackDeliveries(),
  );
  // #endregion
}

await run(21.0).catch((error: Error) => console.log(error.message));
await run();

/* Prints:
handled seq:0 20.5
handled seq:1 20.7
handled seq:2 21.1
crash at 21
handled seq:3 21
handled seq:4 20.8
*/
