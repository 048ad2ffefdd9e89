import { afterAll, beforeAll, describe, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { Redis } from 'ioredis';
import { createClient } from 'redis';
import { type RedisClient, RedisOffsetStore } from '../../../lib/stores/redis.js';
import { testOffsetStore } from '../../../lib/testing/index.js';
import { describeRedis } from '../../support/describe-redis.js';
import { EVERY_CAPABILITY } from '../../support/every-capability.js';
import { RedisServer } from '../../support/redis-server.js';

/** The prefix of a store, from the key that the store shows. */
const prefixOf = (store: RedisOffsetStore): string => store.key.slice(0, -'offsets'.length);

/** Runs the suite on stores over the first of two clients, and over the second where it takes another. */
function testOver(
  name: string,
  clients: () => readonly (RedisClient & { del(key: string): Promise<unknown> })[],
): void {
  const again = (store: RedisOffsetStore): RedisOffsetStore =>
    new RedisOffsetStore(clients()[1]!, { keyPrefix: prefixOf(store) });
  testOffsetStore<RedisOffsetStore>({
    name: `RedisOffsetStore (${name})`,
    create: () => new RedisOffsetStore(clients()[0]!, { keyPrefix: `${randomUUID()}:` }),
    destroy: async (store) => void (await clients()[0]!.del(store.key)),
    reopen: again,
    another: again,
    capabilities: EVERY_CAPABILITY,
    test: { describe, it },
  });
}

describeRedis('RedisOffsetStore', () => {
  let server: RedisServer;
  beforeAll(async () => {
    server = await RedisServer.start();
  });
  afterAll(() => server.stop());

  describe('over ioredis', () => {
    let clients: [Redis, Redis];
    beforeAll(() => {
      clients = [new Redis(server.port), new Redis(server.port)];
    });
    afterAll(() => clients.forEach((client) => client.disconnect()));
    testOver('ioredis', () => clients);
  });

  describe('over redis', () => {
    let clients: [ReturnType<typeof connection>, ReturnType<typeof connection>];
    const connection = () => createClient({ url: server.url });
    beforeAll(async () => {
      clients = [connection(), connection()];
      await Promise.all(clients.map((client) => client.connect()));
    });
    afterAll(() => clients.forEach((client) => client.destroy()));
    testOver('redis', () => clients);
  });
});
