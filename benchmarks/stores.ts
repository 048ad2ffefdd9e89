import path from 'node:path';
import { Redis } from 'ioredis';
import Database from 'libsql';
import { Pool } from 'pg';
import { type CommitEntry, Offset, type OffsetStore } from 'streamweave-offset';
import { PostgresOffsetStore } from 'streamweave-offset/postgres';
import { RedisOffsetStore } from 'streamweave-offset/redis';
import { SqliteOffsetStore } from 'streamweave-offset/sqlite';
import { missingPostgres, PostgresServer } from '../spec/support/postgres-server.js';
import { DURABLE, missingRedis, RedisServer } from '../spec/support/redis-server.js';
import type { Bench, Suite } from './harness/bench.js';
import type { Variant } from './harness/compare.js';

/** How many entries a commitMany() has. */
const MANY = 1000;

/** The offsets of all rounds go on, as those of a stream do. */
let next = 0;

function bare(name: string, count: number, save: (position: number) => unknown): Variant {
  return {
    name,
    prepare: () => ({
      run: async () => {
        for (let i = 0; i < count; i++) await save(++next);
        return count;
      },
    }),
  };
}

function single(name: string, count: number, store: OffsetStore): Variant {
  return bare(name, count, (position) => store.commit('source', Offset.sequence(position)));
}

/** Counted in entries, so that it compares with single commits. */
function many(name: string, times: number, store: Required<Pick<OffsetStore, 'commitMany'>>): Variant {
  return {
    name,
    prepare: () => ({
      run: async () => {
        for (let i = 0; i < times; i++) {
          const offset = Offset.sequence(++next);
          const entries = Array.from({ length: MANY }, (_, at): CommitEntry => ({
            source: `source-${at}`,
            offset,
          }));
          await store.commitMany(entries);
        }
        return times * MANY;
      },
    }),
  };
}

interface Measured {
  readonly title: string;
  /** What the bare statement is called, and what runs it. */
  readonly statement: string;
  readonly save: (position: number) => unknown;
  readonly store: OffsetStore & Required<Pick<OffsetStore, 'commitMany'>>;
  /** How much of the bare statement's speed is wanted. */
  readonly wanted: number;
  readonly count: number;
}

async function measure(
  bench: Bench,
  { title, statement, save, store, wanted, count }: Measured,
): Promise<void> {
  const name = store.constructor.name;
  const commit = `${name}, commit`;
  const together = `${name}, commitMany of ${MANY.toLocaleString('en')}`;
  const group = await bench.compare(
    title,
    [bare(statement, count, save), single(commit, count, store), many(together, bench.pick(5, 2), store)],
    bench.pick(31, 3),
  );
  bench.atLeast(`${title}: commit against the bare statement`, group.between(commit, statement), wanted);
  bench.atLeast(
    `${title}: commitMany of ${MANY.toLocaleString('en')} against single commits (entries/s)`,
    group.between(together, commit),
    50,
  );
}

async function sqlite(bench: Bench): Promise<void> {
  const open = async (): Promise<Database.Database> => {
    const database = new Database(path.join(await bench.folder(), 'offsets.db'));
    database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL');
    return database;
  };
  const raw = await open();
  raw.exec(
    'CREATE TABLE offsets (source TEXT PRIMARY KEY, position TEXT, committed_at INTEGER) WITHOUT ROWID',
  );
  const upsert = raw.prepare(
    'INSERT INTO offsets VALUES (?, ?, ?) ON CONFLICT (source) DO UPDATE SET position = excluded.position, ' +
      'committed_at = excluded.committed_at',
  );
  const database = await open();
  const store = new SqliteOffsetStore(database);
  await measure(bench, {
    title: 'SQLite (libsql, WAL, synchronous = FULL)',
    statement: 'raw prepared upsert',
    save: (position) => upsert.run('source', String(position), Date.now()),
    store,
    wanted: 0.85,
    count: bench.pick(300, 50),
  });
  await store.close();
  database.close();
  raw.close();
}

async function postgres(bench: Bench): Promise<void> {
  const missing = missingPostgres();
  if (missing !== undefined) {
    bench.note(`Left out: Postgres, for ${missing}`);
    return;
  }
  const server = await PostgresServer.start();
  // One connection, for both: what is compared are the statements.
  const pool = new Pool({ connectionString: server.url(), max: 1 });
  try {
    await pool.query(
      'CREATE TABLE bare (source text PRIMARY KEY, position numeric(20), committed_at timestamptz)',
    );
    const store = new PostgresOffsetStore(pool);
    await measure(bench, {
      title: 'Postgres (pg, defaults: synchronous_commit = on)',
      statement: 'bare upsert',
      save: (position) =>
        pool.query({
          name: 'bare',
          text:
            'INSERT INTO bare VALUES ($1, $2, now()) ON CONFLICT (source) DO UPDATE SET position = excluded.position, ' +
            'committed_at = excluded.committed_at',
          values: ['source', String(position)],
        }),
      store,
      wanted: 0.9,
      count: bench.pick(300, 50),
    });
    await store.close();
  } finally {
    await pool.end();
    await server.remove();
  }
}

async function redis(bench: Bench): Promise<void> {
  const missing = missingRedis();
  if (missing !== undefined) {
    bench.note(`Left out: Redis, for ${missing} (apt-get install redis-server)`);
    return;
  }
  const server = await RedisServer.start(DURABLE);
  const client = new Redis(server.url);
  try {
    const store = new RedisOffsetStore(client);
    await measure(bench, {
      title: 'Redis (ioredis, appendfsync always)',
      statement: 'bare HSET',
      save: (position) => client.hset('bare', 'source', `${position} ${Date.now()}`),
      store,
      wanted: 0.9,
      count: bench.pick(300, 50),
    });
    await store.close();
  } finally {
    await client.quit();
    await server.stop();
  }
}

async function run(bench: Bench): Promise<void> {
  await sqlite(bench);
  await postgres(bench);
  await redis(bench);
}

export const stores: Suite = {
  name: 'stores',
  question: 'What does a commit cost in a database, beside the bare statement with the same durability?',
  run,
};
