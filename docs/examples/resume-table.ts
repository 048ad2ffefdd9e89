/** A table feed: what comes after the committed id, in the order of ids. */
import Database from 'libsql';
import { InMemoryOffsetStore, OffsetTracker } from 'streamweave-offset';

interface Order {
  readonly id: number;
  readonly total: number;
}

const database = new Database(':memory:');
database.exec('CREATE TABLE orders (id INTEGER PRIMARY KEY, total INTEGER)');
const insert = database.prepare('INSERT INTO orders (total) VALUES (?)');
for (const total of [10, 20, 30, 40]) insert.run(total);

const store = new InMemoryOffsetStore();

async function run(): Promise<void> {
  // #region run
  await using tracker = new OffsetTracker(store);
  const done = await tracker.getOffset('orders');
  const query = database.prepare('SELECT id, total FROM orders WHERE id > ? ORDER BY id');
  const orders = query.iterate(done.kind === 'sequence' ? Number(done.value) : 0);
  for (const order of orders as Iterable<Order>) {
    console.log('handled', order); // your work …
    await tracker.record('orders', order.id); // … is done
  }
  // #endregion
}

await run();
insert.run(50);
console.log('later');
await run();

/* Prints:
handled { id: 1, total: 10 }
handled { id: 2, total: 20 }
handled { id: 3, total: 30 }
handled { id: 4, total: 40 }
later
handled { id: 5, total: 50 }
*/
