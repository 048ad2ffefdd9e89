import { afterAll, beforeAll, describe, it } from '@jest/globals';
import { testOffsetStore } from '../../../lib/testing/index.js';
import { EVERY_CAPABILITY } from '../../support/every-capability.js';
import { type Connection, DRIVERS } from '../../support/postgres-clients.js';
import { describeWithPostgres } from '../../support/describe-postgres.js';
import { PostgresServer, WITH_SERVER_MS } from '../../support/postgres-server.js';

describeWithPostgres('PostgresOffsetStore', () => {
  let server: PostgresServer;

  beforeAll(async () => {
    // What survives a crash is tried elsewhere.
    server = await PostgresServer.start(['fsync = off']);
  }, WITH_SERVER_MS);
  afterAll(async () => {
    await server?.remove();
  });

  describe.each(DRIVERS)('on %s', (driver, connect) => {
    const table = `offsets of ${driver}`;
    let connections: Connection[];

    beforeAll(async () => {
      connections = await Promise.all([connect(server.url()), connect(server.url())]);
      await storeOn(0).ensureSchema();
    });
    afterAll(async () => {
      await Promise.all(connections.map((connection) => connection.end()));
    });

    const storeOn = (index: number) => connections[index]!.store({ table });

    testOffsetStore({
      name: `PostgresOffsetStore on ${driver}`,
      // Much faster than a table for each test, of which there are hundreds.
      create: async () => {
        await connections[0]!.query(`DELETE FROM "${table}"`);
        return storeOn(0);
      },
      reopen: () => storeOn(1),
      another: () => storeOn(1),
      capabilities: EVERY_CAPABILITY,
      test: { describe, it },
    });
  });
});
