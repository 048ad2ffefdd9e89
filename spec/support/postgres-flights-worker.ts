/**
 * A process that writes flights into a table, exactly once: `postgres-flights-worker <driver> <url> <file> <table>`.
 * It goes on where the one before it was killed, and ends when all lines are written.
 */
import { pipeline } from 'node:stream/promises';
import { Pool } from 'pg';
import postgres from 'postgres';
import { type FileLine, readLines } from '../../lib/sources/lines.js';
import { PostgresOffsetStore } from '../../lib/stores/postgres.js';
import { transactionalSink } from '../../lib/streams/transactional-sink.js';
import type { TransactionalOffsetStore } from '../../lib/transactional-store.js';

const [driver = '', url = '', file = '', table = ''] = process.argv.slice(2);
const INSERT = `INSERT INTO ${table} (position, line) SELECT * FROM unnest($1::bigint[], $2::text[])`;

async function run<Tx>(
  store: TransactionalOffsetStore<Tx>,
  insert: (tx: Tx, positions: string[], lines: string[]) => Promise<unknown>,
): Promise<void> {
  const after = await store.inspect!(table);
  await pipeline(
    readLines(file, { after }),
    transactionalSink<FileLine, Tx>(store, {
      source: table,
      offsetOf: (line) => line.offset,
      metadataOf: (line) => line.metadata,
      batchSize: 20,
      retry: { retries: 30, minDelayMs: 20, maxDelayMs: 500 },
      write: (items, tx) =>
        insert(
          tx,
          items.map(({ offset }) => String(offset.value)),
          items.map(({ line }) => line),
        ),
    }),
  );
}

async function main(): Promise<void> {
  // The first call of a life may meet a server that is just coming up.
  for (let tries = 0; ; tries++) {
    try {
      if (driver === 'pg') {
        const pool = new Pool({ connectionString: url, max: 2 });
        pool.on('error', () => {});
        await run(new PostgresOffsetStore(pool), (tx, positions, lines) =>
          tx.query(INSERT, [positions, lines]),
        );
        await pool.end();
      } else {
        const sql = postgres(url, { max: 2, onnotice: () => {}, backoff: () => 0.02 });
        await run(new PostgresOffsetStore(sql), (tx, positions, lines) =>
          tx.unsafe(INSERT, [positions, lines]),
        );
        await sql.end({ timeout: 0 });
      }
      return;
    } catch (error) {
      if ((error as { code?: unknown }).code !== 'OFFSET_IO' || tries >= 20) throw error;
      await new Promise((resolve) => {
        setTimeout(resolve, 50);
      });
    }
  }
}

// What is killed with its parent is not left behind.
process.once('disconnect', () => process.exit(1));
main().then(
  () => process.exit(0),
  (error: unknown) => {
    console.error(error);
    process.exit(1);
  },
);
