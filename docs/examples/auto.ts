/** `auto`, the default: `record()` resolves once the offset is committed. */
import { InMemoryOffsetStore, Offset, OffsetTracker } from 'streamweave-offset';

const store = new InMemoryOffsetStore();
const tracker = new OffsetTracker(store);

for (const id of [0, 1, 2]) {
  // … the work for the item, and then:
  await tracker.record('orders', id);
  console.log('committed', Offset.format((await store.get('orders'))!));
}
await tracker.close();

/* Prints:
committed seq:0
committed seq:1
committed seq:2
*/
