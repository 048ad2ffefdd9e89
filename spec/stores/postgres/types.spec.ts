import { expect, it } from '@jest/globals';
import { Client, Pool, type PoolClient } from 'pg';
import postgres from 'postgres';
import { PostgresOffsetStore, type PostgresTransaction } from '../../../lib/stores/postgres.js';

/** True where each of the two can stand for the other. */
type Same<A, B> = [A, B] extends [B, A] ? true : false;

it('knows what the statements of a transaction run on', () => {
  const types: readonly true[] = [
    true satisfies Same<PostgresTransaction<Pool>, PoolClient>,
    true satisfies Same<PostgresTransaction<Client>, Client>,
    true satisfies Same<PostgresTransaction<postgres.Sql>, postgres.TransactionSql>,
  ];
  expect(types).toHaveLength(3);
});

it('takes the clients of the drivers as they are typed, and knows what their transactions are', () => {
  const pool = new PostgresOffsetStore(new Pool());
  const client = new PostgresOffsetStore(new Client());
  const sql = new PostgresOffsetStore(postgres({ max: 1 }));
  const unused = [
    () => pool.transaction((tx) => tx.query<{ n: number }>('SELECT 1 AS n').then(({ rows }) => rows[0]!.n)),
    () => client.transaction((tx) => pool.using(tx as unknown as PoolClient).get('a')),
    () => sql.transaction(async (tx) => (await tx<Array<{ n: number }>>`SELECT 1 AS n`)[0]!.n),
  ];
  expect(unused).toHaveLength(3);
});
