/**
 * Effects exactly once: the rows and the offset of the last item they came from change in one transaction. Stop this
 * wherever you like: the next run goes on after the last item whose row is there.
 * Run it with DATABASE_URL=postgres://user:password@host/database.
 */
import { pipeline } from 'node:stream/promises';
import { Pool, type PoolClient } from 'pg';
import { Offset, transactionalSink } from 'streamweave-offset';
import { PostgresOffsetStore } from 'streamweave-offset/postgres';

const pool = new Pool({ connectionString: process.env['DATABASE_URL'] });
pool.on('error', (error) => console.error('An idle connection was lost:', error.message));
const store = new PostgresOffsetStore(pool);
await pool.query('CREATE TABLE IF NOT EXISTS invoices (number bigint, total bigint)');

interface Order {
  readonly number: bigint;
  readonly total: bigint;
}

/** The orders after the one that was done last, as a queue or a table would give them. */
async function* orders(after: Offset | undefined): AsyncGenerator<Order> {
  const first = after?.kind === 'sequence' ? after.value + 1n : 1n;
  for (let number = first; number <= 10n; number++) yield { number, total: number * 100n };
}

for (const life of ['first', 'second']) {
  try {
    await pipeline(
      orders(await store.get('orders')),
      transactionalSink<Order, PoolClient>(store, {
        source: 'orders',
        offsetOf: ({ number }) => number,
        batchSize: 3,
        async write(items, tx) {
          for (const { number, total } of items) {
            await tx.query('INSERT INTO invoices (number, total) VALUES ($1, $2)', [number, total]);
            if (life === 'first' && number === 8n) throw new Error('the power failed');
          }
        },
      }),
    );
    console.log(`${life} life: done`);
  } catch (error) {
    const { rows } = await pool.query<{ n: string }>('SELECT count(*) AS n FROM invoices');
    const committed = await store.get('orders');
    console.log(
      `${life} life: ${(error as Error).message}; ${rows[0]?.n} rows, ${Offset.format(committed!)}`,
    );
  }
}

const { rows } = await pool.query<{ n: string; all: string; sum: string }>(
  'SELECT count(DISTINCT number) AS n, count(*) AS all, sum(total) AS sum FROM invoices',
);
console.log(`${rows[0]?.all} rows, ${rows[0]?.n} of them different, ${rows[0]?.sum} in all`);

await store.close();
await pool.end();

/* Prints:
first life: the power failed; 6 rows, seq:6
second life: done
10 rows, 10 of them different, 5500 in all
*/
