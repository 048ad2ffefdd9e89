/** One tracker serves any number of sources, each with an offset of its own. */
import { CommitStrategy, InMemoryOffsetStore, Offset, OffsetTracker } from 'streamweave-offset';

const store = new InMemoryOffsetStore();
const tracker = new OffsetTracker(store, { strategy: CommitStrategy.periodic(100) });

await tracker.record('orders/0', 10n);
await tracker.record('orders/1', 77n);
await tracker.record('audit', new Date('2026-01-01T00:00:00Z'));
await tracker.record('mailbox', 'cursor-5f3a');

await tracker.commitAll(); // one atomic step where the store can
for (const [source, offset] of await tracker.getAllCommitted()) console.log(source, Offset.format(offset));
await tracker.close();

/* Prints:
orders/0 seq:10
orders/1 seq:77
audit ts:2026-01-01T00:00:00.000Z
mailbox custom:cursor-5f3a
*/
