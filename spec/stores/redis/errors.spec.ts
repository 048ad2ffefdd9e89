import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Redis } from 'ioredis';
import { createClient } from 'redis';
import { OffsetIoError } from '../../../lib/errors.js';
import { Offset } from '../../../lib/offset.js';
import { type RedisClient, RedisOffsetStore } from '../../../lib/stores/redis.js';
import { OffsetTracker } from '../../../lib/tracker/offset-tracker.js';
import { describeRedis } from '../../support/describe-redis.js';
import { openClient, type RedisPackage } from '../../support/redis-client.js';
import { RedisServer } from '../../support/redis-server.js';
import { TcpProxy } from '../../support/tcp-proxy.js';

const PACKAGES: readonly RedisPackage[] = ['ioredis', 'redis'];

const seq = (value: number): Offset => Offset.sequence(value);

/** That the call rejects with the code, that the client's error is the cause, and that the message says so much. */
async function expectFailure(call: Promise<unknown>, code: string, message: RegExp): Promise<void> {
  const error = await call.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toMatchObject({ code, message: expect.stringMatching(message) });
  // By shape: what Node itself makes is no instance of the Error that specs run with.
  expect(String((error as Error).cause)).toMatch(/error/i);
  expect((error as Error).cause).toHaveProperty('message');
}

describe('new RedisOffsetStore()', () => {
  it.each([undefined, null, 5, 'redis://localhost', {}, { evalsha: () => {} }, new Map()])(
    'refuses what is no client: %p',
    (client) => {
      expect(() => new RedisOffsetStore(client as RedisClient)).toThrow(TypeError);
    },
  );

  it('refuses options of the wrong type', () => {
    const client = new Redis({ lazyConnect: true });
    for (const options of [
      null,
      5,
      'prefix:',
      { keyPrefix: 5 },
      { keyPrefix: null },
      { keyPrefix: '\uD800' },
    ]) {
      expect(() => new RedisOffsetStore(client, options as object)).toThrow(TypeError);
    }
    client.disconnect();
  });
});

