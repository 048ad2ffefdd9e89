import { randomUUID } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import Database from 'libsql';
import { ClosedError, InvalidOffsetError, OffsetLockError } from '../../../lib/errors.js';
import { Offset } from '../../../lib/offset.js';
import { SqliteOffsetStore, type SqliteDatabase } from '../../../lib/stores/sqlite.js';
import { Databases, type TestDatabase } from '../../support/sqlite.js';
import { refuseUnhandledRejections } from '../../support/unhandled.js';

refuseUnhandledRejections();

let databases: Databases;
let database: TestDatabase;
let store: SqliteOffsetStore<TestDatabase>;
beforeEach(() => {
  databases = new Databases();
  database = databases.connect();
  store = new SqliteOffsetStore(database);
});
afterEach(() => databases.destroy());

const seq = (value: number): Offset => Offset.sequence(value);
const tables = (): unknown[] =>
  database
    .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")
    .all()
    .map((row) => (row as { name: unknown }).name);

/** A promise that the test settles. */
function gate(): { promise: Promise<void>; open: () => void } {
  let open!: () => void;
  const promise = new Promise<void>((resolve) => (open = resolve));
  return { promise, open };
}

describe('new SqliteOffsetStore()', () => {
  it.each<[string, unknown, unknown]>([
    ['no connection', undefined, undefined],
    ['a path', 'offsets.db', undefined],
    ['what has no exec()', { prepare: () => undefined }, undefined],
    ['a table that is no name', {}, { table: 5 }],
    ['an empty table', {}, { table: '' }],
    ['two dots', {}, { table: 'a.b.c' }],
    ['no schema before the dot', {}, { table: '.c' }],
    ['no time', {}, { lockTimeoutMs: 0 }],
  ])('refuses %s', (_, given, options) => {
    const connection =
      typeof given === 'object' && Object.keys(given as object).length === 0 ? database : given;
    expect(() => new SqliteOffsetStore(connection as SqliteDatabase, options as object)).toThrow(
      /^Expected /,
    );
  });

  it('does nothing to the database', () => {
    expect(tables()).toEqual([]);
  });
});

