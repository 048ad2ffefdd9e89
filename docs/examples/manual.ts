/** `manual`: nothing is committed until you say so. */
import { CommitStrategy, InMemoryOffsetStore, OffsetTracker } from 'streamweave-offset';

const store = new InMemoryOffsetStore();
const tracker = new OffsetTracker(store, { strategy: CommitStrategy.manual });

await tracker.record('orders', 100);
await tracker.record('orders', 101);
console.log('pending', await tracker.getAllPending());
console.log('committed', await tracker.getAllCommitted());

await tracker.commit('orders');
console.log('pending', await tracker.getAllPending());
console.log('committed', await tracker.getAllCommitted());
await tracker.close();

/* Prints:
pending Map(1) { 'orders' => { kind: 'sequence', value: 101n } }
committed Map(0) {}
pending Map(0) {}
committed Map(1) { 'orders' => { kind: 'sequence', value: 101n } }
*/
