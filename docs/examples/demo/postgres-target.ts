import { Pool, type PoolClient } from 'pg';
import { PostgresOffsetStore } from 'streamweave-offset/postgres';
import type { ExactlyOnceTarget } from './target.js';

/** A Postgres database, by its URL. */
export function openPostgres(url: string): ExactlyOnceTarget<PoolClient> {
  const pool = new Pool({ connectionString: url, max: 2 });
  // A connection that is lost while nobody uses it; the pool makes another when one is needed.
  pool.on('error', () => {});
  const store = new PostgresOffsetStore(pool);
  return {
    store,
    async start(source) {
      await pool.query(
        'CREATE TABLE IF NOT EXISTS flights_done (id bigserial PRIMARY KEY, source text NOT NULL, ' +
          'position bigint NOT NULL, band text NOT NULL, value double precision NOT NULL)',
      );
      await pool.query('DELETE FROM flights_done WHERE source = $1', [source]);
    },
    async write(source, results, tx) {
      await tx.query(
        'INSERT INTO flights_done (source, position, band, value) ' +
          'SELECT $1, * FROM unnest($2::bigint[], $3::text[], $4::double precision[])',
        [
          source,
          results.map(({ offset }) => offset),
          results.map(({ group }) => group),
          results.map(({ value }) => value),
        ],
      );
    },
    async read(source) {
      return await store.transaction(async (tx) => {
        // The server may still be about to commit what a killed worker asked for. Until then the offset is locked.
        await tx.query('SELECT FROM streamweave_offsets WHERE source = $1 FOR UPDATE', [source]);
        const { rows } = await tx.query<{ offset: string; group: string; value: number }>(
          'SELECT position AS "offset", band AS "group", value FROM flights_done WHERE source = $1 ORDER BY id',
          [source],
        );
        return rows.map(({ offset, group, value }) => ({ offset: Number(offset), group, value }));
      });
    },
    async close() {
      await store.close();
      await pool.end();
    },
  };
}