describe('the table', () => {
  it('is made by ensureSchema(), and by the first use', async () => {
    await store.ensureSchema();
    await store.ensureSchema();
    expect(tables()).toEqual(['streamweave_offsets']);
    const other = new SqliteOffsetStore(database, { table: 'others' });
    expect(await other.get('orders')).toBeUndefined();
    expect(tables()).toEqual(['others', 'streamweave_offsets']);
  });

  it('is what schema() says, which can be run again', async () => {
    database.exec(store.schema());
    database.exec(store.schema());
    await store.commit('orders', seq(5));
    database.exec(store.schema());
    expect(await store.get('orders')).toEqual(seq(5));
  });

  it.each(['we"ird; DROP TABLE x; --', "it's", 'select', 'ORDERS 🚀', '[x]', 'main.qualified'])(
    'may have the name %j',
    async (table) => {
      const named = new SqliteOffsetStore(database, { table });
      await named.commit('orders', seq(5));
      await named.commitMany([
        { source: 'orders', offset: seq(6) },
        { source: 'payments', offset: seq(1) },
      ]);
      expect((await named.getAll()).size).toBe(2);
      expect(tables()).toEqual([table.replace('main.', '')]);
    },
  );

  it('may be in an attached database', async () => {
    database.exec(`ATTACH '${path.join(databases.folder, 'aux.db')}' AS "the aux"`);
    database.exec('PRAGMA "the aux".journal_mode = WAL');
    const attached = new SqliteOffsetStore(database, { table: 'the aux.offsets' });
    await attached.commit('orders', seq(5));
    expect(await attached.get('orders')).toEqual(seq(5));
    expect(tables()).toEqual([]);
  });

  it.each([
    [
      'columns',
      'CREATE TABLE streamweave_offsets (source TEXT PRIMARY KEY, epoch INTEGER, position TEXT)',
      'kind',
    ],
    [
      'the key',
      'CREATE TABLE streamweave_offsets (source TEXT, epoch INTEGER, kind TEXT, position TEXT, metadata TEXT, committed_at INTEGER)',
      'cannot be committed to',
    ],
  ])('is refused when it lacks %s, and left as it is', async (_, sql, missing) => {
    database.exec(sql);
    for (const call of [() => store.get('orders'), () => store.commit('orders', seq(5))]) {
      await expect(call()).rejects.toMatchObject({
        code: 'OFFSET_CORRUPT',
        message: expect.stringContaining(missing),
      });
    }
    expect(database.prepare('SELECT * FROM streamweave_offsets').all()).toEqual([]);
  });

  it('is not made anew when it is dropped under the store', async () => {
    await store.commit('orders', seq(5));
    database.exec('DROP TABLE streamweave_offsets');
    await expect(store.get('orders')).rejects.toMatchObject({ code: 'OFFSET_IO', source: 'orders' });
    await expect(store.commit('orders', seq(6))).rejects.toMatchObject({ code: 'OFFSET_IO' });
    expect(tables()).toEqual([]);
  });

  it('holds what can be read and queried by people', async () => {
    await store.commit('orders', seq(42), { metadata: { host: 'a' } });
    expect(
      database.prepare('SELECT source, epoch, kind, position, metadata FROM streamweave_offsets').all(),
    ).toEqual([
      {
        source: 'orders',
        epoch: 0,
        kind: 'sequence',
        position: '0'.repeat(18) + '42',
        metadata: '{"json":{"host":"a"}}',
      },
    ]);
  });

  it('is read from a connection that gives integers as bigints', async () => {
    (database as unknown as Database.Database).defaultSafeIntegers(true);
    await store.commit('orders', seq(5));
    expect(await store.claim('orders')).toBe(1);
    expect(await store.inspect('orders')).toMatchObject({ epoch: 1, committedAt: expect.any(Date) });
  });
});

