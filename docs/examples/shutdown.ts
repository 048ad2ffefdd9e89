/** A process that is told to stop by SIGTERM: it commits what is done, and ends by itself. */
import { setTimeout as wait } from 'node:timers/promises';
import { pipeline } from 'node:stream/promises';
import { commitOffsets, CommitStrategy, FileOffsetStore, Offset, OffsetTracker } from 'streamweave-offset';

const store = new FileOffsetStore('offsets.json');
const tracker = new OffsetTracker(store, { strategy: CommitStrategy.interval(60_000) });

// With on(), not once(): while it listens, the signal ends the process neither now nor when it is sent again.
const stop = new AbortController();
process.on('SIGTERM', () => stop.abort(new Error('told to stop')));

try {
  await pipeline(
    jobs(),
    async function* (jobs: AsyncIterable<number>) {
      for await (const job of jobs) {
        console.log('job', job, 'is done');
        yield job;
      }
    },
    commitOffsets(tracker, { source: 'jobs', offsetOf: (job: number) => job, signal: stop.signal }),
  );
} catch (error) {
  // What stopped it is no failure; everything else is.
  if (!stop.signal.aborted) throw error;
  console.log('stopped');
} finally {
  // Commits what is left, within a time limit. Then nothing holds the process: there is no need for process.exit().
  await tracker.close({ timeoutMs: 5_000 });
}

console.log('the next start begins after', Offset.format((await store.get('jobs'))!));
await store.close();

/** A queue that is empty after three jobs. When they are recorded, the process manager takes the process down. */
async function* jobs() {
  yield* [1, 2, 3];
  while (tracker.stats('jobs').recorded < 3) await wait(10);
  process.kill(process.pid, 'SIGTERM');
  // Whatever waits takes the signal too, or it holds the process.
  await wait(86_400_000, undefined, { signal: stop.signal });
}

/* Prints:
job 1 is done
job 2 is done
job 3 is done
stopped
the next start begins after seq:3
*/
