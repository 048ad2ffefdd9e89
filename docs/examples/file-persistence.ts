/** Offsets in a file are there after a restart. */
import { FileOffsetStore, OffsetTracker } from 'streamweave-offset';

// Before the restart.
{
  const store = new FileOffsetStore('offsets.json');
  const tracker = new OffsetTracker(store);
  await tracker.record('orders', 41);
  await tracker.close(); // commits what is pending
  await store.close(); // whoever makes a store closes it
}

// After it: another process would see the same.
{
  await using store = new FileOffsetStore('offsets.json');
  await using tracker = new OffsetTracker(store);
  console.log('resume after', await tracker.getOffset('orders'));
}

/* Prints:
resume after { kind: 'sequence', value: 41n }
*/
