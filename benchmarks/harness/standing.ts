import { PassThrough, Readable, Transform, Writable } from 'node:stream';
import {
  ackDeliveries,
  CommitStrategy,
  InMemoryOffsetStore,
  OffsetTracker,
  withAcks,
  withOffsets,
} from 'streamweave-offset';

const standing: unknown[] = [];

/**
 * Keeps one of each kind of object alive, of the baselines' too, as a process does that works with them. A class without
 * an instance loses its hidden class at a full collection, and with it all code that was optimised for it: the
 * variants, which begin with a collection and a tracker of their own, would then measure the compiler each time.
 */
export async function keepOneOfEach(): Promise<void> {
  const tracker = new OffsetTracker(new InMemoryOffsetStore(), { strategy: CommitStrategy.periodic(1000) });
  const recorded = withOffsets<number>(tracker, { source: 'recorded', offsetOf: (n) => n });
  const acked = withAcks<number>(tracker, { source: 'acked', offsetOf: (n) => n });
  await tracker.record('tracked', 0);
  standing.push(tracker, recorded, acked, tracker.track('tracked', 1), ackDeliveries());
  for (const stream of [recorded, acked]) {
    stream.on('data', (item) => standing.push(item));
    stream.write(1);
  }
  standing.push(
    Readable.from([1]),
    new PassThrough({ objectMode: true }),
    new Transform({ objectMode: true, transform: (item, _encoding, done) => done(null, item) }),
    new Writable({ objectMode: true, write: (_item, _encoding, done) => done() }),
  );
}
