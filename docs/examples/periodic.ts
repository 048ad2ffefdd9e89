/** `periodic(10)`: nine records are pending, the tenth commits. */
import { CommitStrategy, InMemoryOffsetStore, OffsetTracker } from 'streamweave-offset';

const store = new InMemoryOffsetStore();
const tracker = new OffsetTracker(store, { strategy: CommitStrategy.periodic(10) });

for (let id = 0; id < 9; id++) await tracker.record('orders', id);
console.log('after 9 records:', await store.get('orders'), 'and', tracker.stats('orders').pending, 'pending');

await tracker.record('orders', 9);
console.log('after the 10th:', await store.get('orders'), 'and', tracker.stats('orders').pending, 'pending');
await tracker.close();

/* Prints:
after 9 records: undefined and 9 pending
after the 10th: { kind: 'sequence', value: 9n } and 0 pending
*/
