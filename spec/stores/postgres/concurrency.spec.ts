import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { Pool } from 'pg';
import { Offset } from '../../../lib/offset.js';
import { PostgresOffsetStore } from '../../../lib/stores/postgres.js';
import { bundleWorker } from '../../support/bundle.js';
import { describeWithPostgres } from '../../support/describe-postgres.js';
import { Random } from '../../support/fire-random.js';
import { PostgresServer, WITH_SERVER_MS } from '../../support/postgres-server.js';
import type { PostgresJob } from '../../support/postgres-worker.js';
import { endOf, violations } from '../../support/register-history.js';
import { historyOf } from '../../support/register-processes.js';

describeWithPostgres('several processes on one Postgres', () => {
  let server: PostgresServer;
  let folder: string | undefined;
  let worker: string;

  beforeAll(async () => {
    [server, folder] = await Promise.all([
      PostgresServer.start(),
      mkdtemp(join(tmpdir(), 'streamweave-offset-racers-')),
    ]);
    worker = await bundleWorker('postgres-worker.ts', folder);
  }, WITH_SERVER_MS);
  afterAll(async () => {
    await server?.remove();
    if (folder !== undefined) await rm(folder, { recursive: true, force: true });
  });

  it(
    'lose no update, whatever four of them do at once, two of them under claims',
    async () => {
      const table = 'raced';
      const { seed } = new Random();
      // The table is made by whoever is first.
      const histories = await Promise.all(
        [0, 1, 2, 3].map((number) =>
          historyOf(worker, {
            driver: number % 2 === 0 ? 'pg' : 'postgres',
            url: server.url(),
            table,
            seed: seed + number,
            together: number === 1 || number === 2,
            register: {
              process: `process-${number}`,
              sources: ['a', 'b'],
              operations: 200,
              claims: number < 2,
              clients: 4,
            },
          } satisfies PostgresJob),
        ),
      );
      const history = histories.flat();
      expect({ seed, violations: violations(history) }).toEqual({ seed, violations: [] });
      // They did meet, and nothing failed for a conflict.
      const outcomes = new Set(history.map(({ outcome }) => outcome));
      expect(outcomes).toEqual(new Set(['ok', 'behind', 'fenced']));

      const pool = new Pool({ connectionString: server.url() });
      const store = new PostgresOffsetStore(pool, { table });
      for (const source of ['a', 'b']) {
        const { offset, epoch } = endOf(history, source);
        expect(await store.get(source)).toEqual(Offset.sequence(offset));
        expect(await store.epoch(source)).toBe(epoch);
      }
      await pool.end();
    },
    WITH_SERVER_MS,
  );
});
