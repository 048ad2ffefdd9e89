import { expect, it } from '@jest/globals';
import { weather } from '../../support/postgres-exactly-once.js';
import { describeWithPostgres } from '../../support/postgres-server.js';

describeWithPostgres('transactionalSink() into Postgres', () => {
  it('writes each flight once, whoever is killed and whatever is cut', async () => {
    const storm = { workerKills: 10, serverKills: 2, cuts: 10 };
    expect(await weather({ driver: 'pg', lines: 4_000, ...storm })).toEqual({
      rows: 4_000,
      lost: 0,
      repeated: 0,
      ...storm,
      failures: [],
    });
  }, 120_000);
});
