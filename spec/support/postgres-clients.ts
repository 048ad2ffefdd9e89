/** The drivers for Postgres, alike for the specs that go over all of them. */
import { Client, type ClientBase, Pool } from 'pg';
import postgres from 'postgres';
import {
  type PostgresClient,
  PostgresOffsetStore,
  type PostgresOffsetStoreOptions,
  type PostgresTransaction,
} from '../../lib/stores/postgres.js';

type Rows = Array<Record<string, unknown>>;

/** A store on whichever driver; specs do not care what its transactions are. */
export type AnyStore = PostgresOffsetStore;

/** A driver's client, and what a spec does with it. */
export interface Connection {
  readonly store: (options?: PostgresOffsetStoreOptions) => AnyStore;
  /** Runs a statement by itself. */
  readonly query: (text: string) => Promise<Rows>;
  /** Runs a statement in a transaction of a store's. */
  readonly queryIn: (tx: PostgresTransaction<PostgresClient>, text: string) => Promise<Rows>;
  readonly end: () => Promise<void>;
}

const queryPg = async (tx: unknown, text: string): Promise<Rows> =>
  (await (tx as ClientBase).query(text)).rows as Rows;

const queryPostgresJs = async (tx: unknown, text: string): Promise<Rows> => [
  ...(await (tx as postgres.Sql).unsafe<Rows>(text)),
];

async function connectPool(url: string): Promise<Connection> {
  const pool = new Pool({ connectionString: url, max: 8 });
  pool.on('error', () => {});
  return {
    store: (options) => new PostgresOffsetStore<PostgresClient>(pool, options),
    query: async (text) => (await pool.query(text)).rows as Rows,
    queryIn: queryPg,
    end: () => pool.end(),
  };
}

async function connectClient(url: string): Promise<Connection> {
  const client = new Client({ connectionString: url });
  client.on('error', () => {});
  await client.connect();
  return {
    store: (options) => new PostgresOffsetStore<PostgresClient>(client, options),
    query: (text) => queryPg(client, text),
    queryIn: queryPg,
    end: () => client.end(),
  };
}

async function connectPostgresJs(url: string): Promise<Connection> {
  const sql = postgres(url, { max: 8, onnotice: () => {}, backoff: () => 0.02 });
  return {
    store: (options) => new PostgresOffsetStore<PostgresClient>(sql, options),
    query: (text) => queryPostgresJs(sql, text),
    queryIn: queryPostgresJs,
    end: () => sql.end({ timeout: 0 }),
  };
}

/** Every way to give a store its connection. */
export const DRIVERS = [
  ['a Pool of pg', connectPool],
  ['a Client of pg', connectClient],
  ['the sql of postgres', connectPostgresJs],
] as const;
