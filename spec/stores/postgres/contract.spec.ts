import { afterAll, beforeAll, describe, it } from '@jest/globals';
import type { OffsetStore } from '../../../lib/offset-store.js';
import { testOffsetStore } from '../../../lib/testing/index.js';
import { type Connection, DRIVERS } from '../../support/postgres-clients.js';
import { describeWithPostgres, PostgresServer, WITH_SERVER_MS } from '../../support/postgres-server.js';

describeWithPostgres('PostgresOffsetStore', () => {
  let server: PostgresServer;
  let tables = 0;

  beforeAll(async () => {
    server = await PostgresServer.start();
  }, WITH_SERVER_MS);
  afterAll(async () => {
    await server?.remove();
  });

  describe.each(DRIVERS)('on %s', (driver, connect) => {
    let connections: Connection[];
    const tableOf = new WeakMap<OffsetStore, string>();

    beforeAll(async () => {
      connections = await Promise.all([connect(server.url()), connect(server.url())]);
    });
    afterAll(async () => {
      await Promise.all(connections.map((connection) => connection.end()));
    });

    const storeOn = (index: number, table: string) => {
      const store = connections[index]!.store({ table });
      tableOf.set(store, table);
      return store;
    };

    testOffsetStore({
      name: `PostgresOffsetStore on ${driver}`,
      // A table of its own for each test: making one is as fast as emptying it.
      create: () => storeOn(0, `offsets ${++tables}`),
      reopen: (store) => storeOn(1, tableOf.get(store)!),
      another: (store) => storeOn(1, tableOf.get(store)!),
      capabilities: {
        commitMany: true,
        inspect: true,
        inspectAll: true,
        epoch: true,
        reset: true,
        claim: true,
        close: true,
      },
      test: { describe, it },
    });
  });
});
