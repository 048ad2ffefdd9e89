/**
 * The worker whose effects are exactly once: its results are in the same database as the offsets. It may be killed at
 * any moment, and goes on where it was when it is started again. This is the part to copy.
 */
import { pipeline } from 'node:stream/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { type FileLine, readLines, transactionalSink } from 'streamweave-offset';
import type { ExactlyOnceJob, ExactlyOnceReport } from './exactly-once.js';
import { receive } from './job.js';
import { openTarget } from './store.js';
import { summarise } from './work.js';

const { input, store: url, source, batchSize, rest } = receive() as ExactlyOnceJob;
const target = await openTarget(url);
let commits = 0;

// Where the last life got to: undefined the first time, and then reading begins at the start of the file.
const after = await target.store.inspect?.(source);

await pipeline(
  readLines(input, { after }),

  // Leaves time for kills where the file is small.
  async function* (lines: AsyncIterable<FileLine>) {
    let items = 0;
    for await (const line of lines) {
      yield line;
      if (rest !== undefined && ++items % rest.everyItems === 0) await delay(rest.ms);
    }
  },

  // The results of a batch and the offset of its last item, in one transaction: both are there, or neither.
  transactionalSink<FileLine, unknown>(target.store, {
    source,
    offsetOf: (line) => line.offset,
    metadataOf: (line) => line.metadata,
    batchSize,
    write(lines, tx) {
      const results = lines.map(({ line, offset }) => ({ offset: Number(offset.value), ...summarise(line) }));
      return target.write(source, results, tx);
    },
  }).on('commit', ({ offset }) => {
    const report: ExactlyOnceReport = {
      commits: ++commits,
      offset: offset.kind === 'sequence' ? Number(offset.value) : 0,
    };
    process.send?.(report);
  }),
);

// Whoever made a thing closes it.
await target.close();
