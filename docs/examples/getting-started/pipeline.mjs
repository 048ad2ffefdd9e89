import { pipeline } from 'node:stream/promises';
import { commitOffsets, FileOffsetStore, OffsetTracker, readLines } from 'streamweave-offset';

const store = new FileOffsetStore('offsets.json');
const tracker = new OffsetTracker(store);

await pipeline(
  readLines('events.jsonl', { after: await tracker.getCheckpoint('events') }),
  async function* work(lines) {
    for await (const line of lines) {
      console.log('handled', JSON.parse(line.line).what);
      yield line;
    }
  },
  commitOffsets(tracker, {
    source: 'events',
    offsetOf: (line) => line.offset,
    metadataOf: (line) => line.metadata,
  }),
);

await tracker.close();
await store.close();
