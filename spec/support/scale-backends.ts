/** The databases of the scale runs: a store on each, and the bare statements that it is measured beside. */
import { Redis } from 'ioredis';
import { Pool } from 'pg';
import type { OffsetStore } from '../../lib/offset-store.js';
import { Statements } from '../../lib/stores/postgres/statements.js';
import { PostgresOffsetStore } from '../../lib/stores/postgres.js';
import { aheadOf, COMMIT } from '../../lib/stores/redis/scripts.js';
import { RedisOffsetStore } from '../../lib/stores/redis.js';
import { checkedTableName } from '../../lib/stores/table-name.js';

export type ScaleKind = 'redis' | 'postgres';

export interface ScaleBackend {
  readonly store: OffsetStore & Required<Pick<OffsetStore, 'commitMany'>>;
  /** By name; each moves a source to the value, on a copy of what the store keeps, and as it would. */
  readonly bare: Readonly<Record<string, (source: string, value: number) => Promise<unknown>>>;
  /** Makes the copies. */
  copy(): Promise<void>;
  end(): Promise<void>;
}

/** On one connection of a process, or a pool with one for each of its trackers. */
export async function openBackend(kind: ScaleKind, url: string, trackers: number): Promise<ScaleBackend> {
  return kind === 'redis' ? await openRedis(url) : openPostgres(url, trackers);
}

const digits = (value: number): string => String(value).padStart(20, '0');

async function openRedis(url: string): Promise<ScaleBackend> {
  const client = new Redis(url);
  const store = new RedisOffsetStore(client);
  const hset = (await client.script(
    'LOAD',
    "return redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])",
  )) as string;
  await client.script('LOAD', COMMIT.lua);
  const text = (value: number): string => `0 sequence ${Date.now()} \n${digits(value)}`;
  return {
    store,
    bare: {
      "the store's script": (source, value) =>
        client.evalsha(
          COMMIT.sha,
          1,
          'script',
          source,
          text(value),
          ...aheadOf(0, 'sequence', digits(value)),
        ),
      'HSET in a script': (source, value) => client.evalsha(hset, 1, 'evalsha', source, text(value)),
      HSET: (source, value) => client.hset('hset', source, text(value)),
    },
    copy: async () => {
      for (const key of ['script', 'evalsha', 'hset']) await client.copy(store.key, key);
    },
    end: async () => client.disconnect(),
  };
}

function openPostgres(url: string, trackers: number): ScaleBackend {
  const pool = new Pool({ connectionString: url, max: trackers });
  const own = new Statements(checkedTableName('own')).commit(0, false);
  return {
    store: new PostgresOffsetStore(pool),
    bare: {
      "the store's statement": (source, value) =>
        pool.query({ ...own, values: [source, 'sequence', digits(value), null] }),
      'UPDATE by key': (source, value) =>
        pool.query({
          name: 'bare',
          text: 'UPDATE bare SET position = $2, committed_at = clock_timestamp() WHERE source = $1',
          values: [source, digits(value)],
        }),
    },
    copy: async () => {
      for (const table of ['own', 'bare']) {
        await pool.query(`CREATE TABLE ${table} (LIKE streamweave_offsets INCLUDING ALL)`);
        await pool.query(`INSERT INTO ${table} TABLE streamweave_offsets`);
      }
      await pool.query('VACUUM ANALYZE');
      await pool.query('CHECKPOINT');
    },
    end: () => pool.end(),
  };
}
