/** A tracker on a store of one's own. */
import { FencedError, Offset, OffsetTracker } from 'streamweave-offset';
import { LmdbOffsetStore } from './own-store/lmdb-store.js';

const store = new LmdbOffsetStore('offsets.lmdb');

const old = new OffsetTracker(store, { exclusive: true });
await old.record('orders', 1);

const young = new OffsetTracker(store, { exclusive: true });
console.log('goes on after', Offset.format(await young.getOffset('orders')));
await young.record('orders', 2);

await old.record('orders', 2).catch((error: unknown) => {
  console.log('the old one is refused:', error instanceof FencedError);
});
await young.close();
await store.close();

/* Prints:
goes on after seq:1
the old one is refused: true
*/
