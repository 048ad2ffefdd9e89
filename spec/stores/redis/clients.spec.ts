import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { Redis } from 'ioredis';
import { createClient, createClientPool, RESP_TYPES } from 'redis';
import { Offset } from '../../../lib/offset.js';
import { type RedisClient, RedisOffsetStore } from '../../../lib/stores/redis.js';
import { describeRedis } from '../../support/describe-redis.js';
import { RedisServer } from '../../support/redis-server.js';

const seq = (value: number | bigint): Offset => Offset.sequence(value);

describeRedis('RedisOffsetStore, whatever its client is set to', () => {
  let server: RedisServer;
  beforeAll(async () => {
    server = await RedisServer.start();
  });
  afterAll(() => server.stop());

  const ioredis = (options: object) => async (): Promise<[RedisClient, () => void]> => {
    const client = new Redis({ port: server.port, ...options });
    return [client, () => client.disconnect()];
  };
  const redis = (options: object) => async (): Promise<[RedisClient, () => void]> => {
    const client = createClient({ url: server.url, ...options });
    await client.connect();
    return [client, () => client.destroy()];
  };
  const pool = async (): Promise<[RedisClient, () => void]> => {
    const client = createClientPool({ url: server.url }, { minimum: 2 });
    await client.connect();
    return [client, () => client.destroy()];
  };

  it.each([
    ['ioredis, a prefix of its own', ioredis({ keyPrefix: 'mine:' })],
    ['ioredis, numbers as texts', ioredis({ stringNumbers: true })],
    ['ioredis, automatic pipelines', ioredis({ enableAutoPipelining: true })],
    ['ioredis, RESP3', ioredis({ protocol: 3, replyMapping: 'resp3' })],
    ['redis, RESP2', redis({ RESP: 2 })],
    ['redis, RESP3', redis({ RESP: 3 })],
    [
      'redis, texts as Buffers',
      redis({ commandOptions: { typeMapping: { [RESP_TYPES.BLOB_STRING]: Buffer } } }),
    ],
    ['redis, a pool', pool],
  ])('keeps everything: %s', async (_, open) => {
    const [client, disconnect] = await open();
    const store = new RedisOffsetStore(client, { keyPrefix: `${randomUUID()}:` });
    const metadata = { host: 'caf\u00E9 \u{1F680}', at: new Date(5), big: 2n ** 70n };
    expect(await store.get('orders')).toBeUndefined();
    await store.commit('__proto__', seq(2n ** 64n - 1n), { metadata });
    await store.commitMany([
      { source: 'orders', offset: Offset.custom('before\0after\nline') },
      { source: 'line\nbreak', offset: seq(7) },
    ]);
    expect(await store.claim('line\nbreak')).toBe(1);
    await expect(store.commit('line\nbreak', seq(8), { epoch: 0 })).rejects.toMatchObject({
      code: 'OFFSET_FENCED',
    });
    await expect(store.commit('__proto__', seq(5))).rejects.toMatchObject({ code: 'OFFSET_BEHIND' });
    expect(await store.inspectAll()).toEqual(
      new Map([
        ['__proto__', { offset: seq(2n ** 64n - 1n), epoch: 0, metadata, committedAt: expect.any(Date) }],
        ['orders', { offset: Offset.custom('before\0after\nline'), epoch: 0, committedAt: expect.any(Date) }],
        ['line\nbreak', { offset: seq(7), epoch: 1, committedAt: expect.any(Date) }],
      ]),
    );
    disconnect();
  });

  it('goes on when the server has forgotten its scripts', async () => {
    const client = new Redis(server.port);
    const store = new RedisOffsetStore(client, { keyPrefix: `${randomUUID()}:` });
    await store.commit('orders', seq(5));
    await client.script('FLUSH');
    await store.commit('orders', seq(6));
    await client.script('FLUSH');
    expect(await store.get('orders')).toEqual(seq(6));
    client.disconnect();
  });

  it('commits 10,000 sources in one call', async () => {
    const client = new Redis(server.port);
    const store = new RedisOffsetStore(client, { keyPrefix: `${randomUUID()}:` });
    for (const count of [1_000, 10_000]) {
      await client.config('RESETSTAT');
      const entries = Array.from({ length: count }, (_, index) => ({
        source: `source-${index}`,
        offset: seq(count + index),
      }));
      await store.commitMany(entries);
      const scripts = /cmdstat_eval(?:sha)?:calls=\d+/g;
      expect((await client.info('commandstats')).match(scripts)?.every((line) => line.endsWith('=1'))).toBe(
        true,
      );
      expect((await store.getAll()).size).toBe(count);
      // One that is behind, the last: none is committed.
      const behind = entries.map((entry) => ({ ...entry, offset: seq(3 * count) }));
      behind.push({ source: 'source-5', offset: seq(1) });
      await expect(store.commitMany(behind)).rejects.toMatchObject({
        code: 'OFFSET_BEHIND',
        source: 'source-5',
      });
      expect(await store.get('source-0')).toEqual(seq(count));
    }
    client.disconnect();
  });

  it('adds no listener of its own for each store', () => {
    const client = new Redis({ lazyConnect: true });
    const stores = Array.from({ length: 30 }, () => new RedisOffsetStore(client));
    expect(stores).toHaveLength(30);
    expect(client.listenerCount('ready')).toBe(1);
    client.disconnect();
  });
});
