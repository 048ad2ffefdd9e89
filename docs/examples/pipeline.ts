/** withOffsets() stands after the stage that does the work; several sources pass through one stream. */
import { Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { CommitStrategy, InMemoryOffsetStore, Offset, OffsetTracker, withOffsets } from 'streamweave-offset';

interface Event {
  readonly partition: number;
  readonly id: number;
}

const events: Event[] = [
  { partition: 0, id: 5 },
  { partition: 1, id: 9 },
  { partition: 0, id: 6 },
];

await using tracker = new OffsetTracker(new InMemoryOffsetStore(), {
  strategy: CommitStrategy.periodic(100),
});

await pipeline(
  Readable.from(events),
  async function* (source: AsyncIterable<Event>) {
    for await (const event of source) {
      console.log('working on', event.partition, event.id);
      yield event;
    }
  },
  withOffsets(tracker, {
    source: (event: Event) => `events/${event.partition}`,
    offsetOf: (event) => event.id,
  }).on('commit', ({ source, offset }) => console.log('committed', source, Offset.format(offset))),
  new Writable({ objectMode: true, write: (_event, _encoding, done) => done() }),
);

/* Prints:
working on 0 5
working on 1 9
working on 0 6
committed events/0 seq:6
committed events/1 seq:9
*/
