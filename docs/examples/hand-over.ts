/** One source, two workers by mistake: the newest owner wins, and the older one is told. */
import { FencedError, FileOffsetStore, OffsetTracker } from 'streamweave-offset';

// (Two processes in earnest; two stores over one file are the same to it.)
await using oldStore = new FileOffsetStore('offsets.json');
await using newStore = new FileOffsetStore('offsets.json');

// #region handover
const old = new OffsetTracker(oldStore, { exclusive: true });
await old.record('orders', 1);

// Deployed anew: another worker starts while the old one is still there.
const young = new OffsetTracker(newStore, { exclusive: true });
console.log('goes on after', await young.getOffset('orders'));
await young.record('orders', 2);

try {
  await old.record('orders', 2);
} catch (error) {
  if (!(error instanceof FencedError)) throw error;
  console.log('the old worker stops:', error.code); // the source is another's now
}
// #endregion

await young.close();
await old.close().catch(() => undefined); // what it had pending is refused again

/* Prints:
goes on after { kind: 'sequence', value: 1n }
the old worker stops: OFFSET_FENCED
*/