describe('what goes wrong', () => {
  it('a read-only database can be read, and not committed to', async () => {
    await store.commit('orders', seq(5));
    database.exec('PRAGMA query_only = 1');
    const reader = new SqliteOffsetStore(database);
    expect(await reader.get('orders')).toEqual(seq(5));
    for (const call of [
      () => reader.commit('orders', seq(6)),
      () => reader.commitMany([{ source: 'orders', offset: seq(6) }]),
      () => reader.claim('orders'),
      () => reader.clearAll(),
    ]) {
      await expect(call()).rejects.toMatchObject({ code: 'OFFSET_IO', cause: { code: 'SQLITE_READONLY' } });
    }
    expect(await reader.inspect('orders')).toMatchObject({ offset: seq(5), epoch: 0 });
  });

  it('a table that is missing and may not be made', async () => {
    database.exec('PRAGMA query_only = 1');
    await expect(store.get('orders')).rejects.toMatchObject({
      code: 'OFFSET_IO',
      message: expect.stringContaining('schema()'),
      cause: { code: 'SQLITE_READONLY' },
    });
  });

  it('a lock that another holds is waited for, and the process goes on meanwhile', async () => {
    await store.ensureSchema();
    const other = databases.connect();
    other.exec('BEGIN IMMEDIATE');
    let over = false;
    const commits = Promise.all([
      store.commit('orders', seq(5)),
      store.commitMany([{ source: 'payments', offset: seq(1) }]),
    ]).then(() => (over = true));
    await delay(20);
    expect(over).toBe(false);
    other.exec('COMMIT');
    await commits;
    expect(await store.get('orders')).toEqual(seq(5));
  });

  it('reads wait, too, where a lock keeps them out', async () => {
    database.exec('PRAGMA journal_mode = DELETE; PRAGMA synchronous = EXTRA');
    await store.commit('orders', seq(5), { metadata: { page: 3 } });
    const other = databases.connect();
    other.exec('PRAGMA journal_mode = DELETE');
    other.exec('BEGIN EXCLUSIVE');
    const reads = Promise.all([
      store.get('orders'),
      store.inspect('orders'),
      store.epoch('orders'),
      store.getAll(),
      store.inspectAll(),
    ]);
    await delay(20);
    other.exec('COMMIT');
    const [offset, checkpoint, epoch, all, checkpoints] = await reads;
    expect([offset, epoch, all.get('orders')]).toEqual([seq(5), 0, seq(5)]);
    expect(checkpoint).toMatchObject({ offset: seq(5), metadata: { page: 3 } });
    expect(checkpoints.get('orders')).toEqual(checkpoint);
  });

  it('a lock that is not released is OFFSET_LOCK_TIMEOUT, and transient', async () => {
    await store.ensureSchema();
    const hasty = new SqliteOffsetStore(database, { lockTimeoutMs: 10 });
    const other = databases.connect();
    other.exec('BEGIN IMMEDIATE');
    for (const call of [
      () => hasty.commit('orders', seq(5)),
      () => hasty.commitMany([{ source: 'orders', offset: seq(5) }]),
      () => hasty.claim('orders'),
      () => hasty.transaction(() => undefined),
    ]) {
      const error: unknown = await call().catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(OffsetLockError);
      expect(error).toMatchObject({ code: 'OFFSET_LOCK_TIMEOUT', cause: { code: 'SQLITE_BUSY' } });
      expect(hasty.isTransient(error)).toBe(true);
      expect(hasty.isTransient((error as Error).cause)).toBe(true);
    }
    other.exec('ROLLBACK');
    expect(await hasty.get('orders')).toBeUndefined();
    expect(hasty.isTransient(new Error('boom'))).toBe(false);
    expect(hasty.isTransient(undefined)).toBe(false);
  });

  it('a full disk changes nothing', async () => {
    await store.commit('orders', seq(5));
    database.exec('PRAGMA max_page_count = 4');
    const entries = Array.from({ length: 500 }, (_, at) => ({ source: `source-${at}`, offset: seq(at) }));
    await expect(store.commitMany(entries)).rejects.toMatchObject({
      code: 'OFFSET_IO',
      cause: { code: 'SQLITE_FULL' },
    });
    expect(await store.getAll()).toEqual(new Map([['orders', seq(5)]]));
    database.exec('PRAGMA max_page_count = 10000');
    await store.commitMany(entries);
    expect((await store.getAll()).size).toBe(501);
  });

  it('a connection that was closed is OFFSET_CLOSED, also for statements that were prepared', async () => {
    await store.commit('orders', seq(5));
    database.close();
    for (const call of [
      () => store.get('orders'),
      () => store.commit('orders', seq(6)),
      () => store.getAll(),
    ]) {
      await expect(call()).rejects.toBeInstanceOf(ClosedError);
    }
    const again = new SqliteOffsetStore(databases.connect());
    expect(await again.get('orders')).toEqual(seq(5));
  });

  it('a file that is no database is OFFSET_CORRUPT, and left as it is', async () => {
    const file = path.join(databases.folder, 'other.db');
    writeFileSync(file, 'no database\n'.repeat(500));
    const other = new Database(file) as unknown as TestDatabase;
    await expect(new SqliteOffsetStore(other).get('orders')).rejects.toMatchObject({
      code: 'OFFSET_CORRUPT',
    });
    other.close();
  });

  it('a damaged row is OFFSET_CORRUPT, which names the source, and the others can be read', async () => {
    await store.commit('orders', seq(5));
    await store.commit('payments', seq(5));
    database.exec("UPDATE streamweave_offsets SET position = 'x' WHERE source = 'orders'");
    await expect(store.get('orders')).rejects.toMatchObject({ code: 'OFFSET_CORRUPT', source: 'orders' });
    await expect(store.getAll()).rejects.toMatchObject({ code: 'OFFSET_CORRUPT', source: 'orders' });
    expect(await store.get('payments')).toEqual(seq(5));
    await store.reset('orders', seq(4));
    expect(await store.get('orders')).toEqual(seq(4));
  });

  it('a trigger that undoes commits is seen', async () => {
    await store.ensureSchema();
    database.exec('CREATE TRIGGER t BEFORE INSERT ON streamweave_offsets BEGIN SELECT RAISE(IGNORE); END');
    await expect(store.commit('orders', seq(5))).rejects.toMatchObject({
      code: 'OFFSET_IO',
      message: expect.stringContaining('trigger'),
    });
  });
});

