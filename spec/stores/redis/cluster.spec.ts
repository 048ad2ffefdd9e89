import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { Cluster, Redis } from 'ioredis';
import { createCluster } from 'redis';
import { Offset } from '../../../lib/offset.js';
import { type RedisClient, RedisOffsetStore } from '../../../lib/stores/redis.js';
import { describeRedis } from '../../support/describe-redis.js';
import { RedisCluster } from '../../support/redis-server.js';

const seq = (value: number): Offset => Offset.sequence(value);

describeRedis('RedisOffsetStore, on a cluster of three masters', () => {
  let cluster: RedisCluster;
  let ioredis: Cluster;
  let redis: Awaited<ReturnType<typeof connected>>;
  const connected = async () =>
    await createCluster({
      rootNodes: cluster.addresses.map(({ host, port }) => ({ url: `redis://${host}:${port}` })),
    })
      .on('error', () => {})
      .connect();
  beforeAll(async () => {
    cluster = await RedisCluster.start();
    ioredis = new Cluster(cluster.addresses, { slotsRefreshTimeout: 10_000, enableAutoPipelining: true });
    ioredis.on('error', () => {});
    redis = await connected();
  }, 60_000);
  afterAll(async () => {
    ioredis.disconnect();
    redis.destroy();
    await cluster.stop();
  });

  it.each(['ioredis', 'redis'])('commits, reads and clears all at once (%s)', async (name) => {
    const client: RedisClient = name === 'ioredis' ? ioredis : redis;
    // Prefixes that belong to different masters, and one that says itself where it belongs.
    for (const keyPrefix of ['a:', 'b:', '{tag}:']) {
      const store = new RedisOffsetStore(client, { keyPrefix: `${name}:${keyPrefix}` });
      const entries = Array.from({ length: 200 }, (_, index) => ({
        source: `source-${index}`,
        offset: seq(index),
      }));
      await store.commitMany(entries);
      await Promise.all(entries.map(({ source }) => store.commit(source, seq(5_000))));
      await expect(store.commit('source-1', seq(3))).rejects.toMatchObject({ code: 'OFFSET_BEHIND' });
      expect(await store.claim('source-1')).toBe(1);
      const all = await store.getAll();
      expect(all.size).toBe(200);
      expect(all.get('source-7')).toEqual(seq(5_000));
      await store.clearAll();
      expect(await store.getAll()).toEqual(new Map());
      expect(await store.epoch('source-1')).toBe(2);
      await store.close();
    }
  });

  it('a client that knows of no cluster, on another node: OFFSET_IO, MOVED', async () => {
    const key = 'moved:offsets';
    const { holder, other } = await cluster.holderOf(key);
    for (const [node, right] of [
      [holder, true],
      [other, false],
    ] as const) {
      const client = new Redis(node.port);
      const commit = new RedisOffsetStore(client, { keyPrefix: 'moved:' }).commit('orders', seq(5));
      if (right) await commit;
      else {
        await expect(commit).rejects.toMatchObject({
          code: 'OFFSET_IO',
          message: expect.stringMatching(/MOVED.*use a cluster client/),
        });
      }
      client.disconnect();
    }
  });
});
