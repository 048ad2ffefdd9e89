/** What can be wrong with a server, a table or an option, and how it is told. */
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { Pool } from 'pg';
import { OffsetTracker } from '../../../lib/index.js';
import { Offset } from '../../../lib/offset.js';
import { PostgresOffsetStore } from '../../../lib/stores/postgres.js';
import { type Connection, DRIVERS } from '../../support/postgres-clients.js';
import { describeWithPostgres } from '../../support/describe-postgres.js';
import { PostgresServer, WITH_SERVER_MS } from '../../support/postgres-server.js';

jest.setTimeout(WITH_SERVER_MS);

describe('new PostgresOffsetStore()', () => {
  it.each([undefined, null, 5, 'postgres://', {}, { query: () => {} }, () => {}])(
    'refuses %p as a client',
    (client) => {
      expect(() => new PostgresOffsetStore(client as unknown as Pool)).toThrow(
        /Expected `client` to be a Pool or Client of pg, or the `sql` of postgres, got/,
      );
    },
  );

  it.each([
    [5, TypeError],
    [{ table: 5 }, TypeError],
    [{ table: '' }, RangeError],
    [{ table: 'a.b.c' }, RangeError],
    [{ table: 'a\0' }, RangeError],
    [{ prepare: 'yes' }, TypeError],
    [{ lockTimeoutMs: 0 }, RangeError],
  ])('refuses the options %p', (options, kind) => {
    expect(() => new PostgresOffsetStore(new Pool(), options as object)).toThrow(kind);
  });

  it('quotes every name in its schema', () => {
    const store = new PostgresOffsetStore(new Pool(), { table: 'a"b.c"; --' });
    expect(store.schema()).toContain('CREATE TABLE IF NOT EXISTS "a""b"."c""; --" (');
  });
});

