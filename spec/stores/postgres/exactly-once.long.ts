import { expect, it } from '@jest/globals';
import { weather } from '../../support/postgres-exactly-once.js';
import { describeWithPostgres } from '../../support/describe-postgres.js';

describeWithPostgres('transactionalSink() into Postgres, for long', () => {
  it.each(['pg', 'postgres'] as const)(
    'with %s: writes each flight once, over 50 kills of the worker, 10 of the server, and 40 cuts',
    async (driver) => {
      const storm = { workerKills: 50, serverKills: 10, cuts: 40 };
      const startedAt = performance.now();
      const aftermath = await weather({ driver, lines: 20_000, ...storm });
      console.log(`${driver}: ${((performance.now() - startedAt) / 1000).toFixed(1)} s`, aftermath);
      expect(aftermath).toMatchObject({ rows: 20_000, lost: 0, repeated: 0, ...storm });
    },
    600_000,
  );
});
