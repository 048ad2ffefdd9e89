/** Errors: by code, by class, with the source that they are about. */
import { FencedError, InMemoryOffsetStore, OffsetError, OffsetTracker } from 'streamweave-offset';

const store = new InMemoryOffsetStore([['orders', 7]]);
const tracker = new OffsetTracker(store);
await tracker.getOffset('orders');

async function attempt(work: () => Promise<void>): Promise<void> {
  // #region handle
  try {
    await work();
  } catch (error) {
    if (error instanceof FencedError) {
      console.log(`${error.source} is another's now`); // stop working on it
    } else if (error instanceof OffsetError && error.code === 'OFFSET_BEHIND') {
      console.log(`${error.source} is further on already`);
    } else {
      throw error;
    }
  }
  // #endregion
}

await attempt(() => tracker.record('orders', 5));
await store.claim('orders'); // somebody else takes it over
await attempt(() => tracker.record('orders', 8));

/* Prints:
orders is further on already
orders is another's now
*/