describeWithPostgres('PostgresOffsetStore', () => {
  let server: PostgresServer;
  /** One that is stopped and started. */
  let other: PostgresServer;
  let admin: Pool;
  let tables = 0;

  beforeAll(async () => {
    [server, other] = await Promise.all([PostgresServer.start(), PostgresServer.start()]);
    admin = new Pool({ connectionString: server.url() });
    admin.on('error', () => {});
    await admin.query("CREATE ROLE reader LOGIN PASSWORD 'r'; CREATE ROLE writer LOGIN PASSWORD 'w'");
  }, WITH_SERVER_MS);
  afterAll(async () => {
    await admin?.end();
    await server?.remove();
    await other?.remove();
  });

  describe.each(DRIVERS)('on %s', (driver, connect) => {
    const withConnection = async (url: string, work: (connection: Connection) => Promise<void>) => {
      const connection = await connect(url);
      try {
        await work(connection);
      } finally {
        await connection.end();
      }
    };
    /** A Client is connected by its maker, before there is a store. */
    const onFirstUse = driver === 'a Client of pg' ? () => undefined : it;

    onFirstUse('a server that is down: OFFSET_IO with the cause, and the next call tries anew', async () => {
      await other.stop();
      await withConnection(other.url(), async ({ store }) => {
        const offsets = store({ table: driver });
        for (const call of [offsets.get(driver), offsets.commit(driver, 1), offsets.transaction(() => 1)]) {
          await expect(call).rejects.toMatchObject({
            name: 'OffsetIoError',
            code: 'OFFSET_IO',
            message: expect.stringMatching(/there is no connection to the server \(.*ECONNREFUSED/),
            cause: { code: 'ECONNREFUSED' },
          });
        }
        await other.start();
        await offsets.commit(driver, 1);
        expect(await offsets.get(driver)).toEqual(Offset.sequence(1));
      });
    });

    onFirstUse('a server that comes up while a tracker tries again: nothing is lost', async () => {
      await withConnection(other.url(), async ({ store }) => {
        await store({ table: driver }).ensureSchema();
        await other.kill9();
        const tracker = new OffsetTracker(store({ table: driver }), {
          retry: { retries: 50, minDelayMs: 20, maxDelayMs: 100 },
        });
        const recording = tracker.record(driver, 7);
        await other.start();
        await recording;
        await tracker.close();
        expect(await store({ table: driver }).get(driver)).toEqual(Offset.sequence(7));
      });
    });

    onFirstUse('a wrong password, and a database that is not there', async () => {
      await withConnection(server.url({ password: 'wrong' }), async ({ store }) => {
        await expect(store().commit('a', 1)).rejects.toMatchObject({
          code: 'OFFSET_IO',
          message: expect.stringMatching(
            /password authentication failed.*Give the client the user and password/,
          ),
          cause: { code: '28P01' },
        });
      });
      await withConnection(server.url({ database: 'nowhere' }), async ({ store }) => {
        await expect(store().get('a')).rejects.toMatchObject({ code: 'OFFSET_IO', cause: { code: '3D000' } });
      });
    });

    it('a missing table without the right to make one', async () => {
      await withConnection(server.url({ user: 'reader', password: 'r' }), async ({ store }) => {
        const offsets = store({ table: 'missing' });
        await expect(offsets.get('a')).rejects.toMatchObject({
          code: 'OFFSET_IO',
          message: expect.stringMatching(
            /"missing.* is not there and could not be made: permission denied.*schema\(\)/,
          ),
        });
        await admin.query(`${offsets.schema()}; GRANT SELECT ON missing TO reader`);
        expect(await offsets.get('a')).toBeUndefined();
        await expect(offsets.commit('a', 1)).rejects.toMatchObject({
          code: 'OFFSET_IO',
          source: 'a',
          message: expect.stringMatching(
            /permission denied for table missing.*needs SELECT, INSERT and UPDATE/,
          ),
          cause: { code: '42501' },
        });
        await admin.query('DROP TABLE missing');
      });
    });

    it('a missing schema', async () => {
      await withConnection(server.url(), async ({ store }) => {
        await expect(store({ table: 'nowhere.offsets' }).get('a')).rejects.toMatchObject({
          code: 'OFFSET_IO',
          message: expect.stringContaining('Make the schema first'),
        });
      });
    });

    it('a schema and a table with names that need quoting, without rights to anything else', async () => {
      await admin.query('CREATE SCHEMA IF NOT EXISTS "a ""b"" C"; GRANT ALL ON SCHEMA "a ""b"" C" TO writer');
      await withConnection(server.url({ user: 'writer', password: 'w' }), async ({ store, query }) => {
        const table = `a "b" C.'; DROP TABLE "x ${++tables}`;
        await store({ table }).commit('a', 5);
        expect(await store({ table }).get('a')).toEqual(Offset.sequence(5));
        const [row] = await query(`SELECT count(*)::int AS n FROM pg_tables WHERE schemaname = 'a "b" C'`);
        expect(row).toEqual({ n: tables });
      });
      await admin.query('DROP SCHEMA "a ""b"" C" CASCADE');
      tables = 0;
    });

    it.each([
      ['(id int)', /has no column source, no epoch, no kind, no position, no metadata, no committed_at/],
      [
        '(source text PRIMARY KEY, epoch int, kind text, position text, metadata text, committed_at timestamptz)',
        /has a column epoch of type integer, and not bigint/,
      ],
      [
        '(source text, epoch bigint, kind text, position text, metadata text, committed_at timestamptz)',
        /has neither a primary key nor a unique index on the column source alone/,
      ],
    ])('a table of another shape: %s', async (shape, message) => {
      await withConnection(server.url(), async ({ store, query }) => {
        await query(`CREATE TABLE other ${shape}`);
        await expect(store({ table: 'other' }).commit('a', 1)).rejects.toMatchObject({
          name: 'OffsetSerializationError',
          code: 'OFFSET_CORRUPT',
          message: expect.stringMatching(message),
        });
        expect(await query('SELECT * FROM other')).toEqual([]);
        await query('DROP TABLE other');
      });
    });

    it('a table that is dropped under it', async () => {
      await withConnection(server.url(), async ({ store, query }) => {
        const offsets = store({ table: 'dropped' });
        await offsets.commit('a', 1);
        await query('DROP TABLE dropped');
        await expect(offsets.commit('a', 2)).rejects.toMatchObject({
          code: 'OFFSET_IO',
          cause: { code: '42P01' },
        });
      });
    });

    it('a row that somebody changed by hand: OFFSET_CORRUPT, and it is left as it is', async () => {
      await withConnection(server.url(), async ({ store, query }) => {
        const offsets = store({ table: 'damaged' });
        await offsets.commit('a', 1);
        await query("UPDATE damaged SET position = '1' WHERE source = 'a'");
        for (const call of [offsets.get('a'), offsets.getAll(), offsets.inspect('a')]) {
          await expect(call).rejects.toMatchObject({ code: 'OFFSET_CORRUPT', source: 'a' });
        }
        await offsets.reset('a', 5);
        expect(await offsets.get('a')).toEqual(Offset.sequence(5));
        await query('DROP TABLE damaged');
      });
    });

    it('transactions that are read-only: reads work, commits are refused', async () => {
      await admin.query('CREATE TABLE IF NOT EXISTS seen (x int)');
      await withConnection(server.url(), ({ store }) => store({ table: 'read only' }).commit('a', 1));
      await admin.query(
        'ALTER ROLE reader SET default_transaction_read_only = on; GRANT ALL ON "read only" TO reader',
      );
      await withConnection(server.url({ user: 'reader', password: 'r' }), async ({ store }) => {
        const offsets = store({ table: 'read only' });
        expect(await offsets.get('a')).toEqual(Offset.sequence(1));
        await expect(offsets.commit('a', 2)).rejects.toMatchObject({
          code: 'OFFSET_IO',
          message: expect.stringContaining('connect the client to the primary'),
          cause: { code: '25006' },
        });
        const many = offsets.commitMany([{ source: 'a', offset: Offset.sequence(2) }]);
        await expect(many).rejects.toMatchObject({ code: 'OFFSET_IO', cause: { code: '25006' } });
      });
      await admin.query('ALTER ROLE reader RESET default_transaction_read_only; DROP TABLE "read only"');
    });

    it('commits on a connection whose transactions are serializable', async () => {
      await withConnection(server.url(), async ({ store, query }) => {
        await query("ALTER ROLE postgres SET default_transaction_isolation = 'serializable'");
        await withConnection(server.url(), async (serializable) => {
          const offsets = serializable.store({ table: 'serializable' });
          const results = await Promise.allSettled(
            Array.from({ length: 40 }, (_, index) => offsets.commit('a', index)),
          );
          for (const result of results) {
            if (result.status === 'rejected') expect(result.reason).toMatchObject({ code: 'OFFSET_BEHIND' });
          }
          expect(await offsets.get('a')).toEqual(Offset.sequence(39));
        });
        await query('ALTER ROLE postgres RESET default_transaction_isolation');
        await query('DROP TABLE serializable');
        await store().ensureSchema();
      });
    });

    it('many stores that make the table at once', async () => {
      await withConnection(server.url(), async (one) => {
        await withConnection(server.url(), async (other) => {
          for (let round = 0; round < 5; round++) {
            const stores = [one, other, one, other].map(({ store }) => store({ table: `raced ${round}` }));
            await Promise.all(stores.map((offsets) => offsets.ensureSchema()));
          }
        });
      });
      for (let round = 0; round < 5; round++) await admin.query(`DROP TABLE "raced ${round}"`);
    });
  });

  it('a replica: reads work, commits are refused', async () => {
    const pool = new Pool({ connectionString: other.url() });
    pool.on('error', () => {});
    await new PostgresOffsetStore(pool, { table: 'replicated' }).commit('a', 1);
    await pool.end();
    await other.stop();
    await using replica = await other.copyAsReplica();
    const replicaPool = new Pool({ connectionString: replica.url() });
    const store = new PostgresOffsetStore(replicaPool, { table: 'replicated' });
    expect(await store.get('a')).toEqual(Offset.sequence(1));
    await expect(store.commit('a', 2)).rejects.toMatchObject({ code: 'OFFSET_IO', cause: { code: '25006' } });
    await expect(new PostgresOffsetStore(replicaPool, { table: 'new' }).get('a')).rejects.toMatchObject({
      code: 'OFFSET_IO',
      message: expect.stringContaining('run the SQL of schema() on the primary'),
    });
    await replicaPool.end();
  });
});
