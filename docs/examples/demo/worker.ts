/**
 * The worker: a pipeline that may be killed at any moment, and goes on where it was when it is started again.
 * This is the part to copy; the rest of the demo only kills it and checks what it did.
 */
import { pipeline } from 'node:stream/promises';
import { commitOffsets, type FileLine, OffsetTracker, readLines } from 'streamweave-offset';
import { receiveJob, reportCommit } from './job.js';
import { openStore } from './store.js';
import { parseStrategy } from './strategy.js';
import { Work } from './work.js';

const job = receiveJob();
const store = openStore(job.store);
const tracker = new OffsetTracker(store, { strategy: parseStrategy(job.strategy) });
const work = new Work(job);

// Where the last life got to: undefined the first time, and then reading begins at the start of the file.
const after = await tracker.getCheckpoint(job.source);

await pipeline(
  readLines(job.input, { after }),

  // The work comes first …
  async function* (lines: AsyncIterable<FileLine>) {
    for await (const line of lines) {
      await work.do(line.line, line.offset.value);
      yield line;
    }
  },

  // … and an item that gets here is done: its offset is recorded, and committed as the strategy says. The
  // metadata has the file's fingerprint, so that another file at the same path would be refused. With a buffer
  // of 1 no item is worked on while the one before it waits to be recorded.
  commitOffsets<FileLine>(tracker, {
    source: job.source,
    offsetOf: (line) => line.offset,
    metadataOf: (line) => line.metadata,
    highWaterMark: 1,
  }).on('commit', reportCommit),
);

// Here everything is committed. Whoever made a thing closes it.
await tracker.close();
await store.close?.();
work.close();