describe('commitMany()', () => {
  it('takes 10,000 sources, all or none', async () => {
    const entries = Array.from({ length: 10_000 }, (_, at) => ({
      source: `source-${at}`,
      offset: seq(at),
      epoch: 0,
      metadata: { at },
    }));
    await store.commitMany(entries);
    expect((await store.getAll()).size).toBe(10_000);
    const next = entries.map((entry, at) => ({ ...entry, offset: seq(at + 1) }));
    await store.claim('source-9999');
    await expect(store.commitMany(next)).rejects.toMatchObject({
      code: 'OFFSET_FENCED',
      source: 'source-9999',
    });
    expect(await store.get('source-0')).toEqual(seq(0));
    await store.commitMany(next.slice(0, -1));
    expect(await store.get('source-9998')).toEqual(seq(9_999));
    expect(await store.inspect('source-5')).toMatchObject({ offset: seq(6), metadata: { at: 5 } });
  });

  it('takes those under an epoch of their own at once, and refuses one for a source that is not there', async () => {
    const epoch = await store.claim('orders');
    await store.commitMany([
      { source: 'orders', offset: seq(5), epoch },
      { source: 'payments', offset: seq(1) },
    ]);
    await expect(
      store.commitMany([
        { source: 'orders', offset: seq(6), epoch },
        { source: 'refunds', offset: seq(1), epoch: 1 },
      ]),
    ).rejects.toMatchObject({ code: 'OFFSET_FENCED', source: 'refunds' });
    expect(await store.get('orders')).toEqual(seq(5));
  });
});

