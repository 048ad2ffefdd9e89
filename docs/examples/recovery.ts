/** Recovery: what to ask of a source, by the kind of the committed offset. */
import { InMemoryOffsetStore, Offset, OffsetTracker } from 'streamweave-offset';

const tracker = new OffsetTracker(
  new InMemoryOffsetStore([
    ['orders', 41],
    ['audit', new Date('2026-01-01T00:00:00Z')],
    ['mailbox', 'cursor-5f3a'],
    ['feed', Offset.latest],
  ]),
);

for (const source of ['orders', 'audit', 'mailbox', 'feed', 'new']) {
  const offset = await tracker.getOffset(source);
  switch (offset.kind) {
    case 'sequence':
      console.log(`${source}: WHERE id > ${offset.value}`);
      break;
    case 'timestamp':
      console.log(`${source}: WHERE created_at > ${offset.value.toISOString()}`);
      break;
    case 'custom':
      console.log(`${source}: the page after ${offset.value}`);
      break;
    case 'earliest':
      console.log(`${source}: everything`);
      break;
    case 'latest':
      console.log(`${source}: only what comes from now on`);
      break;
  }
}
await tracker.close();

/* Prints:
orders: WHERE id > 41
audit: WHERE created_at > 2026-01-01T00:00:00.000Z
mailbox: the page after cursor-5f3a
feed: only what comes from now on
new: everything
*/
