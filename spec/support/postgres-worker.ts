/** One of several processes on one table. Its argument is a {@link PostgresJob}; it prints what it did line by line. */
import { Pool } from 'pg';
import postgres from 'postgres';
import type { OffsetStore } from '../../lib/offset-store.js';
import { PostgresOffsetStore } from '../../lib/stores/postgres.js';
import { Random } from './fire-random.js';
import { type RegisterJob, useRegister } from './register-client.js';
import { lineOf } from './register-processes.js';

export interface PostgresJob {
  readonly driver: 'pg' | 'postgres';
  readonly url: string;
  readonly table: string;
  readonly seed: number;
  /** Whether it commits each offset together with another of its own, by `commitMany()`. */
  readonly together: boolean;
  readonly register: RegisterJob;
}

const { driver, url, table, seed, together, register } = JSON.parse(process.argv[2]!) as PostgresJob;

async function use(store: PostgresOffsetStore): Promise<void> {
  const used: OffsetStore = {
    get: (source) => store.get(source),
    getAll: () => store.getAll(),
    claim: (source) => store.claim(source),
    clear: (source) => store.clear(source),
    clearAll: () => store.clearAll(),
    commit: (source, offset, options) =>
      together
        ? store.commitMany([
            { source, offset, ...options },
            { source: `own of ${register.process}`, offset, allowRegression: true },
          ])
        : store.commit(source, offset, options),
  };
  await useRegister(used, register, new Random(seed), (operation) => {
    process.stdout.write(lineOf(operation));
  });
}

if (driver === 'pg') {
  const pool = new Pool({ connectionString: url });
  await use(new PostgresOffsetStore(pool, { table }));
  await pool.end();
} else {
  const sql = postgres(url, { onnotice: () => {} });
  await use(new PostgresOffsetStore(sql, { table }));
  await sql.end();
}