describe('transaction()', () => {
  const insert = (tx: SqliteDatabase, item: number): unknown =>
    tx.prepare('INSERT INTO done VALUES (?)').run(item);
  const done = (): unknown[] => database.prepare('SELECT * FROM done').all();
  beforeEach(() => {
    database.exec('CREATE TABLE done (item INTEGER)');
  });

  it('commits what is written and the offset, and gives what the work gives', async () => {
    const result = await store.transaction(async (tx) => {
      insert(tx, 1);
      await delay(1);
      await store.using(tx).commit('orders', seq(1), { metadata: { at: new Date(0) } });
      return 'result';
    });
    expect(result).toBe('result');
    expect(done()).toEqual([{ item: 1 }]);
    expect(await store.inspect('orders')).toMatchObject({ offset: seq(1), metadata: { at: new Date(0) } });
  });

  it('takes neither back in part: the work’s error undoes both, and is the one that comes out', async () => {
    const boom = new Error('boom');
    const failed = store.transaction(async (tx) => {
      insert(tx, 1);
      await store.using(tx).commit('orders', seq(1));
      throw boom;
    });
    await expect(failed).rejects.toBe(boom);
    const thrown = store.transaction((tx) => {
      insert(tx, 1);
      throw boom;
    });
    await expect(thrown).rejects.toBe(boom);
    expect(done()).toEqual([]);
    expect(await store.get('orders')).toBeUndefined();
  });

  it('is undone when the commit in it is refused', async () => {
    await store.commit('orders', seq(5));
    const epoch = await store.claim('orders');
    for (const [offset, options] of [
      [seq(4), {}],
      [seq(6), { epoch: epoch - 1 }],
    ] as const) {
      const failed = store.transaction(async (tx) => {
        insert(tx, 1);
        await store.using(tx).commit('orders', offset, options);
      });
      await expect(failed).rejects.toMatchObject({ source: 'orders' });
    }
    expect(done()).toEqual([]);
  });

  it('lets no other call of the stores on the connection slip in', async () => {
    await store.ensureSchema();
    const hold = gate();
    const boom = new Error('boom');
    const failed = store.transaction(async (tx) => {
      insert(tx, 1);
      await hold.promise;
      throw boom;
    });
    const second = new SqliteOffsetStore(database);
    let resolved = 0;
    const others = [
      store.commit('orders', seq(5)),
      second.commit('payments', seq(1)),
      store.commitMany([{ source: 'refunds', offset: seq(1) }]),
      second.transaction((tx) => insert(tx, 2)),
    ].map((call) => call.then(() => resolved++));
    await delay(5);
    expect(resolved).toBe(0);
    hold.open();
    await expect(failed).rejects.toBe(boom);
    await Promise.all(others);
    // Had one slipped in, it would have been rolled back.
    expect((await store.getAll()).size).toBe(3);
    expect(done()).toEqual([{ item: 2 }]);
  });

  it('fails calls of the store inside itself in time, instead of waiting for ever', async () => {
    const hasty = new SqliteOffsetStore(database, { lockTimeoutMs: 20 });
    const failed = hasty.transaction((tx) => {
      insert(tx, 1);
      return hasty.commit('orders', seq(1));
    });
    await expect(failed).rejects.toMatchObject({
      code: 'OFFSET_LOCK_TIMEOUT',
      source: 'orders',
      message: expect.stringContaining('using(tx)'),
    });
    expect(done()).toEqual([]);
    await hasty.commit('orders', seq(2));
  });

  it('is finished before close() is, with the commits in it', async () => {
    const hold = gate();
    const running = store.transaction(async (tx) => {
      await hold.promise;
      insert(tx, 1);
      await store.using(tx).commit('orders', seq(1));
    });
    let closed = false;
    const closing = store.close().then(() => (closed = true));
    await delay(5);
    expect(closed).toBe(false);
    await expect(store.transaction(() => undefined)).rejects.toBeInstanceOf(ClosedError);
    hold.open();
    await running;
    await closing;
    expect(done()).toEqual([{ item: 1 }]);
    database.exec('BEGIN');
    await expect(store.using(database).commit('orders', seq(2))).rejects.toBeInstanceOf(ClosedError);
    database.exec('ROLLBACK');
  });

  it('refuses what is no function', async () => {
    await expect(store.transaction(5 as never)).rejects.toBeInstanceOf(TypeError);
  });
});

