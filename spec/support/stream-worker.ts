/**
 * A process to be killed: it appends every line of a file to another, and commits the offset of each. Arguments:
 * the file of lines, the file of what is done, the file of offsets, how many items there are to a commit, and `hold`
 * for one that does not end by itself.
 */
import { openSync, writeSync } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import {
  commitOffsets,
  CommitStrategy,
  type FileLine,
  FileOffsetStore,
  OffsetTracker,
  readLines,
} from 'streamweave-offset';

const [lines, done, offsets, n, hold] = process.argv.slice(2) as [string, string, string, string, string?];
if (hold === 'hold') setInterval(() => undefined, 1_000);
const tracker = new OffsetTracker(new FileOffsetStore(offsets), {
  strategy: CommitStrategy.periodic(Number(n)),
});
const out = openSync(done, 'a');
await pipeline(
  readLines(lines, { after: await tracker.getCheckpoint('lines') }),
  async function* (items: AsyncIterable<FileLine>) {
    for await (const item of items) {
      // One system call, which a kill cannot cut in two.
      writeSync(out, `${item.line}\n`);
      yield item;
    }
  },
  commitOffsets(tracker, {
    source: 'lines',
    offsetOf: (item: FileLine) => item.offset,
    metadataOf: (item) => item.metadata,
  }),
);
await tracker.close();