describeRedis('RedisOffsetStore, when something is wrong', () => {
  let server: RedisServer;
  let admin: Redis;
  beforeAll(async () => {
    server = await RedisServer.start();
    admin = new Redis(server.port);
  });
  afterAll(async () => {
    admin.disconnect();
    await server.stop();
  });

  /** A store over a connection to the port, for the time of the body. */
  async function over(
    name: RedisPackage,
    port: number,
    body: (store: RedisOffsetStore) => Promise<void>,
  ): Promise<void> {
    const { client, disconnect } = await openClient(name, port);
    try {
      await body(new RedisOffsetStore(client, { keyPrefix: `${name}:` }));
    } finally {
      disconnect();
    }
  }

  describe('with the connection', () => {
    it.each(PACKAGES)('a server that is down at the start: OFFSET_IO (%s)', async (name) => {
      await using gone = await RedisServer.start();
      const { port } = gone;
      await gone.kill();
      const ioredis = new Redis(port, { maxRetriesPerRequest: 0, lazyConnect: true });
      ioredis.on('error', () => {});
      const redis = createClient({ url: `redis://127.0.0.1:${port}`, disableOfflineQueue: true });
      redis.on('error', () => {});
      void redis.connect().catch(() => {});
      const store = new RedisOffsetStore(name === 'ioredis' ? ioredis : redis);
      await expectFailure(store.get('orders'), 'OFFSET_IO', /no connection/);
      await expectFailure(
        store.commit('orders', seq(5)),
        'OFFSET_IO',
        /commit source "orders".*no connection/,
      );
      await expectFailure(store.getAll(), 'OFFSET_IO', /no connection/);
      ioredis.disconnect();
      redis.destroy();
    });

    it('a client of redis that was not connected: OFFSET_IO', async () => {
      const store = new RedisOffsetStore(createClient({ url: server.url }));
      await expectFailure(store.commit('orders', seq(5)), 'OFFSET_IO', /The client is closed/);
    });

    it.each(PACKAGES)(
      'a server that went away: OFFSET_IO, and all goes on when it is back (%s)',
      async (name) => {
        await using leaving = await RedisServer.start({ appendonly: 'yes', appendfsync: 'always' });
        await over(name, leaving.port, async (store) => {
          await store.commit('orders', seq(5));
          await leaving.kill();
          // The first may have been sent before the client knew.
          await expect(store.commit('orders', seq(6))).rejects.toBeInstanceOf(OffsetIoError);
          await expectFailure(store.commit('orders', seq(6)), 'OFFSET_IO', /no connection/);
          const tracker = new OffsetTracker(store, {
            retry: { retries: 200, minDelayMs: 5, maxDelayMs: 20 },
          });
          const recorded = tracker.record('orders', 7);
          await leaving.start();
          await recorded;
          expect(await store.get('orders')).toEqual(seq(7));
          await tracker.close();
        });
      },
    );

    it.each(PACKAGES)(
      'an answer that was lost: OFFSET_DURABILITY_UNKNOWN; a read OFFSET_IO (%s)',
      async (name) => {
        await using proxy = await TcpProxy.to(server.port);
        const keyPrefix = `${randomUUID()}:`;
        const direct = new RedisOffsetStore(admin, { keyPrefix });
        const { client, disconnect } = await openClient(name, proxy.port);
        const store = new RedisOffsetStore(client, { keyPrefix });
        const again = async (): Promise<void> => {
          for (;;) {
            try {
              return void (await store.get('orders'));
            } catch {
              await new Promise((resolve) => setTimeout(resolve, 5));
            }
          }
        };
        await store.commit('orders', seq(5));

        const afterwards = proxy.cutNext({ at: 'EVALSHA', when: 'after' });
        await expectFailure(
          store.commit('orders', seq(6)),
          'OFFSET_DURABILITY_UNKNOWN',
          /commit source "orders"/,
        );
        await afterwards;
        expect(await direct.get('orders')).toEqual(seq(6));
        await again();

        const before = proxy.cutNext({ at: 'EVALSHA', when: 'before' });
        await expectFailure(
          store.commit('orders', seq(7)),
          'OFFSET_DURABILITY_UNKNOWN',
          /commit source "orders"/,
        );
        await before;
        expect(await direct.get('orders')).toEqual(seq(6));
        await again();

        const reading = proxy.cutNext({ at: 'EVALSHA', when: 'after' });
        await expectFailure(store.get('orders'), 'OFFSET_IO', /read source "orders"/);
        await reading;
        disconnect();
      },
    );
  });

  describe('with what the server answers', () => {
    it.each(PACKAGES)('no password, or a wrong one: OFFSET_IO (%s)', async (name) => {
      await using locked = await RedisServer.start({ requirepass: 'secret' });
      for (const [password, message] of [
        [undefined, /NOAUTH|no connection/],
        ['wrong', /WRONGPASS|no connection/],
      ] as const) {
        const ioredis = new Redis(locked.port, { maxRetriesPerRequest: 0, password, lazyConnect: true });
        ioredis.on('error', () => {});
        const redis = createClient({
          url: locked.url,
          password,
          disableOfflineQueue: true,
          socket: { reconnectStrategy: false },
        });
        redis.on('error', () => {});
        if (name === 'redis') await redis.connect().catch(() => {});
        const store = new RedisOffsetStore(name === 'ioredis' ? ioredis : redis);
        await expectFailure(store.commit('orders', seq(5)), 'OFFSET_IO', message);
        await expectFailure(store.get('orders'), 'OFFSET_IO', message);
        ioredis.disconnect();
        if (redis.isOpen) redis.destroy();
      }
      const owner = new Redis(locked.port, { password: 'secret' });
      expect(await owner.dbsize()).toBe(0);
      owner.disconnect();
    });

    it('a user without the right: OFFSET_IO', async () => {
      await using restricted = await RedisServer.start();
      await restricted.cli('ACL', 'SETUSER', 'default', '-eval', '-evalsha');
      await over('ioredis', restricted.port, async (store) => {
        await expectFailure(store.commit('orders', seq(5)), 'OFFSET_IO', /NOPERM.*The client's user needs/);
      });
    });

    it('a replica: it is read, and takes no commit: OFFSET_IO', async () => {
      const direct = new RedisOffsetStore(admin, { keyPrefix: 'ioredis:' });
      await direct.commit('orders', seq(5));
      await using replica = await RedisServer.start({ replicaof: `127.0.0.1 ${server.port}` });
      await over('ioredis', replica.port, async (store) => {
        for (;;) {
          const offset = await store.get('orders').catch(() => undefined);
          if (offset !== undefined) break;
          await new Promise((resolve) => setTimeout(resolve, 5));
        }
        await expectFailure(
          store.commit('orders', seq(6)),
          'OFFSET_IO',
          /READONLY.*connect it to the master/,
        );
        await expectFailure(store.claim('orders'), 'OFFSET_IO', /READONLY/);
        await expectFailure(store.clearAll(), 'OFFSET_IO', /READONLY/);
        expect(await store.inspect('orders')).toMatchObject({ offset: seq(5), epoch: 0 });
      });
    });

    it.each(PACKAGES)('out of memory: OFFSET_IO, nothing changed, reads go on (%s)', async (name) => {
      await using small = await RedisServer.start();
      await over(name, small.port, async (store) => {
        await store.commit('orders', seq(5));
        await small.cli('CONFIG', 'SET', 'maxmemory', '1');
        await expectFailure(store.commit('orders', seq(6)), 'OFFSET_IO', /OOM.*maxmemory/);
        await expectFailure(
          store.commitMany([
            { source: 'orders', offset: seq(6) },
            { source: 'payments', offset: seq(6) },
          ]),
          'OFFSET_IO',
          /OOM/,
        );
        expect(await store.getAll()).toEqual(new Map([['orders', seq(5)]]));
        await small.cli('CONFIG', 'SET', 'maxmemory', '0');
        await store.commit('orders', seq(6));
      });
    });

    it('too few replicas, a script that takes long: OFFSET_IO', async () => {
      await using strict = await RedisServer.start({ 'busy-reply-threshold': '1' });
      await over('ioredis', strict.port, async (store) => {
        await store.commit('orders', seq(5));
        await strict.cli('CONFIG', 'SET', 'min-replicas-to-write', '1');
        await expectFailure(store.commit('orders', seq(6)), 'OFFSET_IO', /NOREPLICAS/);
        await strict.cli('CONFIG', 'SET', 'min-replicas-to-write', '0');
        const endless = strict.cli('EVAL', 'while true do end', '0');
        for (;;) {
          const busy = await strict.cli('PING');
          if (busy.includes('BUSY')) break;
        }
        await expectFailure(store.commit('orders', seq(6)), 'OFFSET_IO', /BUSY/);
        await strict.cli('SCRIPT', 'KILL');
        await endless;
        expect(await store.get('orders')).toEqual(seq(5));
      });
    });

    it('a server that is still loading: OFFSET_IO, and the same data when it has loaded', async () => {
      await using slow = await RedisServer.start({
        'enable-debug-command': 'yes',
        'loading-process-events-interval-bytes': '1024',
      });
      const loading = new Redis(slow.port, {
        maxRetriesPerRequest: 0,
        enableReadyCheck: false,
        retryStrategy: () => 5,
      });
      loading.on('error', () => {});
      const store = new RedisOffsetStore(loading);
      await store.commit('orders', seq(5));
      await slow.cli('DEBUG', 'POPULATE', '1000');
      await slow.cli('SAVE');
      await slow.kill();
      // Half a millisecond for each key that it reads.
      const started = slow.start({ 'key-load-delay': '500' });
      let message = '';
      while (!message.includes('LOADING')) {
        const error = await store.get('orders').then(
          () => {
            throw new Error('Expected the server to be loading for a while');
          },
          (reason: unknown) => reason as OffsetIoError,
        );
        expect(error).toMatchObject({ code: 'OFFSET_IO' });
        message = error.message;
        if (!message.includes('LOADING')) await new Promise((resolve) => setTimeout(resolve, 5));
      }
      await expectFailure(store.commit('orders', seq(500)), 'OFFSET_IO', /LOADING/);
      await started;
      expect(await store.get('orders')).toEqual(seq(5));
      loading.disconnect();
    });

    it('a node of a cluster that has no slots: OFFSET_IO', async () => {
      await using node = await RedisServer.start({ 'cluster-enabled': 'yes', 'cluster-port': '0' });
      await over('ioredis', node.port, async (store) => {
        await expectFailure(store.commit('orders', seq(5)), 'OFFSET_IO', /CLUSTERDOWN/);
      });
    });
  });

  describe('with the key', () => {
    /** Every method that touches the key. */
    const calls = (store: RedisOffsetStore): Array<() => Promise<unknown>> => [
      () => store.get('orders'),
      () => store.getAll(),
      () => store.inspect('orders'),
      () => store.epoch('orders'),
      () => store.commit('orders', seq(6)),
      () => store.commit('orders', seq(6), { epoch: 0 }),
      () =>
        store.commitMany([
          { source: 'orders', offset: seq(6) },
          { source: 'b', offset: seq(6) },
        ]),
      () => store.reset('orders', seq(6)),
      () => store.claim('orders'),
      () => store.clear('orders'),
      () => store.clearAll(),
    ];

    it.each([
      ['a text', ['SET', 'text'], 'WRONGTYPE|holds no hash'],
      ['a list', ['RPUSH', 'a', 'b'], 'holds no hash'],
      ['the hash of somebody else', ['HSET', 'orders', 'shipped'], 'the field \'\' of its hash is ""'],
      ['a hash with a field that is named like our header', ['HSET', '', 'x'], 'is "x", not'],
    ])('%s in its place: OFFSET_CORRUPT, left as it is', async (_, [command, ...args], message) => {
      const store = new RedisOffsetStore(admin, { keyPrefix: `${randomUUID()}:` });
      await admin.call(command as string, store.key, ...args);
      const before = await admin.dump(store.key);
      for (const call of calls(store)) {
        await expect(call()).rejects.toMatchObject({
          code: 'OFFSET_CORRUPT',
          message: expect.stringMatching(message),
        });
      }
      expect(await admin.dump(store.key)).toBe(before);
    });

    it('a newer format: OFFSET_UNSUPPORTED, left as it is', async () => {
      const store = new RedisOffsetStore(admin, { keyPrefix: `${randomUUID()}:` });
      await admin.hset(store.key, '', 'streamweave-offset 2', 'orders', 'something new');
      for (const call of calls(store))
        await expect(call()).rejects.toMatchObject({ code: 'OFFSET_UNSUPPORTED' });
      expect(await admin.hget(store.key, 'orders')).toBe('something new');
    });

    const FINE = '0 sequence 1767225600000 \n00000000000000000005';
    it.each([
      ['nothing', ''],
      ['another text', 'shipped'],
      ['no position', '0 sequence 1767225600000 \n'],
      ['no time, and no metadata', '0 sequence\n00000000000000000005'],
      ['a further line', '0 sequence 1767225600000 \n00000000000000000005\n'],
      ['too few digits', '0 sequence 1767225600000 \n5'],
      ['letters for digits', '0 sequence 1767225600000 \n0000000000000000000z'],
      ['a kind that there is not', '0 middle 1767225600000 \n00000000000000000005'],
      ['no epoch', ` ${FINE.slice(2)}`],
      ['a tombstone with a position', '0   \n5'],
    ])('a damaged value (%s): OFFSET_CORRUPT by every call, left as it is', async (_, value) => {
      const store = new RedisOffsetStore(admin, { keyPrefix: `${randomUUID()}:` });
      await store.commit('payments', seq(1));
      await admin.hset(store.key, 'orders', value);
      for (const call of calls(store)) {
        await expect(call()).rejects.toMatchObject({ code: 'OFFSET_CORRUPT', source: 'orders' });
      }
      expect(await admin.hgetall(store.key)).toMatchObject({ orders: value });
      expect(await store.get('payments')).toEqual(seq(1));
    });

    it.each([
      ['a sequence over 2^64-1', '0 sequence 1767225600000 \n99999999999999999999'],
      ['damaged metadata', '0 sequence 1767225600000 {"json":\n00000000000000000005'],
      ['no time', '0 sequence  \n00000000000000000005'],
    ])(
      'a value that only the reader finds damaged (%s): OFFSET_CORRUPT; reset() mends it',
      async (_, value) => {
        const store = new RedisOffsetStore(admin, { keyPrefix: `${randomUUID()}:` });
        await store.commit('payments', seq(1));
        await admin.hset(store.key, 'orders', value);
        await expect(store.get('orders')).rejects.toMatchObject({ code: 'OFFSET_CORRUPT', source: 'orders' });
        await expect(store.getAll()).rejects.toMatchObject({ code: 'OFFSET_CORRUPT', source: 'orders' });
        expect(await store.reset('orders', seq(6))).toBe(1);
        expect(await store.get('orders')).toEqual(seq(6));
      },
    );
  });
});
