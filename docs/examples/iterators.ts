/** Loops: any iterable through iterateWithOffsets(); asking for the next item records the last. */
import { CommitStrategy, InMemoryOffsetStore, iterateWithOffsets, OffsetTracker } from 'streamweave-offset';

const store = new InMemoryOffsetStore();
const tracker = new OffsetTracker(store, { strategy: CommitStrategy.periodic(100) });
const committed = async (): Promise<void> => console.log('committed', await store.getAll());

// An array that is the same at every start: what is done already does not come again.
async function letters(stopAt?: string): Promise<void> {
  const seen: string[] = [];
  const items = ['a', 'b', 'c', 'd', 'e'];
  for await (const letter of iterateWithOffsets(items, tracker, { source: 'letters', resume: 'skip' })) {
    if (letter === stopAt) break; // not recorded, for its work is not done
    seen.push(letter);
  }
  console.log('did', seen.join(' '));
}
await letters('c');
await committed();
await letters();
await committed();

// An async generator that starts after an offset, as a query or a feed does.
async function* ordersAfter(id: number) {
  for (let next = id + 1; next <= 103; next++) yield { id: next, total: next * 10 };
}
const offset = await tracker.getOffset('orders');
const orders = ordersAfter(offset.kind === 'sequence' ? Number(offset.value) : 100);
try {
  for await (const order of iterateWithOffsets(orders, tracker, {
    source: 'orders',
    offsetOf: (order) => order.id,
  })) {
    if (order.total > 1020) throw new Error(`no stock for order ${order.id}`);
    console.log('order', order.id);
  }
} catch (error) {
  console.log((error as Error).message);
}
await committed();
await tracker.close();

/* Prints:
did a b
committed Map(1) { 'letters' => { kind: 'sequence', value: 1n } }
did c d e
committed Map(1) { 'letters' => { kind: 'sequence', value: 4n } }
order 101
order 102
no stock for order 103
committed Map(2) {
  'letters' => { kind: 'sequence', value: 4n },
  'orders' => { kind: 'sequence', value: 102n }
}
*/
