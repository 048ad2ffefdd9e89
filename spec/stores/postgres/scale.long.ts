import { it } from '@jest/globals';
import { describeWithPostgres } from '../../support/describe-postgres.js';
import { PostgresServer } from '../../support/postgres-server.js';
import { runAtScale, SOURCES } from '../../support/scale-run.js';

describeWithPostgres('PostgresOffsetStore at scale', () => {
  it(`${SOURCES} sources, 64 trackers in 8 processes, beside bare statements`, async () => {
    await using server = await PostgresServer.start();
    await runAtScale('postgres', server.url());
  }, 600_000);
});
