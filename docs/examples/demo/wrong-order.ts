/**
 * How not to do it (`npm run demo -- --wrong-order`): the worker with its two stages exchanged. Offsets are
 * recorded, and then committed, when the lines are read; their work comes afterwards. What is killed between the
 * two is never done: the next life goes on after it. Compare worker.ts.
 */
import { pipeline } from 'node:stream/promises';
import { type FileLine, OffsetTracker, readLines, withOffsets } from 'streamweave-offset';
import { receiveJob, reportCommit } from './job.js';
import { openStore } from './store.js';
import { parseStrategy } from './strategy.js';
import { Work } from './work.js';

const job = receiveJob();
const store = openStore(job.store);
const tracker = new OffsetTracker(store, { strategy: parseStrategy(job.strategy) });
const work = new Work(job);
const after = await tracker.getCheckpoint(job.source);

await pipeline(
  readLines(job.input, { after }),

  // Wrong: passing through is not being processed. What stands behind this stage has not done these items yet.
  withOffsets<FileLine>(tracker, {
    source: job.source,
    offsetOf: (line) => line.offset,
    metadataOf: (line) => line.metadata,
    highWaterMark: 100,
  }).on('commit', reportCommit),

  async function (lines: AsyncIterable<FileLine>) {
    for await (const line of lines) await work.do(line.line, line.offset.value);
  },
);

await tracker.close();
await store.close?.();
work.close();
