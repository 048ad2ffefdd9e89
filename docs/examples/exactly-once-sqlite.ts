/** Effects that are exactly once: results and offsets are in one SQLite database, and change in one transaction. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import Database from 'libsql'; // better-sqlite3 and node:sqlite do as well
import { transactionalSink } from 'streamweave-offset';
import { SqliteOffsetStore } from 'streamweave-offset/sqlite';

interface Order {
  readonly id: number;
  readonly total: number;
}

const orders: Order[] = Array.from({ length: 10 }, (_, id) => ({ id, total: id * 10 }));

const folder = await mkdtemp(join(tmpdir(), 'streamweave-offset-'));
const database = new Database(join(folder, 'shop.db'));
// With these a commit also survives a power failure.
database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL');
database.exec('CREATE TABLE invoices ("order" INTEGER, total INTEGER)');
const store = new SqliteOffsetStore(database);

/** Writes an invoice for each order, four in a transaction; fails at one of them, if it is to. */
async function run(failAt?: number): Promise<void> {
  await pipeline(
    // The source replays from its beginning; with resume: 'skip' what is done is dropped.
    Readable.from(orders),
    transactionalSink<Order, Database.Database>(store, {
      source: 'orders',
      offsetOf: (order) => order.id,
      resume: 'skip',
      batchSize: 4,
      write(batch, tx) {
        const insert = tx.prepare('INSERT INTO invoices VALUES (?, ?)');
        for (const { id, total } of batch) {
          if (id === failAt) throw new Error(`no invoice for order ${id}`);
          insert.run(id, total);
        }
      },
    }),
  );
}

function invoices(): string {
  const rows = database.prepare('SELECT "order" FROM invoices').all() as { order: number }[];
  return rows.map(({ order }) => order).join(' ');
}

try {
  await run(6);
} catch (error) {
  console.log(`failed: ${(error as Error).message}`);
}
// Orders 4 and 5 had been written when 6 failed, and were rolled back with it.
console.log(`invoices: ${invoices()}`);

await run();
console.log(`invoices: ${invoices()}`);

await store.close();
database.close();
await rm(folder, { recursive: true });

/* Prints:
failed: no invoice for order 6
invoices: 0 1 2 3
invoices: 0 1 2 3 4 5 6 7 8 9
*/
