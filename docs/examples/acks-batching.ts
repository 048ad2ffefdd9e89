/** Batches: rows are inserted a hundred at a time, and acked when their batch is in. */
import { setImmediate as turn } from 'node:timers/promises';
import { pipeline } from 'node:stream/promises';
import {
  CommitStrategy,
  type Delivery,
  InMemoryOffsetStore,
  Offset,
  OffsetTracker,
  withAcks,
} from 'streamweave-offset';

interface Row {
  readonly id: number;
}

const rows: Row[] = Array.from({ length: 250 }, (_, at) => ({ id: at + 1 }));
const store = new InMemoryOffsetStore();
const table = new Set<number>();
let inserts = 0;

/** The database: its third insert fails. */
async function insert(batch: readonly Row[]): Promise<void> {
  await turn();
  if (++inserts === 3) throw new Error('the database went away');
  for (const row of batch) table.add(row.id);
  console.log(`inserted ${batch.length} rows, ${batch[0]!.id} to ${batch.at(-1)!.id}`);
}

async function* batches<T>(items: AsyncIterable<T>, size: number): AsyncGenerator<T[]> {
  let batch: T[] = [];
  for await (const item of items) {
    batch.push(item);
    if (batch.length < size) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}

async function run(): Promise<void> {
  // One commit per batch is enough.
  await using tracker = new OffsetTracker(store, { strategy: CommitStrategy.periodic(100) });
  await pipeline(
    rows,
    // Room for a batch being inserted and the next one being filled.
    withAcks(tracker, {
      source: 'rows',
      offsetOf: (row: Row) => row.id,
      resume: 'skip',
      maxInFlight: 200,
    }),
    async (deliveries: AsyncIterable<Delivery<Row>>) => {
      for await (const batch of batches(deliveries, 100)) {
        await insert(batch.map((delivery) => delivery.value));
        await Promise.all(batch.map((delivery) => delivery.ack()));
      }
    },
  );
}

await run().catch((error: Error) => console.log(error.message));
console.log('committed', Offset.format((await store.get('rows'))!));
await run();
console.log('committed', Offset.format((await store.get('rows'))!), 'with', table.size, 'rows in the table');

/* Prints:
inserted 100 rows, 1 to 100
inserted 100 rows, 101 to 200
the database went away
committed seq:200
inserted 50 rows, 201 to 250
committed seq:250 with 250 rows in the table
*/
