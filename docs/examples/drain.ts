/** SIGTERM: take nothing new, finish what is in hand, commit, and end. */
import { once } from 'node:events';
import { pipeline } from 'node:stream/promises';
import { commitOffsets, CommitStrategy, FileOffsetStore, Offset, OffsetTracker } from 'streamweave-offset';

/** Stands for a consumer that can be told to take no more. */
async function* jobs(signal: AbortSignal): AsyncGenerator<number> {
  for (let id = 1; !signal.aborted; id++) yield id;
}

async function work(job: number): Promise<void> {
  if (job === 3) {
    // Here the process manager takes the process down, in the middle of a job.
    process.kill(process.pid, 'SIGTERM');
    await once(stop.signal, 'abort');
  }
  console.log('job', job, 'is done');
}

// #region drain
const stop = new AbortController();
process.on('SIGTERM', () => {
  stop.abort();
  // The last resort: where the work hangs, what is recorded was committed, and the rest comes again.
  setTimeout(() => process.exit(1), 20_000).unref();
});

const store = new FileOffsetStore('offsets.json');
const tracker = new OffsetTracker(store, { strategy: CommitStrategy.interval(1_000) });

await pipeline(
  jobs(stop.signal), // ends when it is told to
  async function* (all: AsyncIterable<number>) {
    for await (const job of all) {
      await work(job);
      yield job;
    }
  },
  commitOffsets(tracker, { source: 'jobs', offsetOf: (job: number) => job }), // ends when all is committed
);
await tracker.close({ timeoutMs: 5_000 });
console.log('the next start begins after', Offset.format((await store.get('jobs'))!));
await store.close();
// #endregion

/* Prints:
job 1 is done
job 2 is done
job 3 is done
the next start begins after seq:3
*/