describe('using()', () => {
  it('commits inside a transaction that the caller began, on any connection', async () => {
    const other = databases.connect();
    await store.ensureSchema();
    for (const [end, expected] of [
      ['ROLLBACK', undefined],
      ['COMMIT', seq(1)],
    ] as const) {
      other.exec('BEGIN IMMEDIATE');
      await store.using(other).commit('orders', seq(1));
      expect(await store.using(other).get('orders')).toEqual(seq(1));
      expect(await store.get('orders')).toBeUndefined();
      other.exec(end);
      expect(await store.get('orders')).toEqual(expected);
    }
  });

  it('makes the table in the transaction, and does not take it for made when that is rolled back', async () => {
    database.exec('BEGIN IMMEDIATE');
    await store.using(database).commit('orders', seq(1));
    database.exec('ROLLBACK');
    expect(tables()).toEqual([]);
    await store.commit('orders', seq(2));
    expect(await store.get('orders')).toEqual(seq(2));
  });

  it('has every capability but close()', async () => {
    await store.transaction(async (tx) => {
      const offsets = store.using(tx);
      expect('close' in offsets).toBe(false);
      await offsets.commitMany!([{ source: 'orders', offset: seq(5) }]);
      expect(await offsets.reset!('orders', seq(2))).toBe(1);
      expect(await offsets.claim!('orders')).toBe(2);
      expect(await offsets.epoch!('orders')).toBe(2);
      expect(await offsets.inspect!('orders')).toMatchObject({ offset: seq(2), epoch: 2 });
      await offsets.clear('orders');
      await offsets.commit('payments', seq(1));
      expect([...(await offsets.inspectAll!()).keys()]).toEqual(['payments']);
      await offsets.clearAll();
      expect(await offsets.getAll()).toEqual(new Map());
    });
    expect(await store.epoch('orders')).toBe(4);
  });

  it('takes all of commitMany() or none, also when the caller goes on after its refusal', async () => {
    await store.commit('orders', seq(5));
    await store.transaction(async (tx) => {
      const offsets = store.using(tx);
      await offsets.commit('before', seq(1));
      await expect(
        offsets.commitMany!([
          { source: 'first', offset: seq(1) },
          { source: 'orders', offset: seq(4) },
        ]),
      ).rejects.toBeInstanceOf(InvalidOffsetError);
      await offsets.commit('after', seq(1));
    });
    expect([...(await store.getAll()).keys()].toSorted()).toEqual(['after', 'before', 'orders']);
  });

  it('is refused outside of a transaction, and after its end', async () => {
    await store.ensureSchema();
    const kept = await store.transaction((tx) => store.using(tx));
    for (const offsets of [kept, store.using(database)]) {
      await expect(offsets.commit('orders', seq(1))).rejects.toMatchObject({
        code: 'OFFSET_CLOSED',
        message: expect.stringContaining('no transaction is open'),
      });
    }
    expect(() => store.using(5 as never)).toThrow(TypeError);
  });

  it('is what calls beside a transaction of the caller’s are told to use', async () => {
    await store.ensureSchema();
    database.exec('BEGIN IMMEDIATE');
    await expect(store.commit('orders', seq(1))).rejects.toMatchObject({
      code: 'OFFSET_IO',
      message: expect.stringContaining('using()'),
    });
    database.exec('ROLLBACK');
    await store.commit('orders', seq(1));
  });
});

describe('durability', () => {
  /** What is told of databases set up so, each by two stores on a connection of its own. */
  async function warningsOf(sql: string, file?: string): Promise<string[]> {
    const emitWarning = jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
    try {
      const connection = databases.connect(file ?? path.join(databases.folder, `${randomUUID()}.db`));
      connection.exec(sql);
      await new SqliteOffsetStore(connection).ensureSchema();
      await new SqliteOffsetStore(connection).commit('orders', seq(1));
      for (const [, options] of emitWarning.mock.calls) {
        expect(options).toEqual({ code: 'STREAMWEAVE_OFFSET_DURABILITY' });
      }
      return emitWarning.mock.calls.map(([warning]) => String(warning));
    } finally {
      emitWarning.mockRestore();
    }
  }

  it('is warned of once where a power failure may take commits back', async () => {
    expect(await warningsOf('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL')).toEqual([
      expect.stringContaining('PRAGMA synchronous = FULL'),
    ]);
    expect(await warningsOf('PRAGMA journal_mode = DELETE; PRAGMA synchronous = FULL')).toHaveLength(1);
    expect(await warningsOf('PRAGMA journal_mode = DELETE; PRAGMA synchronous = FULL')).toEqual([]);
  });

  it('is not where it cannot, or where nothing is to last', async () => {
    expect(await warningsOf('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL')).toEqual([]);
    expect(await warningsOf('PRAGMA journal_mode = DELETE; PRAGMA synchronous = EXTRA')).toEqual([]);
    expect(await warningsOf('PRAGMA synchronous = OFF', ':memory:')).toEqual([]);
  });
});
