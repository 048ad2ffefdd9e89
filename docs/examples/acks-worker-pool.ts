/** A pool of worker threads: the values go there, the deliveries stay here and are acked when the answer is back. */
import { once } from 'node:events';
import { pipeline } from 'node:stream/promises';
import { Worker } from 'node:worker_threads';
import { type Delivery, InMemoryOffsetStore, Offset, OffsetTracker, withAcks } from 'streamweave-offset';

const numbers = Array.from({ length: 40 }, (_, at) => at);
const store = new InMemoryOffsetStore();
const squares = new Map<number, number>();
let answers = 0;

/** The code of a worker: in a project it would be a file of its own. It dies at the number that it was told. */
const code = `
  const { parentPort, workerData } = require('node:worker_threads');
  parentPort.on('message', (n) => {
    if (n === workerData) throw new Error('a worker died at ' + n);
    parentPort.postMessage(n * n);
  });
`;

/** Each worker asks for the next delivery when it is done with its last. */
async function work(worker: Worker, deliveries: AsyncIterator<Delivery<number>>): Promise<void> {
  for (;;) {
    const next = await deliveries.next();
    if (next.done === true) return;
    const delivery = next.value;
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- it is no window
    worker.postMessage(delivery.value);
    // (Rejects when the worker emits 'error'.)
    const [square] = (await once(worker, 'message')) as [number];
    answers++;
    squares.set(delivery.value, square);
    await delivery.ack();
  }
}

async function run(dieAt?: number): Promise<void> {
  await using tracker = new OffsetTracker(store);
  const pool = Array.from({ length: 2 }, () => new Worker(code, { eval: true, workerData: dieAt }));
  try {
    await pipeline(
      numbers,
      // When one worker is slow, the other gets no further ahead than this; nor is more than this repeated.
      withAcks(tracker, { source: 'numbers', offsetOf: (n: number) => n, resume: 'skip', maxInFlight: 4 }),
      async (deliveries: AsyncIterable<Delivery<number>>) => {
        const queue = deliveries[Symbol.asyncIterator]();
        await Promise.all(pool.map((worker) => work(worker, queue)));
      },
    );
  } finally {
    await Promise.all(pool.map((worker) => worker.terminate()));
  }
}

await run(25).catch((error: Error) => console.log(error.message));
await run();
console.log('committed', Offset.format((await store.get('numbers'))!));
console.log('lost:', numbers.filter((n) => squares.get(n) !== n * n).length);
console.log('repeated at most maxInFlight:', answers - numbers.length <= 4);

/* Prints:
a worker died at 25
committed seq:39
lost: 0
repeated at most maxInFlight: true
*/
