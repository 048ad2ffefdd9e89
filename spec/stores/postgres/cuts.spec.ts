/** Connections that are cut, and a server that is killed, in the middle of things. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Offset } from '../../../lib/offset.js';
import { type AnyStore, type Connection, DRIVERS } from '../../support/postgres-clients.js';
import { describeWithPostgres } from '../../support/describe-postgres.js';
import { PostgresServer, WITH_SERVER_MS } from '../../support/postgres-server.js';
import { TcpProxy } from '../../support/tcp-proxy.js';

const UNKNOWN = { name: 'OffsetIoError', code: 'OFFSET_DURABILITY_UNKNOWN', cause: expect.anything() };

describeWithPostgres('PostgresOffsetStore', () => {
  let server: PostgresServer;
  let proxy: TcpProxy;

  beforeAll(async () => {
    server = await PostgresServer.start();
    proxy = await TcpProxy.to(server.port);
  }, WITH_SERVER_MS);
  afterAll(async () => {
    await proxy?.close();
    await server?.remove();
  });

  describe.each(DRIVERS)('on %s', (_, connect) => {
    /** What is tried, through the proxy, and what looks at it from beside. */
    let tried: Connection;
    let beside: Connection;
    let store: AnyStore;
    let witness: AnyStore;

    beforeEach(async () => {
      tried = await connect(server.url({ port: proxy.port }));
      beside = await connect(server.url());
      await beside.query('DROP TABLE IF EXISTS streamweave_offsets, effects; CREATE TABLE effects (n int)');
      store = tried.store();
      witness = beside.store();
      await store.commit('orders', 1);
    });
    afterEach(async () => {
      await Promise.all([tried.end(), beside.end()]);
    });

    const effects = async (): Promise<unknown[]> =>
      (await beside.query('SELECT n FROM effects ORDER BY n')).map(({ n }) => n);
    const insert = (tx: Parameters<Connection['queryIn']>[0], n: number) =>
      tried.queryIn(tx, `INSERT INTO effects VALUES (${n})`);

    it('a commit whose answer is lost: it is unknown, and it took effect', async () => {
      const cut = proxy.cutNext({ at: 1, when: 'after' });
      await expect(store.commit('orders', 2)).rejects.toMatchObject({ ...UNKNOWN, source: 'orders' });
      await cut;
      expect(await witness.get('orders')).toEqual(Offset.sequence(2));
      await witness.commit('orders', 2);
    });

    it('a commit that is lost: it is unknown, and it did not take effect', async () => {
      const cut = proxy.cutNext({ at: 1, when: 'before' });
      await expect(store.commit('orders', 2)).rejects.toMatchObject({ ...UNKNOWN, source: 'orders' });
      await cut;
      expect(await witness.get('orders')).toEqual(Offset.sequence(1));
    });

    it('a reading without an answer is OFFSET_IO, for nothing is unknown', async () => {
      void proxy.cutNext({ at: 1, when: 'after' });
      await expect(store.get('orders')).rejects.toMatchObject({ code: 'OFFSET_IO', source: 'orders' });
    });

    it.each([
      ['after', [7], 2],
      ['before', [], 1],
    ] as const)('a COMMIT that is cut %s the server has it: unknown', async (when, rows, offset) => {
      void proxy.cutNext({ at: 'COMMIT', when });
      const failed: unknown = await store
        .transaction(async (tx) => {
          await insert(tx, 7);
          await store.using(tx).commit('orders', Offset.sequence(2));
        })
        .catch((error: unknown) => error);
      expect(failed).toMatchObject(UNKNOWN);
      expect(store.isTransient(failed)).toBe(false);
      expect(await effects()).toEqual(rows);
      expect(await witness.get('orders')).toEqual(Offset.sequence(offset));
    });

    it('a commitMany() is cut at its COMMIT: unknown, and all took effect or none', async () => {
      const entries = ['a', 'b'].map((source) => ({ source, offset: Offset.sequence(5) }));
      void proxy.cutNext({ at: 'COMMIT', when: 'after' });
      await expect(store.commitMany(entries)).rejects.toMatchObject(UNKNOWN);
      expect([...(await witness.getAll()).keys()].toSorted()).toEqual(['a', 'b', 'orders']);
    });

    it.each(['BEGIN', 'INSERT', 'streamweave'] as const)(
      'a transaction that is cut at %s before its COMMIT: nothing took effect, and it may be tried again',
      async (at) => {
        void proxy.cutNext({ at: at === 'streamweave' ? 'UPDATE SET' : at, when: 'after' });
        const failed: unknown = await store
          .transaction(async (tx) => {
            await insert(tx, 7);
            await store.using(tx).commit('orders', Offset.sequence(2), { allowRegression: true, epoch: 0 });
          })
          .catch((error: unknown) => error);
        expect(store.isTransient(failed)).toBe(true);
        expect((failed as { code?: unknown }).code).not.toBe('OFFSET_DURABILITY_UNKNOWN');
        expect(await effects()).toEqual([]);
        expect(await witness.get('orders')).toEqual(Offset.sequence(1));
      },
    );

    it('a connection that is lost while the work is elsewhere: what it does later does not take effect', async () => {
      let lateError: unknown;
      let late: Promise<unknown> = Promise.resolve();
      const failed: unknown = await store
        .transaction(async (tx) => {
          await insert(tx, 7);
          proxy.cutAll();
          // Long enough for the driver to see it, and to make itself another connection.
          const work = new Promise((resolve) => {
            setTimeout(resolve, 50);
          }).then(() => insert(tx, 8));
          late = work.catch((error: unknown) => {
            lateError = error;
          });
          await work;
        })
        .catch((error: unknown) => error);
      await late;
      expect(store.isTransient(failed)).toBe(true);
      expect(lateError).toBeDefined();
      expect(await effects()).toEqual([]);
    });

    it('rolls back what the work rejects, and rejects with the same', async () => {
      const reason = new Error('no');
      const failing = store.transaction(async (tx) => {
        await insert(tx, 7);
        await store.using(tx).commit('orders', Offset.sequence(2));
        throw reason;
      });
      await expect(failing).rejects.toBe(reason);
      expect(await effects()).toEqual([]);
      expect(await store.get('orders')).toEqual(Offset.sequence(1));
    });

    it('does not take a transaction for committed that the server rolled back', async () => {
      const swallowing = store.transaction(async (tx) => {
        await insert(tx, 7);
        await tried.queryIn(tx, 'SELECT 1/0').catch(() => undefined);
      });
      await expect(swallowing).rejects.toMatchObject({ code: 'OFFSET_IO' });
      expect(await effects()).toEqual([]);
    });

    it('using(): a refusal changes nothing, and the transaction goes on', async () => {
      await store.commit('behind', 5);
      await store.transaction(async (tx) => {
        const inside = store.using(tx);
        await insert(tx, 7);
        await expect(inside.commit('behind', Offset.sequence(4))).rejects.toMatchObject({
          code: 'OFFSET_BEHIND',
        });
        const entries = ['new', 'behind', 'other'].map((source) => ({ source, offset: Offset.sequence(4) }));
        await expect(inside.commitMany!(entries)).rejects.toMatchObject({ code: 'OFFSET_BEHIND' });
        await expect(inside.commit('orders', Offset.sequence(2), { epoch: 9 })).rejects.toMatchObject({
          code: 'OFFSET_FENCED',
        });
        // Two at once on one transaction do not come between each other.
        await Promise.all([
          inside.commitMany!([{ source: 'together', offset: Offset.sequence(1) }]),
          inside.commitMany!([{ source: 'orders', offset: Offset.sequence(2) }]),
          expect(inside.commitMany!(entries)).rejects.toMatchObject({ code: 'OFFSET_BEHIND' }),
        ]);
        expect(await inside.get('orders')).toEqual(Offset.sequence(2));
        expect(await witness.get('orders')).toEqual(Offset.sequence(1));
      });
      expect(await effects()).toEqual([7]);
      expect(new Map((await store.getAll()).entries())).toEqual(
        new Map([
          ['orders', Offset.sequence(2)],
          ['behind', Offset.sequence(5)],
          ['together', Offset.sequence(1)],
        ]),
      );
    });

    it('using() after the end of the transaction is refused', async () => {
      const inside = await store.transaction((tx) => ({ using: store.using(tx) }));
      await expect(inside.using.commit('orders', Offset.sequence(9))).rejects.toMatchObject({
        code: 'OFFSET_CLOSED',
      });
      expect(await store.get('orders')).toEqual(Offset.sequence(1));
    });

    it('goes on after every connection was cut, where the driver makes new ones', async () => {
      proxy.cutAll();
      let error: unknown;
      for (let tries = 0; tries < 5; tries++) {
        error = await store.commit('orders', 2).then(
          () => undefined,
          (failure: unknown) => failure,
        );
        if (error === undefined) break;
        expect(['OFFSET_IO', 'OFFSET_DURABILITY_UNKNOWN']).toContain((error as { code: string }).code);
      }
      if (connect !== DRIVERS[1][1]) {
        expect(await store.get('orders')).toEqual(Offset.sequence(2));
      } else {
        expect(error).toMatchObject({ code: 'OFFSET_IO' });
      }
    });
  });

  it('on a Client, a call of the store inside its own transaction does not wait for ever', async () => {
    const [, connect] = DRIVERS[1];
    const connection = await connect(server.url());
    const store = connection.store({ lockTimeoutMs: 20 });
    await expect(store.transaction(() => store.get('orders'))).rejects.toMatchObject({
      code: 'OFFSET_LOCK_TIMEOUT',
    });
    await connection.query('BEGIN');
    await expect(store.commit('orders', 5)).rejects.toMatchObject({
      code: 'OFFSET_IO',
      message: expect.stringContaining('a transaction is open on the client that the store has not begun'),
    });
    await connection.query('ROLLBACK');
    await connection.end();
  });

  it.each(DRIVERS.filter(([name]) => name !== 'a Client of pg'))(
    'on %s: what was acknowledged survives kill -9 of the server',
    async (_, connect) => {
      const connection = await connect(server.url());
      const store = connection.store({ table: 'killed' });
      await store.ensureSchema();
      const acknowledged = new Map<string, number>();
      const writing = { on: true };
      const writers = Array.from({ length: 4 }, async (_unused, writer) => {
        const source = `writer ${writer}`;
        for (let n = 1; writing.on; n++) {
          try {
            await store.commit(source, n);
            acknowledged.set(source, n);
          } catch (error) {
            expect(['OFFSET_IO', 'OFFSET_DURABILITY_UNKNOWN']).toContain((error as { code: string }).code);
            await new Promise((resolve) => {
              setTimeout(resolve, 5);
            });
          }
        }
      });
      for (let kill = 0; kill < 2; kill++) {
        const before = new Map(acknowledged);
        while (
          [0, 1, 2, 3].some((writer) => {
            const source = `writer ${writer}`;
            return (acknowledged.get(source) ?? 0) < (before.get(source) ?? 0) + 20;
          })
        ) {
          await new Promise((resolve) => {
            setTimeout(resolve, 2);
          });
        }
        await server.kill9();
        const then = new Map(acknowledged);
        await server.start();
        const look = await connect(server.url());
        for (const [source, offset] of await look.store({ table: 'killed' }).getAll()) {
          const value = offset.kind === 'sequence' ? Number(offset.value) : Number.NaN;
          expect(value).toBeGreaterThanOrEqual(then.get(source)!);
        }
        await look.end();
      }
      writing.on = false;
      await Promise.all(writers);
      await connection.query('DROP TABLE killed');
      await connection.end();
    },
    WITH_SERVER_MS,
  );
});
