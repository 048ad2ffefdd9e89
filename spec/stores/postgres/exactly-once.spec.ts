import { expect, it } from '@jest/globals';
import { weather } from '../../support/postgres-exactly-once.js';
import { describeWithPostgres } from '../../support/describe-postgres.js';

describeWithPostgres('transactionalSink() into Postgres', () => {
  it('writes each flight once, whoever is killed and whatever is cut', async () => {
    const storm = { workerKills: 5, serverKills: 1, cuts: 5 };
    expect(await weather({ driver: 'pg', lines: 2_500, ...storm })).toEqual({
      rows: 2_500,
      lost: 0,
      repeated: 0,
      ...storm,
      failures: [],
    });
  }, 120_000);
});
