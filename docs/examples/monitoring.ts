/** Monitoring: what trackers tell on diagnostics channels, a tracker's figures, and how far it lies behind. */
import { subscribe } from 'node:diagnostics_channel';
import { CommitStrategy, InMemoryOffsetStore, Offset, OffsetTracker } from 'streamweave-offset';

// Once for the process: every tracker in it publishes here.
subscribe('streamweave-offset:commit', (message) => {
  const { source, offset, items } = message as { source: string; offset: Offset; items: number };
  console.log('committed', source, Offset.format(offset), 'with', items, 'items');
});
subscribe('streamweave-offset:commit-error', (message) => {
  const { source, error } = message as { source: string; error: Error };
  console.log('not committed', source, error.message);
});

const store = new InMemoryOffsetStore();
const newest = 10; // what the source would say
let handled = 0;

async function run(stopAfter: number): Promise<OffsetTracker> {
  const tracker = new OffsetTracker(store, { strategy: CommitStrategy.periodic(3) });
  const start = await tracker.getOffset('orders');
  for (let id = start.kind === 'sequence' ? Number(start.value) + 1 : 1; id <= stopAfter; id++) {
    handled++;
    await tracker.record('orders', id);
  }
  return tracker;
}

// Crashes with two orders recorded and not committed: close() is never called.
const crashed = await run(5);
const { pending, committed, commits } = crashed.stats('orders');
console.log('pending', pending, 'committed', Offset.format(committed!), 'commits', commits);
console.log('behind by', (await crashed.lag('orders', newest)).positions);

// The next one takes over, and repeats the two.
const tracker = await run(newest);
await tracker.commitAll();
console.log('behind by', (await tracker.lag('orders', newest)).positions, 'and repeated', handled - newest);
await tracker.close();

/* Prints:
committed orders seq:3 with 3 items
pending 2 committed seq:3 commits 1
behind by 7n
committed orders seq:6 with 3 items
committed orders seq:9 with 3 items
committed orders seq:10 with 1 items
behind by 0n and repeated 2
*/
